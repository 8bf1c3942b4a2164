# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Collects the facts about a source. An unreachable server or store is a fact, not an error."""

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
from .._core.options import INTERNAL, option
from .._repository.audit import AuditRecord, newest_audit, newest_audits
from .._repository.catalogue import list_sets
from .._repository.info import InfoRequest, SetInfo, describe_sets
from .._repository.layout import SetName, check_source
from .._repository.recovery_points import UNDO_TIER
from .._repository.restores import restore_outcomes
from .._store.base import ObjectStore
from .model import (
    AttemptFact,
    BackupFact,
    Breach,
    CheckFact,
    DrillFact,
    Facts,
    OperationFact,
    Reach,
    RestoreFact,
    StoreFact,
    Thresholds,
    VerificationFact,
    VolumeFact,
)
from .server import ServerState

#: Errors of the configuration are raised immediately instead of being reported as an outage.
_OURS = (ErrorKind.INVALID_OPTIONS, ErrorKind.LIBRARY_MISSING, ErrorKind.UNSUPPORTED)

#: Maximum number of manifests to read: a run each minute must cost less than the backups.
_SETS_READ = 50

#: How far back the last run of each operation is searched, and how far the last drill, which may run once a year.
_MONTHS, _DRILL_MONTHS = 3, 14


@dataclass(frozen=True)
class Scope:
    """The objects to observe. ask returns the state of the server of the source, or raises RecoveryError.

    volumes are paths. capacity is the quota of the source in the store in bytes; if set, all its objects are listed.
    """

    source: str
    store: t.Optional[ObjectStore] = field(default=None, metadata=INTERNAL)
    asked: str = field(default="", metadata=INTERNAL)
    ask: t.Optional[t.Callable[[], ServerState]] = None
    volumes: t.Sequence[str] = ()
    capacity: t.Optional[int] = field(default=None, metadata=option("capacity_bytes"))


@dataclass
class Memory:
    """State that one run cannot observe, stored in a file of the source.

    since: the start of outages. last: the breaches of the last run.
    """

    path: t.Optional[str]
    since: t.Dict[str, str] = field(default_factory=dict)
    last: t.List[Breach] = field(default_factory=list)

    @classmethod
    def of(cls, folder: t.Optional[str], source: str) -> Memory:
        """Read it; a file that is missing or damaged is empty state."""
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
        """The reach with its since, which is kept during the outage."""
        if reach.ok:
            self.since.pop(reach.place, None)
            return reach
        if self.path is None:
            return reach
        # After a clock change, the outage starts now and not in the future.
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
                left="The stored state is unchanged.",
                next_step="Set state_dir to a folder that this user may write.",
            ) from error


def observe(scope: Scope, limits: Thresholds, memory: Memory, now: datetime) -> Facts:
    """Collect all facts. Raises RecoveryError only for invalid options and missing libraries."""
    check_source(scope.source)
    facts = Facts(scope.source, volumes=tuple(_volume(path) for path in dict.fromkeys(scope.volumes)))
    if scope.ask is not None:
        reach, server = _tried(scope.asked, scope.ask)
        facts = replace(facts, reach=memory.note(reach, now))
        if server is not None:
            facts = replace(facts, replication=server.replication, archive=server.archive, kept=server.kept)
    if scope.store is not None:
        facts = _look_into(scope.store, scope, limits, memory, facts, now)
    return facts


def _tried(place: str, work: t.Callable[[], t.Any]) -> t.Tuple[Reach, t.Any]:
    try:
        return Reach(place, True), work()
    except RecoveryError as error:
        if error.kind in _OURS:
            raise
        return Reach(place, False, why=error.what), None


def _look_into(
    store: ObjectStore, scope: Scope, limits: Thresholds, memory: Memory, facts: Facts, now: datetime
) -> Facts:
    def look() -> t.Tuple[Facts, t.Optional[str]]:
        nonlocal now
        store.require_there()
        # If the clocks differ, the clock that makes sets older is used.
        now = max(now, store.now())
        names = list_sets(store, scope.source)
        seen = _described(store, names, scope.source, limits, facts, now)
        seen = replace(
            seen,
            restore=_restore(store, names),
            **_operations(store, scope.source, now),
            volumes=(*facts.volumes, *_used(store, scope)),
        )
        return seen, _newest(names)

    reach, seen = _tried(store.location, look)
    stores = [StoreFact(memory.note(reach, now), seen[1] if seen else None)]
    for number, copy in enumerate(store.copies, start=1):
        # Buckets of the same name at different providers have separate stored state.
        there = copy.location in [one.reach.place for one in stores]
        place = f"{copy.location} (copy {number})" if there else copy.location
        reach, newest = _tried(place, partial(_newest_in, copy, scope.source))
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
    full = [info for info in found.sets if info.problem is None and info.shows_source]
    summary = found.sources[0] if found.sources else None
    return replace(
        facts,
        sets=summary.sets if summary else 0,
        exposure_seconds=summary.exposure_seconds if summary else None,
        backup=_backup(full[0]) if full else None,
        problems=tuple(info.problem for info in found.sets if info.problem is not None),
        verification=_verification(full, now),
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
    # The presence of objects proves no content, so only verifications that read the objects count.
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
    """The facts about the existing sets, including undo sets."""
    by_tier = {name.tier: name.source for name in names}
    known = {(name.tier, name.set_id) for name in names}
    found = [
        outcome
        for tier, source in by_tier.items()
        for outcome in restore_outcomes(store, source, tier).values()
        if (tier, outcome.set_id) in known
    ]
    # By the instant of the restore: an older set may have been restored last.
    passed = max(
        (one for one in found if not one.failed),
        key=lambda one: (parse_instant(one.restored_at), one.set_id),
        default=None,
    )
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


def _operations(store: ObjectStore, source: str, now: datetime) -> t.Dict[str, t.Any]:
    """The facts of the audit records, by the names of the fields of Facts."""
    newest = newest_audits(store, source, now, months=_MONTHS, accept=_is_of_source)
    if "drill" not in newest:
        drill = newest_audit(store, source, "drill", now, months=_DRILL_MONTHS, accept=_is_of_source)
        newest.update({"drill": drill} if drill else {})
    records = sorted(newest.values(), key=lambda record: parse_instant(record.performed_at), reverse=True)
    return {
        "attempt": _attempt(newest["backup"]) if "backup" in newest else None,
        "check": _check(newest["check"], now) if "check" in newest else None,
        "drill": _drill(newest["drill"], now) if "drill" in newest else None,
        "operations": tuple(_operation(record, now) for record in records),
    }


def _operation(record: AuditRecord, now: datetime) -> OperationFact:
    return OperationFact(
        operation=record.operation_type,
        at=record.performed_at,
        age_seconds=_seconds_since(record.performed_at, now),
        status=record.status,
        performed_by=record.performed_by,
        host=record.host,
    )


def _attempt(record: AuditRecord) -> AttemptFact:
    return AttemptFact(record.performed_at, record.status, record.details.get("error_kind"))


def _check(record: AuditRecord, now: datetime) -> CheckFact:
    named = record.details.get("not_passed")
    return CheckFact(
        at=record.performed_at,
        verdict=record.status,
        age_seconds=_seconds_since(record.performed_at, now),
        failed=[str(name) for name in named] if isinstance(named, list) else [],
        error_kind=record.details.get("error_kind"),
    )


def _drill(record: AuditRecord, now: datetime) -> DrillFact:
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
            f"The volume {path} cannot be read: {error.strerror}.",
            next_step="Set volumes to paths that exist on this host.",
        ) from None
    # As df counts: blocks reserved for root are neither used nor free.
    used, free = (seen.f_blocks - seen.f_bfree) * seen.f_frsize, seen.f_bavail * seen.f_frsize
    return VolumeFact(path, used, used + free)


def _used(store: ObjectStore, scope: Scope) -> t.Tuple[VolumeFact, ...]:
    if scope.capacity is None:
        return ()
    used = sum(item.size for item in store.list(f"{scope.source}/"))
    return (VolumeFact(store.location, used, scope.capacity),)
