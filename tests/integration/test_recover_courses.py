# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An operator recovers courses and their versions with playbooks: planned, compared, recorded and reported."""

from __future__ import annotations

import json
import secrets
import subprocess
import typing as t

import pytest

from tests.support.courses import Options, Platform
from tests.support.data.learnplay import PUBLISHER, SCHEMA
from tests.support.fakes.sinks import HttpSink, http_sink
from tests.support.operator import Operator
from tests.support.runner.modules import run_module
from tests.support.servers.postgres import PostgresServer
from tests.support.servers.s3 import S3Server, moto_server

REASON = "An import damaged the exercises"


@pytest.fixture(scope="module")
def moto() -> t.Iterator[S3Server]:
    with moto_server() as server:
        yield server


@pytest.fixture
def platform(postgres: PostgresServer, database: str, moto: S3Server) -> Platform:
    postgres.psql(database, SCHEMA)
    return Platform(postgres, database, moto, secrets.token_hex(6))


@pytest.fixture
def web() -> t.Iterator[HttpSink]:
    with http_sink() as sink:
        yield sink


@pytest.fixture
def inventory(platform: Platform, store: Options, web: HttpSink) -> Options:
    options = platform.options
    return {
        "recovery_environment": "production",
        "recovery_store": store,
        "recovery_channels": [{"name": "hook", "type": "webhook", "url": f"{web.url}/hook"}],
        "recovery_sources": [
            {
                "name": "learnplay",
                "database": platform.database,
                "connection": {name: options[name] for name in options if name not in ("login_db", "files")},
                "courses": {"files": options["files"], "publisher": PUBLISHER},
                "checks": [{"type": "foreign_keys"}],
            }
        ],
        "recovery_source": "learnplay",
    }


def printed(done: subprocess.CompletedProcess[str]) -> str:
    return " ".join(done.stdout.split())


def test_damaged_courses_are_planned_restored_and_recorded(
    operator: Operator, platform: Platform, inventory: Options, store: Options, web: HttpSink
) -> None:
    platform.publish("algebra", {"items": [1]}, {"items": [2]})
    platform.publish("biology", {"items": [7]})
    platform.upload("algebra", b'{"items": [2')
    before = platform.everything()

    refused = operator.play("recover_courses", "-e", "recovery_documents=damaged", inventory=inventory)
    assert "recovery_reason is required in production" in printed(refused), refused.stdout

    given = {**inventory, "recovery_reason": REASON}
    planned = operator.play("recover_courses", "-e", "recovery_documents=damaged", "--check", "--diff", inventory=given)
    assert planned.returncode == 0, planned.stdout
    assert "Would restore 1 document: algebra to version 2." in printed(planned)
    assert '+ "items": [' in printed(planned)
    assert platform.everything() == before

    done = operator.cold.play("recover_courses", "-e", "recovery_documents=damaged", inventory=given)
    assert done.returncode == 0, done.stdout
    assert "tables and published copy of 1 course read again" in printed(done)
    assert platform.versions("algebra")[-1] == (3, {"items": [2]})
    assert json.loads(platform.published("algebra")) == {"items": [2]}
    assert platform.run("SELECT changelog FROM course_versions WHERE version = 3") == [(REASON,)]

    again = operator.play("recover_courses", "-e", "recovery_documents=damaged", inventory=given)
    assert "No document is damaged" in printed(again), again.stdout

    events = [one.json["event"] for one in web.at("/hook")]
    assert events[-4:] == [f"recover_courses.{word}" for word in ("started", "succeeded", "started", "unchanged")]
    records = run_module("audit_info", {"source": "learnplay", "store": store})["records"]
    assert [(one["operation_type"], one["status"]) for one in records if one["operation_type"] != "check"] == [
        ("recover_courses", "succeeded")
    ] * 2


def test_lost_versions_come_from_the_set_and_then_from_published_copies(
    operator: Operator, platform: Platform, inventory: Options, store: Options
) -> None:
    platform.publish("algebra", {"v": 1}, {"v": 2})
    backup = {**platform.server.module_options(platform.database), "source": "learnplay", "store": store}
    run_module("pg_backup", backup)
    platform.publish("biology", {"title": "It's new"})
    given = {**inventory, "recovery_reason": REASON}
    platform.run("DROP TABLE course_versions")
    planned = operator.play("recover_course_versions", "--check", inventory=given)
    assert planned.returncode == 0, planned.stdout
    assert platform.run("SELECT to_regclass('course_versions')") == [(None,)]
    done = operator.cold.play("recover_course_versions", inventory=given)
    assert done.returncode == 0, done.stdout
    assert platform.versions("algebra") == [(1, {"v": 1}), (2, {"v": 2})]
    assert platform.versions("biology") == [(1, {"title": "It's new"})]
    assert "2 documents compared: no damage found." in printed(done)
    again = operator.play("recover_course_versions", inventory=given)
    assert "every published course has a version already" in printed(again), again.stdout
    assert "changed=0" in again.stdout
