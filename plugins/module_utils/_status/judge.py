# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Judges the facts about a source. Pure: its input is facts, thresholds and the instant."""

from __future__ import annotations

import typing as t
from datetime import datetime

from .._core.clock import parse_instant
from .._core.severity import most_severe, most_severe_first
from .._core.sizes import first_of, readable_seconds
from .._repository.info import CLOCKS_DIFFER
from .model import EVENTS, Breach, Facts, Reach, Thresholds

#: Prefixes of events that only a store shows, and of those that only the server of the source shows.
_OF_STORE = ("backup.", "store.behind", "verify.", "restore.", "check.", "drill.")
_OF_SERVER = ("replication.", "archive.")

#: Last parts of events that a run of a playbook reports too.
_OF_RUNS = (".failed", ".misconfigured", ".error")

_Found = t.Iterator[t.Tuple[str, str, str]]

#: The number of damaged sets that are named.
_NAMED = 3


def judge(facts: Facts, limits: Thresholds, now: datetime) -> t.List[Breach]:
    """All breaches, the most severe first."""
    found = []
    for rule in _RULES:
        for event, place, message in rule(facts, limits, now):
            severity = limits.severities.get(event, EVENTS[event])
            # The failure of a run and its later observation are one incident.
            subject = event.rpartition(".")[0] if event.endswith(_OF_RUNS) else event
            key = f"{facts.source}/{subject}" + (f":{place}" if place else "")
            found.append(Breach(key, event, severity, f"{facts.source}: {message}"))
    return _gravest_first(found)


def _gravest_first(breaches: t.Iterable[Breach]) -> t.List[Breach]:
    return most_severe_first(sorted(breaches, key=lambda breach: breach.key), lambda breach: breach.severity)


def with_last(facts: Facts, breaches: t.Sequence[Breach], last: t.Iterable[Breach]) -> t.List[Breach]:
    """The breaches, and the last known ones of an unreachable store or server: they count as open until it answers."""
    silent: t.List[str] = []
    if facts.stores and not facts.store_read:
        silent += _OF_STORE
    if facts.reach is not None and not facts.reach.ok:
        silent += _OF_SERVER
    behind = {f"{facts.source}/store.behind:{copy.reach.place}" for copy in facts.stores[1:] if not copy.reach.ok}
    kept = [breach for breach in last if breach.event.startswith(tuple(silent)) or breach.key in behind]
    return _gravest_first([*breaches, *kept])


def level_of(breaches: t.Iterable[Breach]) -> str:
    """C(ok), or the highest severity."""
    return most_severe((breach.severity for breach in breaches), "ok")


def _reach(facts: Facts, limits: Thresholds, now: datetime) -> _Found:
    if facts.reach is not None and _too_long(facts.reach, limits, now):
        yield "source.unreachable", "", f"it does not answer{_since(facts.reach, now)}. {facts.reach.why}"
    for store in facts.stores:
        if _too_long(store.reach, limits, now):
            reach = f"the store {store.reach.place} does not answer{_since(store.reach, now)}. {store.reach.why}"
            yield "store.unreachable", store.reach.place, reach


def _too_long(reach: Reach, limits: Thresholds, now: datetime) -> bool:
    if reach.ok:
        return False
    # If no state is stored, the start of the outage is unknown and the breach is reported immediately.
    return reach.since is None or (now - parse_instant(reach.since)).total_seconds() > limits.unreachable


def _since(reach: Reach, now: datetime) -> str:
    if reach.since is None:
        return ""
    return f" for {readable_seconds((now - parse_instant(reach.since)).total_seconds())}"


def _copies(facts: Facts, limits: Thresholds, now: datetime) -> _Found:
    newest = facts.stores[0].newest if facts.store_read else None
    if newest is None or limits.rpo is None:
        return
    for copy in facts.stores[1:]:
        if copy.reach.ok and (copy.newest is None or _age(copy.newest, now) > limits.rpo >= _age(newest, now)):
            has = f"its newest set is {copy.newest}" if copy.newest else "it has no set"
            yield "store.behind", copy.reach.place, f"the copy {copy.reach.place} is behind: {has}."


def _age(set_id: str, now: datetime) -> float:
    return (now - parse_instant(set_id)).total_seconds()


def _backups(facts: Facts, limits: Thresholds, now: datetime) -> _Found:
    if not facts.store_read:
        return
    if facts.backup is None:
        yield "backup.missing", "", "it has no backup set. Run a backup."
    elif limits.rpo is not None and facts.exposure_seconds is not None:
        if facts.backup.age_seconds < -CLOCKS_DIFFER:
            ahead = readable_seconds(-facts.backup.age_seconds)
            yield "backup.overdue", "", f"the newest set is dated {ahead} ahead, so that its age is unknown."
        elif facts.backup.age_seconds > limits.rpo:
            yield "backup.overdue", "", _compared("the newest set is", facts.backup.age_seconds, "old", limits.rpo)
        elif facts.exposure_seconds > limits.rpo:
            yield (
                "backup.overdue",
                "",
                _compared("recovery points lie up to", facts.exposure_seconds, "apart", limits.rpo),
            )
    if facts.attempt is not None and facts.attempt.status in ("failed", "partial") and _is_last(facts):
        why = f" with {facts.attempt.error_kind}" if facts.attempt.error_kind else ""
        yield "backup.failed", "", f"the backup at {facts.attempt.at} {_ended(facts.attempt.status)}{why}."
    if facts.problems:
        # One incident has one message; two breaches of one key would be a duplicate series, which collectors refuse.
        more = f" And {len(facts.problems) - _NAMED} more." if len(facts.problems) > _NAMED else ""
        yield "backup.damaged", "", " ".join(facts.problems[:_NAMED]) + more


def _is_last(facts: Facts) -> bool:
    if facts.backup is None or facts.attempt is None or facts.attempt.status == "partial":
        return True
    return parse_instant(facts.attempt.at) > parse_instant(facts.backup.set_id)


def _ended(status: str) -> str:
    return "failed" if status == "failed" else "did not reach every copy, and ended"


def _compared(what: str, seconds: float, suffix: str, limit: float) -> str:
    return f"{what} {readable_seconds(seconds)} {suffix}; the objective is {readable_seconds(limit)}."


def _shape(facts: Facts, limits: Thresholds, _now: datetime) -> _Found:
    if facts.backup is None:
        return
    if limits.duration and facts.backup.duration_seconds > limits.duration:
        took = readable_seconds(facts.backup.duration_seconds)
        yield "backup.slow", "", f"the newest set took {took}, more than {readable_seconds(limits.duration)}."
    change = facts.backup.size_change
    if limits.size_tolerance and change is not None and abs(change) > limits.size_tolerance:
        yield (
            "backup.size",
            "",
            f"the newest set is {abs(change):.0%} {'larger' if change > 0 else 'smaller'} than earlier sets.",
        )


def _verified(facts: Facts, limits: Thresholds, _now: datetime) -> _Found:
    seen = facts.verification
    if seen.failed_set is not None:
        damaged = f", {seen.damaged} objects are damaged" if seen.damaged else ""
        yield "verify.failed", "", f"the set {seen.failed_set} was read back and is not complete{damaged}."
    if facts.backup is None or not limits.verified_within:
        return
    if seen.age_seconds is None:
        yield "verify.overdue", "", "no set was ever verified."
    elif seen.age_seconds > limits.verified_within:
        yield (
            "verify.overdue",
            "",
            _compared("the last verification is", seen.age_seconds, "old", limits.verified_within),
        )


def _restored(facts: Facts, _limits: Thresholds, _now: datetime) -> _Found:
    seen = facts.restore
    if seen.failed_set is None:
        return
    named = ", ".join(seen.objects[:_NAMED])
    more = seen.object_count - len(seen.objects[:_NAMED])
    named += f" and {more} more" if named and more > 0 else ""
    others = f" Other sets failed too: {', '.join(seen.failed_sets[1:4])}." if len(seen.failed_sets) > 1 else ""
    yield (
        "restore.failed",
        "",
        f"the last restore of the set {seen.failed_set}, at {seen.failed_at}, failed with {seen.error_kind}"
        f"{f' ({named})' if named else ''}.{others}",
    )


def _checked(facts: Facts, limits: Thresholds, _now: datetime) -> _Found:
    check = facts.check
    if check is not None and check.misconfigured:
        yield "check.misconfigured", "", f"the checks at {check.at} are invalid, so that none ran."
    elif check is not None and check.verdict == "error":
        yield "check.error", "", f"the checks at {check.at} could not run, so that the state of its content is unknown."
    elif check is not None and check.verdict != "passed":
        named = first_of(check.failed, _NAMED)
        content = f"found its content unsound{f' ({named})' if named else ''}"
        yield "check.failed", "", f"the checks at {check.at} {content}."
    if check is not None and check.age_seconds < -CLOCKS_DIFFER:
        ahead = readable_seconds(-check.age_seconds)
        yield "check.overdue", "", f"the last checks are dated {ahead} ahead, and would hide current ones."
    elif limits.checked_within and facts.store_read:
        if check is None:
            yield "check.overdue", "", "its content was never checked."
        else:
            yield from _late("check.overdue", "the last checks were", check.age_seconds, limits.checked_within)


def _drilled(facts: Facts, limits: Thresholds, _now: datetime) -> _Found:
    drill = facts.drill
    if drill is not None and drill.verdict != "passed":
        yield "drill.failed", "", f"the verdict of the drill {drill.scenario} at {drill.at} is {drill.verdict}."
    if limits.drilled_within and facts.store_read:
        if drill is None:
            yield "drill.overdue", "", "its recovery was never rehearsed."
        else:
            yield from _late("drill.overdue", "the last drill was", drill.age_seconds, limits.drilled_within)


def _late(event: str, what: str, age_seconds: float, limit: float) -> _Found:
    if age_seconds > limit:
        yield event, "", _compared(what, age_seconds, "ago", limit)


def _server(facts: Facts, limits: Thresholds, _now: datetime) -> _Found:
    standby, archive = facts.replication, facts.archive
    if standby is not None:
        if standby.streaming is False:
            yield "replication.stopped", "", "a standby does not stream."
        elif limits.replication_lag and (standby.lag_seconds or 0) > limits.replication_lag:
            yield (
                "replication.lag",
                "",
                _compared("a standby is", standby.lag_seconds or 0, "behind", limits.replication_lag),
            )
    if archive is not None:
        if archive.failing:
            since = f" since {archive.last_archived_at}" if archive.last_archived_at else ""
            yield "archive.failing", "", f"WAL is not archived{since}."
        elif limits.archive_lag and (archive.lag_seconds or 0) > limits.archive_lag:
            yield (
                "archive.lag",
                "",
                _compared("WAL waits for", archive.lag_seconds or 0, "to be archived", limits.archive_lag),
            )


def _storage(facts: Facts, limits: Thresholds, _now: datetime) -> _Found:
    for volume in facts.volumes:
        if volume.used_ratio > limits.storage_used:
            event = "storage.full" if volume.used_ratio >= limits.storage_full else "storage.used"
            yield event, volume.place, f"{volume.used_ratio:.0%} of {volume.place} are used."


_RULES = (_reach, _copies, _backups, _shape, _verified, _restored, _checked, _drilled, _server, _storage)
