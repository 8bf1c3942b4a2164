# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""After a complete loss, stages run one after the other, a failed one stops the next, and a second run compares."""

from __future__ import annotations

import json
import re
import subprocess
import typing as t
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.fakes.sinks import HttpSink, Reply, http_sink
from tests.support.fakes.supabase_functions import FunctionsServer, functions_server
from tests.support.git import Repository
from tests.support.playbooks import play
from tests.support.runner.modules import run_module
from tests.support.runner.server import ROOT
from tests.support.servers.postgres import PostgresServer

Options = dict[str, t.Any]

#: The tasks of the operator: they record whether the page of the maintenance is shown, and fail without a source.
FRONTEND = """---
- name: Build the frontend
  ansible.builtin.command: sh -c 'test ! -e {folder}/page.html || touch {folder}/shown; cat {folder}/source'
  changed_when: false
"""


HELLO = "supabase/functions/hello/index.ts"


@dataclass
class Platform:
    """A database, a bucket and a frontend, with backup sets of the first two."""

    server: PostgresServer
    database: str
    folder: Path
    web: HttpSink
    functions: FunctionsServer
    repository: Repository

    @property
    def media(self) -> Path:
        return self.folder / "media/cover.png"

    @property
    def page(self) -> Path:
        return self.folder / "page.html"

    @property
    def source(self) -> Options:
        connection = {name: value for name, value in self.server.module_options().items() if name != "login_db"}
        return {
            "name": "app", "database": self.database, "connection": connection,
            "maintenance_steps": [
                {"name": "page", "flag_file": {"path": str(self.page)}, "state_dir": str(self.folder / "states")},
                {"name": "writes", "writes": {"roles": ["missing"], "means": ["nologin"]}},
            ],
            "git": {"remote": str(self.repository.bare), "branch": "main"},
            "edge_functions": self.functions.options(
                functions=["hello"], keep_dir=str(self.folder / "kept"), poll_seconds=0.02
            ),
            "buckets": [{"source": "media", "files": self.files}],
            "frontend": str(self.folder / "frontend.yml"),
            "checks": [{"type": "sql", "name": "rows", "query": "SELECT count(*) FROM organizations", "equals": 1}],
        }  # fmt: skip

    @property
    def files(self) -> Options:
        return {"provider": "directory", "path": str(self.folder / "media")}

    @property
    def store(self) -> Options:
        return {"provider": "directory", "path": str(self.folder / "store")}

    def recover(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        inventory = {
            "recovery_sources": [self.source], "recovery_source": "app", "recovery_store": self.store,
            "recovery_status_pages": [{"name": "supabase", "url": f"{self.web.url}/supabase"}],
        }  # fmt: skip
        done = play("recover_everything", inventory, self.folder, *arguments)
        assert self.functions.options()["access_token"] not in done.stdout + done.stderr
        return done

    def rows(self) -> list[tuple[t.Any, ...]] | None:
        """The content of the database; None if the database does not exist."""
        with self.server.session() as cursor:
            cursor.execute("SELECT FROM pg_database WHERE datname = %s", (self.database,))
            if cursor.fetchone() is None:
                return None
        with self.server.session(self.database) as cursor:
            cursor.execute("SELECT * FROM organizations")
            return list(cursor.fetchall())

    def provider(self, indicator: str) -> None:
        recorded = json.loads((ROOT / "tests/data/status_pages/supabase.json").read_text())
        recorded.update(incidents=[], scheduled_maintenances=[], status={"indicator": indicator, "description": "-"})
        recorded["components"] = [{**one, "status": "operational"} for one in recorded["components"]]
        self.web.replies["/supabase/"] = [Reply(body=json.dumps(recorded))] * 9


@pytest.fixture
def platform(postgres: PostgresServer, database: str, tmp_path: Path) -> t.Iterator[Platform]:
    with http_sink() as web, functions_server(tmp_path / "api") as functions:
        functions.deploy("hello", {HELLO: 'export const BUILD = "old";'})
        repository = Repository.create(tmp_path)
        repository.commit("Release 1", {HELLO: 'export const BUILD = "1";\n'})
        found = Platform(postgres, database, tmp_path, web, functions, repository)
        found.media.parent.mkdir()
        found.media.write_bytes(b"cover")
        (tmp_path / "frontend.yml").write_text(FRONTEND.format(folder=tmp_path))
        with postgres.session(database) as cursor:
            cursor.execute("CREATE TABLE organizations (id int PRIMARY KEY); INSERT INTO organizations VALUES (7)")
        run_module("pg_backup", {**postgres.module_options(database), "source": "app", "store": found.store})
        run_module("bucket_backup", {"source": "media", "files": found.files, "store": found.store})
        found.provider("none")
        yield found


def flat(done: subprocess.CompletedProcess[str]) -> str:
    return " ".join(done.stdout.split())


def test_stages_stop_at_a_failure_and_a_second_run_finds_done_stages(platform: Platform) -> None:
    platform.server.drop_database(platform.database)
    platform.media.unlink()

    platform.provider("critical")
    outage = platform.recover()
    assert outage.returncode == 2 and "supabase: critical" in flat(outage), outage.stdout
    assert (platform.rows(), platform.media.exists(), platform.page.exists()) == (None, False, False)

    platform.provider("none")
    planned = platform.recover("--check")
    assert planned.returncode == 0, planned.stdout
    assert "Done: would recover database, buckets, functions" in flat(planned)
    assert (platform.rows(), platform.media.exists(), platform.page.exists()) == (None, False, False)

    failed = platform.recover()
    assert failed.returncode == 2, failed.stdout
    stages = "done: provider status, maintenance, database, buckets, functions; failed: frontend; not run: checks"
    assert stages in flat(failed), failed.stdout
    assert (platform.rows(), platform.media.read_bytes()) == ([(7,)], b"cover")
    assert '"1"' in platform.functions.files("hello")[HELLO]
    # The frontend was built during the maintenance, which ended with the run.
    assert (platform.folder / "shown").exists() and not platform.page.exists()

    (platform.folder / "source").write_text("frontend")
    again = platform.recover("-e", json.dumps({"recovery_maintenance_steps": platform.source["maintenance_steps"][:1]}))
    assert again.returncode == 0, again.stdout
    text = flat(again)
    assert "Stage: database: found done." in text and "Stage: buckets: found done." in text
    assert "Stage: functions: found done." in text
    assert "Skip: no stage was skipped" in text and "Done: every stage was found done" in text
    assert not platform.page.exists()


def test_a_database_that_differs_is_replaced_only_on_request(platform: Platform) -> None:
    with platform.server.session(platform.database) as cursor:
        cursor.execute("UPDATE organizations SET id = 8")
    refused = platform.recover()
    assert refused.returncode == 2, refused.stdout
    assert "exists and differs from the set" in flat(refused) and "Nothing was changed" in flat(refused)
    assert platform.rows() == [(8,)]
    (platform.folder / "source").write_text("frontend")
    steps = json.dumps({"recovery_maintenance_steps": []})
    swapped = platform.recover("-e", steps, "-e", "recovery_mode=swap")
    assert swapped.returncode == 0, swapped.stdout
    assert "Skip: not declared: maintenance" in flat(swapped)
    assert platform.rows() == [(7,)]
    (undo,) = re.findall(r"recovery_undo_db=(\w+)", flat(swapped).rpartition("Back:")[2])
    with platform.server.session(undo) as cursor:
        cursor.execute("SELECT id FROM organizations")
        assert cursor.fetchall() == [(8,)]
    platform.server.drop_database(undo)
