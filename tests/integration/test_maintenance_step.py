# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A maintenance page is shown or an application is stopped, and the state before is restored, also after a crash."""

from __future__ import annotations

import contextlib
import http.server
import itertools
import json
import subprocess
import threading
import typing as t
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from ansible_collections.lifeline.recovery.plugins.module_utils._core.errors import RecoveryError
from ansible_collections.lifeline.recovery.plugins.module_utils._maintenance import (
    command,
    flag_file,
    http_switch,
    means,
    requests,
    systemd,
)
from ansible_collections.lifeline.recovery.plugins.module_utils._maintenance.means import Means
from ansible_collections.lifeline.recovery.plugins.module_utils._maintenance.step import Step, StepRequest, StepResult
from ansible_collections.lifeline.recovery.plugins.module_utils._operations.change import perform
from ansible_collections.lifeline.recovery.plugins.module_utils._store.directory import DirectoryStore
from tests.support.fakes.systemctl import Systemctl
from tests.support.kills import Call, killed_at
from tests.support.runner.modules import ModuleFailed, run_module
from tests.support.runner.server import ROOT
from tests.support.servers.d1 import node_modules

Options = dict[str, t.Any]
TOKEN = "a-token-of-the-service"


@dataclass
class Site:
    """A web server that answers 503 while a flag file exists, and whose service switches a maintenance of its own."""

    flag: Path
    url: str = ""
    enabled: bool = False
    refuses: int = 0
    requests: list[tuple[str, str]] = field(default_factory=list)

    def answer(self, method: str, path: str, token: str, body: bytes) -> tuple[int, t.Any]:
        self.requests.append((method, path))
        if path == "/":
            return (503, "down") if self.flag.exists() or self.enabled else (200, "welcome")
        if token != f"Bearer {TOKEN}":
            return 401, {}
        if method == "PUT":
            if self.refuses:
                self.refuses -= 1
                return 500, {}
            self.enabled = json.loads(body)["enabled"]
        return 200, {"enabled": self.enabled, "since": 0}


@pytest.fixture
def site(tmp_path: Path) -> t.Iterator[Site]:
    found = Site(tmp_path / "maintenance.html")

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, answer = found.answer(self.command, self.path, self.headers.get("Authorization") or "", body)
            data = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_PUT = do_GET

        def log_message(self, *_arguments: t.Any) -> None:
            """Nothing is printed."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield found
    server.shutdown()
    server.server_close()
    thread.join()


def page(site: Site) -> Options:
    return {"flag_file": {"path": str(site.flag), "content": "<h1>down</h1>", "url": f"{site.url}/"}}


def service(site: Site) -> Options:
    return {
        "http": {
            "url": f"{site.url}/api/maintenance", "method": "PUT", "begin_body": {"enabled": True},
            "end_body": {"enabled": False}, "begun_body": {"enabled": True}, "token": TOKEN,
        }
    }  # fmt: skip


def program(site: Site) -> Options:
    running = site.flag.with_name("running")
    return {
        "command": {
            "stop": ["rm", str(running)], "start": ["touch", str(running)], "status": ["test", "-e", str(running)]
        }
    }  # fmt: skip


def run(state: str, folder: Path, check_mode: bool = False, **options: t.Any) -> Options:
    given = {"source": "app", "name": "step", "state": state, "state_dir": str(folder / "states"), "timeout": 3}
    return run_module("maintenance_step", {**given, **options}, check_mode=check_mode)


@pytest.mark.parametrize("kind", [page, service, program])
def test_a_step_is_in_effect_until_the_state_before_is_restored(
    site: Site, tmp_path: Path, kind: t.Callable[[Site], Options]
) -> None:
    (tmp_path / "running").touch()

    def state() -> tuple[bool, bool, bool]:
        return site.flag.exists(), site.enabled, (tmp_path / "running").exists()

    before = state()
    assert run("begun", tmp_path, check_mode=True, **kind(site))["changed"] is True
    assert (state(), run("ended", tmp_path, **kind(site))["changed"]) == (before, False)
    assert run("begun", tmp_path, **kind(site))["changed"] is True
    assert state() != before
    again = run("begun", tmp_path, **kind(site))
    assert (again["changed"], TOKEN in json.dumps(again)) == (False, False)
    assert TOKEN not in "".join(path.read_text() for path in (tmp_path / "states").rglob("*.json"))
    assert run("ended", tmp_path, **kind(site))["changed"] is True
    assert (state(), run("ended", tmp_path, **kind(site))["changed"]) == (before, False)


@pytest.mark.parametrize("kind", [page, service, program])
def test_a_means_that_was_in_effect_before_the_step_stays_in_effect(
    site: Site, tmp_path: Path, kind: t.Callable[[Site], Options]
) -> None:
    site.flag.write_text("of an administrator")
    site.enabled = True
    assert run("begun", tmp_path, **kind(site))["changed"] is False
    assert run("ended", tmp_path, **kind(site))["changed"] is False
    assert (site.flag.read_text(), site.enabled, (tmp_path / "running").exists()) == (
        "of an administrator",
        True,
        False,
    )


#: The calls that change something: states, files, programs and requests.
_CALLS = (
    Call(DirectoryStore, "put"),
    Call(flag_file, "replace_file"),
    Call(flag_file.os, "unlink"),
    Call(means.subprocess, "run", lambda arguments, **_named: arguments[0] in ("rm", "touch")),
    Call(requests, "exchange", lambda request, **_named: request.method == "PUT"),
)


def step(state: str, site: Site, kind: t.Callable[[Site], Options]) -> StepResult:
    """Run a step in this process."""
    ((name, options),) = kind(site).items()
    built: dict[str, t.Callable[[], Means]] = {
        "flag_file": lambda: flag_file.FlagFile(flag_file.FlagFileOptions(**options), 3),
        "http": lambda: http_switch.HttpSwitch(http_switch.HttpOptions(**options), 3),
        "command": lambda: command.Command(command.CommandOptions(**options), 3),
    }
    request = StepRequest("app", "step", t.cast("t.Any", state), timeout=3)
    return perform(Step(request, built[name](), DirectoryStore(str(site.flag.parent / "states")), None))


@pytest.mark.parametrize("kind", [page, service, program])
def test_a_step_that_is_killed_at_any_moment_is_ended_by_another_run(
    site: Site, tmp_path: Path, kind: t.Callable[[Site], Options]
) -> None:
    running = tmp_path / "running"
    running.touch()
    for change in ("begun", "ended"):
        for moment in itertools.count(1):
            if change == "ended":
                step("begun", site, kind)
            killed = killed_at(moment, lambda state=change: step(state, site, kind), _CALLS)
            step("ended", site, kind)
            assert (site.flag.exists(), site.enabled, running.exists()) == (False, False, True), (change, moment)
            if not killed:
                break
        # Before and after the stored state, and before and after the means.
        assert moment >= 5


def test_a_page_that_does_not_appear_fails_the_step_and_its_state_stays(site: Site, tmp_path: Path) -> None:
    wrong = {"flag_file": {**page(site)["flag_file"], "path": str(tmp_path / "elsewhere.html")}}
    with pytest.raises(
        ModuleFailed, match=r"has not begun after 1 seconds: http://.* answers 200, not HTTP 503"
    ) as caught:
        run("begun", tmp_path, **{**wrong, "timeout": 1})
    assert caught.value.result["error_kind"] == "check_failed"
    assert run("ended", tmp_path, **wrong)["changed"] is True
    assert not (tmp_path / "elsewhere.html").exists()


def test_a_service_that_refuses_is_reported_without_its_token(site: Site, tmp_path: Path) -> None:
    site.refuses = 1
    with pytest.raises(ModuleFailed, match="refused the request: HTTP 500") as caught:
        run("begun", tmp_path, **service(site))
    assert TOKEN not in json.dumps(caught.value.result)
    site.refuses = 0
    denied = {"http": {**service(site)["http"], "token": "another"}}
    with pytest.raises(ModuleFailed, match="refused the request: HTTP 401"):
        run("begun", tmp_path, **denied)
    assert (run("ended", tmp_path, **service(site))["changed"], site.enabled) == (True, False)


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"name": "../x", "flag_file": {"path": "/x"}}, "invalid_options", "`name` must consist of letters"),
        ({"flag_file": {"path": "/x"}, "timeout": 0}, "invalid_options", "`timeout` must be above 0"),
        ({"flag_file": {"path": "/no/such/folder/x"}}, "invalid_options", "in a folder that exists"),
        ({"flag_file": {"path": "/tmp/x", "mode": "rw"}}, "invalid_options", "an octal number"),
        ({"flag_file": {"path": "/tmp/x", "url": "ftp://x"}}, "invalid_options", "`flag_file.url` must be"),
        ({"http": {"url": "http://x"}}, "invalid_options", "`http.begun_status` or `http.begun_body` is required"),
        ({"http": {"url": "http://x", "method": "a b", "begun_status": 1}}, "invalid_options", "`http.method` must be"),
        ({"http": {"url": "http://127.0.0.1:1/a?key=secret", "begun_status": 503}}, "unreachable", "127.0.0.1:1/a did"),
        ({"command": {"stop": [], "start": ["x"], "status": ["x"]}}, "invalid_options", "`command.stop` must be"),
        ({"command": {"stop": ["x"], "start": ["x"], "status": ["/no/program"]}}, "client_missing", "/no/program is"),
        ({"systemd": {"units": ["a*"]}}, "invalid_options", "without wildcards"),
        ({"systemd": {"units": []}}, "invalid_options", "at least one unit"),
        ({"pm2": {"apps": ["x"], "user": "no such user"}}, "invalid_options", "`pm2.user` must be"),
    ],
)
def test_a_wrong_step_is_refused_and_leaves_no_state(tmp_path: Path, options: Options, kind: str, message: str) -> None:
    with pytest.raises(ModuleFailed) as caught:
        run("begun", tmp_path, **options)
    assert (caught.value.result["error_kind"], message in caught.value.result["msg"]) == (kind, True), caught.value
    assert not list(tmp_path.rglob("*.json"))


def test_another_means_under_the_name_of_a_begun_step_is_refused(site: Site, tmp_path: Path) -> None:
    run("begun", tmp_path, **page(site))
    with pytest.raises(ModuleFailed, match="was begun with `flag_file`, and has `http` now"):
        run("ended", tmp_path, **service(site))


@pytest.fixture
def processes(tmp_path: Path) -> t.Iterator[tuple[Options, t.Callable[..., str]]]:
    """A pm2 of its own, with two processes of one application, a stopped one, and one whose name is a number."""
    folder = node_modules(ROOT / "tests/support/servers/pm2/package.json", ROOT / ".cache/pm2")
    options: Options = {"program": str(folder / ".bin/pm2"), "home": str(tmp_path / "pm2")}

    def call(*arguments: str) -> str:
        environment = {"PATH": "/usr/local/bin:/usr/bin:/bin", "PM2_HOME": options["home"], "SECRET": TOKEN}
        command = [options["program"], *arguments]
        return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout

    script = tmp_path / "app.js"
    script.write_text("setInterval(() => {}, 1000)")
    for name, number in (("api", "2"), ("worker", "1"), ("7", "1")):
        call("start", str(script), "--name", name, "-i", number)
    call("stop", "worker")
    yield options, call
    call("kill")


def test_applications_of_pm2_that_ran_run_again_and_no_others(
    processes: tuple[Options, t.Callable[..., str]], tmp_path: Path
) -> None:
    options, call = processes

    def states() -> list[tuple[str, str]]:
        return sorted((one["name"], one["pm2_env"]["status"]) for one in json.loads(call("jlist")))

    before = states()
    given = {"pm2": {**options, "apps": ["api", "worker"], "save": True}, "timeout": 20}
    begun = run("begun", tmp_path, **given)
    assert begun["before"] == {"online": {"api": 2, "worker": 0}}
    assert states() == [("7", "online"), ("api", "stopped"), ("api", "stopped"), ("worker", "stopped")]
    assert TOKEN not in json.dumps(begun)
    assert run("begun", tmp_path, **given)["changed"] is False
    run("ended", tmp_path, **given)
    assert states() == before
    with pytest.raises(ModuleFailed, match="got 'all'; pm2 has 7, api, worker"):
        run("begun", tmp_path, **{**given, "pm2": {**options, "apps": ["all"]}})
    call("start", str(tmp_path / "app.js"), "--name", "1")
    with pytest.raises(ModuleFailed, match="'1', which is also the number of a process of api"):
        run("begun", tmp_path, **given)
    assert ("1", "online") in states()


@dataclass
class Host:
    """A host with units of systemd."""

    systemctl: Systemctl

    def states(self) -> dict[str, str]:
        return {name: unit["state"] for name, unit in self.systemctl.units().items()}

    def left(self) -> list[Path]:
        return list(self.systemctl.folder.glob("runtime/*"))

    def step(self, state: t.Any, *units: str, refuse_starts: bool = False) -> StepResult:
        means = systemd.Systemd(systemd.SystemdOptions(units, refuse_starts), 10)
        states = DirectoryStore(str(self.systemctl.folder / "states"))
        return perform(Step(StepRequest("app", "units", state, timeout=1), means, states, None))


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    found = Host(Systemctl(tmp_path))
    monkeypatch.setattr(systemd, "run_program", found.systemctl.run)
    monkeypatch.setattr(systemd, "RUNTIME", str(tmp_path / "runtime"))
    content = {
        "web.service": {"state": "active", "triggers": ["web.socket", "old.path"], "busy": True},
        "web.socket": {"state": "active", "triggers": []},
        "old.path": {"state": "inactive", "triggers": []},
        "mail.service": {"state": "inactive", "triggers": ["mail.timer"]},
        "mail.timer": {"state": "active", "triggers": []},
        "other.service": {"state": "active", "triggers": []},
        "failed.service": {"state": "failed", "triggers": []},
    }
    (tmp_path / "units.json").write_text(json.dumps(content))
    return found


@pytest.mark.parametrize("refuse_starts", [False, True])
def test_units_stop_with_their_triggers_and_those_that_ran_run_again(host: Host, refuse_starts: bool) -> None:
    before = host.states()
    names = ("web", "mail.service", "failed")
    assert host.step("begun", *names, refuse_starts=refuse_starts).changed is True
    stopped = {name for name, state in host.states().items() if state != "active"}
    assert stopped == {"web.service", "web.socket", "old.path", "mail.service", "mail.timer", "failed.service"}
    with pytest.raises(RuntimeError, match="Assertion failed") if refuse_starts else contextlib.nullcontext():
        host.systemctl.run(["systemctl", "start", "--", "mail.service"])
    host.systemctl.run(["systemctl", "stop", "--", "mail.service"])
    assert host.step("begun", *names, refuse_starts=refuse_starts).changed is False
    assert host.step("ended", *names, refuse_starts=refuse_starts).changed is True
    assert (host.states(), host.left()) == (before, [])


def test_units_whose_stop_or_start_is_killed_at_any_moment_are_started(host: Host) -> None:
    before = host.states()
    calls = (
        Call(DirectoryStore, "put"),
        Call(systemd, "replace_file"),
        Call(systemd.os, "unlink"),
        Call(systemd, "run_program", lambda arguments, **_named: arguments[1] != "show"),
    )
    for change in ("begun", "ended"):
        for moment in itertools.count(1):
            if change == "ended":
                host.step("begun", "web", "mail", refuse_starts=True)
            killed = killed_at(moment, lambda state=change: host.step(state, "web", "mail", refuse_starts=True), calls)
            host.step("ended", "web", "mail", refuse_starts=True)
            assert (host.states(), host.left()) == (before, []), (change, moment)
            if not killed:
                break
        assert moment > 10


def test_a_unit_that_the_host_does_not_have_is_refused(host: Host) -> None:
    before = host.states()
    with pytest.raises(RecoveryError, match=r"got nope\.service"):
        host.step("begun", "web", "nope")
    assert host.states() == before
