# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An operator rolls functions and a frontend back with one playbook: planned, proved, recorded and undone."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
import typing as t
from pathlib import Path

import pytest

from tests.support.fakes.hosting import PROJECT, TEAM, TOKEN, HostingServer, hosting_server
from tests.support.fakes.sinks import http_sink
from tests.support.fakes.supabase import REF
from tests.support.fakes.supabase_functions import FunctionsServer, functions_server
from tests.support.git import Repository, git
from tests.support.operator import Operator

Options = dict[str, t.Any]
PATH = "supabase/functions/hello/index.ts"
SOURCE = 'export const BUILD = "{}";\n'
REASON = "Release 2 broke the login"


@pytest.fixture
def repository(operator: Operator) -> t.Iterator[Repository]:
    """A repository that belongs to the operator, because git refuses those of other users."""
    folder = Path(tempfile.mkdtemp(prefix="git-", dir=operator.home))
    repository = Repository.create(folder)
    for number in ("1", "2"):
        repository.commit(f"Release {number}", {PATH: SOURCE.format(number), "build.txt": number})
    operator._own(folder)
    yield repository
    shutil.rmtree(folder)


@pytest.fixture
def supabase(tmp_path: Path) -> t.Iterator[FunctionsServer]:
    with functions_server(tmp_path / "api") as running:
        running.deploy("hello", {PATH: SOURCE.format("2")}, verify_jwt=False)
        running.deploy("hello-v2", {PATH.replace("hello", "hello-v2"): SOURCE.format("2")})
        yield running


@pytest.fixture
def hosting() -> t.Iterator[HostingServer]:
    with hosting_server() as running:
        yield running
        assert running.unknown == []


def printed(done: subprocess.CompletedProcess[str]) -> str:
    return " ".join(done.stdout.split())


def test_a_release_is_rolled_back_proved_and_undone(
    operator: Operator, repository: Repository, supabase: FunctionsServer, hosting: HostingServer
) -> None:
    quick = {"poll_seconds": 0.05, "health_timeout": 1}
    route = f"{supabase.api_url}/functions/v1/hello"
    place = {"project": PROJECT, "team": TEAM, "token": TOKEN, "api_url": hosting.url}
    with http_sink() as web:
        inventory: Options = {
            "recovery_channels": [{"name": "hook", "type": "webhook", "url": f"{web.url}/hook"}],
            "recovery_reason": REASON,
            "recovery_sources": [
                {
                    "name": "learnplay",
                    "database": "learnplay",
                    "git": {"remote": str(repository.bare), "branch": "main"},
                    "edge_functions": {
                        **supabase.options(),
                        "functions": ["hello"],
                        "keep_dir": str(operator.home / "kept"),
                        **quick,
                        "health_url": route,
                        "replacement": "hello",
                    },
                    "frontend_hosting": {"vercel": place, **quick, "health_url": f"{hosting.url}/site"},
                    "checks": [
                        {"type": "http", "name": "route", "url": route, "json": "build", "equals": "1"},
                        {"type": "foreign_keys"},
                    ],
                }
            ],
            "recovery_source": "learnplay",
        }

        def play(*extra: str, by: Operator = operator) -> subprocess.CompletedProcess[str]:
            given = [part for one in extra for part in (("-e", one) if "=" in one else (one,))]
            return by.play("roll_back", *given, inventory=inventory)

        part, delete = "recovery_roll_back=function", "recovery_delete_functions=hello-v2"
        refused = play()
        assert "recovery_roll_back must be function, frontend or migration" in printed(refused), refused.stdout

        planned = play(part, "recovery_ref=main~1", delete, "--check")
        assert planned.returncode == 0, planned.stdout
        assert "Would deploy 1 function of" in printed(planned) and "Would delete hello-v2" in printed(planned)
        assert (supabase.functions["hello"]["version"], set(supabase.functions)) == (1, {"hello", "hello-v2"})

        refused = play(part, "recovery_ref=main~1", delete)
        assert (refused.returncode, supabase.functions["hello"]["version"]) == (2, 1)
        assert "Set recovery_confirm to 'hello-v2'" in printed(refused), refused.stdout

        done = play(part, "recovery_ref=main~1", delete, "recovery_confirm=hello-v2", by=operator.cold)
        assert done.returncode == 0, done.stdout
        assert (supabase.files("hello"), set(supabase.functions)) == ({PATH: SOURCE.format("1")}, {"hello"})
        assert "1 of 1 function with the digest of the planned bundle" in printed(done)
        assert supabase.token not in done.stdout

        frontend = play("recovery_roll_back=frontend", "recovery_commits=HEAD", by=operator.cold)
        assert frontend.returncode == 0, frontend.stdout
        # The repository belongs to the operator, and git reads those of other users only by name.
        newest = git(repository.bare, "-c", "safe.directory=*", "log", "-1", "--format=%s", "main")
        assert (hosting.current, newest) == ("two", 'Revert "Release 2"')
        assert TOKEN not in frontend.stdout

        kept = re.findall(rf"recovery_kept=(\S*{REF}/\S+?)[;\"\s]", done.stdout)
        inventory["recovery_sources"][0]["checks"] = []
        back = play(part, f"recovery_kept={kept[-1]}")
        assert back.returncode == 0, back.stdout
        assert supabase.files("hello") == {PATH: SOURCE.format("2")}

        events = [one.json["event"] for one in web.at("/hook")]
        assert events[-6:] == ["roll_back.started", "roll_back.succeeded"] * 3
