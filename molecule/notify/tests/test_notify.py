# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The messages that the channels received; the role ran at least once."""

from __future__ import annotations

import json
import re
import typing as t

from testinfra.host import Host

from tests.support.containers import SINKS, arrived


def at(host: Host, path: str) -> list[dict[str, t.Any]]:
    return [one for one in arrived(host, "requests.jsonl") if one["path"].startswith(path)]


def rounds(seen: list[str], one_round: list[str]) -> bool:
    """Whether this is what one run of the role sends, once for each run."""
    return bool(seen) and seen == one_round * (len(seen) // len(one_round))


def test_heartbeat_received_start_failures_and_success(host: Host) -> None:
    ends = [re.sub(r"^/beat/[^/]+", "", one["path"]) for one in at(host, "/beat/")]
    assert rounds(ends, ["/log", "/start", "/fail", "/fail", "/fail", ""])


def test_three_failures_are_one_incident_that_ends(host: Host) -> None:
    said = [json.loads(one["body"]) for one in at(host, "/duty")]
    seen = [f"{one['event_action']} {one['dedup_key']}" for one in said]
    keys = ("school/backup", "school/source.unreachable")
    assert rounds(seen, [f"{action} {key}" for key in keys for action in ("trigger", "resolve")])


def test_next_level_received_the_lasting_incident(host: Host) -> None:
    events = [json.loads(one["body"])["event"] for one in at(host, "/lead/")]
    assert rounds(events, ["notify.test", "source.unreachable", "source.unreachable"])


def test_mail_names_the_set_and_stands_in_for_what_is_broken(host: Host) -> None:
    letters = [one["data"] for one in arrived(host, "letters.jsonl")]
    assert any("Daily backup completed successfully - 20260301T020005Z - 175.0 MiB" in one for one in letters)
    assert any("Subject: [critical] backup.failed of school" in one for one in letters)
    assert all("Importance: high" in one for one in letters if "Subject: [critical]" in one)


def test_nothing_is_open_and_no_secret_is_kept_or_logged(host: Host) -> None:
    state = host.file(f"{SINKS}/incidents.json")
    assert state.mode == 0o600
    assert json.loads(state.content_string)["incidents"] == {}
    # The brackets keep this very command, which is logged as well, from being found.
    found = host.run("journalctl --no-pager | grep notification | grep -c 'not-a-secret-of-[a]nybody'")
    assert found.stdout.strip() == "0"
