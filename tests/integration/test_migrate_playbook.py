# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Migrations that an operator applies: refusals come first, then the emergency set, then the release."""

from __future__ import annotations

import typing as t

from tests.support.operator import Operator
from tests.support.runner.modules import run_module
from tests.support.servers.postgres import PostgresServer


def test_a_release_is_applied_after_an_emergency_set(
    operator: Operator, postgres: PostgresServer, database: str, store: dict[str, t.Any]
) -> None:
    folder = operator.home / f"migrations-{database}"
    folder.mkdir()

    def write(name: str, text: str) -> None:
        (folder / name).write_text(text)
        operator._own(folder)

    def sets() -> list[str]:
        return [one["tier"] for one in run_module("backup_info", {"source": "app", "store": store})["sets"]]

    def tables() -> int:
        with postgres.session(database) as cursor:
            cursor.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")
            return int(cursor.fetchone()[0])

    inventory = {
        "recovery_sources": [
            {
                "name": "app",
                "database": database,
                "connection": {name: value for name, value in postgres.module_options().items() if name != "login_db"},
                "migrations_path": str(folder),
                "checks": [{"type": "sql", "name": "courses", "query": "SELECT count(*) FROM courses", "equals": 1}],
            }
        ],
        "recovery_source": "app",
        "recovery_store": store,
    }
    write("1_courses.sql", "CREATE TABLE courses (id int); INSERT INTO courses VALUES (1);")
    planned = operator.play("migrate", "--check", inventory=inventory)
    assert planned.returncode == 0, planned.stdout
    assert "Would apply 1 migration: 1_courses.sql" in planned.stdout and "CREATE TABLE COURSES" in planned.stdout
    assert (sets(), tables()) == ([], 0)
    done = operator.cold.play("migrate", inventory=inventory)
    assert done.returncode == 0, done.stdout
    assert (sets(), tables()) == (["emergency"], 1)
    assert "recovery_tier=emergency" in done.stdout and "passed" in done.stdout
    again = operator.play("migrate", inventory=inventory)
    assert again.returncode == 0, again.stdout
    assert "Nothing is left to do" in again.stdout and sets() == ["emergency"]

    write("2_drop.sql", "DROP TABLE courses;")
    refused = operator.play("migrate", inventory=inventory)
    assert refused.returncode == 2
    assert "DROP TABLE COURSES) of 2_drop.sql" in refused.stdout and "recovery_confirm" in refused.stdout
    assert (sets(), tables()) == (["emergency"], 1)
    reverted = operator.play(
        "migrate", "-e", "recovery_state=reverted", "-e", "recovery_migrations=1", inventory=inventory
    )
    assert reverted.returncode == 0, reverted.stdout
    assert "lifeline.recovery.migrate -e recovery_source=app -e recovery_state=recorded -e recovery_migrations=1" in (
        reverted.stdout
    )
    assert (sets(), tables()) == (["emergency"], 1)
