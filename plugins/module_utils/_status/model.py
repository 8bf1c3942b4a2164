# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The facts about a source, the thresholds, and the breaches."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from .._core.errors import ErrorKind
from .._core.options import option
from .._core.severity import CRITICAL, ERROR, WARNING

#: The severity of each breach, unless an option replaces it.
EVENTS: t.Mapping[str, str] = {
    "source.unreachable": CRITICAL,
    "store.unreachable": CRITICAL,
    "store.behind": ERROR,
    "backup.missing": CRITICAL,
    "backup.failed": CRITICAL,
    "backup.overdue": CRITICAL,
    "backup.damaged": CRITICAL,
    "backup.slow": WARNING,
    "backup.size": WARNING,
    "verify.failed": CRITICAL,
    "restore.failed": CRITICAL,
    "verify.overdue": WARNING,
    "check.failed": CRITICAL,
    "check.misconfigured": ERROR,
    "check.error": ERROR,
    "check.overdue": WARNING,
    "drill.failed": ERROR,
    "drill.overdue": WARNING,
    "replication.stopped": CRITICAL,
    "replication.lag": WARNING,
    "archive.failing": CRITICAL,
    "archive.lag": WARNING,
    "storage.used": WARNING,
    "storage.full": CRITICAL,
}


@dataclass(frozen=True)
class Thresholds:
    """Limits at which a fact becomes a breach. Seconds and ratios; None and 0 disable the limit.

    severities replaces those of EVENTS.
    """

    rpo: t.Optional[float] = field(default=None, metadata=option("rpo_seconds"))
    window: float = field(default=7 * 86400, metadata=option("window_seconds"))
    unreachable: float = field(default=300, metadata=option("unreachable_seconds"))
    duration: float = field(default=1800, metadata=option("duration_seconds"))
    size_tolerance: float = 0.2
    verified_within: float = field(default=0, metadata=option("verified_within_seconds"))
    checked_within: float = field(default=0, metadata=option("checked_within_seconds"))
    drilled_within: float = field(default=0, metadata=option("drilled_within_seconds"))
    replication_lag: float = field(default=300, metadata=option("replication_lag_seconds"))
    archive_lag: float = field(default=900, metadata=option("archive_lag_seconds"))
    storage_used: float = 0.8
    storage_full: float = 0.95
    severities: t.Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Reach:
    """Whether a store or server answered; since: start of the outage, why: its error."""

    place: str
    ok: bool
    since: t.Optional[str] = None
    why: str = ""


@dataclass(frozen=True)
class StoreFact:
    """A store or a copy of it; newest is the newest set of the source in it."""

    reach: Reach
    newest: t.Optional[str] = None


@dataclass(frozen=True)
class BackupFact:
    """The newest set of the complete source. size_change is the ratio to the median of earlier sets, minus one."""

    set_id: str
    tier: str
    recovery_point: str
    age_seconds: float
    bytes_plain: int
    bytes_stored: int
    duration_seconds: float
    size_change: t.Optional[float]


@dataclass(frozen=True)
class VerificationFact:
    """The newest set whose verification passed, and the last verification that failed."""

    passed_set: t.Optional[str] = None
    passed_at: t.Optional[str] = None
    depth: t.Optional[str] = None
    age_seconds: t.Optional[float] = None
    failed_set: t.Optional[str] = None
    damaged: int = 0


@dataclass(frozen=True)
class RestoreFact:
    """The set of the last restore that was equal to its set, and the newest set whose last restore failed.

    objects names some of the object_count objects that were refused or not equal. failed_sets: every set whose last
    restore failed, newest first.
    """

    passed_set: t.Optional[str] = None
    passed_at: t.Optional[str] = None
    failed_set: t.Optional[str] = None
    failed_at: t.Optional[str] = None
    error_kind: t.Optional[str] = None
    objects: t.Sequence[str] = ()
    object_count: int = 0
    failed_sets: t.Sequence[str] = ()


@dataclass(frozen=True)
class OperationFact:
    """The last run of an operation on the source, by its audit record."""

    operation: str
    at: str
    age_seconds: float
    status: str
    performed_by: str
    host: str


@dataclass(frozen=True)
class AttemptFact:
    """The last attempt at a backup, by its audit record."""

    at: str
    status: str
    error_kind: t.Optional[str] = None


@dataclass(frozen=True)
class CheckFact:
    """The last checks of the content of the source, by their audit record; failed names those that did not pass."""

    at: str
    verdict: str
    age_seconds: float
    failed: t.Sequence[str] = ()
    error_kind: t.Optional[str] = None

    @property
    def misconfigured(self) -> bool:
        """Whether the checks are invalid, so that no check ran."""
        return self.error_kind == ErrorKind.INVALID_OPTIONS


@dataclass(frozen=True)
class DrillFact:
    """The last drill of the source, by its audit record."""

    at: str
    verdict: str
    scenario: str
    age_seconds: float
    rto_measured_seconds: t.Optional[float] = None
    rto_objective_seconds: t.Optional[float] = None


@dataclass(frozen=True)
class ReplicationFact:
    """The highest lag of the standbys; None if it is unknown.

    A standby with a slot that it does not use counts as not streaming.
    """

    role: str
    streaming: t.Optional[bool]
    standbys: int
    lag_seconds: t.Optional[float] = None
    lag_bytes: t.Optional[int] = None


@dataclass(frozen=True)
class ArchiveFact:
    """WAL segments that wait to be archived; lag_seconds is the age of the oldest."""

    failing: bool
    waiting: t.Optional[int]
    lag_seconds: t.Optional[float]
    last_archived_at: t.Optional[str]


@dataclass(frozen=True)
class KeptFact:
    """A database that a swap kept as its undo; bytes is None if this role may not read the size."""

    name: str
    age_seconds: float
    bytes: t.Optional[int]


@dataclass(frozen=True)
class VolumeFact:
    """A file system, or the quota of a source in its store; used_ratio is between 0 and 1."""

    place: str
    used_bytes: int
    size_bytes: int

    @property
    def used_ratio(self) -> float:
        # A file system without a size, such as /proc, cannot be full.
        return round(self.used_bytes / self.size_bytes, 4) if self.size_bytes else 0.0


@dataclass(frozen=True)
class Facts:
    """All facts. A fact is None or empty if the store or server did not answer."""

    source: str
    reach: t.Optional[Reach] = None
    stores: t.Tuple[StoreFact, ...] = ()
    sets: int = 0
    backup: t.Optional[BackupFact] = None
    exposure_seconds: t.Optional[float] = None
    problems: t.Tuple[str, ...] = ()
    verification: VerificationFact = field(default_factory=VerificationFact)
    restore: RestoreFact = field(default_factory=RestoreFact)
    attempt: t.Optional[AttemptFact] = None
    check: t.Optional[CheckFact] = None
    drill: t.Optional[DrillFact] = None
    operations: t.Tuple[OperationFact, ...] = ()
    replication: t.Optional[ReplicationFact] = None
    archive: t.Optional[ArchiveFact] = None
    kept: t.Tuple[KeptFact, ...] = ()
    volumes: t.Tuple[VolumeFact, ...] = ()

    @property
    def store_read(self) -> bool:
        """Whether the first store answered, so that a missing set is known to be missing."""
        return bool(self.stores) and self.stores[0].reach.ok


@dataclass(frozen=True)
class Breach:
    """One breach; key stays the same while it lasts."""

    key: str
    event: str
    severity: str
    message: str
