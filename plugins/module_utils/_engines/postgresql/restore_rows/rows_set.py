# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Writes a set that holds rows of some tables: what an undo of rows needs, or an export."""

from __future__ import annotations

import errno
import os
import typing as t
from dataclasses import asdict, dataclass

from ...._core.clock import utc_now
from ...._core.errors import ErrorKind, RecoveryError
from ...._repository.commit import SetFacts
from ...._repository.fetch import END_OF_COPY
from ...._repository.fingerprint import Fingerprint, TableFingerprint
from ...._repository.manifest import ROWS_ENGINE, Manifest
from ...._repository.writer import SetWriter
from ...._store.base import ObjectStore
from ..archive.statements import Reference
from ..server.catalog import ServerFacts
from ..server.confined import Session, run
from ..server.landing import make_table
from .description import ROWS_FILE, SetTable, rows_document


@dataclass(frozen=True)
class RowsToKeep:
    """rows is a query of the table's columns, keys one of its key or, without one, of all columns."""

    table: SetTable
    rows: str
    keys: t.Optional[str] = None


def write_rows_set(
    conn: Session,
    store: ObjectStore,
    source: str,
    tier: str,
    tables: t.Sequence[RowsToKeep],
    references: t.Sequence[Reference],
    *,
    folder: str,
    server: ServerFacts,
    parallel: int,
    about: t.Mapping[str, t.Any],
) -> Manifest:
    """Copy the rows of the queries into a new set; about goes into its coverage. Raises those of the store."""
    began = utc_now()
    paths: t.Dict[str, str] = {}
    counted: t.List[TableFingerprint] = []
    with SetWriter(store, source, tier, codec="zstd", parallel=parallel) as writer:
        for number, item in enumerate(tables):
            name = item.table.name
            path = paths[f"rows {name}"] = f"rows-{number}.dat"
            rows = _copy_out(conn, item.rows, os.path.join(folder, path))
            counted.append(TableFingerprint(name.schema, name.name, rows))
            writer.add(folder, path, "data", name.schema, name.name)
            if item.keys is not None:
                path = paths[f"keys {name}"] = f"keys-{number}.dat"
                _copy_out(conn, item.keys, os.path.join(folder, path))
                writer.add(folder, path, "keys", name.schema, name.name)
        with open(os.path.join(folder, ROWS_FILE), "wb") as stream:
            stream.write(rows_document([item.table for item in tables], references, paths))
        writer.add(folder, ROWS_FILE, "rows")
        facts = SetFacts(
            engine=ROWS_ENGINE,
            recovery_point=began,
            began=began,
            server=asdict(server),
            coverage=about,
            fingerprint=Fingerprint("counts", "counts", server.major, tuple(counted)),
        )
        return writer.commit(facts, {"total": (utc_now() - began).total_seconds()})


_OUTGOING = 'pg_temp."lifeline outgoing"'


def _copy_out(conn: Session, query: str, path: str) -> int:
    try:
        make_table(conn, _OUTGOING, query)
        rows = run(conn, f"INSERT INTO {_OUTGOING} {query}")
        # COPY of a table of the tool calls output functions, and no code of users.
        with open(path, "wb") as stream, conn.raw.cursor() as cursor:
            cursor.copy_expert(f"COPY {_OUTGOING} TO STDOUT", stream)
            stream.write(END_OF_COPY)
        run(conn.raw, f"DROP TABLE {_OUTGOING}")
        return rows
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise RecoveryError(
            ErrorKind.SPOOL_FULL,
            f"The folder {os.path.dirname(path)} has no room for the rows.",
            next_step="Set `spool_dir` to a file system with more room.",
        ) from None
