# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Payloads of events per type of channel."""

from __future__ import annotations

import json
import typing as t
from datetime import datetime, timezone

import jsonschema
import pytest

from ansible_collections.lifeline.recovery.plugins.module_utils._notify.channel import Channel, parse_channels
from ansible_collections.lifeline.recovery.plugins.module_utils._notify.event import Event, parse_event
from ansible_collections.lifeline.recovery.plugins.module_utils._notify.messages import hint
from ansible_collections.lifeline.recovery.plugins.module_utils._notify.payloads import (
    dedup_key,
    mail_for,
    parcel_for,
)

MOMENT = datetime(2026, 3, 1, 2, 30, 0, 250000, tzinfo=timezone.utc)
STAMP = "2026-03-01T02:30:00.250+00:00"
#: As PagerDuty describes its Events API v2.
PAGERDUTY: dict[str, t.Any] = {
    "type": "object",
    "required": ["routing_key", "event_action", "dedup_key"],
    "additionalProperties": False,
    "properties": {
        "routing_key": {"type": "string"},
        "event_action": {"enum": ["trigger", "resolve"]},
        "dedup_key": {"type": "string", "maxLength": 255},
        "payload": {
            "type": "object",
            "required": ["summary", "source", "severity"],
            "additionalProperties": False,
            "properties": {
                "summary": {"type": "string", "maxLength": 1024, "minLength": 1},
                "source": {"type": "string", "minLength": 1},
                "severity": {"enum": ["critical", "error", "warning", "info"]},
                "timestamp": {"type": "string", "format": "date-time"},
                "class": {"type": "string"},
                "custom_details": {"type": "object"},
            },
        },
    },
    "if": {"properties": {"event_action": {"const": "trigger"}}},
    "then": {"required": ["payload"]},
}


def channel(kind: str, **options: t.Any) -> Channel:
    (made,), wrong = parse_channels(
        [{"name": "it", "type": kind, "url": "https://example.org/hook", "routing_key": "key", **options}]
    )
    assert wrong == []
    return made


def event(name: str = "backup.failed", *, drill: bool = False, **options: t.Any) -> Event:
    return parse_event({"event": name, "source": "school", "text": "No answer.", **options}, MOMENT, drill=drill)


def sent(kind: str, one: Event, **options: t.Any) -> t.Any:
    return json.loads(parcel_for(channel(kind, **options), one).body)


@pytest.mark.parametrize("name", ["backup.started", "prune.succeeded", "backup.failed", "drill.overdue"])
@pytest.mark.parametrize("kind", ["slack", "mail"])
def test_no_text_repeats_the_event_and_its_source(name: str, kind: str) -> None:
    one = event(name, text="")
    if kind == "slack":
        text = sent("slack", one)["text"]
    else:
        text = f"[{one.severity}] {one.event} of {one.source}: {one.message}"
    assert text.count(name) == 1, text
    assert text.count("school") == 1, text
    assert event("restore.succeeded", text="", details={"summary": "12 rows."}).message == "12 rows."


def test_a_webhook_gets_exactly_the_four_names_of_the_plan() -> None:
    assert sent("webhook", event(details={"tier": "daily"})) == {
        "event": "backup.failed",
        "message": "No answer.",
        "timestamp": STAMP,
        "source": "school",
    }


def test_a_webhook_that_asks_for_details_gets_all_facts() -> None:
    facts = sent("webhook", event(details={"error_kind": "store_full", "tier": "daily"}), details=True)["details"]
    assert facts.pop("hint").startswith("Apply retention")
    assert facts == {
        "error_kind": "store_full",
        "tier": "daily",
        "severity": "critical",
        "key": "school/backup",
        "resolved": False,
    }


@pytest.mark.parametrize("severity", ["info", "warning", "error", "critical"])
def test_pagerduty_gets_what_its_description_allows(severity: str) -> None:
    one = event(severity=severity, text="x" * 3000, key="k" * 400, details={"when": MOMENT})
    payload = sent("pagerduty", one)
    jsonschema.validate(payload, PAGERDUTY, format_checker=jsonschema.FormatChecker())
    assert payload["payload"]["severity"] == severity
    assert payload["payload"]["timestamp"] == STAMP


def test_pagerduty_closes_what_it_opened() -> None:
    opened, closed = sent("pagerduty", event()), sent("pagerduty", event("backup.succeeded"))
    jsonschema.validate(closed, PAGERDUTY)
    assert closed == {"routing_key": "key", "event_action": "resolve", "dedup_key": opened["dedup_key"]}


def test_long_keys_stay_apart() -> None:
    keys = {dedup_key("k" * 300 + end) for end in "ab"}
    assert len(keys) == 2
    assert max(map(len, keys)) <= 255
    assert dedup_key("school/backup") == "school/backup"


def test_slack_shows_message_and_next_step_without_mentions() -> None:
    payload = sent("slack", event(text="<!channel> & more", details={"next_step": "Start the server."}))
    text = payload["blocks"][0]["text"]["text"]
    assert "&lt;!channel&gt; &amp; more" in text
    assert "Start the server." in text
    assert payload["text"].startswith("[critical] backup.failed of school")
    assert all(len(block.get("text", {}).get("text", "")) <= 3000 for block in payload["blocks"])


@pytest.mark.parametrize(
    ("name", "options", "path"),
    [
        ("backup.started", {}, "/ping/start"),
        ("backup.succeeded", {}, "/ping"),
        ("backup.failed", {}, "/ping/fail"),
        ("storage.full", {"severity": "critical"}, "/ping/fail"),
        ("backup.late", {"severity": "warning"}, "/ping/log"),
    ],
)
def test_a_heartbeat_is_called_where_the_event_belongs(name: str, options: dict[str, t.Any], path: str) -> None:
    one = channel("heartbeat", url="https://example.org/ping/?create=1")
    parcel = parcel_for(one, event(name, **options))
    assert parcel.url == f"https://example.org{path}?create=1"
    run = "0b0dd7ea-6a5a-4f0a-8f0e-2f6d9b1f5a11"
    assert parcel_for(one, event(name, run_id=run, **options)).url.endswith(f"?create=1&rid={run}")
    assert parcel_for(one, event(name, run_id="job 7")).url == parcel_for(one, event(name, run_id="job 7")).url


def mailed(one: Event) -> t.Any:
    made = channel("email", host="h", sender="backup@example.org", recipients=["a@example.org", "b@example.org"])
    assert made.mail is not None
    return mail_for(made.mail, one)


def test_the_mail_of_a_set_names_it_and_its_size() -> None:
    details = {"set_id": "20260301T020005Z", "tier": "daily", "bytes_plain": 734003200, "bytes_stored": 183500800}
    letter = mailed(event("backup.succeeded", text="", details=details))
    assert letter["Subject"] == "[info] backup.succeeded of school"
    first = letter.get_content().splitlines()[0]
    assert first == "Daily backup completed successfully - 20260301T020005Z - 175.0 MiB"
    assert letter["Importance"] is None


def test_mail_of_a_failure_has_high_priority_and_the_next_step() -> None:
    letter = mailed(event(text="No\nanswer.", details={"error_kind": "unreachable"}))
    assert letter["Subject"] == "[critical] backup.failed of school"
    assert (letter["Importance"], letter["X-Priority"]) == ("high", "1")
    assert "Next step: Check that the server runs" in letter.get_content()
    assert mailed(event(resolved=True))["Subject"] == "[resolved] backup.failed of school"


def test_message_of_a_failed_module_states_each_fact_once() -> None:
    what, next_step = "PostgreSQL at db1:5432/school cannot be reached.", "Check login_host and the firewall."
    details = {"msg": f"{what} Nothing was changed. {next_step}", "what": what, "next_step": next_step}
    one = event(text="", details={**details, "error_kind": "unreachable", "_ansible_parsed": True, "changed": False})
    for read in (mailed(one).get_content(), sent("slack", one)["blocks"][0]["text"]["text"]):
        assert (read.count(what), read.count(next_step), read.count("Nothing was changed.")) == (1, 1, 1)
        assert "_ansible" not in read
    assert "error_kind: unreachable" in mailed(one).get_content()


def test_missing_confirmation_is_only_a_warning() -> None:
    assert event("restore.failed", details={"error_kind": "confirmation_required"}).severity == "warning"
    assert event("restore.failed", details={"error_kind": "restore_failed"}).severity == "critical"


def test_message_of_a_breach_names_the_source_once() -> None:
    one = event("drill.overdue", text="school: its recovery was never rehearsed.")
    assert sent("slack", one)["text"] == "[warning] drill.overdue of school: its recovery was never rehearsed."
    assert sent("pagerduty", one)["payload"]["summary"] == "drill.overdue of school: its recovery was never rehearsed."
    assert "Next step: Run drill.yml" in mailed(one).get_content()


def test_a_source_with_line_breaks_makes_no_header() -> None:
    assert mailed(event(source="a\r\nBcc: c@example.org"))["Bcc"] is None


@pytest.mark.parametrize("kind", ["webhook", "slack", "pagerduty"])
def test_everything_of_a_drill_has_its_watermark(kind: str) -> None:
    payload = sent(kind, event(drill=True))
    texts = {
        "webhook": lambda: payload["message"],
        "slack": lambda: payload["text"],
        "pagerduty": lambda: payload["payload"]["summary"],
    }
    assert texts[kind]().startswith("[DRILL] ")
    assert mailed(event(drill=True))["Subject"].startswith("[DRILL] ")
    assert payload.get("dedup_key", "drill/school/backup") == "drill/school/backup"


def test_the_result_of_a_module_may_be_the_details() -> None:
    failed = {"failed": True, "msg": "It broke. Mend it.", "next_step": "Mend it.", "invocation": {"module_args": {}}}
    one = event(text="", details=failed)
    assert one.message == "It broke. Mend it."
    assert dict(one.details) == {"next_step": "Mend it."}


def test_invocation_of_modules_is_removed_at_any_depth() -> None:
    asked = {"invocation": {"module_args": {"login_password": "secret"}}, "msg": "It broke."}
    one = event(details={"results": [asked, {"inner": asked}]})
    assert "secret" not in json.dumps(sent("webhook", one, details=True))
    assert sent("webhook", one, details=True)["details"]["results"][0] == {"msg": "It broke."}


def test_huge_result_is_shortened_and_sent() -> None:
    many = {f"fact {number}": ["x" * 1000] * 100 for number in range(50)}
    body = parcel_for(channel("pagerduty"), event(details=many)).body
    assert len(body) < 512 * 1024
    assert json.loads(body)["payload"]["custom_details"]["severity"] == "critical"


@pytest.mark.parametrize("kind", ["slack", "pagerduty", "webhook", "heartbeat"])
def test_bytes_that_are_not_utf8_can_be_sent(kind: str) -> None:
    one = event(text="no file \udcff", details={"name\udcfe": ["\udcfd"]})
    parcel_for(channel(kind, details=True), one).body.decode()
    assert "?" in mailed(one).get_content()


@pytest.mark.parametrize("verb", ["restore", "restore_rows"])
def test_a_restore_of_rows_has_the_hints_of_a_restore(verb: str) -> None:
    assert "restore a set from before it" in hint(event(f"{verb}.unchanged"))
    assert "The target is unchanged" in hint(event(f"{verb}.failed"))
