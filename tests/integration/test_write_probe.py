# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A write probe distinguishes an accepted commit, a refused one, and a server that does not answer."""

from __future__ import annotations

import os
import signal
import typing as t

import pytest

from tests.support.runner.modules import ModuleFailed, run_module
from tests.support.servers.postgres import PostgresServer, postgres_server
from tests.support.servers.standby import standby_of, stop


@pytest.fixture(scope="module")
def primary() -> t.Iterator[PostgresServer]:
    with postgres_server("15") as server:
        server.psql(
            "postgres",
            """
            CREATE ROLE app LOGIN PASSWORD 'secret of app';
            CREATE ROLE poor LOGIN PASSWORD 'secret of poor';
            CREATE ROLE barred NOLOGIN PASSWORD 'secret of barred';
            REVOKE TEMPORARY ON DATABASE postgres FROM PUBLIC;
            GRANT TEMPORARY ON DATABASE postgres TO app;
            ALTER ROLE app SET default_transaction_read_only = on;
            """,
        )
        yield server


def probe(server: PostgresServer, *roles: str, **options: t.Any) -> dict[str, t.Any]:
    logins = [{"login_user": role, "login_password": f"secret of {role}"} for role in roles]
    return run_module("pg_write_probe", {**server.module_options(), "logins": logins, "timeout": 2, **options})


def failure(server: PostgresServer, *roles: str, **options: t.Any) -> str:
    with pytest.raises(ModuleFailed) as caught:
        probe(server, *roles, **options)
    assert (caught.value.result["error_kind"], len(caught.value.result["logins"])) == ("check_failed", len(roles) or 1)
    assert "secret of" not in str(caught.value.result)
    return str(caught.value.result["msg"])


def test_a_commit_is_accepted_or_refused_by_role(primary: PostgresServer) -> None:
    # Neither a read-only default nor the lack of TEMPORARY is a fence.
    done = probe(primary, "app", "poor", "barred", "postgres")
    assert (done["accepts"], done["refused"], done["silent"]) == (["app", "poor"], ["barred", "postgres"], [])
    assert [one["is_proof"] for one in done["logins"]] == [True, True, True, False]
    assert probe(primary, expect="accepted")["accepts"] == ["postgres"]
    assert "accepts the commit" in failure(primary, "barred", "app", expect="refused")
    assert "refuses the commit" in failure(primary, "barred", expect="accepted")
    assert "proves no fence" in failure(primary, "barred", "postgres", expect="refused")
    with standby_of(primary) as standby:
        assert probe(standby, "app", "poor", "barred", expect="refused")["refused"] == ["app", "poor", "barred"]


def test_a_server_that_does_not_answer_is_silent() -> None:
    with postgres_server("15") as server:
        with server.session() as session:
            session.execute("ALTER SYSTEM SET synchronous_standby_names = 'lost'")
            session.execute("ALTER SYSTEM SET synchronous_commit = on")
            session.execute("SELECT pg_reload_conf()")
            session.execute("ALTER ROLE postgres SET synchronous_commit = on")
        assert probe(server)["silent"] == ["postgres"]
        pid = int((server.data_dir / "postmaster.pid").read_text().splitlines()[0])
        os.kill(pid, signal.SIGSTOP)
        try:
            assert probe(server)["silent"] == ["postgres"]
            assert "does not answer" in failure(server, expect="refused")
        finally:
            os.kill(pid, signal.SIGCONT)
        stop(server)
        assert probe(server)["silent"] == ["postgres"]
        assert "does not answer" in failure(server, expect="refused")
