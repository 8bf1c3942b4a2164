# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Takes the rows of one tenant, user or customer out, with all that belongs to them, as a set of their own."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from ...._core.clock import Timings
from ...._core.errors import ErrorKind, RecoveryError
from ...._core.options import INTERNAL, FilePath, option
from ...._core.process import scratch_folder
from ...._core.sizes import readable_size
from ...._repository.audit import write_audit
from ...._repository.catalogue import find_set
from ...._repository.layout import TIERS
from ...._repository.manifest import Manifest
from ...._repository.recovery_points import Selection
from ...._store.base import ObjectStore, seal_for
from ..archive.statements import Column, Reference
from ..server import catalog
from ..server.confined import Session, run
from ..server.connection import Connection, ConnectionOptions, connection, fetch_value
from ..server.names import QualifiedName
from .description import Description, SetTable
from .local import LocalObjects
from .merge import merge_error
from .request import CLOSURES, RowsRequest
from .rows_set import RowsToKeep, write_rows_set
from .scope import Root
from .selection import choose_rows, read_description, roots_of
from .staging import Staged
from .target_tables import read_target_references, read_target_tables


@dataclass(frozen=True)
class ExportRequest:
    """source and tier are those of the new set. from_source names one to take rows from instead of the live tables."""

    connection: ConnectionOptions
    source: str
    roots: t.Sequence[Root]
    tier: str = field(default="emergency", metadata=option(choices=TIERS))
    closure: str = field(default="both", metadata=option(choices=CLOSURES))
    references: t.Sequence[Reference] = ()
    from_source: t.Optional[str] = None
    from_selection: Selection = field(default_factory=Selection)
    spool_dir: t.Optional[FilePath] = None
    parallel: int = field(default=3, metadata=INTERNAL)
    check_mode: bool = False
    run_as: t.Optional[str] = None


@dataclass(frozen=True)
class ExportResult:
    """The exported rows. tables: rows by table. set_id is None in check mode."""

    changed: bool
    source: str
    tier: str
    set_id: t.Optional[str]
    taken_from: str
    tables: t.Mapping[str, int]
    rows: int
    bytes_stored: int
    timings: t.Mapping[str, float]
    summary: str


def export_rows(request: ExportRequest, store: ObjectStore) -> ExportResult:
    """Write the rows and what belongs to them as a set. The database is only read, in one view.

    Raises RecoveryError: invalid_options, table_missing, access_denied, rls_blind, schema_drift, those of the store.
    """
    timings = Timings()
    with (
        connection(request.connection, application="lifeline.recovery rows", describe=merge_error) as conn,
        scratch_folder("lifeline-rows-", request.spool_dir) as folder,
    ):
        return _export(conn, request, store, folder, timings)


def _export(
    conn: Connection, request: ExportRequest, store: ObjectStore, folder: str, timings: Timings
) -> ExportResult:
    rows_request = RowsRequest(
        connection=request.connection,
        source=request.from_source or request.source,
        selection=request.from_selection,
        roots=request.roots,
        closure=request.closure,
        references=request.references,
        read_only=True,
        run_as=request.run_as,
    )
    facts = catalog.server_facts(conn)
    objects: t.Optional[LocalObjects] = None
    taken_from = request.connection.place
    with timings.phase("choose"):
        run(conn, "BEGIN ISOLATION LEVEL REPEATABLE READ")
        if request.from_source:
            manifest = find_set(store, request.from_source, request.from_selection)
            seal_for(store, manifest.recipients)
            taken_from = f"set {manifest.set_id} of {manifest.source}"
            objects = LocalObjects(store, folder, parallel=request.parallel)
            description = read_description(manifest, objects)
        else:
            description = _describe_target(conn)
        if not request.roots:
            raise RecoveryError(
                ErrorKind.INVALID_OPTIONS, "No rows were named.", next_step="Give `keys`, `where` or `tables`."
            )
        chosen = choose_rows(conn, rows_request, roots_of(rows_request, description), description, objects)
        session = chosen.session
    written: t.Optional[Manifest] = None
    kept = [_rows_of(staged) for staged in chosen.tables]
    with timings.phase("store"):
        if not request.check_mode:
            written = write_rows_set(
                session,
                store,
                request.source,
                request.tier,
                kept,
                chosen.references,
                folder=folder,
                server=facts,
                parallel=request.parallel,
                about={"taken_from": taken_from, "tables": [str(item.table.name) for item in kept]},
            )
            write_audit(store, request.source, "export_rows", "succeeded", {"set_id": written.set_id})
    counts = {str(item.table.name): _count(session, item.rows) for item in kept}
    rows, size = sum(counts.values()), written.stored_bytes if written else 0
    done = f"Exported {rows} rows" if written else f"Would export {rows} rows"
    return ExportResult(
        changed=True,
        source=request.source,
        tier=request.tier,
        set_id=written.set_id if written else None,
        taken_from=taken_from,
        tables={name: number for name, number in counts.items() if number},
        rows=rows,
        bytes_stored=size,
        timings=timings.as_dict(),
        summary=f"{done} of {sum(map(bool, counts.values()))} tables from {taken_from} ({readable_size(size)}).",
    )


def _describe_target(conn: Connection) -> Description:
    """The live tables, as if a set held them; partitions are taken with the table that they are part of."""
    names = [QualifiedName(table.schema, table.name) for table in catalog.user_tables(conn)]
    parents = [QualifiedName(schema, name) for schema, name in _partitioned(conn)]
    tables = {
        name: SetTable(
            name,
            tuple(Column(column.name, column.type) for column in target.columns if not column.generated),
            target.key.columns if target.key else (),
            (),
        )
        for name, target in read_target_tables(conn, [*names, *parents]).items()
    }
    return Description("of the live database", tables, tuple(read_target_references(conn)), {}, is_database=True)


def _partitioned(conn: Connection) -> t.List[t.Tuple[str, str]]:
    with conn.cursor() as cursor:
        cursor.execute(
            "SELECT n.nspname::text, c.relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
            "WHERE c.relkind = 'p' AND n.nspname !~ '^pg_'"
        )
        return list(cursor.fetchall())


def _rows_of(staged: Staged) -> RowsToKeep:
    columns = tuple(Column(column.name, column.type) for _name, column in staged.matching.pairs)
    key = staged.target.key.columns if staged.target.key else ()
    listed = ", ".join(staged.columns)
    return RowsToKeep(SetTable(staged.target.name, columns, key, ()), f"SELECT {listed} FROM {staged.rows}")


def _count(session: Session, query: str) -> int:
    return int(fetch_value(session, f"SELECT count(*) FROM ({query}) q"))
