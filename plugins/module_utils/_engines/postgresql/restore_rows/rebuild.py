# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Makes tables again that are gone: with types, sequences, indexes, constraints, policies, triggers and rights.

"pg_restore --table" brings none of these, so the entries are chosen here, by the dependencies of the archive.
"""

from __future__ import annotations

import itertools
import os
import typing as t
from dataclasses import dataclass

from ...._core.errors import ErrorKind, RecoveryError
from ...._core.process import Child
from ..archive.archive_files import require_own_files
from ..archive.dump import TOC_NAME
from ..archive.statements import constraint_of, partition_of
from ..archive.toc import Toc, TocEntry
from ..server.client import ClientPrograms
from ..server.confined import Confined, Plain, Session, run
from ..server.connection import Connection, fetch_value, quote_identifier
from ..server.driver import psycopg2
from ..server.names import QualifiedName
from ..server.refusals import NO_OBJECT, NO_RIGHT, NO_ROLE, NO_TABLE, query_error

#: Kinds of objects that belong to a table and are lost with it.
_OWNED = frozenset(
    (
        "DEFAULT", "CONSTRAINT", "CHECK CONSTRAINT", "FK CONSTRAINT", "INDEX", "INDEX ATTACH", "TABLE ATTACH",
        "TRIGGER", "RULE", "POLICY", "ROW SECURITY", "SEQUENCE", "SEQUENCE OWNED BY", "SEQUENCE SET", "STATISTICS",
        "ACL", "COMMENT", "SECURITY LABEL", "PUBLICATION TABLE", "VIEW", "MATERIALIZED VIEW", "MATERIALIZED VIEW DATA",
        "FUNCTION", "PROCEDURE", "AGGREGATE",
    )
)  # fmt: skip

#: Kinds of objects that own others; a function that is created again does not own triggers of other tables.
_OWNERS = frozenset(("TABLE", "CONSTRAINT", "INDEX", "SEQUENCE", "VIEW", "MATERIALIZED VIEW", "DEFAULT"))

#: Kinds that are created before the rows; other chosen objects are created after them.
_BEFORE_ROWS = frozenset(
    (
        "SCHEMA", "EXTENSION", "TYPE", "SHELL TYPE", "DOMAIN", "FUNCTION", "PROCEDURE", "AGGREGATE", "OPERATOR",
        "COLLATION", "SEQUENCE", "TABLE", "DEFAULT", "SEQUENCE OWNED BY", "TABLE ATTACH",
    )
)  # fmt: skip

_EXISTS = {
    "SCHEMA": "SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = %(tag)s)",
    "EXTENSION": "SELECT EXISTS (SELECT FROM pg_extension WHERE extname = %(tag)s)",
    "TYPE": "SELECT to_regtype(%(name)s) IS NOT NULL",
    "SHELL TYPE": "SELECT to_regtype(%(name)s) IS NOT NULL",
    "DOMAIN": "SELECT to_regtype(%(name)s) IS NOT NULL",
    **dict.fromkeys(
        ("SEQUENCE", "TABLE", "VIEW", "MATERIALIZED VIEW", "FOREIGN TABLE", "INDEX"),
        "SELECT to_regclass(%(name)s) IS NOT NULL",
    ),
    **dict.fromkeys(
        ("FUNCTION", "PROCEDURE", "AGGREGATE"),
        "SELECT EXISTS (SELECT FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace "
        "WHERE n.nspname = %(schema)s AND p.proname = split_part(%(tag)s, '(', 1))",
    ),
}

_CONSTRAINT_EXISTS = """
SELECT EXISTS (SELECT FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n
               ON n.oid = c.relnamespace WHERE n.nspname = %s AND c.relname = %s AND k.conname = %s)
"""


@dataclass(frozen=True)
class Rebuild:
    """tables: what is made again, partitions too. before and after: the entries on both sides of the rows."""

    tables: t.FrozenSet[QualifiedName]
    before: t.Tuple[TocEntry, ...]
    after: t.Tuple[TocEntry, ...]

    @property
    def labels(self) -> t.List[str]:
        """The objects that are created, for people: C(INDEX bookings_room)."""
        return [f"{entry.kind} {entry.tag}" for entry in (*self.before, *self.after)]


def plan_rebuild(conn: Connection, toc: Toc, names: t.Iterable[QualifiedName]) -> Rebuild:
    """Choose the entries that create the tables and the objects lost with them, except objects that still exist."""
    tables = _with_partitions(toc, set(names))
    chosen: t.Dict[int, TocEntry] = {
        entry.dump_id: entry for entry in toc.of_kind("TABLE") if QualifiedName(entry.schema, entry.tag) in tables
    }
    while True:
        owners = {number for number, entry in chosen.items() if entry.kind in _OWNERS}
        needed = {number for entry in chosen.values() for number in entry.dependencies}
        more = [
            entry
            for entry in toc.entries
            if entry.dump_id not in chosen
            and (
                (entry.kind in _OWNED and owners & set(entry.dependencies))
                or (entry.kind in _EXISTS and entry.dump_id in needed)
            )
            and not _is_there(conn, entry)
        ]
        if not more:
            break
        chosen.update((entry.dump_id, entry) for entry in more)
    ordered = [entry for entry in toc.entries if entry.dump_id in chosen]
    return Rebuild(
        frozenset(tables),
        tuple(entry for entry in ordered if entry.kind in _BEFORE_ROWS),
        tuple(entry for entry in ordered if entry.kind not in _BEFORE_ROWS),
    )


def run_entries(
    conn: t.Union[Connection, Session], client: ClientPrograms, folder: str, entries: t.Sequence[TocEntry]
) -> None:
    """Run what pg_restore writes for these entries, in the transaction of the connection.

    With a session, constraints, which judge rows, are made with its rights; PostgreSQL itself builds indexes and
    materialized views with those of their owner. No other statement of an archive evaluates code of users.
    folder holds toc.dat. Raises RecoveryError(restore_failed, roles_missing or access_denied).
    """
    raw = conn.raw if isinstance(conn, (Confined, Plain)) else conn
    for judges, group in itertools.groupby(entries, key=lambda entry: entry.kind in _JUDGES):
        _run_group(conn if judges else raw, raw, client, folder, list(group))


_JUDGES = ("CONSTRAINT", "CHECK CONSTRAINT", "FK CONSTRAINT")


def _run_group(
    conn: t.Union[Connection, Session],
    raw: Connection,
    client: ClientPrograms,
    folder: str,
    entries: t.Sequence[TocEntry],
) -> None:
    path = os.path.join(folder, "rebuild.list")
    with open(path, "w", encoding="ascii") as stream:
        stream.writelines(f"{entry.dump_id};\n" for entry in entries)
    script = os.path.join(folder, "rebuild.sql")
    require_own_files(folder)
    arguments = [client.path("pg_restore"), f"--use-list={path}", f"--file={script}", folder]
    with Child(arguments, {**os.environ, "LC_ALL": "C"}) as child:
        complaints = list(child.lines())
        if child.wait() != 0:
            raise RecoveryError(ErrorKind.RESTORE_FAILED, f"pg_restore failed: {' '.join(complaints[-3:])}.")
    with open(script, encoding="utf-8", errors="surrogateescape") as stream:
        # Commands of psql, and a setting that servers before 17 lack, are not for the server.
        lines = [line for line in stream if not line.startswith(("\\", "SET transaction_timeout", "SET lock_timeout"))]
    try:
        run(conn, "".join(lines))
        run(raw, "SET search_path = pg_catalog, pg_temp")
    except psycopg2.Error as error:
        raise _refused(error) from None


def write_toc(folder: str, content: bytes) -> None:
    with open(os.path.join(folder, TOC_NAME), "wb") as stream:
        stream.write(content)


def _with_partitions(toc: Toc, names: t.Set[QualifiedName]) -> t.Set[QualifiedName]:
    pairs = [pair for pair in (partition_of(entry.definition) for entry in toc.of_kind("TABLE ATTACH")) if pair]
    while True:
        more = {child for child, parent in pairs if parent in names} - names
        if not more:
            return names
        names = names | more


def _is_there(conn: Connection, entry: TocEntry) -> bool:
    if entry.kind in ("FK CONSTRAINT", "CONSTRAINT", "CHECK CONSTRAINT"):
        table, name = constraint_of(entry.definition)
        return bool(fetch_value(conn, _CONSTRAINT_EXISTS, (table.schema, table.name, name)))
    sql = _EXISTS.get(entry.kind)
    if sql is None:
        return False
    name = quote_identifier(entry.schema, entry.tag) if entry.schema else quote_identifier(entry.tag)
    return bool(fetch_value(conn, sql, {"tag": entry.tag, "schema": entry.schema, "name": name}))


def _refused(error: Exception) -> RecoveryError:
    return query_error(
        error,
        "Nothing was created.",
        subject="a definition of the set",
        kind=ErrorKind.RESTORE_FAILED,
        next_step="Correct the cause that PostgreSQL reports, then run the restore again.",
        steps={
            NO_RIGHT: "Connect as a role that may create these objects for their owner.",
            NO_ROLE: "Create the role without login, then run the restore again.",
            NO_TABLE: "Name the table that is missing too.",
            NO_OBJECT: "Name the table that is missing too.",
        },
    )
