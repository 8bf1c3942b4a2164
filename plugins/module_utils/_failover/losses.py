# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The loss of a promotion: acknowledged commits that the standby lacks, and whether it is proven. Pure."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass
from datetime import datetime

from .._core.errors import ErrorKind, RecoveryError
from .._core.sizes import readable_seconds, readable_size
from .._engines.postgresql.server.lsn import parse_lsn
from .._replication.facts import Server

#: The states of a control file after a clean stop of a primary.
_CLEAN = "shut down"


@dataclass(frozen=True)
class StoppedPrimary:
    """The control file of the stopped primary, as the module C(pg_control_info) returns it.

    checkpoint_lsn: the position of the newest checkpoint, which is the shutdown checkpoint after a clean stop.
    """

    system_identifier: str
    timeline: int
    state: str
    running: bool
    checkpoint_lsn: str

    @property
    def is_clean(self) -> bool:
        """Whether a primary ended after its shutdown checkpoint. The state alone proves no ended process."""
        return self.state == _CLEAN and not self.running


@dataclass(frozen=True)
class Loss:
    """The commits that a promotion loses. is_proven: the end of the primary's WAL is known, so bytes is exact.

    seconds: the longest time in which the lost commits can have been made; None if it is unknown.
    """

    is_proven: bool
    bytes: t.Optional[int]
    seconds: t.Optional[float]

    @property
    def is_none(self) -> bool:
        return self.is_proven and self.bytes == 0

    @property
    def sentence(self) -> str:
        if self.is_none:
            return "No commit is lost: the standby has replayed the shutdown checkpoint of the primary."
        if self.is_proven:
            return f"The standby lacks {readable_size(self.bytes or 0)} of the WAL of the stopped primary."
        if self.seconds is None:
            return "The number of lost commits is unknown: the standby has not replayed any commit."
        return f"Commits of up to {readable_seconds(self.seconds)} may be lost."


def require_stopped(stopped: StoppedPrimary, standby: Server) -> None:
    """Raise RecoveryError(wrong_server, inconsistent) unless the control file proves a clean stop of this primary."""
    if standby.system_identifier != stopped.system_identifier:
        raise RecoveryError(
            ErrorKind.WRONG_SERVER,
            f"`stopped_primary` has the system identifier {stopped.system_identifier}, "
            f"the standby {standby.system_identifier or 'does not show its own'}.",
            next_step="Read the control file of the primary that this standby follows, as a role with pg_monitor.",
        )
    if not stopped.is_clean:
        what = "still runs" if stopped.running else f"is in the state {stopped.state!r}"
        raise RecoveryError(
            ErrorKind.INCONSISTENT,
            f"`stopped_primary` must be a primary after a clean stop: its server {what}.",
            next_step="Stop the server with pg_ctl stop -m fast, read the control file again, then promote.",
        )
    if standby.timeline is not None and standby.timeline != stopped.timeline:
        raise RecoveryError(
            ErrorKind.INCONSISTENT,
            f"The primary stopped on timeline {stopped.timeline}, the standby is on timeline {standby.timeline}.",
            next_step="Find out which server was promoted since; build the other one again.",
        )


def loss_after_stop(stopped: StoppedPrimary, standby: Server) -> Loss:
    """The loss if the primary was stopped cleanly.

    A standby that has replayed the shutdown record is past its position, so an equal position is not enough.
    """
    end = parse_lsn(stopped.checkpoint_lsn)
    if standby.replayed is not None and standby.replayed > end:
        return Loss(True, 0, 0.0)
    # The record itself is 120 bytes with its header; a standby that lacks only the record lacks no commit either,
    # but that is not distinguishable from a standby that stopped one record earlier.
    return Loss(True, max(1, end - (standby.replayed or 0)), None)


def loss_after_outage(standby: Server, down_since: t.Optional[datetime]) -> Loss:
    """The loss if the end of the primary's WAL is unknown: commits after the newest replayed one.

    down_since: since when the primary has accepted no commit; if it is None, until now.
    """
    if standby.replayed_at is None:
        return Loss(False, None, None)
    until = min(standby.now, down_since) if down_since is not None else standby.now
    return Loss(False, None, round(max(0.0, (until - standby.replayed_at).total_seconds()), 3))


def require_acceptable(loss: Loss, max_loss_seconds: float, allow_data_loss: t.Optional[str]) -> None:
    """Raise RecoveryError(limit_exceeded) if the loss is above the limit and no reason allows it."""
    if loss.is_none or allow_data_loss:
        return
    if not loss.is_proven and loss.seconds is not None and loss.seconds <= max_loss_seconds:
        return
    raise RecoveryError(
        ErrorKind.LIMIT_EXCEEDED,
        f"{loss.sentence} `max_loss_seconds` allows {readable_seconds(max_loss_seconds)}.",
        next_step="Get the WAL of the primary if its disk is readable, or set `allow_data_loss` to the reason "
        "for which the loss is accepted.",
        details={"loss_bytes": loss.bytes, "loss_seconds": loss.seconds},
    )
