# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The replication state of one PostgreSQL server. A value that the server does not show is None."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass
from datetime import datetime

#: A standby must have at least the primary's value of each, or replay stops.
#: https://www.postgresql.org/docs/current/hot-standby.html#HOT-STANDBY-ADMIN
STANDBY_SETTINGS = (
    "max_connections",
    "max_locks_per_transaction",
    "max_prepared_transactions",
    "max_wal_senders",
    "max_worker_processes",
)


@dataclass(frozen=True)
class Slot:
    """A replication slot. kind is C(physical) or C(logical); retained_bytes is the WAL that it holds back.

    invalidated: the server removed WAL that the slot needed, so that its consumer must be built again.
    """

    name: str
    kind: str
    active: bool
    wal_status: t.Optional[str]
    retained_bytes: t.Optional[int]
    invalidated: bool


@dataclass(frozen=True)
class Attached:
    """A standby as the sending server sees it. lag_seconds is measured by the server, None if it was not."""

    name: str
    address: t.Optional[str]
    state: t.Optional[str]
    sync_state: t.Optional[str]
    slot_name: t.Optional[str]
    lag_bytes: t.Optional[int]
    lag_seconds: t.Optional[float]


@dataclass(frozen=True)
class Receiver:
    """The WAL receiver of a standby. announced is the position up to which the sender has written."""

    status: t.Optional[str]
    slot_name: t.Optional[str]
    announced: t.Optional[int]
    heard_at: t.Optional[datetime]


@dataclass(frozen=True)
class Extension:
    """An extension of the connected database; usable: whether the host has the files of that version.

    default is the version that the host would install, None if it has no files of the extension.
    """

    version: str
    usable: bool
    default: t.Optional[str]


@dataclass(frozen=True)
class Server:
    """One server. WAL positions are numbers of bytes; written is the position of a primary.

    timeline is the newest that the server follows. base_backups counts the running base backups of it.
    """

    place: str
    in_recovery: bool
    server_version: str
    now: datetime
    system_identifier: t.Optional[str]
    timeline: t.Optional[int]
    settings: t.Mapping[str, int]
    extensions: t.Mapping[str, Extension]
    slots: t.Sequence[Slot]
    attached: t.Optional[t.Sequence[Attached]]
    base_backups: t.Optional[int]
    written: t.Optional[int] = None
    received: t.Optional[int] = None
    replayed: t.Optional[int] = None
    replayed_at: t.Optional[datetime] = None
    paused: t.Optional[bool] = None
    apply_delay_ms: int = 0
    slot_name: t.Optional[str] = None
    receiver: t.Optional[Receiver] = None
    sees_receiver: bool = True

    @property
    def major(self) -> int:
        return int(self.server_version.split(".")[0])

    @property
    def streaming(self) -> t.Optional[bool]:
        """Whether a standby is connected and receives; None if the role cannot see that."""
        if not self.sees_receiver:
            return None
        return self.receiver is not None and self.receiver.status == "streaming"

    @property
    def backlog(self) -> t.Optional[int]:
        """Bytes that a standby has received and not replayed."""
        if self.received is None or self.replayed is None:
            return None
        return max(0, self.received - self.replayed)
