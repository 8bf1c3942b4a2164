# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The recovery window of a stanza, its backups and archive, and the transactions around an instant."""

from __future__ import annotations

import os
import typing as t
from dataclasses import dataclass, field
from datetime import datetime

from .._core.clock import Timings, format_instant, utc_now
from .._core.errors import RecoveryError
from .._core.options import FilePath, option
from .._core.process import scratch_folder
from .._engines.postgresql.server.lsn import format_lsn
from .archive import Archive
from .cluster import Cluster, find_server
from .finder import Ended, from_archive, from_server, relation_names
from .plan import RecoverySpec, newest_commit, origin_cluster, origin_timeline
from .program import PgBackRest
from .repository import Backup, Stanza
from .target import choose_timeline
from .wal import first_missing

#: The number of transactions with the most harm that are listed.
_SUSPECTS = 5

_ARCHIVER = """
SELECT concat_ws('|', coalesce(last_archived_wal, ''),
    coalesce(extract(epoch FROM now() - last_archived_time)::text, ''), failed_count,
    coalesce(last_failed_wal, ''), pg_is_in_recovery(), current_setting('archive_mode'),
    current_setting('track_commit_timestamp'))
FROM pg_stat_archiver
"""


@dataclass(frozen=True)
class InfoRequest:
    """around: the instant whose transactions within window seconds before and after are listed, or None."""

    spec: RecoverySpec
    around: t.Optional[datetime] = None
    window: float = field(default=300, metadata=option("window_seconds"))
    limit: int = 100
    spool_dir: t.Optional[FilePath] = None


@dataclass(frozen=True)
class Edge:
    """An end of the window."""

    at: t.Optional[str]
    lsn: t.Optional[str]


@dataclass(frozen=True)
class Archiver:
    """The server. waiting: segments that are not archived yet. age_seconds: since the last archived segment."""

    last_archived: str
    age_seconds: t.Optional[float]
    failed_count: int
    last_failed: str
    waiting: t.Optional[int]
    archive_mode: str
    track_commit_timestamp: bool


@dataclass(frozen=True)
class PitrInfo:
    changed: bool
    stanza: str
    status: str
    system_identifier: str
    postgres_version: str
    timeline: int
    oldest: t.Optional[Edge]
    newest: t.Optional[Edge]
    recovery_points: t.Sequence[str]
    backups: t.Sequence[t.Mapping[str, t.Any]]
    archive: t.Mapping[str, t.Any]
    archiver: t.Optional[Archiver]
    transactions: t.Sequence[Ended] = ()
    suspects: t.Sequence[Ended] = ()
    timings: t.Mapping[str, float] = field(default_factory=dict)


def describe(request: InfoRequest) -> PitrInfo:
    """Read the repository, and the server if it runs on this host. Raises RecoveryError."""
    timings = Timings()
    spec = request.spec
    program = PgBackRest(spec.place)
    stanza = program.info()
    bin_dir = find_server(stanza.major, spec.bin_dir)
    origin, control = origin_cluster(spec, stanza, bin_dir)
    with scratch_folder("lifeline-pitr-", request.spool_dir) as scratch:
        archive = Archive(program, stanza, os.path.join(bin_dir, "pg_waldump"), scratch)
        timeline = choose_timeline(spec.timeline, origin_timeline(origin, control), archive.newest_timeline())
        archive.follow(timeline)
        with timings.phase("window"):
            complete, missing = _complete_part(archive, stanza)
            newest = newest_commit(archive, complete)
        segments = len(archive.segments)
        points = _points(archive, stanza, complete)
        with timings.phase("transactions"):
            found = _transactions(request, archive, stanza, origin)
        lsn = format_lsn((complete[-1] + 1) * archive.segment_size) if complete else None
        oldest = stanza.backups[0] if stanza.backups else None
        return PitrInfo(
            changed=False,
            stanza=stanza.name,
            status=stanza.status,
            system_identifier=stanza.system_identifier,
            postgres_version=stanza.version,
            timeline=timeline,
            oldest=Edge(format_instant(oldest.stopped_at), oldest.lsn_stop) if oldest else None,
            newest=Edge(newest.isoformat(timespec="microseconds") if newest else None, lsn) if complete else None,
            recovery_points=points,
            backups=[_shown(backup) for backup in reversed(stanza.backups)],
            archive={
                "min": stanza.archive_min,
                "max": stanza.archive_max,
                "segments": segments,
                "missing": [archive.name(number) for number in missing],
            },
            archiver=_archiver(origin),
            transactions=found,
            suspects=sorted((end for end in found if end.harm), key=lambda end: -end.harm)[:_SUSPECTS],
            timings=timings.as_dict(),
        )


def _complete_part(archive: Archive, stanza: Stanza) -> t.Tuple[t.List[int], t.List[int]]:
    """The segments that a recovery from the oldest backup can read without a gap, and the first missing one."""
    if not stanza.backups or not archive.segments:
        return [], []
    first = archive.number(stanza.backups[0].wal_start)
    numbers = archive.numbers(first)
    if not numbers:
        return [], [first]
    gap = first_missing(archive.segments, first, numbers[-1])
    return [number for number in numbers if gap is None or number < gap], [] if gap is None else [gap]


def _points(archive: Archive, stanza: Stanza, complete: t.Sequence[int]) -> t.List[str]:
    """The end of each backup, and the archive time of each later segment."""
    points = [backup.stopped_at for backup in stanza.backups[:1]]
    points += [archive.stored(number).archived_at for number in complete]
    oldest = points[0] if points else None
    return [format_instant(point) for point in sorted(set(points)) if oldest is not None and point >= oldest]


def _transactions(request: InfoRequest, archive: Archive, stanza: Stanza, origin: t.Optional[Cluster]) -> t.List[Ended]:
    if request.around is None:
        return []
    found: t.List[Ended] = []
    if stanza.backups and archive.segments:
        first = archive.number(stanza.backups[0].wal_start)
        if origin is not None:
            archive.add_unarchived(os.path.join(origin.data, "pg_wal"))
        names = relation_names(origin)
        found = from_archive(archive, first, request.around, request.window, names, request.limit)
    if origin is not None and origin.running() is not None:
        known = {end.xid for end in found}
        try:
            server = from_server(origin, request.around, request.window, request.limit)
        except RecoveryError:
            server = []
        found += [end for end in server if end.xid not in known]
    return sorted(found, key=lambda end: end.ended_at)[-request.limit :]


def _archiver(origin: t.Optional[Cluster]) -> t.Optional[Archiver]:
    if origin is None or origin.running() is None:
        return None
    try:
        last, age, failed, last_failed, _recovering, mode, track = origin.query(_ARCHIVER).split("|")
    except (RecoveryError, ValueError):
        return None
    try:
        names = os.listdir(os.path.join(origin.data, "pg_wal", "archive_status"))
        waiting: t.Optional[int] = sum(name.endswith(".ready") for name in names)
    except OSError:
        waiting = None
    seconds = round(float(age), 3) if age else None
    return Archiver(last, seconds, int(failed), last_failed, waiting, mode, track == "on")


def _shown(backup: Backup) -> t.Dict[str, t.Any]:
    return {
        "label": backup.label,
        "type": backup.type,
        "started_at": format_instant(backup.started_at),
        "stopped_at": format_instant(backup.stopped_at),
        "age_seconds": round((utc_now() - backup.stopped_at).total_seconds(), 3),
        "lsn_start": backup.lsn_start,
        "lsn_stop": backup.lsn_stop,
        "wal_start": backup.wal_start,
        "wal_stop": backup.wal_stop,
        "bytes": backup.size,
        "bytes_stored": backup.stored,
        "prior": backup.prior,
        "faulty": backup.faulty,
    }
