# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The tables of versioned documents, and which columns they have."""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass, fields

from .._core.errors import ErrorKind, RecoveryError
from .._engines.postgresql.server.connection import Connection, fetch_all, quote_identifier
from .._engines.postgresql.server.names import QualifiedName, parse_qualified_name


@dataclass(frozen=True)
class VersionsTable:
    """The table of versions: one row for each version of a document, and its columns.

    A row without content has its content in an object of the bucket, whose key is in storage_path.
    """

    table: str = "course_versions"
    document: str = "course_id"
    version: str = "version"
    content: str = "snapshot"
    publisher: str = "published_by"
    changelog: str = "changelog"
    etag: str = "etag"
    published_at: str = "created_at"
    storage_path: str = "storage_path"


@dataclass(frozen=True)
class MetadataTable:
    """The table of documents: one row for each document with its current version, and its columns."""

    table: str = "course_metadata"
    document: str = "id"
    version: str = "content_version"
    etag: str = "etag"
    updated_at: str = "updated_at"


#: Columns that a table can lack if their option has its default.
_OPTIONAL = ("publisher", "changelog", "etag", "published_at", "storage_path", "updated_at")

#: The texts that the server prints for ids of these types; a number of 18 digits fits into bigint.
_ID_FORMS = {
    **dict.fromkeys(("smallint", "integer", "bigint", "numeric"), re.compile("0|-?[1-9][0-9]{0,17}")),
    "uuid": re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"),
}
#: Defaults that are computed for each row, such as now() and nextval(): a copy of a row gets a new value.
_COMPUTED = re.compile(r"[A-Za-z_\"]\s*\((?!\d+(,\d+)?\))|\b(CURRENT|LOCAL|SESSION)_?[A-Z]+\b", re.IGNORECASE)
_LITERAL = re.compile(r"'([^']|'')*'")

_NUMBER_TYPES = ("smallint", "integer", "bigint", "numeric")
_TEXTS = ("text", "character varying")
_CONTENT = ("jsonb", "json", *_TEXTS)


@dataclass(frozen=True)
class Column:
    """A column as a quoted identifier, in a statement with parameters, with its type and whether it needs a value.

    unique: whether it is a part of a unique key.
    """

    sql: str
    type: str
    required: bool
    unique: bool = False

    @property
    def number(self) -> str:
        """The expression of its number, which versions are ordered by."""
        return self.sql if self.type in _NUMBER_TYPES else f"{self.sql}::text::numeric"


@dataclass(frozen=True)
class Table:
    """A table that exists. columns: those of the options, by the name of the option.

    copied: the other columns, as quoted identifiers, whose values a copy of a row has too. needed: the names of the
    other columns that a new row must have a value for.
    """

    oid: int
    name: QualifiedName
    columns: t.Mapping[str, Column]
    copied: t.Sequence[str] = ()
    needed: t.Sequence[str] = ()

    @property
    def sql(self) -> str:
        return self.name.quoted.replace("%", "%%")

    def __getitem__(self, option: str) -> str:
        return self.columns[option].sql

    def __contains__(self, option: str) -> bool:
        return option in self.columns

    def sql_of(self, name: str) -> str:
        """The identifier of the column of an option; one of `copied` is an identifier itself."""
        return self.columns[name].sql if name in self.columns else name

    def can_hold(self, document: str) -> bool:
        """Whether a row can have this id. A name in a bucket may be no number and no UUID."""
        form = _ID_FORMS.get(self.columns["document"].type)
        return form is None or form.fullmatch(document) is not None


def find_table(conn: Connection, options: t.Union[VersionsTable, MetadataTable], option: str) -> Table:
    """The table of the options and its columns; option is the name of the module option, for messages.

    Raises RecoveryError: table_missing, schema_drift for a column that it lacks, unsupported for a type that cannot
    hold the value.
    """
    name = parse_qualified_name(options.table)
    found = fetch_all(conn, _COLUMNS, (name.schema, name.name))
    if not found:
        raise RecoveryError(
            ErrorKind.TABLE_MISSING,
            f"The table {name} does not exist in the database.",
            next_step=f"Check `{option}.table`; if the table was dropped, restore it with restore_rows.yml or apply "
            "the migration that creates it.",
        )
    existing = {row[1]: row for row in found}
    columns = {}
    for field in fields(options):
        wanted = getattr(options, field.name)
        if field.name == "table" or not wanted:
            continue
        if wanted in existing:
            _oid, _name, kind, required, _default, is_key, _is_generated = existing[wanted]
            columns[field.name] = Column(quote_identifier(wanted).replace("%", "%%"), kind, required, is_key)
        elif field.name == "content" and wanted == field.default and _path_of(options) in existing:
            # Each version is an object of the bucket.
            continue
        elif field.name not in _OPTIONAL or wanted != field.default:
            raise RecoveryError(
                ErrorKind.SCHEMA_DRIFT,
                f"`{option}.{field.name}` must be a column of {name}, got {wanted!r}.",
                next_step=f"The table has {', '.join(sorted(existing))}.",
            )
    _require_type(name, columns, ("version", "etag"), (*_NUMBER_TYPES, *_TEXTS), "whole numbers")
    _require_type(name, columns, ("content",), _CONTENT, "JSON")
    _require_type(name, columns, ("storage_path",), _TEXTS, "keys of objects")
    described = {getattr(options, field.name) for field in fields(options) if field.name != "table"}
    copied = [
        quote_identifier(column).replace("%", "%%")
        for _oid, column, _kind, _required, default, is_key, is_generated in found
        if column not in described and not is_key and not is_generated and not _is_computed(default)
    ]
    needed = [
        column
        for _oid, column, _kind, required, _default, _is_key, is_generated in found
        if required and column not in described and not is_generated
    ]
    return Table(found[0][0], name, columns, copied, needed)


def _path_of(options: t.Union[VersionsTable, MetadataTable]) -> str:
    return options.storage_path if isinstance(options, VersionsTable) else ""


def _is_computed(default: t.Optional[str]) -> bool:
    return default is not None and _COMPUTED.search(_LITERAL.sub("''", default)) is not None


def _require_type(
    name: QualifiedName, columns: t.Mapping[str, Column], options: t.Sequence[str], types: t.Sequence[str], what: str
) -> None:
    for option in options:
        if option in columns and columns[option].type not in types:
            raise RecoveryError(
                ErrorKind.UNSUPPORTED,
                f"The column {columns[option].sql} of {name} must hold {what}, got the type {columns[option].type}.",
                next_step=f"Use {', '.join(types)}.",
            )


_COLUMNS = """
SELECT c.oid::bigint, a.attname::text, format_type(a.atttypid, NULL), a.attnotnull AND NOT a.atthasdef,
  pg_get_expr(d.adbin, d.adrelid),
  EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisunique AND a.attnum = ANY (i.indkey::int[])),
  a.attgenerated <> '' OR a.attidentity <> ''
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
WHERE n.nspname = %s AND c.relname = %s AND c.relkind IN ('r', 'p')
ORDER BY a.attnum
"""
