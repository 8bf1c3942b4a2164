# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Damages copies of a restored SQLite file, to test the comparisons with the set that restores and drills rely on."""

from __future__ import annotations

import contextlib
import os
import secrets
import sqlite3
import typing as t

from .._core.errors import ErrorKind, RecoveryError
from .._core.process import scratch_folder
from .._engines.d1.rows import open_target
from .._engines.sqlite.confined import STATEMENT_SECONDS, confine
from .._engines.sqlite.file import FileEngine
from .._engines.sqlite.opened import OpenedSet, open_set
from .._engines.sqlite.restore import differences_from
from .._engines.sqlite.restore_rows.restore import AllRowsRestore, RowsRequest
from .._engines.sqlite.schema import Table, quoted
from .._operations.change import perform
from .._repository.change import Safeguards
from .._repository.manifest import Manifest
from .._store.base import ObjectStore
from .copies import Copy, CopyTests, Damage, run_copy_tests

KINDS = (
    "row_dropped_from_copy",
    "values_exchanged_in_copy",
    "value_changed_in_copy",
    "row_added_to_copy",
    "counter_set_back_in_copy",
    "trigger_removed_from_copy",
    "index_removed_from_copy",
)


def run_sqlite_copy_tests(store: ObjectStore, manifest: Manifest, path: t.Optional[str]) -> CopyTests:
    """Damage copies of the file that was restored from the set, or of the set as it loads without one.

    The file itself is only read. Raises RecoveryError as open_set and restore_rows do.
    """
    with scratch_folder("lifeline-damage-") as folder:
        opened = open_set(store, manifest, folder)

        @contextlib.contextmanager
        def fresh() -> t.Iterator[Copy]:
            copy = os.path.join(folder, f"copy-{secrets.token_hex(4)}.sqlite")
            source = FileEngine(path or opened.path, read_only=True)
            try:
                source.copy_to(copy)
            finally:
                source.close()
            yield _FileCopy(store, manifest, opened, copy)
            os.unlink(copy)

        return run_copy_tests(fresh, KINDS, list(_damages(opened)))


class _FileCopy:
    def __init__(self, store: ObjectStore, manifest: Manifest, opened: OpenedSet, path: str) -> None:
        self._store, self._manifest, self._opened, self._path = store, manifest, opened, path

    def apply(self, damage: Damage) -> bool:
        with contextlib.closing(sqlite3.connect(self._path, isolation_level=None)) as connection:
            confine(connection).start(STATEMENT_SECONDS)
            try:
                # Rows that a trigger adds would be damage to other tables.
                connection.execute("BEGIN")
                triggers = connection.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'").fetchall()
                for name, _sql in triggers:
                    connection.execute(f"DROP TRIGGER {quoted(name)}")
                for statement in damage.statements:
                    if connection.execute(statement).rowcount == 0:
                        return False
                for name, sql in triggers:
                    if damage.what != f"trigger {name}":
                        connection.execute(sql)
                connection.execute("COMMIT")
            except sqlite3.Error:
                return False
        return True

    def differences(self) -> t.Mapping[str, str]:
        engine = FileEngine(self._path, read_only=True)
        try:
            content = differences_from(engine, self._opened)
        finally:
            engine.close()
        tables = {table.name for table in self._opened.schema.tables}
        target = open_target(None, None, self._path)
        try:
            request = RowsRequest(target.name, safeguards=Safeguards("sandbox", check_mode=True))
            changes = perform(AllRowsRestore(self._store, self._manifest, target, request)).tables
            rows = {change.table for change in changes if change.total}
        except RecoveryError as error:
            if error.kind is not ErrorKind.SCHEMA_DRIFT:
                raise
            # The restored database has other tables than the set: the comparison of rows treats no table as equal.
            rows = tables
        finally:
            target.engine.close()
        found = {}
        for text in content:
            what = text.rpartition(" (")[0] if text not in tables else text
            # A table counts as different only if both comparisons find a difference.
            if what not in tables or what in rows:
                found[what] = f"{text} differs" if what in tables else text
        return found


def _damages(opened: OpenedSet) -> t.Iterator[Damage]:
    held = {item.table: item.rows for item in opened.content}
    for table in opened.schema.of_kind("table"):
        if held.get(table.name):
            yield from _row_damages(table)
    for what, text in opened.structure.items():
        if what in opened.aside:
            continue
        kind, _blank, name = what.partition(" ")
        if kind == "counter":
            statement = f"UPDATE sqlite_sequence SET seq = seq - 1 WHERE name = '{name.replace(chr(39), chr(39) * 2)}'"
            yield Damage(KINDS[4], what, what, [statement])
        elif kind == "trigger":
            yield Damage(KINDS[5], what, what, [])
        elif kind == "index" and "UNIQUE" not in text.upper().split():
            yield Damage(KINDS[6], what, what, [f"DROP INDEX {quoted(name)}"])


def _row_damages(table: Table) -> t.Iterator[Damage]:
    name, what = quoted(table.name), table.name
    keys = ", ".join(table.keys)
    row = f"({keys}) = (SELECT {keys} FROM {name} LIMIT 1)"
    yield Damage(KINDS[0], what, what, [f"DELETE FROM {name} WHERE {row}"])
    if table.rowid is None:
        return
    names = ", ".join(quoted(column) for column in table.stored if column not in table.key_names)
    if names and not table.is_numbered:
        yield Damage(KINDS[3], what, what, [f"INSERT INTO {name} ({names}) SELECT {names} FROM {name} LIMIT 1"])
    for column in table.stored:
        if column not in table.key_names:
            yield from _value_damages(name, what, quoted(column), table.rowid)


def _value_damages(name: str, what: str, column: str, rowid: str) -> t.Iterator[Damage]:
    """The rows with the lowest and the highest value exchange them, or the second gets the first one's value."""
    low = f"(SELECT {rowid} FROM {name} ORDER BY {column} LIMIT 1)"
    high = f"(SELECT {rowid} FROM {name} ORDER BY {column} DESC LIMIT 1)"
    differ = f"(SELECT min({column}) <> max({column}) FROM {name})"
    partner = f"CASE {name}.{rowid} WHEN {low} THEN {high} ELSE {low} END"
    value = f"(SELECT {column} FROM {name} AS o WHERE o.{rowid} = {partner})"
    yield Damage(
        KINDS[1], what, what, [f"UPDATE {name} SET {column} = {value} WHERE {rowid} IN ({low}, {high}) AND {differ}"]
    )
    value = f"(SELECT {column} FROM {name} AS o WHERE o.{rowid} = {low})"
    yield Damage(KINDS[2], what, what, [f"UPDATE {name} SET {column} = {value} WHERE {rowid} = {high} AND {differ}"])
