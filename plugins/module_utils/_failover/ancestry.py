# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Decides from the history of timelines how an old primary can follow the new one: attach, rewind, or build again."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from .._core.errors import RecoveryError
from .._engines.postgresql.server.connection import Connection, fetch_all, fetch_value
from .._engines.postgresql.server.lsn import format_lsn, parse_lsn

ATTACH, REWIND, RESEED = "attach", "rewind", "reseed"

_CLEAN = "shut down"
IN_RECOVERY = ("shut down in recovery", "in archive recovery")

# The control file has a new timeline only after the next checkpoint; the name of the WAL file changes immediately.
_PRIMARY = """
SELECT s.system_identifier::text, ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int,
       (SELECT setting::bigint FROM pg_settings WHERE name = 'wal_segment_size'),
       current_setting('server_version_num')::int / 10000
FROM pg_control_system() s
"""
_HISTORY = "SELECT convert_from(pg_read_binary_file(%s), 'UTF8')"
_FILES = "SELECT pg_ls_dir('pg_wal', true, false)"


@dataclass(frozen=True)
class NewPrimary:
    """history: the end of each former timeline, as a number of bytes, by timeline."""

    system_identifier: str
    timeline: int
    segment_size: int
    major: int
    history: t.Mapping[int, int]
    history_text: str

    def has_segment(self, conn: Connection, position: int) -> bool:
        """Whether the server still has the WAL file of the position, of any of its timelines."""
        number = position // self.segment_size
        per_log = 0x100000000 // self.segment_size
        name = f"{number // per_log:08X}{number % per_log:08X}"
        timelines = {*self.history, self.timeline}
        names = {str(found) for (found,) in fetch_all(conn, _FILES)}
        return any(f"{timeline:08X}{name}" in names for timeline in timelines)


@dataclass(frozen=True)
class OldCluster:
    """The control file of the old primary. history_text: of its own timeline; empty for the first one.

    replayed: the position up to which it has replayed WAL as a standby, on replayed_timeline; 0 if it was none.
    """

    system_identifier: str
    timeline: int
    state: str
    checkpoint: int
    can_rewind: bool
    major: int
    history_text: str
    replayed: int = 0
    replayed_timeline: int = 0


@dataclass(frozen=True)
class Decision:
    """way: C(attach), C(rewind) or C(reseed). fork: the end of the common timeline; None if it is unknown."""

    way: str
    reason: str
    fork: t.Optional[int] = None

    @property
    def fork_lsn(self) -> t.Optional[str]:
        return None if self.fork is None else format_lsn(self.fork)


def read_new_primary(conn: Connection) -> NewPrimary:
    """Raises psycopg2.Error for a role that may not read the control file or the history of the server."""
    ((identifier, timeline, size, major),) = fetch_all(conn, _PRIMARY)
    text = str(fetch_value(conn, _HISTORY, (history_path(timeline),))) if timeline > 1 else ""
    return NewPrimary(identifier, timeline, size, major, parse_history(text), text)


def history_path(timeline: int) -> str:
    return f"pg_wal/{timeline:08X}.history"


def parse_history(text: str) -> t.Dict[int, int]:
    """The lines C(timeline, end, reason) of a history file; a line that is none is left out."""
    ends: t.Dict[int, int] = {}
    for line in text.splitlines():
        parts = line.split()
        if len(parts) >= 2 and parts[0].isdigit():
            try:
                ends[int(parts[0])] = parse_lsn(parts[1])
            except RecoveryError:
                continue
    return ends


def judge_rejoin(old: OldCluster, new: NewPrimary, *, is_standby: bool) -> Decision:
    """is_standby: whether the old cluster has standby.signal and has followed a server already. Pure."""
    if old.major != new.major:
        return Decision(RESEED, f"it has the major version {old.major}, the new primary {new.major}")
    if old.timeline == new.timeline:
        same = old.history_text.split() == new.history_text.split()
        if is_standby and same:
            return Decision(ATTACH, "it is a standby of the new primary already")
        return Decision(
            RESEED,
            f"both are on timeline {old.timeline}, "
            f"{'and the new primary was not promoted' if same else 'which they began at different positions'}",
        )
    fork = new.history.get(old.timeline)
    if fork is None:
        return Decision(RESEED, f"its timeline {old.timeline} is not in the history of timeline {new.timeline}")
    # The shutdown checkpoint is the last record, so a fork behind its beginning contains it.
    if old.state == _CLEAN and old.checkpoint < fork:
        return Decision(ATTACH, "it stopped cleanly, and the new primary has its last record", fork)
    followed = old.replayed_timeline == new.timeline or old.replayed_timeline in new.history
    behind = old.replayed <= fork if old.replayed_timeline == old.timeline else followed
    if is_standby and old.state in IN_RECOVERY and old.checkpoint < fork and behind:
        return Decision(ATTACH, "it is a standby of an earlier timeline", fork)
    diverged = "it has records that the new primary lacks"
    if old.state != _CLEAN:
        diverged = f"it did not stop cleanly, its state is {old.state!r}"
    if not old.can_rewind:
        return Decision(
            RESEED, f"{diverged}, and it has neither data checksums nor wal_log_hints, which pg_rewind needs", fork
        )
    return Decision(REWIND, diverged, fork)
