# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""With any schema and damage, rows are restored unchanged, or nothing changes."""

from __future__ import annotations

import contextlib
import itertools
import tempfile
import typing as t
from dataclasses import dataclass, replace
from datetime import timedelta

import psycopg2
import psycopg2.extensions
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from ansible_collections.lifeline.recovery.plugins.module_utils._core.errors import RecoveryError
from ansible_collections.lifeline.recovery.plugins.module_utils._engines.postgresql.backup.backup import (
    PostgresBackup,
    PostgresBackupRequest,
)
from ansible_collections.lifeline.recovery.plugins.module_utils._engines.postgresql.restore_rows.request import (
    RowsRequest,
)
from ansible_collections.lifeline.recovery.plugins.module_utils._engines.postgresql.restore_rows.restore import (
    RowsRestore,
)
from ansible_collections.lifeline.recovery.plugins.module_utils._engines.postgresql.restore_rows.scope import Root
from ansible_collections.lifeline.recovery.plugins.module_utils._engines.postgresql.server.names import QualifiedName
from ansible_collections.lifeline.recovery.plugins.module_utils._operations.backup import back_up
from ansible_collections.lifeline.recovery.plugins.module_utils._operations.change import perform
from ansible_collections.lifeline.recovery.plugins.module_utils._repository.change import Safeguards
from ansible_collections.lifeline.recovery.plugins.module_utils._repository.recovery_points import Selection
from ansible_collections.lifeline.recovery.plugins.module_utils._store.directory import DirectoryStore
from tests.support.servers.postgres import PostgresServer

Rows = dict[str, list[tuple[t.Any, ...]]]

_EXTRA = ("v text", "v numeric", "v json", "v text[]", "v timestamptz", 'v bytea, "V w" text')


@dataclass(frozen=True)
class Plan:
    """tables: for each a kind of key, a type, and what it refers to, as (other table, on delete)."""

    tables: tuple[tuple[str, int, tuple[tuple[int, str], ...]], ...]
    rows: tuple[tuple[int, ...], ...]
    damage: tuple[tuple[str, int, int], ...]

    def statements(self) -> list[str]:
        made = []
        for number, (key, extra, _references) in enumerate(self.tables):
            columns = {"plain": "id int PRIMARY KEY", "identity": "id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY",
                       "unique": "id int NOT NULL UNIQUE", "none": "id int"}[key]  # fmt: skip
            links = "".join(f", r{other} int" for other in range(len(self.tables)))
            made.append(f'CREATE TABLE "T {number}" ({columns}, {_EXTRA[extra]}{links})')
        for number, values in enumerate(self.rows):
            for place, value in enumerate(values):
                # Rows of a table without key may be equal.
                repeated = self.tables[number][0] == "none"
                identifier, value = (place // 3 + 1, 5) if repeated else (place + 1, value)
                links = "".join(
                    f", {value % 7 + 1 if any(other == link for link, _w in self.tables[number][2]) else 'NULL'}"
                    for other in range(len(self.tables))
                )
                extra = ", NULL" if self.tables[number][1] == 5 else ""
                made.append(
                    f'INSERT INTO "T {number}" OVERRIDING SYSTEM VALUE VALUES ({identifier}, '
                    f"{_value(self.tables[number][1], value)}{extra}{links})"
                )
        for number, (_key, _extra, references) in enumerate(self.tables):
            for other, action in references:
                if self.tables[other][0] != "none":
                    made.append(
                        f'ALTER TABLE "T {number}" ADD FOREIGN KEY (r{other}) REFERENCES "T {other}" (id) {action}'
                    )
        return made


def _value(kind: int, value: int) -> str:
    return (
        f"'text\t{value}'", f"{value}.{value % 3 * 10}0", f"'{{\"a\": {value}}}'", f"ARRAY['a,b', '{value}', NULL]",
        f"'2026-01-01'::timestamptz + {value} * interval '1 h'", f"'\\x0{value % 10}'",
    )[kind]  # fmt: skip


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    count = draw(st.integers(1, 4))
    actions = st.sampled_from(["", "ON DELETE CASCADE", "ON DELETE SET NULL", "DEFERRABLE INITIALLY DEFERRED"])
    tables = []
    for _number in range(count):
        others = draw(st.lists(st.integers(0, count - 1), unique=True, max_size=2))
        references = tuple((other, draw(actions)) for other in others)
        tables.append(
            (draw(st.sampled_from(["plain", "identity", "unique", "none"])), draw(st.integers(0, 5)), references)
        )
    rows = tuple(tuple(draw(st.lists(st.integers(0, 30), min_size=7, max_size=9))) for _table in tables)
    kinds = st.sampled_from(["delete", "one", "update", "insert", "move"])
    damage = draw(st.lists(st.tuples(kinds, st.integers(0, count - 1), st.integers(1, 12)), min_size=1, max_size=8))
    return Plan(tuple(tables), rows, tuple(damage))


def _damage(cursor: t.Any, plan: Plan) -> None:
    """Changes that an application or a person might make; changes that foreign keys forbid do not happen."""
    for kind, table, number in plan.damage:
        _key, extra, _references = plan.tables[table]
        null = ", NULL" if extra == 5 else ""
        statement = {
            "delete": f'DELETE FROM "T {table}" WHERE id % 5 = {number % 5}',
            "update": f'UPDATE "T {table}" SET v = {_value(extra, number)} WHERE id = {number}',
            "insert": (
                f'INSERT INTO "T {table}" OVERRIDING SYSTEM VALUE VALUES ({number + 50}, {_value(extra, 1)}{null})'
            ),
            "one": (
                f'DELETE FROM "T {table}" WHERE ctid IN '
                f'(SELECT ctid FROM "T {table}" WHERE id = {number % 3 + 1} LIMIT 1)'
            ),
            "move": f'UPDATE "T {table}" SET r0 = NULL WHERE id = {number}',
        }[kind]
        with contextlib.suppress(psycopg2.Error):
            cursor.execute(statement)


def _content(server: PostgresServer, database: str, plan: Plan) -> Rows:
    with server.session(database) as cursor:
        found = {}
        for number in range(len(plan.tables)):
            cursor.execute(f'SELECT id, x::text FROM "T {number}" x ORDER BY id, x::text')
            found[f"T {number}"] = cursor.fetchall()
        return found


def _request(server: PostgresServer, database: str, plan: Plan, mode: str) -> RowsRequest:
    return RowsRequest(
        connection=server.options(database),
        source="random",
        selection=Selection(),
        roots=[Root(QualifiedName("public", f"T {number}")) for number in range(len(plan.tables))],
        mode=mode,
        safeguards=Safeguards("sandbox"),
    )


@contextlib.contextmanager
def _damaged(server: PostgresServer, plan: Plan) -> t.Iterator[tuple[str, DirectoryStore, Rows, Rows]]:
    """A database, the store with its set, its content at the backup, and that after the damage."""
    database = server.create_database()
    try:
        with tempfile.TemporaryDirectory() as folder:
            with server.session(database) as cursor:
                for statement in plan.statements():
                    cursor.execute(statement)
            store = DirectoryStore(folder, "")
            back_up(PostgresBackup(server.options(database), PostgresBackupRequest("random")), store)
            before = _content(server, database, plan)
            with server.session(database) as cursor:
                _damage(cursor, plan)
            yield database, store, before, _content(server, database, plan)
    finally:
        server.drop_database(database)


_SETTINGS = settings(
    max_examples=12,
    deadline=timedelta(seconds=60),
    suppress_health_check=list(HealthCheck),
    print_blob=True,
    # Making a failure smaller would take many backups.
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
)


@_SETTINGS
@given(plan=plans())
def test_after_exact_the_tables_equal_the_set_and_undo_gives_the_damage_back(
    postgres: PostgresServer, plan: Plan
) -> None:
    with _damaged(postgres, plan) as (database, store, before, damaged):
        request = _request(postgres, database, plan, "exact")
        result = perform(RowsRestore(request, store))
        assert _content(postgres, database, plan) == before
        assert perform(RowsRestore(request, store)).changed is False
        if result.changed:
            undo = Selection(which=result.undo["set"], tier="undo")
            perform(RowsRestore(replace(request, roots=(), selection=undo), store))
            assert _content(postgres, database, plan) == damaged


@_SETTINGS
@given(plan=plans())
def test_after_missing_all_rows_of_the_set_are_there_and_no_other_changed(postgres: PostgresServer, plan: Plan) -> None:
    with _damaged(postgres, plan) as (database, store, before, damaged):
        try:
            perform(RowsRestore(_request(postgres, database, plan, "missing"), store))
        except RecoveryError as error:
            # Rows that changed during the restore may no longer allow the restored rows.
            assert error.kind == "conflict"
            assert _content(postgres, database, plan) == damaged
            return
        after = _content(postgres, database, plan)
        for number, (key, _extra, _references) in enumerate(plan.tables):
            table = f"T {number}"
            there = {row[0] for row in damaged[table]}
            if key != "none":
                expected = damaged[table] + [row for row in before[table] if row[0] not in there]
                assert after[table] == sorted(expected, key=lambda row: row)
            else:
                rows = set(damaged[table]) | set(before[table])
                assert all(after[table].count(r) == max(damaged[table].count(r), before[table].count(r)) for r in rows)


@settings(_SETTINGS, max_examples=3)
@given(plan=plans())
def test_a_backend_that_dies_at_any_statement_leaves_the_database_unchanged(
    postgres: PostgresServer, plan: Plan
) -> None:
    with _damaged(postgres, plan) as (database, store, before, damaged):
        request = replace(_request(postgres, database, plan, "exact"), undo=False)
        for place in itertools.count(step=3):
            with pytest.MonkeyPatch.context() as patch:
                deaths = _die_at(patch, postgres, place)
                try:
                    perform(RowsRestore(request, store))
                except RecoveryError as error:
                    assert error.kind in ("unreachable", "restore_failed")
                    assert _content(postgres, database, plan) == damaged
                if not deaths:
                    break
        assert _content(postgres, database, plan) == before


def _die_at(patch: pytest.MonkeyPatch, server: PostgresServer, place: int) -> list[int]:
    """End the backend of a session before its statement of this number; the list holds the ended ones."""
    deaths: list[int] = []
    numbers = itertools.count()

    class Cursor(psycopg2.extensions.cursor):
        def execute(self, *arguments: t.Any) -> None:
            if next(numbers) == place:
                deaths.append(place)
                with server.session() as cursor:
                    cursor.execute("SELECT pg_terminate_backend(%s, 5000)", (self.connection.info.backend_pid,))
            super().execute(*arguments)

    connect = psycopg2.connect

    def mortal(**keywords: t.Any) -> t.Any:
        ours = keywords.get("application_name") == "lifeline.recovery rows"
        return connect(**keywords, **({"cursor_factory": Cursor} if ours else {}))

    patch.setattr(psycopg2, "connect", mortal)
    return deaths
