# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The databases in which writes are allowed again: their recorded state, their current state, and the way between.

A restore may have replaced the database during the maintenance. Then the former database, under its new name, is as
stopped as before, and the new one may come from a set that was taken while writes were stopped. Both get the state
before.
"""

from __future__ import annotations

import typing as t

from ..server.connection import Connection, fetch_all
from . import means as of
from .catalog import Database, Pair, Table, read_database, read_tables, tables_as_before
from .state import DatabaseState
from .triggers import drop_schema_statements, read_triggers

_DATABASES = """
    SELECT oid, datname::text FROM pg_database
    WHERE (oid = ANY (%(oids)s) OR datname = ANY (%(names)s) OR datname = current_database()) AND datallowconn
    ORDER BY datname <> current_database(), datname
"""


class Target:
    """A database in which writes are allowed again. before: its recorded state; None if it has none."""

    def __init__(self, conn: Connection, oid: int, before: t.Optional[DatabaseState], means: t.Collection[str]) -> None:
        self.conn, self._oid, self._before, self._means = conn, oid, before, means
        self._now: t.Optional[Database] = None
        self._tables: t.Sequence[Pair] = ()
        self._existing: t.Sequence[Table] = ()

    @property
    def tables(self) -> t.List[Table]:
        """Those of the recorded tables that exist, and the tables that have triggers."""
        return list({one.state.oid: one for one in self._existing}.values())

    def statements_of_tables(self) -> t.Tuple[t.List[t.Tuple[Table, str]], t.List[str]]:
        """The statements that are left for each table, and those for the function of the triggers."""
        conn, before = self.conn, self._before
        self._tables = tables_as_before(conn, before.tables) if before is not None else ()
        triggers = read_triggers(conn)
        with_triggers = {one.state.oid: one for one in read_tables(conn, [one.table for one in triggers])}
        pairs = [(former, table) for former, table in self._tables if table is not None]
        self._existing = [*(table for _former, table in pairs), *with_triggers.values()]
        found = [(with_triggers[one.table], one.drop) for one in triggers]
        if of.GRANTS in self._means:
            found += [(table, sql) for former, table in pairs for sql in of.grant_writes(former, table)]
        return found, drop_schema_statements(conn)

    def statements_of_database(self, *, is_superuser: bool) -> t.List[str]:
        """The statements that are left for the database itself."""
        before = self._before
        self._now = now = read_database(self.conn, before.roles_read_only if before is not None else (), self._oid)
        if before is None or now is None:
            return []
        found = of.reset_read_only(before, now.state) if of.DEFAULT_READ_ONLY in self._means else []
        if of.NO_CONNECT in self._means:
            found += of.allow_connections(before, now, is_superuser=is_superuser)
        return found

    def differences(self) -> t.Iterator[str]:
        """Privileges and settings that were read last and are not those of before."""
        before, now = self._before, self._now
        if before is None or now is None:
            return
        name = now.state.name
        if not of.has_privileges(before, now):
            yield f"The privileges of the database {name} differ from those of before."
        settings = [(one.read_only, dict(one.roles_read_only)) for one in (before, now.state)]
        if settings[0] != settings[1]:
            yield f"The setting default_transaction_read_only of the database {name} differs from that of before."
        for former, table in self._tables:
            if table is None:
                yield f"The table {former.name} no longer exists in the database {name}."
            elif (former.acl, dict(former.columns)) != (table.state.acl, dict(table.state.columns)):
                yield f"The privileges of the table {table.name} in the database {name} differ from those of before."


def find_targets(
    conn: Connection,
    known: t.Sequence[DatabaseState],
    means: t.Collection[str],
    connected: t.Callable[[str], Connection],
) -> t.Tuple[t.List[Target], t.List[str]]:
    """The database of the connection, and those of the record by identity and by name; and the names of lost ones.

    connected: a connection to a database by its name.
    """
    names = [one.name for one in known]
    rows = fetch_all(conn, _DATABASES, {"oids": [one.oid for one in known], "names": names})
    by_oid, by_name = {one.oid: one for one in known}, {one.name: one for one in known}
    targets = [
        Target(connected(name), int(oid), by_oid.get(int(oid)) or by_name.get(name), means) for oid, name in rows
    ]
    existing = {int(oid) for oid, _name in rows}
    return targets, [one.name for one in known if one.oid not in existing]
