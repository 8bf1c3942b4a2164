# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Statements that PostgreSQL refuses, as errors for the operator."""

from __future__ import annotations

import re
import typing as t
from pathlib import Path

import pytest

from ansible_collections.lifeline.recovery.plugins.module_utils._core.errors import RecoveryError
from ansible_collections.lifeline.recovery.plugins.module_utils._engines.postgresql.server.connection import connection
from ansible_collections.lifeline.recovery.plugins.module_utils._engines.postgresql.server.driver import psycopg2
from ansible_collections.lifeline.recovery.plugins.module_utils._engines.postgresql.server.refusals import (
    NO_OBJECT,
    UNIQUE,
    query_error,
    refusal_reason,
)
from tests.support.servers.postgres import PostgresServer

ROOT = Path(__file__).resolve().parents[2]

#: A statement that PostgreSQL refuses to the kind of the error.
REFUSED = {
    "INSERT INTO public.child VALUES (2)": "restore_failed",
    "INSERT INTO public.parent VALUES (1)": "conflict",
    "SET lock_timeout = 1; LOCK TABLE public.held": "locked",
    "SET ROLE pg_monitor; SELECT * FROM public.parent": "access_denied",
    "ALTER TABLE public.parent OWNER TO missing_role": "roles_missing",
    "DROP TYPE missing_type": "restore_failed",
    "SELECT 1 / 0": "restore_failed",
    "SELECT pg_terminate_backend(pg_backend_pid())": "unreachable",
}


def refused(server: PostgresServer, database: str, sql: str) -> t.Any:
    """The error of the driver."""
    with connection(server.options(database)) as conn, conn.cursor() as cursor, pytest.raises(psycopg2.Error) as caught:
        cursor.execute(sql)
        cursor.execute("SELECT 1")
    return caught.value


@pytest.fixture(scope="module")
def database(postgres: PostgresServer) -> t.Iterator[str]:
    name = postgres.create_database()
    with postgres.session(name) as cursor:
        cursor.execute(
            "CREATE TABLE public.parent (id int PRIMARY KEY); INSERT INTO public.parent VALUES (1);"
            "CREATE TABLE public.child (id int REFERENCES public.parent); CREATE TABLE public.held ()"
        )
    with connection(postgres.options(name)) as conn, conn.cursor() as cursor:
        cursor.execute("BEGIN; LOCK TABLE public.held")
        yield name
    postgres.drop_database(name)


@pytest.mark.parametrize("sql", REFUSED)
def test_the_state_of_a_refused_statement_decides_the_kind(postgres: PostgresServer, database: str, sql: str) -> None:
    driver_error = refused(postgres, database, sql)
    steps = {UNIQUE: "Choose.", NO_OBJECT: "Create."}
    error = query_error(driver_error, "Kept.", kind="restore_failed", next_step="Correct.", subject="it", steps=steps)
    assert (error.kind, error.left) == (REFUSED[sql], "Kept.")
    expected = {
        "INSERT INTO public.parent VALUES (1)": "Choose.",
        "DROP TYPE missing_type": "Create.",
        "SELECT 1 / 0": "Correct.",
    }
    assert error.next_step == expected.get(sql, error.next_step) != ""
    if error.kind == "unreachable":
        assert error.what.startswith("The connection to PostgreSQL was lost: ")
        return
    assert error.what == f"PostgreSQL refused it: {refusal_reason(driver_error)}."


def test_details_and_hints_of_the_server_are_added_only_if_the_caller_asks(
    postgres: PostgresServer, database: str
) -> None:
    error = refused(postgres, database, "INSERT INTO public.parent VALUES (1)")
    assert "Key (id)=(1)" not in query_error(error).what
    assert query_error(error, detail=True).what.endswith(" Key (id)=(1) already exists.")
    error = refused(postgres, database, "SELECT missing(1)")
    assert query_error(error).what.endswith(" does not exist.")
    assert query_error(error, hint=True).what.endswith(" add explicit type casts.")


def test_only_one_module_reads_the_message_of_the_server() -> None:
    engine = ROOT / "plugins/module_utils/_engines/postgresql"
    found = [path.name for path in engine.rglob("*.py") if re.search(r"message_(primary|hint)", path.read_text())]
    assert found == ["refusals.py"]


def test_a_lost_connection_is_no_reason_of_a_single_object() -> None:
    lost = psycopg2.OperationalError("server closed the connection unexpectedly")
    with pytest.raises(psycopg2.OperationalError):
        refusal_reason(lost)
    assert isinstance(query_error(lost), RecoveryError)
