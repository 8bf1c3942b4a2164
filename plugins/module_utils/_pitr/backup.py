# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Starts backups with pgBackRest, and creates and checks their stanza."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from .._core.clock import PhaseListener, Timings, format_instant
from .._core.errors import ErrorKind, RecoveryError
from .._core.options import FilePath, option
from .._core.process import scratch_folder
from .program import PgBackRest, Place
from .repository import Stanza
from .verify import verify_repository


@dataclass(frozen=True)
class BackupRequest:
    """With type C(none), no backup is started. jobs is the number of copying processes."""

    place: Place
    type: t.Literal["full", "diff", "incr", "none"] = "incr"
    create_stanza: bool = False
    check: bool = True
    verify: bool = False
    jobs: int = 2
    client_bin_dir: t.Optional[FilePath] = None
    spool_dir: t.Optional[FilePath] = None
    listener: t.Optional[PhaseListener] = field(default=None, metadata=option("journal"))
    check_mode: bool = False


@dataclass(frozen=True)
class BackupResult:
    changed: bool
    stanza: str
    summary: str
    stanza_created: bool = False
    label: t.Optional[str] = None
    type: t.Optional[str] = None
    stopped_at: t.Optional[str] = None
    lsn: t.Optional[str] = None
    bytes: t.Optional[int] = None
    bytes_stored: t.Optional[int] = None
    verified: t.Optional[t.Mapping[str, t.Any]] = None
    timings: t.Mapping[str, float] = field(default_factory=dict)


def take_backup(request: BackupRequest) -> BackupResult:
    """In this order: create the stanza, check the archiving, back up, verify the repository.

    Raises RecoveryError(archiving_failed, damaged, or the error of pgBackRest).
    """
    timings = Timings(request.listener)
    program = PgBackRest(request.place)
    before = _info(program)
    create = request.create_stanza and before is None
    name = request.place.stanza
    if request.check_mode:
        actions = [f"create the stanza {name}"] if create else []
        actions += [f"start a {request.type} backup"] if request.type != "none" else []
        summary = f"Would {' and '.join(actions)}." if actions else "Would change nothing."
        return BackupResult(bool(actions), name, summary, create)
    if create:
        with timings.phase("stanza"):
            program.run("stanza-create")
    if request.check:
        with timings.phase("check"):
            done = program.attempt("check")
            if done.code != 0:
                failed = program.failure("check that archiving works", done)
                raise RecoveryError(
                    ErrorKind.ARCHIVING_FAILED, failed.what, left="No backup was taken.", next_step=failed.next_step
                )
    result = BackupResult(create, name, f"The stanza {name!r} works.", create)
    if request.type != "none":
        result = _taken(request, program, create, timings)
    verified = None
    if request.verify:
        with timings.phase("verify"), scratch_folder("lifeline-pitr-", request.spool_dir) as scratch:
            found = verify_repository(request.place, request.client_bin_dir, None, scratch)
        if found.problems:
            raise RecoveryError(
                ErrorKind.DAMAGED,
                f"The repository of {name!r} is damaged: {' '.join(found.problems[:3])}",
                left="The verification changed nothing.",
                next_step="Start a new full backup immediately, and check the storage.",
                details={"verified": vars(found), "label": result.label},
            )
        verified = vars(found)
    return BackupResult(**{**vars(result), "verified": verified, "timings": timings.as_dict()})


def _taken(request: BackupRequest, program: PgBackRest, created: bool, timings: Timings) -> BackupResult:
    with timings.phase("backup"):
        program.run("backup", f"--type={request.type}", f"--process-max={request.jobs}", *program.only_repository())
    newest = program.info().backups[-1]
    return BackupResult(
        changed=True,
        stanza=request.place.stanza,
        summary=f"Took the {newest.type} backup {newest.label} of {request.place.stanza!r} in {timings.total():.1f} s.",
        stanza_created=created,
        label=newest.label,
        type=newest.type,
        stopped_at=format_instant(newest.stopped_at),
        lsn=newest.lsn_stop,
        bytes=newest.size,
        bytes_stored=newest.stored,
    )


def _info(program: PgBackRest) -> t.Optional[Stanza]:
    try:
        return program.info()
    except RecoveryError as error:
        if error.kind != ErrorKind.UNKNOWN_SOURCE:
            raise
        return None
