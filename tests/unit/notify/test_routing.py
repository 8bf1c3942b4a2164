# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Routing of events to channels, with escalation, repetition and ends."""

from __future__ import annotations

import typing as t
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.lifeline.recovery.plugins.module_utils._core.errors import RecoveryError
from ansible_collections.lifeline.recovery.plugins.module_utils._core.severity import SEVERITIES
from ansible_collections.lifeline.recovery.plugins.module_utils._notify.channel import Channel, parse_channels
from ansible_collections.lifeline.recovery.plugins.module_utils._notify.event import Event, parse_event
from ansible_collections.lifeline.recovery.plugins.module_utils._notify.routing import Memory, Rules, plan, remember

BEGIN = datetime(2026, 3, 1, 2, 0, tzinfo=timezone.utc)
URL = "https://example.org/hook"


def channel(name: str, **options: t.Any) -> Channel:
    (made,), wrong = parse_channels([{"name": name, "type": "webhook", "url": URL, **options}])
    assert wrong == []
    return made


def event(name: str = "backup.failed", *, now: datetime = BEGIN, **options: t.Any) -> Event:
    return parse_event({"event": name, "source": "school", **options}, now)


class Desk:
    """Channels and what they know; everything that is sent arrives, but at those that are down."""

    def __init__(self, *channels: Channel) -> None:
        self.channels = channels
        self.memory: Memory = {}
        self.down: set[str] = set()

    def tell(self, *events: Event, after: timedelta = timedelta(), **rules: t.Any) -> list[str]:
        """The sent events, as C(channel:event), with C(:end) for resolved ones."""
        now = BEGIN + after
        deliveries, incidents = plan(events, self.channels, self.memory, Rules(now, **rules))
        arrived = [one for one in deliveries if one.channel.name not in self.down]
        self.memory = remember(incidents, [(one, one.channel.name) for one in arrived], now)
        return [
            f"{one.channel.name}:{one.event.event}" + (":end" if one.event.resolved else "")
            for one in arrived
        ]  # fmt: skip


@pytest.mark.parametrize("minutes", [15, 30, 60])
def test_next_level_is_notified_once_after_its_time(minutes: int) -> None:
    desk = Desk(channel("duty"), channel("lead", after_seconds=minutes * 60))
    assert desk.tell(event()) == ["duty:backup.failed"]
    assert desk.tell(after=timedelta(minutes=minutes, milliseconds=-1)) == []
    assert desk.tell(after=timedelta(minutes=minutes)) == ["lead:backup.failed"]
    assert desk.tell(event(), after=timedelta(minutes=minutes + 1)) == []


def test_ten_failures_are_one_incident_with_one_end() -> None:
    desk = Desk(channel("duty"), channel("lead", after_seconds=3600))
    returned = [desk.tell(event(), after=timedelta(minutes=one)) for one in range(10)]
    assert returned == [["duty:backup.failed"]] + [[]] * 9
    assert desk.tell(event(resolved=True), after=timedelta(minutes=20)) == ["duty:backup.failed:end"]
    assert desk.memory == {}
    assert desk.tell(event(resolved=True)) == []
    assert desk.tell(event()) == ["duty:backup.failed"]


def test_ten_failures_in_one_call_are_one_message() -> None:
    assert Desk(channel("duty")).tell(*[event()] * 10) == ["duty:backup.failed"]


def test_success_ends_the_incident_for_notified_channels() -> None:
    desk = Desk(channel("duty", severities=["critical"]), channel("mail", severities=["info"]))
    desk.tell(event())
    assert desk.tell(event("backup.succeeded")) == ["duty:backup.succeeded:end", "mail:backup.succeeded:end"]
    assert desk.tell(event("backup.succeeded")) == ["mail:backup.succeeded:end"]


def test_incident_is_sent_again_only_if_it_gets_worse() -> None:
    desk = Desk(channel("duty"))
    for severity, returned in [("warning", 1), ("critical", 1), ("warning", 0), ("critical", 0)]:
        assert len(desk.tell(event("storage.full", severity=severity))) == returned, severity


def test_channel_of_higher_severity_is_notified_when_it_is_reached() -> None:
    desk = Desk(channel("lead", severities=["critical"], after_seconds=900))
    assert desk.tell(event("storage.full", severity="warning")) == []
    assert desk.tell(event("storage.full", severity="critical"), after=timedelta(minutes=20)) == ["lead:storage.full"]


def test_evaluation_ends_exactly_the_incidents_it_lacks() -> None:
    desk = Desk(channel("duty"))
    desk.tell(event())
    desk.tell(event("backup.late", source="media", key="media/age"), complete="media/")
    breaches = [event("a.breach", key="age", severity="error"), event("a.breach", key="size", severity="warning")]
    assert len(desk.tell(*breaches, complete="school/")) == 2
    assert desk.tell(breaches[0], complete="school/") == ["duty:a.breach:end"]
    assert set(desk.memory) == {"school/backup", "school/age", "media/age"}
    assert desk.tell(complete="school/") == ["duty:a.breach:end"]
    assert set(desk.memory) == {"school/backup", "media/age"}


def test_a_prefix_is_whole_words() -> None:
    desk = Desk(channel("duty"))
    keys = ("provider/git", "provider/git:api", "provider/github", "provider/git-lab")
    desk.tell(*[event("a.breach", key=key, severity="error") for key in keys], complete="provider/")
    desk.tell(complete="provider/git")
    assert set(desk.memory) == {"provider/github", "provider/git-lab"}


def test_a_run_that_failed_again_is_not_over_because_a_look_sees_nothing_of_it() -> None:
    desk = Desk(channel("duty"))
    desk.tell(event(), complete="school/")
    desk.tell(event())
    assert desk.tell(complete="school/") == []
    assert desk.tell(event("backup.succeeded")) == ["duty:backup.succeeded:end"]


def test_failed_channel_is_notified_next_time_also_of_the_end() -> None:
    desk = Desk(channel("duty"), channel("mail"))
    desk.down = {"duty"}
    assert desk.tell(event()) == ["mail:backup.failed"]
    desk.down = {"mail"}
    assert desk.tell() == ["duty:backup.failed"]
    assert desk.tell(event(resolved=True)) == ["duty:backup.failed:end"]
    desk.down = set()
    assert desk.tell() == ["mail:backup.failed:end"]
    assert desk.memory == {}


def test_reopened_incident_continues_for_channels_without_its_end() -> None:
    desk = Desk(channel("duty"), channel("mail"), channel("lead", after_seconds=900))
    hour = timedelta(hours=1)
    desk.tell(event())
    desk.down = {"duty"}
    assert desk.tell(event(resolved=True)) == ["mail:backup.failed:end"]
    desk.down = set()
    assert desk.tell(event(now=BEGIN + hour), after=hour) == ["mail:backup.failed"]
    assert desk.tell(after=hour + timedelta(minutes=15)) == ["lead:backup.failed"]
    ended = desk.tell(event(resolved=True), after=2 * hour)
    assert sorted(ended) == ["duty:backup.failed:end", "lead:backup.failed:end", "mail:backup.failed:end"]


def test_removed_channel_gets_no_end() -> None:
    desk = Desk(channel("old"))
    desk.tell(event())
    desk.channels = (channel("new"),)
    desk.tell(event(resolved=True))
    assert desk.memory == {}


def test_incident_is_repeated_after_a_day() -> None:
    desk = Desk(channel("duty"))
    desk.tell(event(), repeat_seconds=79200)
    assert desk.tell(event(), after=timedelta(hours=1), repeat_seconds=79200) == []
    assert desk.tell(after=timedelta(days=1), repeat_seconds=79200) == []
    assert desk.tell(event(), after=timedelta(days=1), repeat_seconds=79200) == ["duty:backup.failed"]


def test_a_heartbeat_hears_of_every_run_and_of_its_own_source_alone() -> None:
    desk = Desk(channel("beat", type="heartbeat", sources=["school"]), channel("mail", severities=["error"]))
    for name in ("backup.started", "backup.failed", "backup.failed", "backup.succeeded"):
        assert f"beat:{name}" in [one.removesuffix(":end") for one in desk.tell(event(name))]
    assert desk.tell(event(source="media")) == []


def test_channels_get_the_severities_and_events_that_they_name() -> None:
    desk = Desk(channel("all"), channel("bad", severities=["critical"]), channel("drills", events=["drill.*"]))
    assert desk.tell(event("backup.late")) == ["all:backup.late"]
    assert desk.tell(event("drill.failed")) == ["all:drill.failed", "bad:drill.failed", "drills:drill.failed"]


def test_success_is_sent_only_to_channels_that_request_it() -> None:
    desk = Desk(channel("duty", type="pagerduty", routing_key="k"))
    assert desk.tell(event("backup.succeeded")) == []
    assert desk.tell(event("backup.failed")) == ["duty:backup.failed"]


def test_a_drill_is_an_incident_of_its_own_and_stops_no_heartbeat() -> None:
    desk = Desk(channel("duty"), channel("quiet", drills=False), channel("beat", type="heartbeat"))
    assert desk.tell(event()) == ["beat:backup.failed", "duty:backup.failed", "quiet:backup.failed"]
    practised = parse_event({"event": "backup.failed", "source": "school"}, BEGIN, drill=True)
    assert desk.tell(practised) == ["duty:backup.failed"]
    ended = parse_event({"event": "backup.succeeded", "source": "school"}, BEGIN, drill=True)
    assert desk.tell(ended) == ["duty:backup.succeeded:end"]
    assert set(desk.memory) == {"school/backup"}


def test_without_state_problems_are_sent_and_pagerduty_gets_ends() -> None:
    channels = [channel("duty", type="pagerduty", routing_key="k"), channel("bad", severities=["critical"])]
    for _again in range(2):
        sent, _incidents = plan([event()], channels, None, Rules(BEGIN))
        assert [one.channel.name for one in sent] == ["duty", "bad"]
    sent, _incidents = plan([event("backup.succeeded")], channels, None, Rules(BEGIN))
    assert [one.channel.name for one in sent] == ["duty"]


@given(
    st.lists(
        st.tuples(st.sampled_from([*SEVERITIES[1:], "end", "look"]), st.integers(0, 1200), st.sets(st.just("duty"))),
        max_size=12,
    )
)
def test_notified_channel_gets_the_end_once(
    steps: list[tuple[str, int, set[str]]],
) -> None:
    desk = Desk(channel("duty"), channel("lead", after_seconds=900))
    moment, owed = 0, dict.fromkeys(("duty", "lead"), False)
    for what, seconds, down in [*steps, ("end", 0, set()), ("look", 0, set())]:
        moment += seconds
        desk.down = down
        events = [] if what == "look" else [event(severity="error" if what == "end" else what, resolved=what == "end")]
        for said in desk.tell(*events, after=timedelta(seconds=moment)):
            ended = said.endswith(":end")
            assert owed[said.split(":")[0]] or not ended
            owed[said.split(":")[0]] = not ended
    assert not any(owed.values())
    assert desk.memory == {}


@pytest.mark.parametrize(
    ("wrong", "word"),
    [
        ({"type": "slak"}, "type"),
        ({"name": ""}, "name"),
        ({"url": "hooks.example.org"}, "url"),
        ({"url": "https://exa mple.org"}, "url"),
        ({"url": "https://example.org:port"}, "url"),
        ({"severities": ["fatal"]}, "fatal"),
        ({"fallback": "nobody"}, "nobody"),
        ({"fallback": "one"}, "another channel"),
        ({"type": "pagerduty"}, "routing_key"),
        ({"after_seconds": -1}, "must be at least 0"),
        ({"after_seconds": "15min"}, "after_seconds"),
        ({"after_seconds": "nan"}, "after_seconds"),
        ({"timeout": True}, "timeout"),
        ({"timeout": {"seconds": 5}}, "timeout"),
        ({"drills": "never"}, "drills"),
        ({"details": []}, "details"),
        ({"type": "email", "host": "h", "sender": "a@b", "recipients": ["c@d"], "port": "smtp"}, "port"),
        ({"type": "email", "host": "h", "sender": "a@b", "recipients": ["c@d"], "port": 25.5}, "port"),
        ({"type": "heartbeat", "after_seconds": 60}, "cannot have after_seconds"),
        ({"type": "heartbeat", "method": "PUT"}, "method"),
        ({"type": "email"}, "recipients"),
        ({"type": "email", "host": "h", "sender": "a@b", "recipients": ["a@b\r\nBcc: c@d"]}, "address"),
        ({"type": "email", "host": "h", "sender": "a@b", "recipients": ["c@d"], "security": "ssl"}, "security"),
        (
            {"type": "email", "host": "h", "sender": "a@b", "recipients": ["c@d"], "security": "none", "username": "u"},
            "without encryption",
        ),
    ],
)
def test_a_wrong_channel_is_named_without_its_secret_and_silences_no_other(wrong: dict[str, t.Any], word: str) -> None:
    one = {"name": "one", "type": "webhook", "url": "https://example.org/s3cret", **wrong}
    channels, reasons = parse_channels([one, {"name": "two", "type": "webhook", "url": URL}])
    assert [channel.name for channel in channels] == ["two"]
    ((name, reason),) = reasons
    assert name == (wrong.get("name", "one") or "channel 1")
    assert word in reason
    assert "s3cret" not in reason


def test_options_are_read_as_templates_write_them() -> None:
    made = channel("one", after_seconds="900", timeout="2.5", drills="False", details="yes")
    assert (made.after_seconds, made.timeout, made.drills, made.details) == (900, 2.5, False, True)
    usual = channel("one", after_seconds="", timeout=None, drills="", details=None)
    assert channel("one", timeout=0).timeout == 10
    assert (usual.after_seconds, usual.timeout, usual.drills, usual.details) == (0, 10, True, False)


@pytest.mark.parametrize(
    "wrong", [{"event": ""}, {"event": "backup failed"}, {"severity": "fatal"}, {"timestamp": "soon"}, {"details": "x"}]
)
def test_a_wrong_event_is_refused(wrong: dict[str, t.Any]) -> None:
    with pytest.raises(RecoveryError):
        event(**{"name": "backup.failed", **{("name" if key == "event" else key): one for key, one in wrong.items()}})


def test_defaults_of_an_event_follow_from_its_name() -> None:
    seen = [(one.severity, one.resolved, one.key) for one in map(event, ("backup.failed", "drill.passed", "a.b.late"))]
    assert seen == [
        ("critical", False, "school/backup"),
        ("info", True, "school/drill"),
        ("warning", False, "school/a.b"),
    ]
