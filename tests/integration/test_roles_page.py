# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The roles of docs/roles.md are enough for a backup, checks, a restore and a restore of rows."""

from __future__ import annotations

import contextlib
import re
import secrets
import typing as t

import psycopg2
import pytest

from tests.support.runner.modules import ModuleFailed, run_module
from tests.support.runner.server import ROOT
from tests.support.servers.postgres import PostgresServer, available_versions


@pytest.mark.parametrize(
    ("version", "printed"), [*((version, False) for version in available_versions()), (available_versions()[-1], True)]
)
def test_the_roles_of_the_page_and_of_the_module_back_up_check_and_restore(
    servers: t.Callable[[str], PostgresServer], folder_store: dict[str, t.Any], version: str, printed: bool
) -> None:
    server, mark = servers(version), secrets.token_hex(4)
    page = (ROOT / "docs/roles.md").read_text(encoding="utf-8")
    script = "\n".join(re.findall(r"```sql\n(.*?)```", page, re.DOTALL))
    for name in ("recovery_backup", "recovery_restore", "app"):
        script = re.sub(rf"\b{name}\b", f"{name}_{mark}", script)
    database, target = server.create_database(), f"restored_{mark}"

    def missing() -> dict[str, t.Any]:
        roles = {"backup_role": f"recovery_backup_{mark}", "restore_role": f"recovery_restore_{mark}"}
        return run_module("pg_roles_info", {**server.module_options(database), **roles})

    def login(role: str, name: str) -> dict[str, t.Any]:
        options = {**server.module_options(name), "login_user": f"{role}_{mark}", "login_password": "change-me"}
        return {"source": "roles", "store": folder_store, **options}

    try:
        with server.session(database) as cursor:
            cursor.execute(f"CREATE ROLE app_{mark}; CREATE SCHEMA app AUTHORIZATION app_{mark}")
            cursor.execute(
                f"ALTER DATABASE {database} OWNER TO app_{mark}; REVOKE CONNECT ON DATABASE {database} FROM PUBLIC"
            )
            cursor.execute(f"""
                SET ROLE app_{mark};
                CREATE DOMAIN app.amount AS int CHECK (VALUE > 0);
                CREATE TABLE app.t (id int PRIMARY KEY, a app.amount);
                ALTER TABLE app.t ENABLE ROW LEVEL SECURITY;
                INSERT INTO app.t SELECT g, g FROM generate_series(1, 9) g;
                CREATE DOMAIN public.state AS varchar CHECK (VALUE IN ('a', 'b'));
                CREATE TABLE public.u (id int PRIMARY KEY, a public.state, b varchar CHECK (b IN ('a', 'b')));
                INSERT INTO public.u VALUES (1, 'a')
            """)
        with server.session(database) as cursor:
            connect = f"GRANT CONNECT ON DATABASE {database} TO recovery_backup_{mark}, recovery_restore_{mark}"
            password = "PASSWORD 'change-me'"
            named = [f"ALTER ROLE recovery_{name}_{mark} {password}" for name in ("backup", "restore")]
            cursor.execute(";".join([missing()["sql"], *named]) if printed else f"{script}; {connect}")
        assert missing()["sql"] == ""
        taken = run_module("pg_backup", login("recovery_backup", database))
        checks = [{"type": "row_count", "table": "app.t", "equals": 9}, {"type": "foreign_keys"}]
        with pytest.raises(ModuleFailed, match="may not create databases"):
            arguments = {**login("recovery_backup", "postgres"), "target_db": target, "mode": "new"}
            run_module("pg_restore", arguments, check_mode=True)
        checked = run_module("integrity_check", {**login("recovery_backup", database), "checks": checks})
        with server.session(database) as cursor:
            cursor.execute("DELETE FROM app.t WHERE id < 4")
        rows = run_module("pg_restore_table", {**login("recovery_restore", database), "tables": ["app.t"]})
        restored = run_module(
            "pg_restore", {**login("recovery_restore", "postgres"), "target_db": target, "mode": "new"}
        )

        assert not any("superuser" in note for note in taken["coverage"]["notes"])
        assert checked["verdict"] == "passed"
        assert [table["inserts"] for table in rows["tables"]] == [3]
        assert restored["fingerprint"]["equal"] is True
    finally:
        server.drop_database(target)
        server.drop_database(database)
        with server.session() as cursor:
            for name in ("recovery_backup", "recovery_restore", "app"):
                with contextlib.suppress(psycopg2.Error):
                    cursor.execute(f"DROP OWNED BY {name}_{mark}; DROP ROLE {name}_{mark}")


def test_a_backup_as_superuser_warns(postgres: PostgresServer, database: str, folder_store: dict[str, t.Any]) -> None:
    result = run_module("pg_backup", {"source": "s", "store": folder_store, **postgres.module_options(database)})

    assert any("superuser" in note for note in result["coverage"]["notes"])
