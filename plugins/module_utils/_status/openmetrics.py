# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The state of a source as metrics. An unknown value has no sample, because a zero would look like a fact."""

from __future__ import annotations

import typing as t
from datetime import datetime

from .._core.clock import parse_instant
from .._core.openmetrics import END, Labels, gauge
from .._core.severity import SEVERITIES
from .judge import level_of
from .model import Breach, Facts, Thresholds

_Value = t.Union[int, float, bool, None]


def status_metrics(facts: Facts, limits: Thresholds, breaches: t.Sequence[Breach], now: datetime) -> str:
    """All metrics of one source; instants are unix seconds, so that ages grow between runs."""
    source = {"source": facts.source}
    lines: t.List[str] = []

    def add(name: str, text: str, *samples: t.Tuple[Labels, _Value]) -> None:
        known = [({**source, **labels}, float(value)) for labels, value in samples if value is not None]
        lines.extend(gauge(f"lifeline_{name}", text, known))

    add("status_timestamp_seconds", "When these facts were collected.", ({}, now.timestamp()))
    level = level_of(breaches)
    levels = [({"level": name}, name == level) for name in ("ok", *SEVERITIES)]
    add("status_level", "1 for the highest severity of the breaches, 0 for the others.", *levels)
    add("breach", "1 for each breach.", *_breaches(breaches))
    add("source_reachable", "Whether the source answers.", ({}, facts.reach.ok if facts.reach else None))
    reached = [({"store": store.reach.place}, store.reach.ok) for store in facts.stores]
    add("store_reachable", "Whether a store of its sets answers.", *reached)
    backup, seen, check, drill = facts.backup, facts.verification, facts.check, facts.drill
    if backup is not None:
        add(
            "backup_recovery_point_timestamp_seconds",
            "Recovery point of the newest set.",
            ({}, _unix(backup.recovery_point)),
        )
        add("backup_duration_seconds", "Duration of the newest backup.", ({}, backup.duration_seconds))
        add("backup_size_bytes", "Size of the newest set before compression.", ({}, backup.bytes_plain))
        add("backup_stored_bytes", "Size of its objects in the store.", ({}, backup.bytes_stored))
        add("backup_size_change_ratio", "Its size against the sets before it, minus one.", ({}, backup.size_change))
    if facts.store_read:
        add("backup_sets", "Number of sets.", ({}, facts.sets))
    if facts.attempt is not None:
        add("backup_last_attempt_timestamp_seconds", "When a backup last ended.", ({}, _unix(facts.attempt.at)))
        add("backup_last_success", "Whether it succeeded.", ({}, facts.attempt.status == "succeeded"))
    add("recovery_point_exposure_seconds", "Longest gap between recovery points.", ({}, facts.exposure_seconds))
    add("recovery_point_objective_seconds", "The recovery point objective.", ({}, limits.rpo))
    if seen.passed_at is not None:
        add("verification_timestamp_seconds", "When a verification last passed.", ({}, _unix(seen.passed_at)))
    if backup is not None:
        add("verification_failed", "Whether the last verification of a set failed.", ({}, seen.failed_set is not None))
        add("restore_failed", "Whether the last restore of a set failed.", ({}, facts.restore.failed_set is not None))
    if check is not None:
        add("check_timestamp_seconds", "When its content was last checked.", ({}, _unix(check.at)))
        passed = None if check.verdict == "error" else check.verdict == "passed"
        add("check_passed", "Whether these checks passed.", ({}, passed))
    if drill is not None:
        add("recovery_drill_timestamp_seconds", "When its recovery was last rehearsed.", ({}, _unix(drill.at)))
        add("recovery_drill_passed", "Whether that drill passed.", ({}, drill.verdict == "passed"))
        add("recovery_drill_rto_measured_seconds", "The recovery time of that drill.", ({}, drill.rto_measured_seconds))
        add("recovery_drill_rto_objective_seconds", "Its objective.", ({}, drill.rto_objective_seconds))
    if facts.replication is not None:
        add("replication_streaming", "Whether every standby streams.", ({}, facts.replication.streaming))
        add("replication_lag_seconds", "Lag of the slowest standby in seconds.", ({}, facts.replication.lag_seconds))
        add("replication_lag_bytes", "Lag of the slowest standby in bytes of WAL.", ({}, facts.replication.lag_bytes))
    if facts.archive is not None:
        add("archive_failing", "Whether the last WAL could not be archived.", ({}, facts.archive.failing))
        add("archive_waiting_segments", "WAL segments that wait to be archived.", ({}, facts.archive.waiting))
        add("archive_lag_seconds", "Age of the oldest waiting segment.", ({}, facts.archive.lag_seconds))
    sizes = [({"database": one.name}, one.bytes) for one in facts.kept]
    add("kept_database_bytes", "Size of each database that a swap kept.", *sizes)
    add("storage_used_bytes", "Used bytes.", *[({"place": one.place}, one.used_bytes) for one in facts.volumes])
    add("storage_size_bytes", "Usable bytes.", *[({"place": one.place}, one.size_bytes) for one in facts.volumes])
    return "\n".join([*lines, END]) + "\n"


def _breaches(breaches: t.Sequence[Breach]) -> t.List[t.Tuple[Labels, _Value]]:
    return [({"key": one.key, "event": one.event, "severity": one.severity}, 1) for one in breaches]


def _unix(instant: str) -> float:
    return parse_instant(instant).timestamp()
