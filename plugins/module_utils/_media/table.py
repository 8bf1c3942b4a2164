# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The table of media: one row for each file of a bucket, and the columns that describe the file."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, fields

from .._core.errors import ErrorKind, RecoveryError
from .._engines.postgresql.restore_rows.target_tables import TargetTable, read_target_tables, require_rights
from .._engines.postgresql.server.catalog_columns import CatalogColumn
from .._engines.postgresql.server.confined import begin_reading
from .._engines.postgresql.server.connection import Connection, ConnectionOptions, connection, quote_literal
from .._engines.postgresql.server.equality import output_text
from .._engines.postgresql.server.names import parse_qualified_name

#: Columns that a table can lack if their option has its default.
_OPTIONAL = ("bucket", "size", "type", "digest")
#: Rows that one fetch reads.
_BATCH = 5000


@dataclass(frozen=True)
class MediaOptions:
    """The names of the table and its columns. path_prefix: text before the key of the object, such as a URL."""

    table: str = "media_assets"
    path: str = "path"
    path_prefix: str = ""
    bucket: str = "bucket"
    size: str = "size_bytes"
    type: str = "mime_type"
    digest: str = "sha256"


class MediaRow(t.NamedTuple):
    """The statements of a row about its file; None where it states nothing. key: of the object."""

    key: str
    size: t.Optional[int]
    type: t.Optional[str]
    digest: t.Optional[str]


@dataclass(frozen=True)
class MediaTable:
    """A table that exists. columns: those of the options, by option. bucket: the value of its column."""

    target: TargetTable
    columns: t.Mapping[str, CatalogColumn]
    path_prefix: str
    bucket: str

    def require_bucket(self) -> None:
        """Raise RecoveryError(invalid_options) if rows of several buckets cannot be distinguished."""
        if "bucket" in self.columns and not self.bucket:
            raise RecoveryError(
                ErrorKind.INVALID_OPTIONS,
                f"`bucket` is required, because {self.target.name} has the column {self.columns['bucket'].name}.",
                next_step="Set `bucket` to the value of that column, or set `media.bucket` to an empty text.",
            )

    def of_bucket(self, alias: str) -> str:
        """A condition: the row belongs to the bucket."""
        path = f"{alias}.{self.columns['path'].quoted}"
        conditions = [f"pg_catalog.num_nulls({path}) = 0"]
        if self.path_prefix:
            conditions.append(f"pg_catalog.starts_with({output_text(path)}, {quote_literal(self.path_prefix)})")
        if "bucket" in self.columns:
            bucket = output_text(f"{alias}.{self.columns['bucket'].quoted}")
            conditions.append(f"{bucket} OPERATOR(pg_catalog.=) {quote_literal(self.bucket)}")
        return " AND ".join(conditions)

    def key(self, alias: str) -> str:
        """The expression of the key of the object."""
        path = output_text(f"{alias}.{self.columns['path'].quoted}")
        return f"pg_catalog.substr({path}, {len(self.path_prefix) + 1})"


def find_media(conn: Connection, options: MediaOptions, bucket: str) -> MediaTable:
    """Raises RecoveryError: table_missing, schema_drift for a column that the table lacks, invalid_options."""
    name = parse_qualified_name(options.table)
    target = read_target_tables(conn, [name]).get(name)
    if target is None:
        raise RecoveryError(
            ErrorKind.TABLE_MISSING,
            f"`media.table` must be a table of the database, got {name}, which does not exist.",
            next_step="Correct the name; if the table was dropped, restore it with restore_rows.yml or apply the "
            "migration that creates it.",
        )
    columns = {}
    for field in fields(options):
        wanted = getattr(options, field.name)
        if field.name in ("table", "path_prefix") or not wanted:
            continue
        column = target.column(wanted)
        if column is not None:
            columns[field.name] = column
        elif field.name not in _OPTIONAL or wanted != field.default:
            raise RecoveryError(
                ErrorKind.SCHEMA_DRIFT,
                f"`media.{field.name}` must be a column of {name}, got {wanted!r}.",
                next_step=f"The table has {', '.join(one.name for one in target.columns)}.",
            )
    if "path" not in columns:
        raise RecoveryError(ErrorKind.INVALID_OPTIONS, "`media.path` is required.")
    table = MediaTable(target, columns, options.path_prefix, bucket)
    table.require_bucket()
    return table


def media_rows(
    place: ConnectionOptions, options: MediaOptions, bucket: str, run_as: t.Optional[str]
) -> t.Iterator[MediaRow]:
    """The rows of the bucket in one snapshot, in the order of their keys. Memory does not grow with their number.

    Raises RecoveryError: those of find_media, rls_blind if row security hides rows, access_denied.
    """
    with connection(place, application="lifeline.recovery media") as conn:
        session = begin_reading(conn, run_as=run_as)
        table = find_media(conn, options, bucket)
        require_rights(conn, table.target, "missing", role=session.role, disable_triggers=False, read_only=True)
        texts = [
            output_text(f"l.{table.columns[name].quoted}") if name in table.columns else "NULL::text"
            for name in ("size", "type", "digest")
        ]
        key = table.key("l")
        session.open(
            f"SELECT {', '.join([key, *texts])} FROM {table.target.source} l WHERE {table.of_bucket('l')} "
            f'ORDER BY {key} COLLATE "C"'
        )
        while True:
            rows = session.take(_BATCH)
            if not rows:
                break
            for key, size, kind, digest in rows:
                # A database without an encoding may hold bytes that are no text.
                yield MediaRow(key.encode(errors="replace").decode(), _number(size), kind or None, digest or None)
        session.finish()


def _number(text: t.Optional[str]) -> t.Optional[int]:
    """The bytes that a column states; None for a text that is no whole number."""
    try:
        return int(text) if text else None
    except ValueError:
        return None
