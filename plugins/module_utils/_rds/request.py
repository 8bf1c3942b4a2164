# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The options of a promotion on Amazon RDS, and the parts that both kinds share."""

from __future__ import annotations

import time
import typing as t
from dataclasses import dataclass, field
from datetime import datetime

from .._core.errors import ErrorKind, RecoveryError
from .._core.options import FAMILY, INTERNAL
from .._engines.postgresql.server.connection import ConnectionOptions, connection
from .._failover.probe import probe_write
from .._replication.queries import in_recovery
from .._repository.change import Outcome, Safeguards
from .api import AwsAccess, region_of

REPLICA, AURORA_SWITCHOVER, AURORA_FAILOVER = "replica", "aurora_switchover", "aurora_failover"


@dataclass(frozen=True)
class PromotionRequest:
    """expected_source: the ARN of the writer now. instance: of kind replica. global_cluster, target: of Aurora.

    poll_seconds: between two looks at the state. settle_seconds: so long the end has to be unchanged.
    """

    access: AwsAccess = field(metadata=FAMILY)
    expected_source: str
    kind: t.Literal["replica", "aurora_switchover", "aurora_failover"] = "replica"
    instance: t.Optional[str] = None
    global_cluster: t.Optional[str] = None
    target: t.Optional[str] = None
    backup_retention_days: int = 7
    fenced_by: t.Optional[str] = None
    accept_split_brain: t.Optional[str] = None
    primary_down_since: t.Optional[datetime] = None
    max_loss_seconds: float = 0
    allow_data_loss: t.Optional[str] = None
    wait_seconds: float = 3600
    settle_seconds: float = 30
    poll_seconds: float = 10
    write_seconds: float = 15
    source: t.Optional[str] = None
    peer: t.Optional[ConnectionOptions] = field(default=None, metadata=INTERNAL)
    safeguards: Safeguards = field(default_factory=Safeguards, metadata=FAMILY)

    def require_valid(self) -> None:
        """Raise RecoveryError(invalid_options)."""
        if region_of(self.expected_source) is None:
            raise RecoveryError(
                ErrorKind.INVALID_OPTIONS,
                f"`expected_source` must be an ARN of RDS, got {self.expected_source[:100]!r}.",
                next_step="Write it as arn:aws:rds:eu-west-1:111122223333:db:school.",
            )
        names = ("instance",) if self.kind == REPLICA else ("global_cluster", "target")
        for name in names:
            if not getattr(self, name):
                raise RecoveryError(ErrorKind.INVALID_OPTIONS, f"`{name}` is required if `kind` is {self.kind}.")
        if self.target is not None and region_of(self.target) is None:
            raise RecoveryError(
                ErrorKind.INVALID_OPTIONS, f"`target` must be an ARN of a cluster, got {self.target[:100]!r}."
            )
        if self.kind == AURORA_FAILOVER and not self.allow_data_loss:
            raise RecoveryError(
                ErrorKind.INVALID_OPTIONS,
                "`allow_data_loss` is required for aurora_failover, which can lose commits.",
                next_step="Set it to the reason, or `kind` to aurora_switchover.",
            )
        if not 1 <= self.backup_retention_days <= 35:
            raise RecoveryError(
                ErrorKind.INVALID_OPTIONS,
                f"`backup_retention_days` must be 1 to 35, got {self.backup_retention_days}.",
                next_step="A promoted instance without backups is the source of no new replica.",
            )
        for name in ("wait_seconds", "poll_seconds", "write_seconds"):
            if getattr(self, name) <= 0:
                raise RecoveryError(
                    ErrorKind.INVALID_OPTIONS, f"`{name}` must be above 0, got {getattr(self, name):g}."
                )


@dataclass(frozen=True)
class PromotionResult(Outcome):
    """states: the states that were seen, in order. loss_seconds: null if it is unknown or none is possible."""

    kind: str
    target: str
    arn: str
    endpoint: t.Optional[str]
    former_source: str
    retention_days: t.Optional[int]
    states: t.Sequence[str]
    loss_seconds: t.Optional[float]
    findings: t.Sequence[str]
    write_seconds: t.Optional[float]
    timings: t.Mapping[str, float]
    summary: str


def probe_peer(peer: t.Optional[ConnectionOptions], seconds: float) -> t.Optional[float]:
    """The seconds of a commit on the promoted server; None without a login. Raises RecoveryError."""
    if peer is None:
        return None
    with connection(peer) as conn:
        if in_recovery(conn):
            raise RecoveryError(
                ErrorKind.PROMOTION_FAILED,
                f"{peer.place} is in recovery, although RDS reports the end of the promotion.",
                next_step="Check that `peer` is the endpoint of the promoted server; then read its log.",
            )
    return probe_write(peer, seconds)


class Watch:
    """Waits for the end of a change that RDS reports in several fields at different times."""

    def __init__(self, request: PromotionRequest) -> None:
        self._request = request
        self.states: t.List[str] = []

    def until(self, look: t.Callable[[], t.Tuple[str, str]]) -> str:
        """Call look, which returns the state and the reason why it is not the end; the last reason, empty at the end.

        The end has to last for settle_seconds, because RDS answers before it begins.
        """
        request = self._request
        deadline = time.monotonic() + request.wait_seconds
        ended_since: t.Optional[float] = None
        while True:
            try:
                state, reason = look()
            except RecoveryError as error:
                if error.kind not in (ErrorKind.UNREACHABLE, ErrorKind.SERVICE_FAILED):
                    raise
                state, reason = "unknown", error.what.rstrip(".")
            if not self.states or self.states[-1] != state:
                self.states.append(state)
            now = time.monotonic()
            ended_since = None if reason else ended_since if ended_since is not None else now
            if ended_since is not None and now - ended_since >= request.settle_seconds:
                return ""
            if now >= deadline:
                return reason or "its state changed in the last seconds"
            time.sleep(request.poll_seconds)
