# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Takes sets out of the catalogue by retention, and deletes the objects that no set needs.

A set leaves in two steps. Its manifest moves to C(pruned/), where it can be taken back; a day later the objects
that nothing else refers to go, and then the manifest. A backup that runs during pruning reuses objects of sets that it
saw in the catalogue less than that day ago, so what it commits is whole.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from .._core.clock import compact_instant
from .._core.errors import ErrorKind, RecoveryError
from .._core.name_index import NameIndex
from .._core.options import INTERNAL, option
from .._core.parallel import for_each
from .._core.sizes import readable_size
from .._store.base import ObjectInfo, ObjectStore, put_proved, read_all
from .catalogue import UnreadableSet, list_sets, load_sets, verifications
from .change import Change, ChangePlan, Outcome, Safeguards
from .clocks import TOLERANCE
from .layout import (
    TIERS,
    SetName,
    audit_prefix,
    objects_prefix,
    parse_set_key,
    pruned_key,
    pruned_prefix,
    restored_prefix,
    set_key,
    sets_prefix,
    sql_prefix,
    verified_prefix,
)
from .manifest import Manifest, parse_manifest
from .recovery_points import is_implausible
from .references import referenced_objects
from .restores import restore_outcomes
from .retention import DEFAULTS, Decision, Known, Policy, decide

#: How long records of an operation are kept, in days; others as long as backups.
AUDIT_DAYS: t.Mapping[str, int] = {"backup": 365, "check": 90, "drill": 730, "verify": 730, "restore": 2555}


@dataclass(frozen=True)
class PruneRequest:
    """The sets to prune. policy is that of one tier; if it is unset, each tier has its default. grace is in seconds."""

    source: t.Optional[str] = None
    tier: t.Optional[str] = field(default=None, metadata=option(choices=TIERS))
    policy: t.Optional[Policy] = None
    grace: float = field(default=86400, metadata=option("grace_seconds", type=int))
    audit_days: t.Mapping[str, float] = field(default_factory=dict)
    parallel: int = field(default=8, metadata=INTERNAL)
    check_mode: bool = False


@dataclass(frozen=True)
class PrunedSet:
    """A set and its fate: kept with reasons, removed, or retained because the store holds on to it."""

    source: str
    tier: str
    set_id: str
    fate: str
    reasons: t.Tuple[str, ...]


@dataclass
class PruneResult:
    """sets are oldest first by source and tier. blocked: why objects of a tier were not deleted.

    unreadable: sets whose manifest cannot be used; implausible: sets that are dated in the future. Both stay.
    """

    changed: bool = False
    sets: t.List[PrunedSet] = field(default_factory=list)
    kept: int = 0
    removed: int = 0
    retained: int = 0
    objects_removed: int = 0
    objects_retained: int = 0
    bytes_freed: int = 0
    audit_removed: int = 0
    blocked: t.List[str] = field(default_factory=list)
    unreadable: t.List[UnreadableSet] = field(default_factory=list)
    implausible: t.List[str] = field(default_factory=list)
    summary: str = ""


class SourcePrune(Change[PruneResult]):
    """Applies retention to one source, and adds its counts to a result. In check mode the plan is the result.

    now must come from clocks that agree (agreed_now). A set that cannot be read is kept and listed, and stops the
    sweep of its tier, because the set may need any object.
    """

    operation = "prune"
    records_unchanged = False

    def __init__(
        self, store: ObjectStore, source: str, request: PruneRequest, now: datetime, result: PruneResult
    ) -> None:
        super().__init__(Safeguards(check_mode=request.check_mode), store, source)
        self._store, self._source, self._request, self._now, self._result = store, source, request, now, result
        self._removed_before: t.Dict[str, str] = {}
        self._former = (result.removed, result.objects_removed)

    def plan(self) -> ChangePlan:
        if self._request.check_mode:
            self.act()
        return ChangePlan({}, self._source, destroys=False)

    def act(self) -> None:
        request, result = self._request, self._result
        for tier in [request.tier] if request.tier else TIERS:
            _Tier(self._store, self._source, tier, request, self._now, result).prune()
        self._removed_before = _prune_audit(self._store, self._source, request, self._now, result)
        self.details = {
            "sets": [item.set_id for item in result.sets if item.source == self._source and item.fate == "removed"],
            "objects": result.objects_removed - self._former[1],
            **({"audit_removed_before": self._removed_before} if self._removed_before else {}),
        }

    def has_changed(self) -> bool:
        return (self._result.removed, self._result.objects_removed) != self._former or bool(self._removed_before)

    def result(self, outcome: Outcome) -> PruneResult:
        return self._result


def prune_diff(result: PruneResult) -> t.Dict[str, str]:
    """The catalogue before and after, a line a set."""
    lines = [(item, f"{item.source}/{item.tier}/{item.set_id}\n") for item in result.sets]
    return {
        "before": "".join(line for _item, line in lines),
        "after": "".join(line for item, line in lines if item.fate != "removed"),
    }


class _Tier:
    """One tier of one source, while it is pruned."""

    def __init__(
        self, store: ObjectStore, source: str, tier: str, request: PruneRequest, now: datetime, result: PruneResult
    ) -> None:
        self._store, self._source, self._tier = store, source, tier
        self._request, self._now, self._result = request, now, result
        self._cutoff = now - timedelta(seconds=request.grace)
        self._policy = request.policy or DEFAULTS[tier]
        self._listed: t.Set[str] = set()
        self._manifests: t.List[Manifest] = []
        self._problems: t.List[str] = []

    def prune(self) -> None:
        names = list_sets(self._store, self._source, self._tier)
        self._listed = {name.set_id for name in names}
        self._manifests, unreadable = load_sets(self._store, names)
        self._result.unreadable += unreadable
        self._problems = [f"the set {item.set_id} cannot be read: {item.problem}" for item in unreadable]
        gone = set()
        for decision in decide(self._listed, self._policy, self._known(unreadable), self._now):
            fate = "kept" if decision.stays else self._remove(decision.set_id)
            if fate == "removed":
                gone.add(decision.set_id)
            self._count(decision, fate)
        self._sweep(gone)

    def _known(self, unreadable: t.Iterable[UnreadableSet]) -> Known:
        verified = verifications(self._store, self._source, self._tier)
        latest = self._now + TOLERANCE
        self._result.implausible += [
            f"{self._source}/{self._tier}/{set_id}" for set_id in sorted(self._listed) if is_implausible(set_id, latest)
        ]
        return Known(
            proved={set_id: one.proved_depth for set_id, one in verified.items() if one.proved_depth is not None},
            failed={
                *(set_id for set_id, one in verified.items() if one.failed),
                *(
                    set_id
                    for set_id, one in restore_outcomes(self._store, self._source, self._tier).items()
                    if one.failed
                ),
            },
            unreadable={item.set_id for item in unreadable},
            latest=latest,
        )

    def _remove(self, set_id: str) -> str:
        """Move the manifest out of the catalogue."""
        key, aside = set_key(self._source, self._tier, set_id), pruned_key(self._source, self._tier, set_id)
        info = self._store.head(key)
        if info is None:
            return "removed"
        if info.locked_until is not None and info.locked_until > self._now:
            return "retained"
        if self._request.check_mode:
            return "removed"
        put_proved(self._store, aside, read_all(self._store, key))
        if self._store.remove(key) is not None:
            self._store.remove(aside)
            return "retained"
        return "removed"

    def _sweep(self, gone: t.Set[str]) -> None:
        """Remove the objects that neither the catalogue nor the newly pruned need."""
        if not self._listed:
            # Objects without any set are what a first backup left, or a listing is wrong.
            return
        expired: t.List[ObjectInfo] = []
        with NameIndex() as needed:
            needed.add_all(self._references(expired))
            if self._problems:
                # Not knowing what one set needs, no object may go.
                self._result.blocked += [f"{self._source}/{self._tier}: {problem}" for problem in self._problems]
                return
            stored = (objects_prefix(self._source, self._tier), sql_prefix(self._source, self._tier))
            unneeded = (
                item
                for prefix in stored
                for item in self._store.list(prefix)
                if item.key not in needed and item.modified <= self._cutoff
            )
            for size in for_each(unneeded, self._sweep_object, parallel=self._request.parallel):
                if size is None:
                    self._result.objects_retained += 1
                elif size >= 0:
                    self._result.objects_removed += 1
                    self._result.bytes_freed += size
        if not self._request.check_mode:
            for item in expired:
                self._store.remove(item.key)
            self._forget_outcomes(gone)

    def _references(self, expired: t.List[ObjectInfo]) -> t.Iterator[t.Tuple[str, int]]:
        """The objects that sets need. Unreadable sets are added to the problems."""
        # Listings may be stale, so objects of sets in either of two listings are needed.
        for manifest in self._manifests:
            if self._store.head(set_key(self._source, self._tier, manifest.set_id)) is not None:
                yield from self._needed_by(manifest)
        for prefix in (sets_prefix(self._source, self._tier), pruned_prefix(self._source, self._tier)):
            for item in self._store.list(prefix):
                if "/pruned/" in item.key and item.modified <= self._cutoff and not self._is_in_catalogue(item.key):
                    expired.append(item)
                    continue
                name = parse_set_key(item.key.replace("/pruned/", "/sets/", 1))
                if name is None:
                    self._problems.append(f"{item.key} is not the manifest of a set. Move it out of the store")
                elif name.set_id not in self._listed or "/pruned/" in item.key:
                    yield from self._needed_by_document(item.key, name)

    def _needed_by_document(self, key: str, name: SetName) -> t.Iterator[t.Tuple[str, int]]:
        try:
            manifest = parse_manifest(read_all(self._store, key), key, name, self._store.sealing)
        except RecoveryError as error:
            self._stop_sweep(error)
            return
        yield from self._needed_by(manifest)

    def _needed_by(self, manifest: Manifest) -> t.Iterator[t.Tuple[str, int]]:
        try:
            for entry in referenced_objects(self._store, manifest):
                yield entry.key, entry.stored_size
            # A later set may have replaced a dump of the same name.
            yield str(manifest.coverage.get("sql_key") or ""), 0
        except RecoveryError as error:
            self._stop_sweep(error)

    def _stop_sweep(self, error: RecoveryError) -> None:
        """Note why the objects of the tier stay. Raises the error again when it is not of one set alone."""
        if error.kind not in (ErrorKind.DAMAGED, ErrorKind.UNSUPPORTED_MANIFEST, ErrorKind.OBJECT_MISSING):
            raise error
        self._problems.append(error.what)

    def _is_in_catalogue(self, aside: str) -> bool:
        """Whether a set that was put aside is still in the catalogue, because its removal was cut short."""
        return self._store.head(aside.replace("/pruned/", "/sets/", 1)) is not None

    def _sweep_object(self, item: ObjectInfo) -> t.Optional[int]:
        """The bytes freed; None when the store holds on to it, -1 when a backup stored it again."""
        info = self._store.head(item.key)
        if info is None or info.modified > self._cutoff:
            return -1
        if info.locked_until is not None and info.locked_until > self._now:
            return None
        if self._request.check_mode:
            return info.size
        return info.size if self._store.remove(item.key) is None else None

    def _forget_outcomes(self, gone: t.Set[str]) -> None:
        if not gone:
            return
        for prefix in (verified_prefix(self._source, self._tier), restored_prefix(self._source, self._tier)):
            for item in list(self._store.list(prefix)):
                if item.key.rpartition("/")[2].partition(".")[0] in gone:
                    self._store.remove(item.key)

    def _count(self, decision: Decision, fate: str) -> None:
        result = self._result
        result.sets.append(PrunedSet(self._source, self._tier, decision.set_id, fate, decision.reasons))
        setattr(result, fate, getattr(result, fate) + 1)


def _prune_audit(
    store: ObjectStore, source: str, request: PruneRequest, now: datetime, result: PruneResult
) -> t.Dict[str, str]:
    """Remove audit records that are past their time; with any, the instant before which each operation's are."""
    days = {**AUDIT_DAYS, **request.audit_days}
    before = {operation: compact_instant(now - timedelta(days=kept_for)) for operation, kept_for in days.items()}
    removed, old = 0, []
    for item in store.list(audit_prefix(source)):
        name = item.key.rpartition("/")[2]
        instant, _hyphen, operation = name.partition("-")
        if instant < before.get(operation.rpartition("-")[0], before["backup"]):
            old.append(item.key)
    for key in old:
        if request.check_mode or store.remove(key) is None:
            removed += 1
    result.audit_removed += removed
    return before if removed else {}


def prune_summary(result: PruneResult, check_mode: bool) -> str:
    """One sentence on the removed and the kept objects, with reasons."""
    would = "Would remove" if check_mode else "Removed"
    return (
        f"{would} {result.removed} of {result.kept + result.removed + result.retained} sets and "
        f"{result.objects_removed} objects ({readable_size(result.bytes_freed)}); "
        f"{result.retained} sets and {result.objects_retained} objects are held by a lock."
        f"{_not_removed(result)}"
    )


def _not_removed(result: PruneResult) -> str:
    """The sets and objects that were not removed, with reasons."""
    text = ""
    if result.unreadable:
        text += f" {len(result.unreadable)} sets cannot be read and stay."
    if result.implausible:
        text += (
            f" {len(result.implausible)} sets are dated in the future and stay: {', '.join(result.implausible[:5])}."
        )
    if result.blocked:
        text += f" Objects were not removed: {' '.join(item + '.' * (item[-1] != '.') for item in result.blocked[:5])}"
    return text
