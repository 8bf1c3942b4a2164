# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which backup a recovery starts from, along which path, and what is refused without looking further."""

from __future__ import annotations

import json
import typing as t
from datetime import datetime, timedelta, timezone

import pytest

from ansible_collections.lifeline.recovery.plugins.module_utils._core.errors import RecoveryError
from ansible_collections.lifeline.recovery.plugins.module_utils._engines.postgresql.server.lsn import (
    format_lsn,
    parse_lsn,
)
from ansible_collections.lifeline.recovery.plugins.module_utils._pitr.program import newest_supported
from ansible_collections.lifeline.recovery.plugins.module_utils._pitr.repository import (
    Stanza,
    parse_archive,
    parse_info,
)
from ansible_collections.lifeline.recovery.plugins.module_utils._pitr.target import (
    choose_backup,
    choose_timeline,
    parse_target,
    recovery_options,
    refuse_impossible,
    stop_in,
)
from ansible_collections.lifeline.recovery.plugins.module_utils._pitr.verify import parse_verify
from ansible_collections.lifeline.recovery.plugins.module_utils._pitr.wal import (
    Segment,
    TimelineSpan,
    first_missing,
    on_path,
    parse_history,
    parse_segment,
    segment_name,
)
from ansible_collections.lifeline.recovery.plugins.module_utils._pitr.waldump import Reading, Transaction

SIZE = 16 * 1024 * 1024
NOON = datetime(2026, 3, 1, 12, tzinfo=timezone.utc)
ONE = [TimelineSpan(1, None)]


def backup(label: str, lsn: str, *, minutes: int, timeline: int = 1, error: bool = False) -> dict[str, t.Any]:
    segment = segment_name(timeline, parse_lsn(lsn) // SIZE, SIZE)
    moment = int((NOON + timedelta(minutes=minutes)).timestamp())
    return {
        "label": label,
        "type": "full",
        "archive": {"start": segment, "stop": segment},
        "database": {"id": 1, "repo-key": 1},
        "error": error,
        "info": {"size": 100, "repository": {"delta": 10}},
        "lsn": {"start": lsn, "stop": lsn},
        "prior": None,
        "timestamp": {"start": moment, "stop": moment},
    }


def stanza(*backups: dict[str, t.Any]) -> Stanza:
    document = {
        "name": "main",
        "status": {"code": 0, "message": "ok"},
        "db": [{"id": 1, "repo-key": 1, "system-id": 7710634163451180178, "version": "15"}],
        "archive": [{"id": "15-1", "min": None, "max": None, "database": {"id": 1, "repo-key": 1}}],
        "backup": list(backups),
    }
    return parse_info(json.dumps([document]), "main", 1)


EARLY = backup("early", "0/2000100", minutes=0)
LATE = backup("late", "0/5000100", minutes=60)


def test_the_newest_backup_before_the_target_is_chosen() -> None:
    found = stanza(LATE, EARLY)
    assert choose_backup(found, ONE, parse_lsn("0/5000100")).label == "early"
    assert choose_backup(found, ONE, parse_lsn("0/5000101")).label == "late"
    assert choose_backup(found, ONE, None).label == "late"


def test_a_backup_with_damaged_pages_is_only_taken_by_its_name() -> None:
    found = stanza(EARLY, backup("late", "0/5000100", minutes=60, error=True))
    assert choose_backup(found, ONE, None).label == "early"
    assert choose_backup(found, ONE, None, "late").label == "late"


def test_a_backup_of_another_branch_is_never_chosen() -> None:
    # Timeline 2 branched off between the two.
    path = parse_history("1\t0/3000000\tno recovery target specified\n", 2)
    found = stanza(EARLY, LATE)
    assert choose_backup(found, path, None).label == "early"
    with pytest.raises(RecoveryError, match="not of the past of timeline 2"):
        choose_backup(found, path, None, "late")


@pytest.mark.parametrize(
    ("kind", "value", "message"),
    [
        ("time", "2026-03-01T11:59:59Z", "before the end of the oldest backup"),
        ("time", "2026-03-02T00:00:00Z", "in the future"),
        ("lsn", "0/2000100", "before the end of the oldest backup"),
    ],
)
def test_impossible_target_is_refused_before_planning(kind: str, value: str, message: str) -> None:
    with pytest.raises(RecoveryError, match=message):
        refuse_impossible(parse_target(kind, value, inclusive=False), stanza(EARLY), NOON + timedelta(hours=1))


@pytest.mark.parametrize(
    ("kind", "value"), [("xid", "2"), ("xid", "x"), ("lsn", "5"), ("time", "noon"), ("latest", "1"), ("name", "")]
)
def test_a_value_that_does_not_fit_its_type_is_refused(kind: str, value: str) -> None:
    with pytest.raises(RecoveryError):
        parse_target(kind, value, inclusive=False)


def test_recovery_stops_at_the_first_end_that_is_not_before_the_instant() -> None:
    ends = [Transaction(10 + n, NOON + timedelta(seconds=n), 100 + n, n != 1) for n in range(3)]
    exclusive = stop_in(parse_target("time", "2026-03-01T12:00:01Z", inclusive=False), Reading(ends))
    inclusive = stop_in(parse_target("time", "2026-03-01T12:00:01Z", inclusive=True), Reading(ends))
    assert exclusive is not None and inclusive is not None
    assert (exclusive.xid, inclusive.xid) == (11, 12)


def test_program_gets_the_side_of_the_target() -> None:
    chosen = stanza(EARLY).backups[0]
    before = recovery_options(parse_target("xid", "746", inclusive=False), 1, chosen, "pause")
    after = recovery_options(parse_target("xid", "746", inclusive=True), 1, chosen, "pause")
    assert set(before) - set(after) == {"--target-exclusive"}
    assert "--target-action=pause" in before
    end = recovery_options(parse_target("latest", None, inclusive=False), 1, chosen, "pause")
    assert not any(option.startswith(("--target=", "--target-action")) for option in end)


def test_the_timeline_of_the_live_server_wins_over_the_newest() -> None:
    assert choose_timeline("auto", 1, 3) == 1
    assert choose_timeline("auto", None, 3) == choose_timeline("latest", 1, 3) == 3
    assert choose_timeline("2", 1, 3) == 2
    with pytest.raises(RecoveryError):
        choose_timeline("newest", 1, 3)


def test_segments_are_those_of_the_path() -> None:
    path = [TimelineSpan(1, 3 * SIZE + 100), TimelineSpan(2, None)]
    names = [segment_name(1, number, SIZE) for number in range(1, 6)] + [segment_name(2, 3, SIZE)]
    found = on_path([parse_segment(name, SIZE) for name in names], path, SIZE)
    assert {number: segment.timeline for number, segment in found.items()} == {1: 1, 2: 1, 3: 2}
    assert first_missing(found, 1, 3) is None
    assert first_missing(found, 1, 4) == 4


def test_names_and_positions_come_back() -> None:
    for number in (1, 255, 256, 70000):
        name = segment_name(3, number, SIZE)
        assert parse_segment(name, SIZE) == Segment(number, 3, name)
    assert format_lsn(parse_lsn("16/B374D848")) == "16/B374D848"


def test_only_segments_of_the_cluster_are_read_from_a_listing() -> None:
    digest = "a" * 40
    listing = {
        f"15-1/0000000100000000/000000010000000000000002-{digest}.zst": {"type": "file", "size": 5, "time": 7},
        f"15-1/0000000100000000/000000010000000000000001-{digest}": {"type": "file", "size": 5, "time": 7},
        f"14-1/0000000100000000/000000010000000000000009-{digest}.gz": {"type": "file", "size": 5, "time": 7},
        "15-1/0000000100000000/000000010000000000000002.00000028.backup": {"type": "file", "size": 5, "time": 7},
        "15-1/00000002.history": {"type": "file", "size": 5, "time": 7},
    }
    found = parse_archive(json.dumps(listing), stanza(EARLY))
    assert [(item.name[-1], item.codec) for item in found] == [("1", ""), ("2", "zst")]


def test_missing_stanza_is_reported() -> None:
    with pytest.raises(RecoveryError, match="no stanza 'other'"):
        parse_info("[]", "other", 1)


def test_output_of_the_verification_is_parsed_despite_exit_code_0() -> None:
    good = "stanza: main\nstatus: ok\n"
    bad = (
        "stanza: main\nstatus: error\n  backup: 20261121-144211F, status: invalid, total files checked: 965, "
        "total valid files: 964\n    checksum invalid: 1\n"
    )
    assert parse_verify(good) == []
    assert parse_verify(bad) == ["pgBackRest found 1 invalid files of the backup 20261121-144211F: checksum invalid."]
    assert len(parse_verify("stanza: main\nstatus: error\n")) == 1


def test_versions_that_work_together_are_known() -> None:
    assert [newest_supported(version) for version in ((2, 45), (2, 48), (2, 60))] == [15, 16, 17]


@pytest.mark.parametrize("text", ["2026-03-01T12:00:01Z", "2026-03-01T14:00:01+02:00", "2026-03-01T12:00:01"])
def test_instant_in_any_offset_is_passed_in_utc(text: str) -> None:
    target = parse_target("time", text, inclusive=False)
    assert target.value == "2026-03-01 12:00:01.000000+00"
    assert target.at == datetime(2026, 3, 1, 12, 0, 1, tzinfo=timezone.utc)
