# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Chooses the rows of a set that were asked for, with all that belongs to them, in tables of the session."""

from __future__ import annotations

import json
import typing as t
from dataclasses import dataclass

from ...._core.errors import ErrorKind, RecoveryError
from ...._repository.manifest import DATABASE_ENGINE, ROWS_ENGINE, Manifest
from ...._repository.row_changes import MissingKeys
from ..archive.statements import Reference
from ..archive.toc import parse_toc
from ..server.confined import SAFE_PATH, Confined, Session, reading_role, run, writing_role
from ..server.connection import Connection, fetch_all, fetch_value, quote_identifier
from ..server.driver import psycopg2
from ..server.equality import output_text
from ..server.names import QualifiedName
from .closure import choose_children, choose_parents, reachable
from .columns import match_columns
from .description import ROWS_FILE, Description, SetTable, describe, describe_rows
from .local import LocalObjects
from .request import RowsRequest
from .scope import Root
from .staging import (
    Staged,
    analyze,
    load_all,
    load_keys,
    load_matching,
    load_stored_keys,
    load_where,
    prepare,
    require_condition,
)
from .target_tables import TargetTable, read_target_references, read_target_tables, require_rights


@dataclass(frozen=True)
class ChosenRows:
    """The chosen rows. complete: tables of which all rows were requested. references: of the set and the target.

    missing: requested keys that neither the set nor the target has.
    """

    tables: t.Sequence[Staged]
    complete: t.FrozenSet[QualifiedName]
    references: t.Sequence[Reference]
    partitions: t.Mapping[QualifiedName, QualifiedName]
    session: Session
    missing: t.Sequence[MissingKeys] = ()


def begin(conn: Connection, lock_timeout: float) -> None:
    """Open the transaction in which rows are chosen, compared and changed, unless it is open already."""
    if conn.info.transaction_status == psycopg2.extensions.TRANSACTION_STATUS_IDLE:
        run(conn, "BEGIN ISOLATION LEVEL REPEATABLE READ")
    fetch_value(conn, "SELECT set_config('lock_timeout', %s, true)", (f"{int(lock_timeout * 1000)}ms",))


def session_for(conn: Connection, request: RowsRequest, tables: t.Collection[TargetTable]) -> Session:
    """The session that works on these tables in the open transaction: with the rights of their owner, or to read."""
    role = request.run_as
    if role is None:
        role = reading_role(conn) if request.read_only else writing_role(conn, [table.oid for table in tables])
    schemas = {column.schema for table in tables for column in table.columns} - {"pg_catalog"}
    # Conditions of operators find the operators of the types of extensions; statements of this collection name them.
    path = ", ".join([SAFE_PATH, *map(quote_identifier, sorted(schemas)), "public"])
    return Confined(conn, role, path=path)


def read_description(manifest: Manifest, objects: LocalObjects) -> Description:
    """The content of the set; only its table of contents is fetched."""
    manifest.require_kind(DATABASE_ENGINE, ROWS_ENGINE)
    if manifest.engine == ROWS_ENGINE:
        return describe_rows(manifest, objects.content(manifest.object_at(ROWS_FILE)))
    return describe(manifest, parse_toc(objects.content(manifest.object_at("toc.dat"))))


def roots_of(request: RowsRequest, description: Description) -> t.Sequence[Root]:
    """The tables of the request, or of an undo set or an export. Raises RecoveryError(table_missing)."""
    roots = request.roots or [Root(name) for name, table in description.tables.items() if is_rows_table(table)]
    if not roots:
        raise RecoveryError(
            ErrorKind.INVALID_OPTIONS,
            "No table was named.",
            next_step="Give `tables`, `where` or `keys`; they are optional only for undo sets and exports.",
        )
    for root in roots:
        description.table(root.table)
    return roots


def choose_rows(
    conn: Connection,
    request: RowsRequest,
    roots: t.Sequence[Root],
    description: Description,
    objects: t.Optional[LocalObjects],
    *,
    made: t.Collection[TargetTable] = (),
) -> ChosenRows:
    """Make the tables of the session and fill them, from objects of a set, or None for the live tables themselves.

    made: tables made in this transaction, which the session of the choice has to be able to judge as well.
    Everything is judged before rows are fetched.
    Raises RecoveryError: invalid_options, target_missing, schema_drift, access_denied, rls_blind.
    """
    return _Chooser(conn, request, description, objects, made).choose({root.table: root for root in roots})


def target_of(request: RowsRequest, name: QualifiedName) -> QualifiedName:
    """The live table that rows of the set's table go to."""
    return QualifiedName(request.into, name.name) if request.into else name


def is_rows_table(table: SetTable) -> bool:
    """Whether the table is of an undo set or an export, which hold some rows of it."""
    return bool(table.rows) and all(rows.entry.path.startswith("rows-") for rows in table.rows)


class _Chooser:
    def __init__(
        self,
        conn: Connection,
        request: RowsRequest,
        description: Description,
        objects: t.Optional[LocalObjects],
        made: t.Collection[TargetTable],
    ) -> None:
        self._made = made
        self._raw, self._request, self._description, self._objects = conn, request, description, objects
        self._conn: Session
        self._staged: t.Dict[QualifiedName, Staged] = {}
        self._complete: t.Set[QualifiedName] = set()
        self._target_tables: t.Dict[QualifiedName, TargetTable] = {}
        self._references: t.List[Reference] = []
        self._missing: t.List[MissingKeys] = []

    def choose(self, roots: t.Mapping[QualifiedName, Root]) -> ChosenRows:
        request, description = self._request, self._description
        self._look_at_target(roots)
        groups = [{name} for name in roots]
        down = request.closure in ("children", "both")
        if down:
            known = [
                item
                for item in self._references
                if item.child in self._target_tables and item.child in description.tables
            ]
            groups = reachable(roots, known)
        self._require_session_tables()
        if self._objects is not None:
            held = (description.tables.get(name) for group in groups for name in group)
            self._objects.bring(rows.entry for table in held if table for rows in table.rows)
        begin(self._raw, request.lock_timeout)
        involved = [self._target_tables[name] for name in self._involved(groups)]
        self._conn = session_for(self._raw, request, [*involved, *self._made])
        for group in groups:
            for name in group:
                self._prepare(name)
        for name, root in roots.items():
            if root.where is not None:
                require_condition(self._conn, self._staged[name], root.where)
        for group in groups:
            for name in group & set(roots):
                self._choose_root(roots[name])
            narrowed = {name for name in group if name not in self._complete}
            if down and narrowed:
                choose_children(self._conn, narrowed, self._staged, self._references, self._objects)
        self._require_some_key(roots)
        if request.mode == "exact":
            self._choose_strays()
        if request.closure in ("parents", "both"):
            choose_parents(
                self._conn, self._staged, self._target_tables, self._references, self._objects, self._stage_parent
            )
        for staged in self._staged.values():
            analyze(self._conn, staged.rows, staged.native_columns)
        return ChosenRows(
            list(self._staged.values()),
            frozenset(self._complete),
            self._references,
            self._description.partitions,
            self._conn,
            self._missing,
        )

    def _involved(self, groups: t.Sequence[t.Collection[QualifiedName]]) -> t.List[QualifiedName]:
        """The tables that may be changed: the groups, and above them what their rows may need."""
        names = dict.fromkeys(name for group in groups for name in group)
        waiting = list(names) if self._request.closure in ("parents", "both") else []
        while waiting:
            name = waiting.pop()
            more = [edge.parent for edge in self._references if edge.child == name and edge.parent not in names]
            names.update(dict.fromkeys(more))
            waiting += more
        return [name for name in names if name in self._target_tables]

    def _look_at_target(self, roots: t.Collection[QualifiedName]) -> None:
        request = self._request
        targets = {target_of(request, name): name for name in self._description.tables}
        found = read_target_tables(self._raw, targets)
        self._target_tables = {targets[name]: table for name, table in found.items()}
        references = [*self._description.references, *request.references]
        if request.into is None:
            references += read_target_references(self._raw)
        self._references = list(dict.fromkeys(references))
        for name in roots:
            if name not in self._target_tables:
                raise RecoveryError(
                    ErrorKind.TARGET_MISSING,
                    f"The database {request.connection.database} has no table {target_of(request, name)}.",
                    next_step="Name the table in `tables`, without `where` and `keys`, to create it again.",
                )

    def _require_session_tables(self) -> None:
        if not fetch_value(self._raw, "SELECT has_database_privilege(current_database(), 'TEMP')"):
            raise RecoveryError(
                ErrorKind.ACCESS_DENIED,
                "The role has no right to make temporary tables, in which rows are compared before they are merged.",
                next_step=f"GRANT TEMP ON DATABASE {quote_identifier(self._request.connection.database)} to it.",
            )

    def _prepare(self, name: QualifiedName) -> Staged:
        request, target = self._request, self._target_tables[name]
        silent = request.triggers == "disable"
        require_rights(
            self._raw,
            target,
            request.mode,
            role=self._conn.role,
            disable_triggers=silent,
            read_only=request.read_only,
        )
        table = self._description.table(name)
        matching = match_columns(
            table, target, request.column_map.get(name, {}), tolerant=request.on_schema_drift == "common_columns"
        )
        staged = Staged(len(self._staged), table, target, matching)
        prepare(self._conn, staged)
        self._staged[name] = staged
        return staged

    def _choose_root(self, root: Root) -> None:
        conn, staged = self._conn, self._staged[root.table]
        if root.where is not None:
            load_where(conn, staged, self._objects, root.where)
            alias = quote_identifier(staged.table.name.name)
            staged.target_scope.append(
                f"(l.tableoid, l.ctid) IN (SELECT {alias}.tableoid, {alias}.ctid "
                f"FROM {staged.target.source} AS {alias} WHERE ({root.where}))"
            )
        elif root.keys is not None:
            columns = load_keys(conn, staged, root.keys)
            staged.target_scope.append(_among_keys(staged, columns, "l"))
            listed = ", ".join(quote_identifier(name) for name in columns)
            wanted = (columns, f"SELECT {listed} FROM {staged.keys}", _among_keys(staged, columns, "r"))
            load_matching(conn, staged, self._objects, [wanted])
            self._note_missing(staged, columns, len(root.keys.values))
        else:
            load_all(conn, staged, self._objects)
            self._complete.add(root.table)
            if staged.table.keys is not None and self._objects is not None:
                columns = load_stored_keys(conn, staged, self._objects, staged.table.keys)
                staged.target_scope.append(
                    _among_keys(staged, columns, "l") if staged.target.key else _among_rows(staged, columns)
                )
            elif not is_rows_table(staged.table):
                staged.target_scope.append("true")

    def _note_missing(self, staged: Staged, columns: t.Sequence[str], wanted: int) -> None:
        """Keys that the set lacks. In mode exact a key of a live row is found: that row goes."""
        relations = [(staged.rows, "r")]
        if self._request.mode == "exact" and not self._request.read_only:
            relations.append((staged.target.source, "l"))
        absent = " AND ".join(
            f"NOT EXISTS (SELECT FROM {relation} {alias} WHERE {staged.refers(columns, alias, 'k', columns)})"
            for relation, alias in relations
        )
        texts = ", ".join(output_text(f"k.{quote_identifier(name)}") for name in columns)
        # Some of them are enough for a message, and the operator has the list.
        found = fetch_all(
            self._conn,
            f"SELECT json_build_array({texts})::text, count(*) OVER () FROM {staged.keys} k WHERE {absent} LIMIT 20",
        )
        if found:
            named = tuple(", ".join(map(str, json.loads(row[0]))) for row in found)
            self._missing.append(MissingKeys(str(staged.table.name), found[0][1], wanted, named))

    def _require_some_key(self, roots: t.Mapping[QualifiedName, Root]) -> None:
        """Raise RecoveryError(rows_missing) when no key that was asked for is found, and nothing else was asked for."""
        missing, wanted = (sum(getattr(item, name) for item in self._missing) for name in ("missing", "wanted"))
        by_key = [root for root in roots.values() if root.keys is not None]
        if not by_key or len(by_key) < len(roots) or len(self._missing) < len(by_key) or missing < wanted:
            return
        raise RecoveryError(
            ErrorKind.ROWS_MISSING,
            f"{self._description.title} has none of the rows that were asked for: "
            f"{'; '.join(item.sentence for item in self._missing)}.",
            left="The live tables are unchanged.",
            next_step="Check `keys`. If they are correct, choose a set of the time when the rows existed with `before` "
            "or `set`.",
        )

    def _choose_strays(self) -> None:
        """Rows that the set has elsewhere: live ones in scope that the set knows with other values."""
        for name, staged in self._staged.items():
            if name in self._complete or not staged.target_scope or staged.target.key is None:
                continue
            columns = staged.target.key.columns
            listed = ", ".join(f"l.{quote_identifier(column)}" for column in columns)
            strays = (
                f"SELECT {listed} FROM {staged.target.source} l WHERE ({' OR '.join(staged.target_scope)}) "
                f"AND NOT EXISTS (SELECT FROM {staged.rows} s WHERE {staged.same_key('s', 'l')})"
            )
            if fetch_value(self._conn, f"SELECT EXISTS ({strays})"):
                condition = f"EXISTS (SELECT FROM ({strays}) k WHERE {staged.same_key('r', 'k')})"
                load_matching(self._conn, staged, self._objects, [(columns, strays, condition)])

    def _stage_parent(self, name: QualifiedName) -> t.Optional[Staged]:
        table = self._description.tables.get(name)
        if table is None or not (table.rows or self._description.is_database):
            return None
        return self._prepare(name)


def _among_keys(staged: Staged, columns: t.Sequence[str], alias: str) -> str:
    match = staged.refers(columns, alias, "k", columns)
    return f"EXISTS (SELECT FROM {staged.keys} k WHERE {match})"


def _among_rows(staged: Staged, columns: t.Sequence[str]) -> str:
    listed = ", ".join(f"k.{quote_identifier(name)}" for name in columns)
    return f'{staged.text("l")} IN (SELECT ROW({listed})::text COLLATE "C" FROM {staged.keys} k)'
