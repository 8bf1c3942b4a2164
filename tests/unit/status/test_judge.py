# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where a fact becomes a breach, to the second and to the percent."""

from __future__ import annotations

import typing as t
from dataclasses import replace

import pytest

from ansible_collections.lifeline.recovery.plugins.module_utils._status.judge import judge, level_of, with_last
from ansible_collections.lifeline.recovery.plugins.module_utils._status.model import (
    EVENTS,
    ArchiveFact,
    AttemptFact,
    CheckFact,
    DrillFact,
    Facts,
    Reach,
    ReplicationFact,
    RestoreFact,
    StoreFact,
    Thresholds,
    VerificationFact,
    VolumeFact,
)
from ansible_collections.lifeline.recovery.plugins.module_utils._status.openmetrics import status_metrics
from tests.support.data.facts import BACKUP, DAY, LIMITS, NOW, SOUND, ago


def events(facts: Facts, limits: Thresholds = LIMITS) -> list[tuple[str, str]]:
    return [(breach.event, breach.severity) for breach in judge(facts, limits, NOW)]


def test_a_sound_source_has_no_breach() -> None:
    assert events(SOUND) == []
    assert level_of([]) == "ok"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"reach": Reach("db", False, ago(299), "refused")}, []),
        ({"reach": Reach("db", False, ago(301), "refused")}, [("source.unreachable", "critical")]),
        ({"reach": Reach("db", False, None, "refused")}, [("source.unreachable", "critical")]),
        ({"backup": None, "sets": 0}, [("backup.missing", "critical")]),
        ({"backup": replace(BACKUP, age_seconds=DAY + 1)}, [("backup.overdue", "critical")]),
        ({"exposure_seconds": DAY + 1}, [("backup.overdue", "critical")]),
        ({"backup": replace(BACKUP, duration_seconds=1801)}, [("backup.slow", "warning")]),
        ({"backup": replace(BACKUP, size_change=-0.21)}, [("backup.size", "warning")]),
        ({"backup": replace(BACKUP, size_change=-0.19)}, []),
        ({"backup": replace(BACKUP, size_change=None)}, []),
        ({"attempt": AttemptFact(ago(60), "failed", "unreachable")}, [("backup.failed", "critical")]),
        ({"attempt": AttemptFact(ago(60), "partial", "copy_failed")}, [("backup.failed", "critical")]),
        ({"attempt": AttemptFact(ago(2 * DAY), "failed", "unreachable")}, []),
        ({"problems": ("The manifest is broken.",)}, [("backup.damaged", "critical")]),
        ({"verification": VerificationFact()}, [("verify.overdue", "warning")]),
        ({"verification": replace(SOUND.verification, age_seconds=9 * DAY)}, [("verify.overdue", "warning")]),
        (
            {"verification": replace(SOUND.verification, failed_set="20260228T020000Z", damaged=2)},
            [("verify.failed", "critical")],
        ),
        ({"restore": RestoreFact(passed_set="20260301T020000Z", passed_at=ago(60))}, []),
        ({"restore": RestoreFact(failed_set="20260228T020000Z", failed_at=ago(60))}, [("restore.failed", "critical")]),
        ({"check": None}, [("check.overdue", "warning")]),
        ({"check": CheckFact(ago(7201), "passed", 7201)}, [("check.overdue", "warning")]),
        ({"check": CheckFact(ago(60), "failed", 60, ["orphans"])}, [("check.failed", "critical")]),
        ({"check": CheckFact(ago(60), "error", 60)}, [("check.error", "error")]),
        ({"check": CheckFact(ago(-1200), "passed", -1200)}, [("check.overdue", "warning")]),
        ({"drill": None}, [("drill.overdue", "warning")]),
        (
            {"check": CheckFact(ago(60), "error", 60, [], "invalid_options")},
            [("check.misconfigured", "error")],
        ),
        ({"drill": DrillFact(ago(94 * DAY), "passed", "database_loss", 94 * DAY)}, [("drill.overdue", "warning")]),
        ({"drill": DrillFact(ago(60), "error", "database_loss", 60)}, [("drill.failed", "error")]),
        ({"replication": ReplicationFact("primary", False, 1)}, [("replication.stopped", "critical")]),
        ({"replication": ReplicationFact("primary", True, 1, 301.0)}, [("replication.lag", "warning")]),
        ({"archive": ArchiveFact(True, 3, 30.0, ago(900))}, [("archive.failing", "critical")]),
        ({"archive": ArchiveFact(False, 3, 901.0, ago(901))}, [("archive.lag", "warning")]),
        ({"archive": ArchiveFact(False, None, None, None)}, []),
        ({"volumes": (VolumeFact("/spool", 81, 100),)}, [("storage.used", "warning")]),
        ({"volumes": (VolumeFact("/spool", 95, 100),)}, [("storage.full", "critical")]),
    ],
)
def test_a_threshold_is_where_the_plan_has_it(change: dict[str, t.Any], expected: list[tuple[str, str]]) -> None:
    assert events(replace(SOUND, **change)) == expected


def test_failed_checks_are_named_and_distinguished_from_errors() -> None:
    found = judge(replace(SOUND, check=CheckFact(ago(60), "failed", 60, ["one", "two", "three", "four"])), LIMITS, NOW)
    assert found[0].message.endswith(" found its content unsound (one, two, three and 1 more).")
    found = judge(replace(SOUND, check=CheckFact(ago(60), "error", 60)), LIMITS, NOW)
    assert "could not run, so that the state" in found[0].message


def test_outdated_copy_is_reported_apart_from_the_store() -> None:
    behind = StoreFact(Reach("/copy", True), "20260227T020000Z")
    assert events(replace(SOUND, stores=(SOUND.stores[0], behind))) == [("store.behind", "error")]
    # Where the store itself has nothing newer, that is the breach.
    late = StoreFact(Reach("s3://a", True), "20260227T020000Z")
    overdue = replace(BACKUP, age_seconds=2.4 * DAY)
    assert events(replace(SOUND, stores=(late, behind), backup=overdue)) == [("backup.overdue", "critical")]


def test_a_store_that_does_not_answer_is_one_breach_and_not_ten() -> None:
    gone = StoreFact(Reach("s3://a", False, ago(400), "refused"))
    facts = Facts("school", reach=SOUND.reach, stores=(gone,))
    assert events(facts) == [("store.unreachable", "critical")]
    assert "6 min 40 s" in judge(facts, LIMITS, NOW)[0].message


def test_last_breaches_stay_open_while_the_server_is_unreachable() -> None:
    failing = judge(replace(SOUND, archive=ArchiveFact(True, 3, 30.0, None), drill=None), LIMITS, NOW)
    gone = replace(SOUND, reach=Reach("db", False, ago(1)), archive=None)
    assert [breach.event for breach in with_last(gone, [], failing)] == ["archive.failing"]
    assert with_last(SOUND, [], failing) == []


def test_a_copy_that_stayed_behind_is_still_behind_when_it_is_gone() -> None:
    stayed = replace(SOUND.stores[1], newest="20260101T020000Z")
    behind = judge(replace(SOUND, stores=(SOUND.stores[0], stayed)), LIMITS, NOW)
    gone = replace(SOUND, stores=(SOUND.stores[0], StoreFact(Reach("/copy", False, ago(1)))))
    assert [breach.event for breach in with_last(gone, [], behind)] == ["store.behind"]
    assert with_last(SOUND, [], behind) == []


def test_severities_are_replaced_and_the_gravest_comes_first() -> None:
    facts = replace(SOUND, backup=replace(BACKUP, duration_seconds=9999, age_seconds=9 * DAY))
    limits = replace(LIMITS, severities={"backup.slow": "info", "backup.overdue": "error"})
    assert events(facts, limits) == [("backup.overdue", "error"), ("backup.slow", "info")]
    assert level_of(judge(facts, limits, NOW)) == "error"


def test_failure_has_the_key_of_the_event_of_the_role() -> None:
    failed = replace(SOUND, attempt=AttemptFact(ago(60), "failed"))
    assert [breach.key for breach in judge(failed, LIMITS, NOW)] == ["school/backup"]
    unrun = replace(SOUND, check=CheckFact(ago(60), "error", 60))
    assert [breach.key for breach in judge(unrun, LIMITS, NOW)] == ["school/check"]


def test_two_places_have_two_keys() -> None:
    full = replace(SOUND, volumes=(VolumeFact("/a", 99, 100), VolumeFact("/b", 99, 100)))
    assert {breach.key for breach in judge(full, LIMITS, NOW)} == {"school/storage.full:/a", "school/storage.full:/b"}


def test_every_event_can_happen() -> None:
    """Every severity belongs to an event that can be reported."""
    changes = [mark.args[1] for mark in test_a_threshold_is_where_the_plan_has_it.pytestmark]  # type: ignore[attr-defined]
    returned = {event for cases in changes for _change, expected in cases for event, _severity in expected}
    assert returned | {"store.unreachable", "store.behind"} == set(EVENTS)


def test_unknown_values_have_no_sample() -> None:
    text = status_metrics(Facts("school", stores=(StoreFact(Reach("s3://a", False)),)), LIMITS, [], NOW)
    assert 'lifeline_store_reachable{source="school",store="s3://a"} 0' in text
    assert "lifeline_backup" not in text
    assert "source_reachable" not in text
    assert text.endswith("# EOF\n")
    complete = status_metrics(SOUND, LIMITS, judge(SOUND, LIMITS, NOW), NOW)
    assert 'lifeline_status_level{source="school",level="ok"} 1' in complete
    assert (
        f'lifeline_backup_recovery_point_timestamp_seconds{{source="school"}} {int(NOW.timestamp()) - 36000}'
        in complete
    )


def test_a_set_of_the_future_is_not_taken_for_a_new_one() -> None:
    ahead = replace(SOUND, backup=replace(BACKUP, age_seconds=-3600.0))
    assert events(ahead) == [("backup.overdue", "critical")]
    assert events(replace(SOUND, backup=replace(BACKUP, age_seconds=-60.0))) == []
