# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Status pages asked over HTTP: those that answer, those that answer something else, and those that do not."""

from __future__ import annotations

import contextlib
import http.server
import json
import re
import socket
import threading
import typing as t
from pathlib import Path

import pytest
import yaml

from tests.support.fakes.sinks import HttpSink, Reply, http_sink
from tests.support.playbooks import command_environment, play, run_playbook
from tests.support.runner.modules import ModuleFailed, run_module
from tests.support.runner.server import ROOT

RECORDED = {
    name: (ROOT / f"tests/data/status_pages/{name}.json").read_text() for name in ("supabase", "github", "cloudflare")
}
#: More than is read of any answer.
HUGE = 100 * 1024 * 1024


def page(name: str, web: HttpSink, *components: str) -> dict[str, t.Any]:
    return {"name": name, "url": f"{web.url}/{name}", "components": list(components)}


def played(web: HttpSink, **replies: str | Reply) -> None:
    """Let pages answer from now on, each every time."""
    for name, reply in replies.items():
        web.replies[f"/{name}/"] = [reply if isinstance(reply, Reply) else Reply(body=reply)] * 9


@contextlib.contextmanager
def hanging() -> t.Iterator[str]:
    """The URL of a server that accepts connections and sends nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


class _Rude(http.server.BaseHTTPRequestHandler):
    """Sends an answer that is far too large, one that drips, or one only after five parallel requests."""

    def do_GET(self) -> None:
        server = t.cast("_RudeServer", self.server)
        self.send_response(200)
        if self.path.startswith("/meet"):
            with contextlib.suppress(threading.BrokenBarrierError):
                server.meeting.wait(30)
                self.end_headers()
                self.wfile.write(RECORDED["github"].encode())
            return
        self.send_header("Content-Length", str(HUGE))
        self.end_headers()
        drips = self.path.startswith("/drip")
        with contextlib.suppress(OSError):
            while server.sent < HUGE and not (drips and server.stopped.wait(0.05)):
                self.wfile.write(b" " if drips else b" " * 65536)
                server.sent += 1 if drips else 65536

    def log_message(self, *_arguments: t.Any) -> None:
        pass


class _RudeServer(http.server.ThreadingHTTPServer):
    """sent: so many bytes went out."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Rude)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.sent, self.stopped, self.meeting = 0, threading.Event(), threading.Barrier(5)


@contextlib.contextmanager
def rude_server() -> t.Iterator[_RudeServer]:
    server = _RudeServer()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.stopped.set()
        server.meeting.abort()
        server.shutdown()
        server.server_close()
        thread.join()


def test_pages_are_asked_and_judged(tmp_path: Path) -> None:
    metrics = tmp_path / "lifeline@providers.prom"
    with http_sink() as web:
        played(web, **RECORDED)
        pages = [page("supabase", web, "API*"), page("github", web), page("cloudflare", web, "R2")]
        given = {"pages": pages, "metrics_textfile": str(metrics)}
        returned = run_module("provider_status", given, check_mode=True)
        assert not metrics.exists()
        assert {one.path for one in web.seen} == {f"/{name}/api/v2/summary.json" for name in RECORDED}
        done = run_module("provider_status", given)
    assert [(one["name"], one["indicator"]) for one in done["pages"]] == [
        ("supabase", "critical"),
        ("github", "none"),
        ("cloudflare", "none"),
    ]
    assert (done["changed"], done["level"]) == (False, "critical")
    assert done["summary"] == (
        "supabase: critical - API Gateway is down (major_outage) since 2026-03-01T02:04:00.000+00:00; "
        "github: all operational; cloudflare: all operational."
    )
    assert done["breaches"] == [
        {
            "key": "@provider/supabase",
            "event": "provider.outage",
            "severity": "error",
            "source": "supabase",
            "message": f"{done['pages'][0]['summary']} https://stspg.io/inc1",
        }
    ]
    assert done["lines"] == [
        f"Provider {done['pages'][0]['summary']}",
        "  Next step: The provider has an outage: read its page, start no restore at the provider until it is over,"
        " or fail over.",
    ]
    assert done["pages"][0]["checked_at"].endswith("+00:00")
    assert set(done["timings"]) == {"ask", "total"}
    changing = ("timings", "pages", "invocation")
    assert {**returned, **dict.fromkeys(changing)} == {**done, **dict.fromkeys(changing)}
    assert 'lifeline_provider_level{provider="supabase"} 3\n' in metrics.read_text()
    assert metrics.stat().st_mode & 0o777 == 0o644


def test_an_invalid_page_is_unknown_and_names_the_reason() -> None:
    wrong = {
        "moved": Reply(301, {"Location": "https://me:hidden-word@new.example/api/v2/summary.json?key=hidden-word"}),
        "broken": Reply(500, body=RECORDED["github"]),
        "busy": Reply(429),
        "html": Reply(body="<html>All is well</html>"),
        "other": Reply(body='{"status": "ok"}'),
        "torn": Reply(reset=True),
        "cut": Reply(body=RECORDED["github"][:500]),
        "nested": Reply(body="[" * 200_000),
    }
    with http_sink() as web, hanging() as silent, rude_server() as rude:
        played(web, **wrong, github=RECORDED["github"])
        pages = [page(name, web) for name in ("github", *wrong)]
        pages += [{"name": f"silent{number}", "url": silent} for number in range(5)]
        pages += [{"name": "huge", "url": f"{rude.url}/huge"}, {"name": "drips", "url": f"{rude.url}/drip"}]
        pages += [{"name": "gone", "url": "http://127.0.0.1:1"}, {"name": "nowhere", "url": "http://no.such.invalid"}]
        done = run_module("provider_status", {"pages": pages, "timeout": 5})
    why = {one["name"]: one["why"] for one in done["pages"]}
    assert [one["name"] for one in done["pages"] if one["indicator"] != "unknown"] == ["github"]
    assert why.pop("github") == ""
    assert why.pop("moved") == "it answers with a redirect to https://new.example, which is not followed."
    assert why.pop("broken") == "it answers with HTTP 500."
    assert why.pop("busy") == "it answers with HTTP 429."
    assert why.pop("other") == "its status is not an object."
    assert {why.pop(name) for name in ("html", "cut", "nested")} == {"it does not answer in JSON."}
    assert why.pop("huge") == "its answer is larger than 8.0 MiB."
    assert rude.sent < HUGE // 2
    assert why.pop("drips") == "it did not answer within 5 seconds."
    for name in ("torn", "gone", "nowhere", *(f"silent{number}" for number in range(5))):
        assert why.pop(name).startswith(("it does not answer (", "it did not answer within 5 seconds"))
    assert why == {}
    assert (done["level"], done["breaches"]) == ("unknown", [])
    assert "github: all operational" in done["summary"]
    assert len(done["lines"]) == len(pages) - 1
    assert "hidden-word" not in json.dumps(done)


def test_pages_are_asked_side_by_side() -> None:
    with rude_server() as rude:
        pages = [{"name": f"page{number}", "url": f"{rude.url}/meet{number}"} for number in range(5)]
        assert run_module("provider_status", {"pages": pages, "timeout": 30})["level"] == "none"


def test_a_play_can_be_stopped_from_a_level_on() -> None:
    assert run_module("provider_status", {"fail_on": "unknown"})["summary"] == "No status page is configured."
    with http_sink() as web:
        played(web, **RECORDED)
        given = {"pages": [page("supabase", web), page("cloudflare", web)]}
        assert run_module("provider_status", {**given, "fail_on": "critical"})["level"] == "major"
        with pytest.raises(ModuleFailed) as caught:
            run_module("provider_status", {**given, "fail_on": "major"})
        result = caught.value.result
        assert result["error_kind"] == "check_failed"
        assert "API Gateway is down" in result["msg"]
        assert "AMS" not in result["msg"]
        assert "start no restore at the provider" in result["next_step"]
        assert [one["indicator"] for one in result["pages"]] == ["major", "maintenance"]
        gone = {"pages": [{"name": "gone", "url": "http://127.0.0.1:1"}]}
        assert run_module("provider_status", {**gone, "fail_on": "maintenance"})["level"] == "unknown"
        with pytest.raises(ModuleFailed, match="gone: unknown"):
            run_module("provider_status", {**gone, "fail_on": "unknown"})
        for wrong in (0, -1, 1e9, "nan"):
            with pytest.raises(ModuleFailed, match=r"timeout must be above 0"):
                run_module("provider_status", {**gone, "timeout": wrong})
        with pytest.raises(ModuleFailed) as caught:
            run_module("provider_status", {**given, "metrics_textfile": "/nowhere/x.prom"})
        assert (caught.value.result["error_kind"], caught.value.result["level"]) == ("report_failed", "major")


@pytest.mark.parametrize(
    "url", ["http://me:a-secret-word@127.0.0.1:1/github/", "http://127.0.0.1:1/?token=a-secret-word"]
)
def test_a_secret_in_an_address_is_refused_and_not_shown(url: str) -> None:
    with pytest.raises(ModuleFailed, match="has a login or a query") as caught:
        run_module("provider_status", {"pages": [{"name": "github", "url": url}]})
    assert "a-secret-word" not in json.dumps(caught.value.result)


def test_the_examples_run(tmp_path: Path) -> None:
    module = (ROOT / "plugins/modules/provider_status.py").read_text()
    (examples,) = re.findall(r'EXAMPLES = r"""\n(.*?)"""', module, re.DOTALL)
    levels = []
    with http_sink() as web:
        played(web, **RECORDED)
        for task in yaml.safe_load(examples):
            given = task["lifeline.recovery.provider_status"]
            for one in given["pages"]:
                one["url"] = f"{web.url}/{one['name']}"
            if "metrics_textfile" in given:
                given["metrics_textfile"] = str(tmp_path / "x.prom")
            try:
                levels.append(run_module("provider_status", given)["level"])
            except ModuleFailed as failed:
                levels.append(failed.result["level"])
    # The recorded pages have no Connection Pool, D1 or API.
    assert levels == ["major", "unknown", "unknown"]


def test_status_shows_the_providers_and_notifies_of_start_and_end_once(
    tmp_path: Path, folder_store: dict[str, t.Any]
) -> None:
    (tmp_path / "files").mkdir()
    (tmp_path / "files/first").write_text("first")
    files = {"provider": "directory", "path": str(tmp_path / "files")}
    run_module("bucket_backup", {"source": "media", "files": files, "store": folder_store})
    worse = json.loads(RECORDED["supabase"])
    worse["incidents"][0]["name"] = "{{ lookup('pipe', 'echo ran') }}"
    worse["components"] = []
    with http_sink() as web:
        variables: dict[str, t.Any] = {
            "recovery_store": folder_store,
            "recovery_files": files,
            "recovery_sources": [{"name": "media", "kind": "bucket"}],
            "recovery_status_pages": [page(name, web) for name in ("git", "github", "supabase", "cloudflare")],
            "recovery_channels": [{"name": "hook", "type": "webhook", "url": f"{web.url}/hook"}],
            "recovery_notify_state_path": str(tmp_path / "incidents.json"),
            "status_textfile_dir": str(tmp_path),
        }

        def look() -> str:
            web.seen.clear()
            done = play("status", variables, tmp_path)
            assert done.returncode == 0, done.stdout
            # With any answer of the providers, the sources are shown, and last.
            assert re.search(r"media +ok +yes", done.stdout)
            of_providers = [found.start() for found in re.finditer("Provider |Providers:|Status pages", done.stdout)]
            assert done.stdout.index("SOURCE") > max(of_providers, default=0)
            return done.stdout

        def returned() -> list[tuple[str, str, bool]]:
            return [
                (one.json["event"], one.json["source"], one.json["message"].startswith("Resolved: "))
                for one in web.at("/hook")
            ]

        down, well = RECORDED["supabase"], RECORDED["github"]
        degraded = well.replace('"indicator": "none"', '"indicator": "minor"')
        played(web, git=well, github=down, supabase=json.dumps(worse), cloudflare=degraded)
        shown = look()
        assert "Provider github: major - API Gateway is down (major_outage)" in shown
        assert "Provider supabase: major - { { lookup('pipe', 'echo ran') }} (identified) since 2026" in shown
        assert shown.count("Next step: The provider has an outage: read its page") == 3
        assert "Provider git:" not in shown
        assert returned() == [
            ("provider.outage", "github", False),
            ("provider.outage", "supabase", False),
            ("provider.degraded", "cloudflare", False),
        ]
        assert 'level{provider="github"} 2' in (tmp_path / "lifeline@providers.prom").read_text()

        # An outage that continues is not notified again. A silent page ends no incident, although its first part works.
        played(web, github=Reply(500), cloudflare=well)
        assert "Provider github: unknown - it answers with HTTP 500." in look()
        assert returned() == [("provider.degraded", "cloudflare", True)]

        played(web, github=well, supabase=well)
        assert "Providers: all operational" in look()
        assert returned() == [("provider.outage", "github", True), ("provider.outage", "supabase", True)]

        # A page that is configured wrong hides no source either, and the operator corrects it.
        variables["recovery_status_pages"][0]["name"] = "no name"
        assert "Status pages cannot be asked: 'no name' is not a valid name of a page." in look()
        assert returned() == [("status.failed", "provider", False)]
        variables["recovery_status_pages"] = ["https://status.example"]
        assert "Status pages cannot be asked: " in look()
        assert returned() == []

        # The incident of a page that is no longer read is over, and leaves nothing behind.
        variables["recovery_status_pages"] = [page("github", web)]
        played(web, github=down)
        look()
        assert returned() == [("status.failed", "provider", True), ("provider.outage", "github", False)]
        variables["recovery_status_pages"] = None
        look()
        assert returned() == [("provider.outage", "github", True)]
        assert not (tmp_path / "lifeline@providers.prom").exists()


def test_a_source_that_is_named_like_a_page_keeps_its_incidents(tmp_path: Path, folder_store: dict[str, t.Any]) -> None:
    Path(folder_store["path"]).mkdir()
    with http_sink() as web:
        played(web, status=RECORDED["supabase"])
        variables: dict[str, t.Any] = {
            "recovery_store": folder_store,
            "recovery_sources": [{"name": "provider", "kind": "bucket"}, {"name": "providers", "kind": "bucket"}],
            "recovery_status_pages": [page("status", web)],
            "recovery_channels": [{"name": "hook", "type": "webhook", "url": f"{web.url}/hook"}],
            "recovery_notify_state_path": str(tmp_path / "incidents.json"),
            "status_fail_on": "never",
        }
        for events in (["backup.missing", "backup.missing", "provider.outage"], []):
            web.seen.clear()
            assert play("status", variables, tmp_path).returncode == 0
            assert [one.json["event"] for one in web.at("/hook")] == events


def test_an_installed_host_asks_the_same_pages(tmp_path: Path) -> None:
    role = ROOT / "roles/monitoring"
    (task,) = [
        one
        for one in yaml.safe_load((role / "tasks/work.yml").read_text())
        if "monitoring_values" in one.get("vars", {})
    ]
    pages = [{"name": "github", "url": "https://www.githubstatus.com", "components": ["Git *"]}]
    content = {"dest": str(tmp_path / "kept.yml"), "content": task["ansible.builtin.copy"]["content"], "mode": "0600"}
    given = {
        "hosts": "localhost",
        "gather_facts": False,
        "vars_files": [str(role / "defaults/main.yml")],
        "vars": {"ansible_python_interpreter": "{{ ansible_playbook_python }}", "recovery_status_pages": pages},
        "tasks": [{"ansible.builtin.copy": content, "vars": task["vars"]}],
    }
    (tmp_path / "play.yml").write_text(json.dumps([given]))
    done = run_playbook(["-i", "localhost,", "-c", "local", "play.yml"], tmp_path, command_environment())
    assert done.returncode == 0, done.stdout + done.stderr
    assert yaml.safe_load((tmp_path / "kept.yml").read_text())["recovery_status_pages"] == pages
