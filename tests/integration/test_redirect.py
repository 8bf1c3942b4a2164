# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Clients are led to another server only from the expected one, and the proof is what clients get."""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
import typing as t
from pathlib import Path

import psycopg2
import pytest

from tests.support.runner.modules import ModuleFailed, run_module
from tests.support.servers.pgbouncer import PROGRAM, Pooler, pooler
from tests.support.servers.postgres import PostgresServer

Options = dict[str, t.Any]

PASSWORD = "s3cret-of-the-pooler"


def redirect(expected: str, value: str, check_mode: bool = False, **options: t.Any) -> Options:
    given = {"expected": expected, "value": value, "verify_seconds": 5, "timeout": 5, **options}
    return run_module("redirect", given, check_mode=check_mode)


def refused(expected: str, value: str, **options: t.Any) -> Options:
    with pytest.raises(ModuleFailed) as caught:
        redirect(expected, value, **options)
    return caught.value.result


@pytest.fixture
def front(postgres: PostgresServer, database: str) -> t.Iterator[tuple[Pooler, Options, str]]:
    """A pooler whose database app is an address without a server; the value leads to the server."""
    if PROGRAM is None:
        pytest.skip("pgbouncer is not installed")
    line = f"app = pool_size=5 host=127.0.0.9 port=1 dbname={database} password='{PASSWORD}'  "
    settings = {"admin_users": "postgres", "query_wait_timeout": 30, "server_login_retry": 1}
    with pooler(
        postgres, "transaction", ["; app = host=comment", "appendix = host=1.1.1.1", line], **settings
    ) as front:
        login = {"port": front.port, "password": postgres.password}
        way = {"ini": str(front.ini), "database": "app", "admin": login}
        # A password in the line of the database is not the one of the server.
        front.ini.write_text(front.ini.read_text().replace(PASSWORD, postgres.password))
        yield front, {"pgbouncer": way}, f"host=127.0.0.1 port={postgres.port}"


def test_a_line_is_changed_and_nothing_else_and_new_clients_reach_the_server(
    front: tuple[Pooler, Options, str], postgres: PostgresServer
) -> None:
    started, way, value = front
    os.chmod(started.ini, 0o640)
    before, owner = started.ini.read_bytes(), started.ini.stat()
    old = "host=127.0.0.9 port=1"
    way["pgbouncer"]["client"] = way["pgbouncer"]["admin"]
    assert redirect(old, value, check_mode=True, **way)["changed"] is True
    assert started.ini.read_bytes() == before
    done = redirect(old, value, **way)
    new = before.replace(b"host=127.0.0.9 port=1 ", f"{value} ".encode(), 1)
    assert (done["changed"], started.ini.read_bytes()) == (True, new)
    found = started.ini.stat()
    assert (found.st_mode, found.st_uid, found.st_gid) == (owner.st_mode, owner.st_uid, owner.st_gid)
    assert [one["value"] for one in done["answers"]] == [value] * 4
    assert (done["diff"], done["before"]["value"]) == ({"before": f"{old}\n", "after": f"{value}\n"}, old)
    assert postgres.password not in json.dumps(done)
    assert redirect(old, value, **way)["changed"] is False
    assert redirect(value, old, **{**way, "pgbouncer": {**way["pgbouncer"], "client": None}})["changed"] is True
    assert started.ini.read_bytes() == before


def test_another_value_than_the_expected_one_is_a_conflict(front: tuple[Pooler, Options, str]) -> None:
    started, way, value = front
    before = started.ini.read_bytes()
    result = refused("host=127.0.0.8 port=1", value, **way)
    assert (result["error_kind"], started.ini.read_bytes()) == ("conflict", before)
    assert "host=127.0.0.9 port=1, `expected` is host=127.0.0.8 port=1" in result["msg"]


def test_a_run_that_was_killed_before_reload_is_completed(front: tuple[Pooler, Options, str]) -> None:
    started, way, value = front
    started.ini.write_text(started.ini.read_text().replace("host=127.0.0.9 port=1 ", f"{value} "))
    assert redirect("host=127.0.0.9 port=1", value, **way)["changed"] is True
    assert redirect("host=127.0.0.9 port=1", value, **way)["changed"] is False


def test_pgbouncer_loads_a_quoted_value(front: tuple[Pooler, Options, str], database: str) -> None:
    _started, way, _value = front
    odd = "dbname='it''s a \"database\"; %x'"
    assert redirect(f"dbname={database}", odd, **way)["changed"] is True
    assert redirect(odd, f"dbname={database}", **way)["changed"] is True


def test_a_password_of_a_connection_string_is_in_no_result(front: tuple[Pooler, Options, str]) -> None:
    _started, way, _value = front
    old = f"host=127.0.0.9 password='{way['pgbouncer']['admin']['password']}'"
    results = [redirect(old, f"host=127.0.0.1 password={PASSWORD}", check_mode=True, **way)]
    results.append(refused("host=x password=y", f"host=127.0.0.1 password={PASSWORD}", **way))
    assert "password=(hidden)" in results[0]["current"]
    assert PASSWORD not in json.dumps(results)
    assert way["pgbouncer"]["admin"]["password"] not in json.dumps(results)


def test_a_client_that_keeps_its_old_server_fails_the_proof(
    front: tuple[Pooler, Options, str], postgres: PostgresServer
) -> None:
    started, way, value = front
    redirect("host=127.0.0.9 port=1", value, **way)
    with contextlib.closing(app(postgres, started)) as client, client.cursor() as cursor:
        cursor.execute("BEGIN; SELECT 1")
        result = refused(value, "host=127.0.0.2 port=1", verify_seconds=1, **way)
        assert result["error_kind"] == "check_failed"
        assert "clients still use 1 connections to the server before" in result["msg"]


def test_connections_that_hang_on_the_old_server_are_dropped_on_request(
    front: tuple[Pooler, Options, str], postgres: PostgresServer
) -> None:
    started, way, value = front
    elsewhere = f"host=localhost port={postgres.port}"
    way["pgbouncer"].update(kill_seconds=0.5, client=way["pgbouncer"]["admin"])
    redirect("host=127.0.0.9 port=1", value, **way)
    with contextlib.closing(app(postgres, started)) as client, client.cursor() as cursor:
        cursor.execute("BEGIN; SELECT 1")
        assert redirect(value, elsewhere, **way)["changed"] is True
        with pytest.raises(psycopg2.Error):
            cursor.execute("SELECT 1")
    assert ask(postgres, started) == 1
    # A run that was killed after RELOAD leaves such a connection to the next run.
    with contextlib.closing(app(postgres, started)) as client, client.cursor() as cursor:
        cursor.execute("BEGIN; SELECT 1")
        with pytest.raises(ModuleFailed):
            redirect(elsewhere, value, verify_seconds=0.5, pgbouncer={**way["pgbouncer"], "kill_seconds": None})
        assert redirect(elsewhere, value, **way)["changed"] is True
    assert redirect(elsewhere, value, **way)["changed"] is False


def test_paused_clients_continue_at_the_new_server_without_an_error(
    front: tuple[Pooler, Options, str], postgres: PostgresServer
) -> None:
    started, way, value = front
    redirect("host=127.0.0.9 port=1", value, **way)
    elsewhere = f"host=localhost port={postgres.port}"
    assert pause("paused", way)["changed"] is True
    assert pause("paused", way)["changed"] is False
    answers: list[t.Any] = []
    thread = threading.Thread(target=lambda: answers.append(ask(postgres, started)))
    thread.start()
    way["pgbouncer"]["client"] = way["pgbouncer"]["admin"]
    assert redirect(value, elsewhere, **way)["changed"] is True
    time.sleep(0.3)
    assert answers == []
    assert pause("resumed", way)["changed"] is True
    thread.join(10)
    assert answers == [1]
    assert redirect(value, elsewhere, **way)["changed"] is False
    assert pause("resumed", way)["changed"] is False


def test_a_pause_that_times_out_is_taken_back(front: tuple[Pooler, Options, str], postgres: PostgresServer) -> None:
    started, way, value = front
    redirect("host=127.0.0.9 port=1", value, **way)
    with contextlib.closing(app(postgres, started)) as client, client.cursor() as cursor:
        cursor.execute("BEGIN; SELECT 1")
        with pytest.raises(ModuleFailed, match="The pause was taken back") as caught:
            pause("paused", way, wait_seconds=0.5)
        assert caught.value.result["error_kind"] == "timeout"
        assert ask(postgres, started) == 1
        killed = pause("paused", way, wait_seconds=0.5, on_timeout="kill")
        assert (killed["state"], killed["killed"]) == ("paused", True)
        with pytest.raises(psycopg2.Error):
            cursor.execute("SELECT 1")
    pause("resumed", way)
    assert ask(postgres, started) == 1


@pytest.mark.parametrize(
    ("change", "kind", "message"),
    [
        ({"database": "*"}, "invalid_options", "`pgbouncer.database` must be the name of one database"),
        ({"database": "other"}, "object_missing", "has 0 lines for the database other"),
        ({"ini": "/no/such.ini"}, "object_missing", "/no/such.ini does not exist"),
        ({"ini": "relative"}, "invalid_options", "`pgbouncer.ini` must be an absolute path"),
    ],
)
def test_wrong_options_are_refused(
    front: tuple[Pooler, Options, str], change: Options, kind: str, message: str
) -> None:
    _started, way, value = front
    result = refused("host=127.0.0.9 port=1", value, pgbouncer={**way["pgbouncer"], **change})
    assert (result["error_kind"], message in result["msg"]) == (kind, True), result


def test_expected_and_value_need_the_same_keywords(front: tuple[Pooler, Options, str]) -> None:
    _started, way, value = front
    assert "must have the same keywords" in refused("host=127.0.0.9", value, **way)["msg"]
    assert "must be a connection string" in refused("127.0.0.9", value, **way)["msg"]


def pause(state: str, way: Options, **options: t.Any) -> Options:
    given = {"state": state, "database": "app", "admin": way["pgbouncer"]["admin"], "timeout": 5, **options}
    return run_module("pgbouncer_pause", given)


def app(server: PostgresServer, front: Pooler) -> t.Any:
    return psycopg2.connect(**{**server.options("app").keywords, "port": str(front.port)})


def ask(server: PostgresServer, front: Pooler) -> int:
    with contextlib.closing(app(server, front)) as client, client.cursor() as cursor:
        cursor.execute("SELECT 1")
        return int(cursor.fetchone()[0])


@pytest.mark.parametrize(
    ("line", "new"),
    [
        (b"DB_HOST=east\n", b"DB_HOST=west\n"),
        (b"export DB_HOST='east' # the writer\r\n", b"export DB_HOST='west' # the writer\r\n"),
        (b'  DB_HOST = "east"\n', b'  DB_HOST = "west"\n'),
    ],
)
def test_one_value_is_changed_and_every_other_byte_stays(tmp_path: Path, line: bytes, new: bytes) -> None:
    path, link = tmp_path / "environment", tmp_path / "link"
    around = b"# DB_HOST=east\nDB_HOST_2=east\n\xff\xfe=1\r\n", b"OTHER='x y'\n\n"
    path.write_bytes(line.join(around))
    link.symlink_to(path)
    os.chmod(path, 0o604)
    with contextlib.suppress(OSError):
        os.setxattr(path, "user.label", b"x")
    labels = os.listxattr(path)
    os.chown(path, 65534, 65534)
    way = {"env_file": {"path": str(link), "key": "DB_HOST"}}
    leftover = tmp_path / ".environment.lifeline-0123abcd"
    leftover.write_text("of a run that was killed")
    os.utime(leftover, (0, 0))
    assert redirect("east", "west", check_mode=True, **way)["changed"] is True
    assert path.read_bytes() == line.join(around)
    done = redirect("east", "west", **way)
    assert (path.read_bytes(), link.is_symlink(), done["changed"]) == (new.join(around), True, True)
    found = path.stat()
    assert (found.st_mode & 0o777, found.st_uid, found.st_gid) == (0o604, 65534, 65534)
    assert os.listxattr(path) == labels
    assert redirect("east", "west", **way)["changed"] is False
    assert sorted(one.name for one in tmp_path.iterdir()) == ["environment", "link"]
    redirect("west", "east", **way)
    assert path.read_bytes() == line.join(around)


@pytest.mark.parametrize(
    ("line", "value", "kind", "message"),
    [
        ("URL=postgres://a", "postgres://b with blank", "invalid_options", "without quotes"),
        ('URL="postgres://a"', "postgres://b$c", "invalid_options", "within double quotes"),
        ("URL='postgres://a'", "it's", "invalid_options", "within single quotes"),
        ("URL=postgres://a b", "west", "inconsistent", "text behind its value"),
        ("URL=postgres://a\nURL=postgres://a", "west", "inconsistent", "has 2 lines for URL"),
        ("OTHER=1", "west", "object_missing", "has 0 lines for URL"),
        ("URL=postgres://c", "west", "conflict", "(hidden)"),
    ],
)
def test_a_line_that_programs_read_in_different_ways_is_refused(
    tmp_path: Path, line: str, value: str, kind: str, message: str
) -> None:
    path = tmp_path / "environment"
    path.write_text(line)
    result = refused("postgres://a", value, env_file={"path": str(path), "key": "URL"})
    assert (result["error_kind"], message in result["msg"], path.read_text()) == (kind, True, line), result


def test_hidden_values_are_in_no_result(tmp_path: Path) -> None:
    path = tmp_path / "environment"
    path.write_text(f"URL='postgres://app:{PASSWORD}@east/app'")
    way = {"env_file": {"path": str(path), "key": "URL"}}
    old, new = (f"postgres://app:{PASSWORD}@{site}/app" for site in ("east", "west"))
    results = [refused("postgres://x", new, **way), redirect(old, new, **way), redirect(old, new, **way)]
    assert PASSWORD not in json.dumps(results)
    assert results[1]["before"] == {"value": "(hidden)"}


def programs(folder: Path, write: str = "") -> Options:
    (folder / "writer").write_text("east; $(touch no)\n")
    script = folder / "set"
    sets = f'printf %s "$LIFELINE_VALUE" > {folder}/writer'
    script.write_text(f"#!/bin/sh\n{write or sets}\n")
    script.chmod(0o755)
    return {"read": ["cat", str(folder / "writer")], "write": [str(script)]}


def test_the_value_that_the_program_prints_is_the_proof(tmp_path: Path) -> None:
    way = {"command": {**programs(tmp_path), "hidden": False}}
    done = redirect("east; $(touch no)", "west $HOME", **way)
    assert (done["changed"], (tmp_path / "writer").read_text()) == (True, "west $HOME")
    assert done["current"] == "west $HOME"
    assert redirect("east", "west $HOME", **way)["changed"] is False
    assert refused("east", "north", **way)["error_kind"] == "conflict"


def test_a_program_that_sets_nothing_fails_the_proof(tmp_path: Path) -> None:
    way = {"command": {**programs(tmp_path, "true"), "hidden": False}}
    result = refused("east; $(touch no)", "west", verify_seconds=0.5, **way)
    assert (result["error_kind"], "cat prints east" in result["msg"]) == ("check_failed", True), result


def test_a_program_that_fails_does_not_show_the_value(tmp_path: Path) -> None:
    way = {"command": programs(tmp_path, 'echo "no $LIFELINE_VALUE" >&2; exit 3')}
    result = refused("east; $(touch no)", PASSWORD, **way)
    assert (result["error_kind"], PASSWORD in json.dumps(result)) == ("service_failed", False)
    assert "failed with the exit code 3: no (hidden)" in result["msg"]
