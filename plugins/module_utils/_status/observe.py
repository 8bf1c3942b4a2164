# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Finds out what is known of a source. What does not answer is a fact, not an error."""

from __future__ import annotations

import json
import os
import typing as t
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial

from .._core.clock import format_instant, parse_instant
from .._core.errors import ErrorKind, RecoveryError
from .._core.files import replace_file
from .._sets.audit import AuditRecord, newest_audit
from .._sets.catalogue import list_sets
from .._sets.info import InfoRequest, SetInfo, describe_sets
from .._sets.layout import SetName, check_source
from .._sets.recovery_points import UNDO_TIER
from .._sets.restores import restore_outcomes
from .._store.base import ObjectStore
from .live import Live
from .model import (
    AttemptFact,
    BackupFact,
    Breach,
    CheckFact,
    DrillFact,
    Facts,
    Reach,
    RestoreFact,
    StoreFact,
    Thresholds,
    VerificationFact,
    VolumeFact,
)

#: What is our own mistake is told at once instead of a place that does not answer.
_OURS = (ErrorKind.INVALID_OPTIONS, ErrorKind.LIBRARY_MISSING, ErrorKind.UNSUPPORTED)

#: How many manifests are read at most, for a look every minute must not cost more than the backups.
_SETS_READ = 50

#: How far back the last backup, the last checks and the last drill are looked for.
_BACKUP_MONTHS, _CHECK_MONTHS, _DRILL_MONTHS = 3, 3, 14


@dataclass(frozen=True)
class Places:
    """Where to look. ask answers what the source's own server says of itself, or raises RecoveryError.

    volumes are paths. capacity is how many bytes the source may use of the store; with it all its objects are listed.
    """

    source: str
    store: t.Optional[ObjectStore] = None
    asked: str = ""
    ask: t.Optional[t.Callable[[], Live]] = None
    volumes: t.Sequence[str] = ()
    capacity: t.Optional[int] = None


@dataclass
class Memory:
    """What one look tells nothing of, kept in a file of the source.

    since: from when on a place does not answer. last: what was not as it should be.
    """

    path: t.Optional[str]
    since: t.Dict[str, str] = field(default_factory=dict)
    last: t.List[Breach] = field(default_factory=list)

    @classmethod
    def of(cls, folder: t.Optional[str], source: str) -> Memory:
        """Read it; a file that is missing or broken remembers nothing."""
        if folder is None:
            return cls(None)
        path = os.path.join(folder, f"{check_source(source)}.json")
        try:
            with open(path, encoding="utf-8") as stream:
                document = json.load(stream)
            since = {
                str(place): format_instant(parse_instant(at)) for place, at in document["unreachable_since"].items()
            }
            last = [Breach(**breach) for breach in document["breaches"]]
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecoveryError):
            since, last = {}, []
        return cls(path, since, last)

    def note(self, reach: Reach, now: datetime) -> Reach:
        """The reach with its since, which is remembered while it does not answer."""
        if reach.ok:
            self.since.pop(reach.place, None)
            return reach
        if self.path is None:
            return reach
        # After a jump of the clock it began now, and not in the future.
        began = min(now, parse_instant(self.since.get(reach.place, format_instant(now))))
        self.since[reach.place] = format_instant(began)
        return replace(reach, since=self.since[reach.place])

    def keep(self) -> None:
        """Write it. Raises RecoveryError(report_failed)."""
        if self.path is None:
            return
        try:
            os.makedirs(os.path.dirname(self.path), mode=0o750, exist_ok=True)
            document = {"unreachable_since": self.since, "breaches": [vars(breach) for breach in self.last]}
            replace_file(self.path, json.dumps(document, sort_keys=True) + "\n", 0o640)
        except OSError as error:
            raise RecoveryError(
                ErrorKind.REPORT_FAILED,
                f"{self.path} cannot be written: {error.strerror}.",
                left="What was remembered is as it was.",
                next_step="Give in state_dir a folder that this user may write.",
            ) from error


def observe(places: Places, limits: Thresholds, memory: Memory, now: datetime) -> Facts:
    """Look at everything. Raises RecoveryError only for options that make no sense, and missing libraries."""
    check_source(places.source)
    facts = Facts(places.source, volumes=tuple(_volume(path) for path in dict.fromkeys(places.volumes)))
    if places.ask is not None:
        reach, live = _tried(places.asked, places.ask)
        facts = replace(facts, reach=memory.note(reach, now))
        if live is not None:
            facts = replace(facts, replication=live.replication, archive=live.archive, kept=live.kept)
    if places.store is not None:
        facts = _look_into(places.store, places, limits, memory, facts, now)
    return facts


def _tried(place: str, work: t.Callable[[], t.Any]) -> t.Tuple[Reach, t.Any]:
    try:
        return Reach(place, True), work()
    except RecoveryError as error:
        if error.kind in _OURS:
            raise
        return Reach(place, False, why=error.what), None


def _look_into(
    store: ObjectStore, places: Places, limits: Thresholds, memory: Memory, facts: Facts, now: datetime
) -> Facts:
    def look() -> t.Tuple[Facts, t.Optional[str]]:
        nonlocal now
        store.require_there()
        # Where the clocks differ, the one that makes sets older is believed.
        now = max(now, store.now())
        names = list_sets(store, places.source)
        seen = _described(store, names, places.source, limits, facts, now)
        seen = replace(
            seen,
            restore=_restore(store, names),
            attempt=_attempt(store, places.source, now),
            check=_check(store, places.source, now),
            drill=_drill(store, places.source, now),
            volumes=(*facts.volumes, *_used(store, places)),
        )
        return seen, _newest(names)

    reach, seen = _tried(store.location, look)
    stores = [StoreFact(memory.note(reach, now), seen[1] if seen else None)]
    for number, copy in enumerate(store.copies, start=1):
        # A bucket of one name at another provider is another place; what is remembered of one is not of the other.
        there = copy.location in [one.reach.place for one in stores]
        place = f"{copy.location} (copy {number})" if there else copy.location
        reach, newest = _tried(place, partial(_newest_in, copy, places.source))
        stores.append(StoreFact(memory.note(reach, now), newest))
    return replace(seen[0] if seen else facts, stores=tuple(stores))


def _newest_in(store: ObjectStore, source: str) -> t.Optional[str]:
    store.require_there()
    return _newest(list_sets(store, source))


def _newest(names: t.Iterable[SetName]) -> t.Optional[str]:
    return max((name.set_id for name in names if name.tier != UNDO_TIER), default=None)


def _described(
    store: ObjectStore, names: t.Sequence[SetName], source: str, limits: Thresholds, facts: Facts, now: datetime
) -> Facts:
    request = InfoRequest(source=source, rpo=limits.rpo, window=limits.window, limit=_SETS_READ)
    found = describe_sets(store, request, now, names)
    whole = [info for info in found.sets if info.problem is None and info.shows_source]
    summary = found.sources[0] if found.sources else None
    return replace(
        facts,
        sets=summary.sets if summary else 0,
        exposure_seconds=summary.exposure_seconds if summary else None,
        backup=_backup(whole[0]) if whole else None,
        problems=tuple(info.problem for info in found.sets if info.problem is not None),
        verification=_verification(whole, now),
    )


def _backup(newest: SetInfo) -> BackupFact:
    return BackupFact(
        set_id=newest.set_id,
        tier=newest.tier,
        recovery_point=newest.recovery_point,
        age_seconds=newest.age_seconds,
        bytes_plain=newest.bytes_plain,
        bytes_stored=newest.bytes_stored,
        duration_seconds=newest.duration_seconds,
        size_change=newest.size_change,
    )


def _verification(newest_first: t.Sequence[SetInfo], now: datetime) -> VerificationFact:
    judged = [info.verified for info in newest_first if info.verified is not None]
    if not judged:
        return VerificationFact()
    # To see that the objects are present proves no content, so that only what was read counts as verified.
    passed = max(
        (one for one in judged if one.proved_at is not None), key=lambda one: one.proved_at or "", default=None
    )
    failed = next((one for one in judged if one.failed), None)
    return VerificationFact(
        passed_set=passed.set_id if passed else None,
        passed_at=passed.proved_at if passed else None,
        depth=passed.proved_depth if passed else None,
        age_seconds=_seconds_since(passed.proved_at, now) if passed and passed.proved_at else None,
        failed_set=failed.set_id if failed else None,
        damaged=len(failed.damaged) if failed else 0,
    )


def _restore(store: ObjectStore, names: t.Sequence[SetName]) -> RestoreFact:
    """What is known of the sets that are there; undo sets are among them."""
    by_tier = {name.tier: name.source for name in names}
    known = {(name.tier, name.set_id) for name in names}
    found = [
        outcome
        for tier, source in by_tier.items()
        for outcome in restore_outcomes(store, source, tier).values()
        if (tier, outcome.set_id) in known
    ]
    passed = max((one for one in found if not one.failed), key=lambda one: one.set_id, default=None)
    failed = sorted((one for one in found if one.failed), key=lambda one: one.set_id, reverse=True)
    return RestoreFact(
        passed_set=passed.set_id if passed else None,
        passed_at=passed.restored_at if passed else None,
        failed_set=failed[0].set_id if failed else None,
        failed_at=failed[0].restored_at if failed else None,
        error_kind=failed[0].error_kind if failed else None,
        objects=failed[0].objects if failed else (),
        object_count=failed[0].object_count if failed else 0,
        failed_sets=[one.set_id for one in failed],
    )


def _attempt(store: ObjectStore, source: str, now: datetime) -> t.Optional[AttemptFact]:
    record = newest_audit(store, source, "backup", now, months=_BACKUP_MONTHS)
    return AttemptFact(record.performed_at, record.status, record.details.get("error_kind")) if record else None


def _check(store: ObjectStore, source: str, now: datetime) -> t.Optional[CheckFact]:
    record = newest_audit(store, source, "check", now, months=_CHECK_MONTHS)
    if record is None:
        return None
    named = record.details.get("not_passed")
    return CheckFact(
        at=record.performed_at,
        verdict=record.status,
        age_seconds=_seconds_since(record.performed_at, now),
        failed=[str(name) for name in named] if isinstance(named, list) else [],
        error_kind=record.details.get("error_kind"),
    )


def _drill(store: ObjectStore, source: str, now: datetime) -> t.Optional[DrillFact]:
    record = newest_audit(store, source, "drill", now, months=_DRILL_MONTHS, accept=_is_of_source)
    if record is None:
        return None
    rto = record.details.get("rto")
    return DrillFact(
        at=record.performed_at,
        verdict=record.status,
        scenario=str(record.details.get("scenario", "")),
        age_seconds=_seconds_since(record.performed_at, now),
        rto_measured_seconds=_seconds_in(rto, "measured_seconds"),
        rto_objective_seconds=_seconds_in(rto, "objective_seconds"),
    )


def _seconds_in(details: t.Any, name: str) -> t.Optional[float]:
    value = details.get(name) if isinstance(details, dict) else None
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def _is_of_source(record: AuditRecord) -> bool:
    """Whether a drill rehearsed the data of the source, and not generated data."""
    return record.details.get("data_origin") != "sample"


def _seconds_since(instant: str, now: datetime) -> float:
    return round((now - parse_instant(instant)).total_seconds(), 3)


def _volume(path: str) -> VolumeFact:
    try:
        seen = os.statvfs(path)
    except OSError as error:
        raise RecoveryError(
            ErrorKind.INVALID_OPTIONS,
            f"The volume {path} cannot be looked at: {error.strerror}.",
            next_step="Give in volumes paths that exist on this host.",
        ) from None
    # As df counts: what only root may still write is neither used nor free.
    used, free = (seen.f_blocks - seen.f_bfree) * seen.f_frsize, seen.f_bavail * seen.f_frsize
    return VolumeFact(path, used, used + free)


def _used(store: ObjectStore, places: Places) -> t.Tuple[VolumeFact, ...]:
    if places.capacity is None:
        return ()
    used = sum(item.size for item in store.list(f"{places.source}/"))
    return (VolumeFact(store.location, used, places.capacity),)
