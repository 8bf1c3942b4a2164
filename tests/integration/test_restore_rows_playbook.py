# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rows restored in production by an operator: refusals come first, and a restore that changes nothing is no success."""

from __future__ import annotations

import typing as t

from tests.support.fakes.sinks import http_sink
from tests.support.operator import Operator
from tests.support.runner.modules import run_module
from tests.support.servers.postgres import PostgresServer


def test_the_sql_for_roles_is_printed_and_not_executed(
    operator: Operator, postgres: PostgresServer, database: str
) -> None:
    login = {name: value for name, value in postgres.module_options().items() if name != "login_db"}
    role = f"backup_of_{database}"
    inventory = {"recovery_database": database, "recovery_connection": login, "recovery_backup_role": role}
    done = operator.play("database_roles", inventory=inventory)
    assert done.returncode == 0, done.stdout
    assert f'CREATE ROLE \\"{role}\\" LOGIN BYPASSRLS;' in done.stdout
    assert postgres.password not in done.stdout
    with postgres.session() as cursor:
        cursor.execute("SELECT count(*) FROM pg_roles WHERE rolname = %s", (role,))
        assert cursor.fetchone() == (0,)


def test_the_sql_for_roles_that_do_not_exist_yet_runs_as_it_was_written(
    operator: Operator, postgres: PostgresServer, database: str
) -> None:
    """The connections of the source name roles that are missing: another login reads the catalog."""
    login = {name: value for name, value in postgres.module_options().items() if name != "login_db"}
    backup, restore = f"backup_of_{database}", f"Restore of {database}"
    inventory = {
        "recovery_database": database,
        "recovery_connection": {**login, "login_user": backup},
        "recovery_restore_connection": {**login, "login_user": restore},
        "recovery_admin_connection": {"login_user": login["login_user"]},
        "recovery_sql_path": str(operator.home / "roles.sql"),
    }
    done = operator.cold.play("database_roles", inventory=inventory)
    assert done.returncode == 0, done.stdout
    assert "unsafe" not in done.stdout + done.stderr
    try:
        postgres.psql(database, (operator.home / "roles.sql").read_text())
        again = operator.play("database_roles", inventory=inventory)
        assert "have all rights" in again.stdout, again.stdout
    finally:
        postgres.psql(database, f'DROP OWNED BY "{backup}", "{restore}"; DROP ROLE "{backup}", "{restore}"')


def test_a_dry_run_of_the_monthly_verification_names_the_set_and_restores_nothing(
    operator: Operator, postgres: PostgresServer, database: str
) -> None:
    login = {name: value for name, value in postgres.module_options().items() if name != "login_db"}
    inventory = {
        "recovery_source": "school",
        "recovery_database": database,
        "recovery_connection": login,
        "recovery_store": {"provider": "directory", "path": str(operator.home / f"store-{database}")},
    }
    assert operator.play("backup", inventory=inventory).returncode == 0
    done = operator.play("verify", "-e", "recovery_level=monthly", "--check", inventory=inventory)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "would verify school (monthly)" in done.stdout
    assert "Would restore the set" in done.stdout and "nothing was restored or compared" in done.stdout


def test_a_refused_restore_leaves_no_set_and_an_unchanged_one_is_no_success(
    operator: Operator, postgres: PostgresServer, database: str, store: dict[str, t.Any]
) -> None:
    source = {"source": "school", "store": store}

    def wrong() -> int:
        with postgres.session(database) as cursor:
            cursor.execute("SELECT count(*) FROM payments WHERE amount = 0")
            return int(cursor.fetchone()[0])

    def tiers() -> list[str]:
        return [one["tier"] for one in run_module("backup_info", source)["sets"]]

    postgres.psql(
        database,
        "CREATE TABLE payments (id int PRIMARY KEY, amount numeric);"
        "INSERT INTO payments SELECT n, n FROM generate_series(1, 50) n",
    )
    backup = {**source, **postgres.module_options(database)}
    run_module("pg_backup", backup)
    postgres.psql(database, "UPDATE payments SET amount = 0 WHERE id < 50")
    login = {name: value for name, value in postgres.module_options().items() if name != "login_db"}
    with http_sink() as web:
        inventory = {
            "recovery_environment": "production",
            "recovery_source": "school",
            "recovery_database": database,
            "recovery_connection": login,
            "recovery_store": store,
            "recovery_reason": "A job overwrote the amounts.",
            "recovery_channels": [{"name": "hook", "type": "webhook", "url": f"{web.url}/hook"}],
            "recovery_tables": ["payments"],
            "recovery_mode": "merge",
            "recovery_emergency": True,
        }

        def events() -> list[str]:
            return [one.json["event"] for one in web.at("/hook")]

        refused = operator.play("restore_rows", inventory=inventory)
        assert refused.returncode == 2, refused.stdout
        assert f"This updates 49 rows of public.payments in '{database}'" in refused.stdout.replace("\\'", "'")
        assert (wrong(), tiers(), events()) == (49, ["daily"], ["restore_rows.failed"])

        # A copy of the damage is newer than the set that is needed.
        run_module("pg_backup", {**backup, "tier": "emergency"})
        confirmed = {**inventory, "recovery_confirm": database}
        done = operator.cold.play("restore_rows", inventory=confirmed)
        assert done.returncode == 0, done.stdout
        assert wrong() == 0
        assert tiers() == ["undo", "emergency", "emergency", "daily"]
        assert events()[1:] == [
            "restore_rows.started", "backup.emergency.started", "backup.emergency.succeeded", "restore_rows.succeeded"
        ]  # fmt: skip

        again = operator.play("restore_rows", inventory=confirmed)
        assert again.returncode == 0, again.stdout
        assert "are equal in 50 rows that were asked for" in again.stdout
        assert "Choose an earlier set with `recovery_before` or `recovery_set`" in again.stdout
        assert tiers() == ["undo", "emergency", "emergency", "daily"]
        assert events()[5:] == ["restore_rows.started", "restore_rows.unchanged"]
        assert "are equal in 50 rows" in web.at("/hook")[-1].json["message"]
