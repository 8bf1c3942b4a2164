# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The steps of a recovery, and whether the archive holds everything for it; checked while the server runs."""

from __future__ import annotations

import os
import typing as t
from dataclasses import dataclass, field, replace

from .._core.clock import Timings, format_instant, utc_now
from .._core.confirmation import plan_digest
from .._core.errors import ErrorKind, RecoveryError
from .._core.options import INTERNAL, FilePath, option
from .._engines.postgresql.server.lsn import format_lsn
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
class RecoverySpec:
    """The requested recovery. origin: the data directory of the archived server, or None if it does not exist."""

    place: Place
    target: Target
    login: Login
    mode: str = field(metadata=INTERNAL)
    data: str = field(metadata=INTERNAL)
    origin: t.Optional[str] = field(metadata=INTERNAL)
    bin_dir: t.Optional[FilePath] = field(default=None, metadata=option("client_bin_dir"))
    backup_set: t.Optional[str] = None
    timeline: str = "auto"
    action: t.Literal["pause", "promote", "shutdown"] = "pause"
    check_archive: bool = True
    archive_timeout: int = 120


@dataclass(frozen=True)
class Plan:
    """stop is None if the target is not archived yet, and for immediate and latest. last: the last needed segment."""

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
        # Facts that a switch of the segment reveals later are no part of the confirmed plan.
        later = ("switch_wal_first", "stops_at", "segments")
        return plan_digest({name: value for name, value in self.shown.items() if name not in later})


def make_plan(spec: RecoverySpec, scratch: str) -> Plan:
    """Plan and check without changes. Raises RecoveryError.

    Kinds: outside_archive, no_backup_set, damaged (a segment is missing), wrong_server, client_missing.
    """
    program = PgBackRest(spec.place)
    stanza = program.info()
    refuse_impossible(spec.target, stanza, utc_now())
    bin_dir = find_server(stanza.major, spec.bin_dir)
    origin, control = origin_cluster(spec, stanza, bin_dir)
    archive = Archive(program, stanza, os.path.join(bin_dir, "pg_waldump"), scratch)
    timeline = choose_timeline(spec.timeline, origin_timeline(origin, control), archive.newest_timeline())
    archive.follow(timeline)
    stop = locate(archive, spec.target, stanza)
    unknown = stop is None and spec.target.type not in ("immediate", "latest")
    if unknown and (origin is None or origin.running() is None):
        raise _not_archived(archive, spec.target, stanza)
    backup = choose_backup(stanza, archive.path, stop.position if stop else None, spec.backup_set)
    segments = require_complete(archive, backup, stop, spec.target)
    plan = Plan(stanza, backup, timeline, bin_dir, stop, unknown, segments)
    return replace(plan, shown=_shown(spec, plan))


def settle_plan(spec: RecoverySpec, plan: Plan, scratch: str, timings: Timings) -> Plan:
    """Archive pending WAL, find the target in it, and check every segment by its digest.

    The server continues to run. Raises RecoveryError(archiving_failed, outside_archive or damaged).
    """
    program = PgBackRest(spec.place)
    origin, _control = origin_cluster(spec, plan.stanza, plan.bin_dir)
    running = origin is not None and origin.running() is not None
    if (
        origin is not None
        and running
        and (plan.switch_first or spec.mode == "in_place" or spec.target.type == "latest")
    ):
        with timings.phase("archive"):
            if origin.query("SELECT pg_catalog.pg_is_in_recovery()") == "f":
                archived_after_switch(origin, spec.archive_timeout)
    archive = Archive(program, plan.stanza, os.path.join(plan.bin_dir, "pg_waldump"), scratch)
    archive.follow(plan.timeline)
    stop = plan.stop or locate(archive, spec.target, plan.stanza)
    if stop is None and spec.target.type not in ("immediate", "latest"):
        raise _not_archived(archive, spec.target, plan.stanza)
    segments = require_complete(archive, plan.backup, stop, spec.target)
    if spec.check_archive:
        with timings.phase("check"):
            first = archive.number(plan.backup.wal_start)
            for number in range(first, first + segments):
                archive.prove(number)
    settled = replace(plan, stop=stop, segments=segments)
    return replace(settled, shown=_shown(spec, settled))


def origin_cluster(
    spec: RecoverySpec, stanza: Stanza, bin_dir: str
) -> t.Tuple[t.Optional[Cluster], t.Optional[ControlFile]]:
    """The server of the stanza, if its data directory exists.

    Raises RecoveryError(wrong_server) if it belongs to another cluster and would be replaced.
    """
    if spec.origin is None or not os.path.isdir(spec.origin):
        return None, None
    cluster = Cluster(spec.origin, bin_dir, spec.place.user, spec.login)
    control = cluster.control()
    if control is not None and control.system_identifier == stanza.system_identifier:
        return cluster, control
    if spec.mode == "in_place":
        found = f"system identifier {control.system_identifier}" if control else "no readable control file"
        raise RecoveryError(
            ErrorKind.WRONG_SERVER,
            f"{spec.origin} has {found}; the stanza {stanza.name!r} belongs to {stanza.system_identifier}.",
            next_step="Check data_directory and stanza; or set `mode` to side_by_side.",
        )
    return None, None


def locate(archive: Archive, target: Target, stanza: Stanza) -> t.Optional[Stop]:
    """The position in the archive where a recovery stops, or None if the archive does not contain the target."""
    if target.type in ("immediate", "latest") or not archive.segments:
        return None
    numbers = archive.numbers(archive.number(stanza.backups[0].wal_start))
    if target.position is not None:
        number = archive.number_at(target.position)
        if number not in numbers or (number == numbers[-1] and archive.read(number).last < target.position):
            return None
        return Stop(target.position)
    # From the newest segment on: most recoveries go back to a recent instant.
    begin = 0 if target.at is None else max(0, first_after(archive, target, numbers) - 1)
    ordered = numbers[::-1] if target.at is None else numbers[begin:]
    return next((stop for number in ordered for stop in [stop_in(target, archive.read(number))] if stop), None)


def first_after(archive: Archive, target: Target, numbers: t.Sequence[int]) -> int:
    """A binary search for an index before which no segment has the end of a transaction that the target stops at."""
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


def require_complete(archive: Archive, backup: Backup, stop: t.Optional[Stop], target: Target) -> int:
    """The number of segments that the recovery reads. Raises RecoveryError(damaged) if a segment is missing."""
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
            f"{target.description} needs.",
            next_step="Choose an earlier target, a backup that ended after the segment, or another repository.",
        )
    return last - first + 1


def origin_timeline(origin: t.Optional[Cluster], control: t.Optional[ControlFile]) -> t.Optional[int]:
    if origin is not None and origin.running() is not None:
        try:
            name = origin.query(
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
        f"The archive of {stanza.name!r} does not reach {target.description}: {until}.",
        "Choose an earlier target, or target_type latest; or start the server, so that it archives the missing WAL.",
    )


def _shown(spec: RecoverySpec, plan: Plan) -> t.Dict[str, t.Any]:
    stop = plan.stop
    return {
        "mode": spec.mode,
        "stanza": plan.stanza.name,
        "system_identifier": plan.stanza.system_identifier,
        "data_directory": spec.data,
        "target": spec.target.description,
        "backup": plan.backup.label,
        "backup_ended_at": format_instant(plan.backup.stopped_at),
        "timeline": plan.timeline,
        "action": spec.action,
        "segments": plan.segments,
        "switch_wal_first": plan.switch_first,
        "stops_at": describe_stop(stop),
    }


def describe_stop(stop: t.Optional[Stop]) -> t.Optional[t.Dict[str, t.Any]]:
    if stop is None:
        return None
    at = stop.ended_at.isoformat() if stop.ended_at else None
    return {"lsn": format_lsn(stop.position), "xid": stop.xid, "ended_at": at}
