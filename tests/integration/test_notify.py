# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Events reach real servers, and a failure of a server stops no operation."""

from __future__ import annotations

import json
import os
import re
import signal
import ssl
import subprocess
import sys
import time
import typing as t
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
import yaml

from ansible_collections.lifeline.recovery.plugins.module_utils._notify.channel import Channel, parse_channels
from ansible_collections.lifeline.recovery.plugins.module_utils._notify.event import parse_event
from ansible_collections.lifeline.recovery.plugins.module_utils._notify.transport import Patience, Undelivered, bring
from tests.support.fakes.sinks import HttpSink, Reply, SmtpSink, http_sink, smtp_sink
from tests.support.playbooks import command_environment, run_playbook
from tests.support.runner.modules import ModuleFailed, parse_result, run_module, start_module
from tests.support.runner.server import ROOT
from tests.support.servers.certificate import make_certificate

SECRET = "T0K3N-0f-n0b0dy"
NOW = datetime(2026, 3, 1, 2, 0, tzinfo=timezone.utc)
SOON = Patience(pause=0.01, longest=0.2)
FAILED = {"event": "backup.failed", "source": "school", "text": "No answer."}


@pytest.fixture
def web() -> t.Iterator[HttpSink]:
    with http_sink() as sink:
        yield sink


@pytest.fixture
def post() -> t.Iterator[SmtpSink]:
    with smtp_sink() as sink:
        yield sink


def hook(web: HttpSink, name: str = "hook", **options: t.Any) -> dict[str, t.Any]:
    return {"name": name, "type": "webhook", "url": f"{web.url}/{name}/{SECRET}", **options}


def mail(post: SmtpSink, **options: t.Any) -> dict[str, t.Any]:
    return {
        "name": "mail", "type": "email", "host": post.host, "port": post.port, "security": "none",
        "sender": "backup@example.org", "recipients": ["a@example.org", "b@example.org"], **options,
    }  # fmt: skip


def made(description: dict[str, t.Any]) -> Channel:
    (channel,), wrong = parse_channels([description])
    assert wrong == []
    return channel


def deliver(description: dict[str, t.Any]) -> str:
    return bring(made(description), parse_event(FAILED, NOW), SOON)


def undelivered(description: dict[str, t.Any]) -> str:
    with pytest.raises(Undelivered) as caught:
        deliver(description)
    assert SECRET not in caught.value.reason
    return caught.value.reason


def test_every_type_of_channel_is_notified(web: HttpSink, post: SmtpSink) -> None:
    channels = [
        hook(web),
        {"name": "slack", "type": "slack", "url": f"{web.url}/slack"},
        {"name": "duty", "type": "pagerduty", "url": f"{web.url}/duty", "routing_key": SECRET},
        {"name": "beat", "type": "heartbeat", "url": f"{web.url}/beat"},
        mail(post),
    ]
    result = run_module("notify", {**FAILED, "channels": channels, "timestamp": "2026-03-01T02:00:00Z"})
    assert {one["channel"] for one in result["sent"]} == {"hook", "slack", "duty", "beat", "mail"}
    assert result["undelivered"] == []
    assert web.at("/hook")[0].json == {
        "event": "backup.failed",
        "source": "school",
        "message": "No answer.",
        "timestamp": "2026-03-01T02:00:00.000+00:00",
    }
    assert "No answer." in web.at("/slack")[0].json["text"]
    assert web.at("/duty")[0].json["routing_key"] == SECRET
    assert web.at("/beat")[0].path == "/beat/fail"
    (letter,) = post.letters
    assert letter.recipients == ["a@example.org", "b@example.org"]
    assert "Subject: [critical] backup.failed of school\r\n" in letter.data
    assert SECRET not in json.dumps(result)


@pytest.mark.parametrize(
    "reply", [Reply(500), Reply(503), Reply(429, {"Retry-After": "0"}), Reply(reset=True), Reply(slow=1)]
)
def test_a_transient_refusal_is_retried(web: HttpSink, reply: Reply) -> None:
    web.replies["/hook"] = [reply, reply]
    assert deliver(hook(web, timeout=0.3)) == "HTTP 200"
    assert len(web.seen) == 3
    web.replies["/hook"] = [reply] * 3
    assert "after 3 tries" in undelivered(hook(web, timeout=0.3))


@pytest.mark.parametrize("status", [400, 404, 410, 302])
def test_a_refusal_is_not_retried_and_no_redirect_is_followed(web: HttpSink, status: int) -> None:
    web.replies["/hook"] = [Reply(status, {"Location": f"{web.url}/elsewhere"})]
    assert undelivered(hook(web)) == f"HTTP {status}"
    assert len(web.seen) == 1


def test_a_channel_that_requests_a_long_wait_is_skipped(web: HttpSink) -> None:
    later = (datetime.now(timezone.utc) + timedelta(hours=1)).strftime("%a, %d %b %Y %H:%M:%S GMT")
    web.replies["/hook"] = [Reply(429, {"Retry-After": "3600"}), Reply(503, {"Retry-After": later})]
    for status in (429, 503):
        assert undelivered(hook(web)) == f"HTTP {status}, after 1 try"
    assert len(web.seen) == 2


def test_an_unknown_heartbeat_does_not_count_as_notified(web: HttpSink) -> None:
    web.replies["/beat"] = [Reply(body="OK (not found)")]
    assert "does not know the heartbeat" in undelivered({"name": "beat", "type": "heartbeat", "url": f"{web.url}/beat"})


def test_a_url_that_cannot_be_asked_shows_nothing_of_itself() -> None:
    for url in (f"http://127.0.0.1:1/{SECRET}", f"http://{SECRET}.invalid/", f"https://[::1]:1/{SECRET}"):
        undelivered({"name": "hook", "type": "webhook", "url": url, "timeout": 1})


def test_certificates_are_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certificate, key = make_certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with http_sink(tls=context) as web, smtp_sink(tls=context) as post, smtp_sink(tls=context, implicit=True) as sealed:
        post.password = sealed.password = SECRET
        login = {"username": "lifeline", "password": SECRET}
        channels = [
            hook(web),
            mail(post, security="starttls", **login),
            mail(sealed, name="sealed", security="tls", **login),
        ]
        monkeypatch.delenv("SSL_CERT_FILE", raising=False)
        assert run_module("notify", {**FAILED, "channels": channels})["sent"] == []
        assert (web.seen, post.letters, sealed.letters) == ([], [], [])
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        assert len(run_module("notify", {**FAILED, "channels": channels})["sent"]) == 3
        for sink in (post, sealed):
            assert [(one.user, one.tls) for one in sink.letters] == [("lifeline", True)]


def test_mail_servers_that_put_off_or_refuse(post: SmtpSink) -> None:
    post.busy = 2
    assert deliver(mail(post)) == "SMTP 250"
    post.refused = {"b@example.org"}
    assert deliver(mail(post)) == "SMTP 250, refused for b@example.org"
    post.refused |= {"a@example.org"}
    assert undelivered(mail(post)) == "the server refuses all recipients"
    post.password = "another"
    assert undelivered(mail(post, username="lifeline", password=SECRET)) == "SMTP 535"
    assert "STARTTLS" in undelivered(mail(post, security="starttls"))


def test_a_fallback_channel_is_notified_once_while_the_first_is_retried(
    web: HttpSink, post: SmtpSink, tmp_path: Path
) -> None:
    channels = [hook(web, fallback="second", timeout=1), hook(web, "second", fallback="mail", events=["no.*"])]
    channels.append(mail(post, events=["no.*"]))
    options = {**FAILED, "channels": channels, "state_path": str(tmp_path / "state.json")}
    web.replies = {"/hook": [Reply(500)] * 6, "/second": [Reply(404)] * 2}
    result = run_module("notify", options)
    assert [one["channel"] for one in result["undelivered"]] == ["second", "hook"]
    assert result["undelivered"][1]["fallback"] == "mail"
    assert result["sent"][0]["status"] == "SMTP 250, in place of hook"
    assert "mail was notified instead" in result["warnings"][1]["event"]["msg"]
    run_module("notify", options)
    assert len(web.at("/hook")) == 6
    run_module("notify", options)
    assert len(web.at("/hook")) == 7
    run_module("notify", {**options, "event": "backup.recovered"})
    assert [len(web.at("/hook")), len(post.letters)] == [8, 2]


def test_a_silent_channel_is_not_tried_for_each_event(web: HttpSink) -> None:
    web.replies["/hook"] = [Reply(reset=True)] * 9
    events = [{"key": str(one), "event": "a.breach"} for one in range(3)]
    result = run_module("notify", {"source": "school", "events": events, "channels": [hook(web)]})
    assert len(result["undelivered"]) == 3
    assert len(web.seen) == 3


def test_a_failing_channel_fails_nothing_unless_strict_and_no_secret_shows(web: HttpSink) -> None:
    web.replies["/hook"] = [Reply(410), Reply(410)]
    channels = [hook(web), hook(web, "good"), {"name": "typo", "type": "slak", "url": f"{web.url}/{SECRET}"}]
    options = {**FAILED, "channels": channels}
    with start_module("notify", options) as process:
        output, errors = process.communicate()
    result = parse_result(output, errors)
    assert [one["channel"] for one in result["undelivered"]] == ["hook", "typo"]
    assert [one["channel"] for one in result["sent"]] == ["good"]
    assert SECRET.encode() not in output + errors
    with pytest.raises(ModuleFailed) as caught:
        run_module("notify", {**options, "strict": True})
    assert caught.value.result["error_kind"] == "notification_failed"
    assert SECRET not in json.dumps(caught.value.result)


def test_parallel_runs_notify_once(web: HttpSink, tmp_path: Path) -> None:
    options = {**FAILED, "channels": [hook(web)], "state_path": str(tmp_path / "state.json")}
    web.replies["/hook"] = [Reply(slow=0.5)]
    for process in [start_module("notify", options) for _one in range(3)]:
        with process:
            parse_result(*process.communicate())
    assert len(web.seen) == 1
    state = tmp_path / "state.json"
    assert state.stat().st_mode & 0o777 == 0o600
    assert SECRET not in state.read_text()


def test_an_unusable_state_file_silences_no_channel(web: HttpSink, tmp_path: Path) -> None:
    state = tmp_path / "state.json"
    state.write_text('{"incidents": [')
    options = {**FAILED, "channels": [hook(web)], "state_path": str(state)}
    assert "was renamed to" in run_module("notify", options)["problems"][0]
    assert (tmp_path / "state.json.damaged").read_text() == '{"incidents": ['
    assert run_module("notify", options)["sent"] == []
    nowhere = run_module("notify", {**options, "state_path": str(tmp_path / "no/state.json")})
    assert "cannot store the state of notifications" in nowhere["problems"][0]
    assert len(nowhere["sent"]) == 1
    assert len(web.seen) == 2


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can leave files to others")
def test_the_state_file_of_root_belongs_to_the_owner_of_its_folder(web: HttpSink, tmp_path: Path) -> None:
    """Else one look by root would end the memory of the user that looks every minute."""
    folder = tmp_path / "home"
    folder.mkdir()
    os.chown(folder, 65534, 65534)
    state = folder / "incidents.json"
    for _run in range(2):
        run_module("notify", {**FAILED, "channels": [hook(web)], "state_path": str(state)})
        assert {(path.stat().st_uid, path.stat().st_gid) for path in folder.iterdir()} == {(65534, 65534)}
        assert state.with_suffix(".json.lock").exists()


def test_check_mode_sends_and_remembers_nothing(web: HttpSink, tmp_path: Path) -> None:
    options = {**FAILED, "channels": [hook(web)], "state_path": str(tmp_path / "state.json")}
    result = run_module("notify", options, check_mode=True)
    assert result["sent"][0]["status"] == "would be sent"
    assert web.seen == []
    assert list(tmp_path.iterdir()) == []


def test_an_evaluation_opens_and_closes_incidents_and_escalates(web: HttpSink, tmp_path: Path) -> None:
    state = tmp_path / "state.json"
    channels = [
        {"name": "duty", "type": "pagerduty", "url": f"{web.url}/duty", "routing_key": SECRET},
        hook(web, after_seconds=900),
    ]
    shared = {"event": "monitoring.breach", "source": "school", "complete": True, "state_path": str(state)}
    breach = {"key": "backup_age", "event": "backup.overdue", "severity": "critical", "message": "Too old."}
    with pytest.raises(ModuleFailed, match="An event has no field url"):
        run_module("notify", {**shared, "events": [{**breach, "url": "x"}], "channels": channels})
    for _again in range(3):
        run_module("notify", {**shared, "events": [breach], "channels": channels})
    assert [one.json["event_action"] for one in web.seen] == ["trigger"]
    document = json.loads(state.read_text())
    earlier = datetime.now(timezone.utc) - timedelta(minutes=15)
    document["incidents"]["school/backup_age"]["since"] = earlier.isoformat()
    state.write_text(json.dumps(document))
    run_module("notify", {**shared, "events": [breach], "channels": channels})
    assert [one.json["message"] for one in web.at("/hook")] == ["Too old."]
    run_module("notify", {**shared, "events": [], "channels": channels})
    assert [one.json["message"] for one in web.at("/hook")] == ["Too old.", "Resolved: Too old."]
    assert [one.json["event_action"] for one in web.at("/duty")] == ["trigger", "resolve"]
    assert {one.json["dedup_key"] for one in web.at("/duty")} == {"school/backup_age"}


def test_the_examples_run() -> None:
    text = (ROOT / "plugins/modules/notify.py").read_text()
    examples = re.search(r'EXAMPLES = r"""\n(.*?)"""', text, re.DOTALL)
    assert examples is not None
    for task in yaml.safe_load(examples[1].replace("{{ vault_heartbeat_url }}", "https://example.org/ping")
                               .replace("{{ vault_slack_url }}", "https://example.org/hook")):  # fmt: skip
        options = {**task["lifeline.recovery.notify"]}
        options.pop("state_path", None)
        result = run_module("notify", options, check_mode=True)
        assert result["undelivered"] == []
        assert result["sent"]


def play(playbook: str, variables: dict[str, t.Any], folder: Path) -> tuple[int, str]:
    done = run_playbook(_arguments(playbook, variables, folder), folder, command_environment())
    return done.returncode, done.stdout + done.stderr


def start_play(playbook: str, variables: dict[str, t.Any], folder: Path, *more: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [str(Path(sys.executable).parent / "ansible-playbook"), *_arguments(playbook, variables, folder), *more],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=folder, start_new_session=True,
        env=command_environment(),
    )  # fmt: skip


def play_verbosely(playbook: str, variables: dict[str, t.Any], folder: Path) -> tuple[int, str]:
    """Run the command itself, which at this level prints the process of each module."""
    with start_play(playbook, variables, folder, "-vvv") as process:
        output, _none = process.communicate()
    return process.returncode, output


def _arguments(playbook: str, variables: dict[str, t.Any], folder: Path) -> list[str]:
    file = folder / "variables.json"
    file.write_text(json.dumps({"ansible_python_interpreter": sys.executable, **variables}))
    return ["-i", "localhost,", "-c", "local", playbook, "-e", f"@{file}"]


#: A job as roles write it: the block is the work, and the event at its end depends on its result.
JOB = """
- hosts: localhost
  gather_facts: false
  vars:
    notify_source: school
  tasks:
    - ansible.builtin.include_role: {name: lifeline.recovery.notify}
      vars: {notify_event: backup.started, notify_run_id: job-7}
    - block:
        - ansible.builtin.command: "{{ work }}"
          register: done
      always:
        - ansible.builtin.include_role: {name: lifeline.recovery.notify}
          vars:
            notify_event: "backup.{{ 'succeeded' if done is succeeded else 'failed' }}"
            notify_run_id: job-7
"""


@pytest.fixture
def job(tmp_path: Path) -> str:
    (tmp_path / "job.yml").write_text(JOB)
    return str(tmp_path / "job.yml")


def test_a_heartbeat_sees_how_a_job_went(job: str, web: HttpSink, tmp_path: Path) -> None:
    beat = [{"name": "beat", "type": "heartbeat", "url": f"{web.url}/beat"}]
    for work, code in (("true", 0), ("false", 2)):
        assert play(job, {"work": work, "recovery_channels": beat}, tmp_path)[0] == code
    assert [one.path.split("?")[0] for one in web.seen] == ["/beat/start", "/beat", "/beat/start", "/beat/fail"]
    assert len({one.path.split("?")[1] for one in web.seen}) == 1


def test_of_a_job_that_was_killed_only_the_start_is_known(job: str, web: HttpSink, tmp_path: Path) -> None:
    beat = [{"name": "beat", "type": "heartbeat", "url": f"{web.url}/beat"}]
    waiting = tmp_path / "waiting"
    script = tmp_path / "work.sh"
    script.write_text(f"#!/bin/sh\ntouch {waiting}\nexec sleep 60\n")
    script.chmod(0o700)
    with start_play(job, {"work": str(script), "recovery_channels": beat}, tmp_path) as process:
        deadline = time.monotonic() + 60
        while not waiting.exists():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGKILL)
    assert [one.path.split("?")[0] for one in web.seen] == ["/beat/start"]


def test_wrong_channels_are_seen_and_fail_no_work(tmp_path: Path) -> None:
    url = f"https://example.org/{SECRET}"
    wrong: list[t.Any] = [
        [{"name": "a", "type": "slack", "urll": url}],
        [{"name": "b", "type": "slak", "url": url}],
        [{"name": "c", "type": "webhook", "url": f"http://127.0.0.1:1/{SECRET}"}],
        [url],
        {"name": "e", "url": url},
    ]
    (tmp_path / "all.yml").write_text("""
- hosts: localhost
  gather_facts: false
  tasks:
    - ansible.builtin.include_role: {name: lifeline.recovery.notify}
      vars: {notify_event: backup.failed, notify_channels: "{{ wrong[item] }}"}
      loop: "{{ range(wrong | length) | list }}"
""")
    code, output = play_verbosely(str(tmp_path / "all.yml"), {"wrong": wrong}, tmp_path)
    assert code == 0, output
    for said in (
        "urll",
        "type of channel b is unknown",
        "c was not notified of backup.failed",
        "dictionary",
        "to list",
    ):
        assert said in output
    assert SECRET not in output


def test_failed_work_stays_failed_when_no_channel_can_be_notified(job: str, tmp_path: Path) -> None:
    channels = [{"name": "a", "type": "slack", "url": "{{ vault_of_nobody }}"}]
    code, output = play(job, {"work": "false", "recovery_channels": channels}, tmp_path)
    assert code == 2
    assert "a variable in them is not defined" in output
    assert "rescued=2" in output


def test_the_test_of_alerts_reaches_every_channel_and_names_who_failed(
    web: HttpSink, post: SmtpSink, tmp_path: Path
) -> None:
    name = "lifeline.recovery.notify_test"
    duty = {"name": "duty", "type": "pagerduty", "url": f"{web.url}/duty", "routing_key": SECRET, "fallback": "mail"}
    channels = [hook(web, severities=["critical"], after_seconds=3600), mail(post, events=["no.*"]), duty]
    code, output = play(name, {"recovery_channels": channels}, tmp_path)
    assert code == 0, output
    assert all(f"{one} took it" in output for one in ("hook", "mail", "duty"))
    assert [one.json["event_action"] for one in web.at("/duty")] == ["trigger", "resolve"]
    assert [len(web.at("/hook")), len(post.letters)] == [1, 1]
    web.replies["/hook"] = [Reply(404)]
    code, output = play_verbosely(name, {"recovery_channels": channels}, tmp_path)
    assert code == 2
    assert "Channel hook was not notified of notify.test: HTTP 404." in output
    assert SECRET not in output
    assert web.at("/duty")[-1].json["event_action"] == "resolve"
    assert play(name, {}, tmp_path)[0] == 2
