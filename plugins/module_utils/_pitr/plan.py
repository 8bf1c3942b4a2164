# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a recovery would do, and whether the archive lets it; found out while everything still runs."""

from __future__ import annotations

import os
import typing as t
from dataclasses import dataclass, field, replace

from .._core.clock import Timings, format_instant, utc_now
from .._core.confirmation import plan_digest
from .._core.errors import ErrorKind, RecoveryError
from .._postgres.lsn import format_lsn
from .archive import Archive
from .cluster import Cluster, ControlFile, Login, archived_after_switch, find_server
from .program import PgBackRest, Place
from .repository import Backup, Stanza
from .target import (
    Stop,
    Target,
    choose_backup,
    choose_timeline,
    outside,
    refuse_impossible,
    stop_in,
)
from .wal import first_missing


@dataclass(frozen=True)
class Wish:
    """What is asked for. live: the data directory of the server whose archive it is, or None when that is gone."""

    place: Place
    target: Target
    mode: str
    data: str
    live: t.Optional[str]
    login: Login
    bin_dir: t.Optional[str] = None
    backup_set: t.Optional[str] = None
    timeline: str = "auto"
    action: str = "pause"
    check_archive: bool = True
    archive_timeout: int = 120


@dataclass(frozen=True)
class Plan:
    """stop is None when the target is not archived yet, and for immediate and latest. last: the last segment needed."""

    stanza: Stanza
    backup: Backup
    timeline: int
    bin_dir: str
    stop: t.Optional[Stop]
    switch_first: bool
    segments: int
    shown: t.Mapping[str, t.Any] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        # What a switch of the segment makes known later is no part of what a person agreed to.
        later = ("switch_wal_first", "stops_at", "segments")
        return plan_digest({name: value for name, value in self.shown.items() if name not in later})


def make_plan(wish: Wish, scratch: str) -> Plan:
    """Decide and prove what can be told without touching anything. Raises RecoveryError.

    Kinds: outside_archive, no_backup_set, damaged (a segment is missing), wrong_server, client_missing.
    """
    program = PgBackRest(wish.place)
    stanza = program.info()
    refuse_impossible(wish.target, stanza, utc_now())
    bin_dir = find_server(stanza.major, wish.bin_dir)
    live, control = live_cluster(wish, stanza, bin_dir)
    archive = Archive(program, stanza, os.path.join(bin_dir, "pg_waldump"), scratch)
    timeline = choose_timeline(wish.timeline, live_timeline(live, control), archive.newest_timeline())
    archive.follow(timeline)
    stop = locate(archive, wish.target, stanza)
    unknown = stop is None and wish.target.type not in ("immediate", "latest")
    if unknown and (live is None or live.running() is None):
        raise _not_archived(archive, wish.target, stanza)
    backup = choose_backup(stanza, archive.path, stop.position if stop else None, wish.backup_set)
    segments = require_whole(archive, backup, stop, wish.target)
    plan = Plan(stanza, backup, timeline, bin_dir, stop, unknown, segments)
    return replace(plan, shown=_shown(wish, plan))


def settle_plan(wish: Wish, plan: Plan, scratch: str, timings: Timings) -> Plan:
    """Let what is not archived yet be archived, find the target in it, and prove every segment by its digest.

    The server goes on running. Raises RecoveryError(archiving_failed, outside_archive or damaged).
    """
    program = PgBackRest(wish.place)
    live, _control = live_cluster(wish, plan.stanza, plan.bin_dir)
    running = live is not None and live.running() is not None
    if live is not None and running and (plan.switch_first or wish.mode == "in_place" or wish.target.type == "latest"):
        with timings.phase("archive"):
            if live.query("SELECT pg_catalog.pg_is_in_recovery()") == "f":
                archived_after_switch(live, wish.archive_timeout)
    archive = Archive(program, plan.stanza, os.path.join(plan.bin_dir, "pg_waldump"), scratch)
    archive.follow(plan.timeline)
    stop = plan.stop or locate(archive, wish.target, plan.stanza)
    if stop is None and wish.target.type not in ("immediate", "latest"):
        raise _not_archived(archive, wish.target, plan.stanza)
    segments = require_whole(archive, plan.backup, stop, wish.target)
    if wish.check_archive:
        with timings.phase("check"):
            first = archive.number(plan.backup.wal_start)
            for number in range(first, first + segments):
                archive.prove(number)
    settled = replace(plan, stop=stop, segments=segments)
    return replace(settled, shown=_shown(wish, settled))


def live_cluster(wish: Wish, stanza: Stanza, bin_dir: str) -> t.Tuple[t.Optional[Cluster], t.Optional[ControlFile]]:
    """The server that the stanza is of, when its data directory is there.

    Raises RecoveryError(wrong_server) when it is another's and would be replaced.
    """
    if wish.live is None or not os.path.isdir(wish.live):
        return None, None
    cluster = Cluster(wish.live, bin_dir, wish.place.user, wish.login)
    control = cluster.control()
    if control is not None and control.system_identifier == stanza.system_identifier:
        return cluster, control
    if wish.mode == "in_place":
        found = f"system identifier {control.system_identifier}" if control else "no readable control file"
        raise RecoveryError(
            ErrorKind.WRONG_SERVER,
            f"{wish.live} has {found}; the stanza {stanza.name!r} is of {stanza.system_identifier}.",
            next_step="Check data_directory and stanza; or restore beside.",
        )
    return None, None


def locate(archive: Archive, target: Target, stanza: Stanza) -> t.Optional[Stop]:
    """Where in the archive a recovery stops, or None when it does not hold the target."""
    if target.type in ("immediate", "latest") or not archive.segments:
        return None
    numbers = archive.numbers(archive.number(stanza.backups[0].wal_start))
    if target.position is not None:
        number = archive.number_at(target.position)
        if number not in numbers or (number == numbers[-1] and archive.read(number).last < target.position):
            return None
        return Stop(target.position)
    # Of the others: what happened lately is what people want to go back before.
    begin = 0 if target.at is None else max(0, first_after(archive, target, numbers) - 1)
    ordered = numbers[::-1] if target.at is None else numbers[begin:]
    return next((stop for number in ordered for stop in [stop_in(target, archive.read(number))] if stop), None)


def first_after(archive: Archive, target: Target, numbers: t.Sequence[int]) -> int:
    """By halves, an index before which no segment has an end of a transaction that the target stops at."""
    low, high = 0, len(numbers)
    while low < high:
        middle = (low + high) // 2
        probe = next(
            (index for index in range(middle, high) if archive.read(numbers[index]).transactions), None
        )  # fmt: skip
        if probe is None:
            high = middle
        elif stop_in(target, archive.read(numbers[probe])) is not None:
            high = probe
        else:
            low = probe + 1
    return low


def newest_commit(archive: Archive, numbers: t.Sequence[int]) -> t.Optional[t.Any]:
    """The instant of the last end of a transaction in these segments."""
    for number in reversed(numbers):
        ends = [ended.ended_at for ended in archive.read(number).transactions]
        if ends:
            return max(ends)
    return None


def require_whole(archive: Archive, backup: Backup, stop: t.Optional[Stop], target: Target) -> int:
    """How many segments the recovery reads. Raises RecoveryError(damaged) when one of them is missing."""
    first, last = archive.number(backup.wal_start), archive.number(backup.wal_stop)
    if stop is not None:
        last = max(last, archive.number_at(stop.position))
    elif target.type != "immediate":
        last = max([last, *archive.numbers(first)])
    missing = first_missing(archive.segments, first, last)
    if missing is not None:
        raise RecoveryError(
            ErrorKind.DAMAGED,
            f"The archive lacks the WAL segment {archive.name(missing)}, which a recovery from {backup.label} to "
            f"{target.words} needs.",
            next_step="Choose a target before it, a backup that was taken after it, or another repository.",
        )
    return last - first + 1


def live_timeline(live: t.Optional[Cluster], control: t.Optional[ControlFile]) -> t.Optional[int]:
    if live is not None and live.running() is not None:
        try:
            name = live.query(
                "SELECT CASE WHEN pg_catalog.pg_is_in_recovery() THEN '' "
                "ELSE pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()) END"
            )
            if name:
                return int(name[:8], 16)
        except RecoveryError:
            pass
    return control.timeline if control is not None and control.timeline else None


def _not_archived(archive: Archive, target: Target, stanza: Stanza) -> RecoveryError:
    newest = None
    if archive.segments:
        newest = newest_commit(archive, archive.numbers(archive.number(stanza.backups[0].wal_start)))
    until = f"its newest transaction ended at {newest.isoformat()}" if newest else "it holds no transaction"
    return outside(
        f"The archive of {stanza.name!r} does not reach {target.words}: {until}.",
        "Choose an earlier target, or target_type latest; or start the server, so that it archives what is missing.",
    )


def _shown(wish: Wish, plan: Plan) -> t.Dict[str, t.Any]:
    stop = plan.stop
    return {
        "mode": wish.mode,
        "stanza": plan.stanza.name,
        "system_identifier": plan.stanza.system_identifier,
        "data_directory": wish.data,
        "target": wish.target.words,
        "backup": plan.backup.label,
        "backup_ended_at": format_instant(plan.backup.stopped_at),
        "timeline": plan.timeline,
        "action": wish.action,
        "segments": plan.segments,
        "switch_wal_first": plan.switch_first,
        "stops_at": describe_stop(stop),
    }


def describe_stop(stop: t.Optional[Stop]) -> t.Optional[t.Dict[str, t.Any]]:
    if stop is None:
        return None
    at = stop.ended_at.isoformat() if stop.ended_at else None
    return {"lsn": format_lsn(stop.position), "xid": stop.xid, "ended_at": at}
