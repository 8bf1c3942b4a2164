# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Point-in-time recovery as a whole: decide, prove, confirm, act, tell."""

from __future__ import annotations

import os
import typing as t
from dataclasses import dataclass, field, replace

from .._core.clock import PhaseListener, Timings
from .._core.confirmation import plan_digest, require_confirmation
from .._core.errors import ErrorKind, RecoveryError
from .._core.process import scratch_folder
from .._sets.audit import audited
from .._store.base import ObjectStore
from .beside import Start, refuse_occupied, remove_beside, restore_beside
from .in_place import refuse_interrupted, restore_in_place, undo_in_place
from .plan import Plan, Wish, describe_stop, make_plan, settle_plan
from .recovery import Reached, read_marker

OPERATION = "point_in_time_recovery"


@dataclass(frozen=True)
class PitrRequest:
    """service: the unit of systemd that a recovery in place stops and starts, instead of pg_ctl."""

    wish: Wish
    start: Start
    service: t.Optional[str]
    environment: str
    confirm: t.Optional[str]
    source: t.Optional[str] = None
    spool_dir: t.Optional[str] = None
    listener: t.Optional[PhaseListener] = None
    check_mode: bool = False


@dataclass(frozen=True)
class PitrResult:
    changed: bool
    mode: str
    stanza: str
    data_directory: str
    summary: str
    target: str = ""
    backup: t.Optional[str] = None
    stops_at: t.Optional[t.Mapping[str, t.Any]] = None
    reached: t.Optional[Reached] = None
    port: t.Optional[int] = None
    socket_directory: t.Optional[str] = None
    undo: t.Optional[t.Mapping[str, t.Any]] = None
    backup_due: bool = False
    plan: t.Mapping[str, t.Any] = field(default_factory=dict)
    plan_digest: str = ""
    timings: t.Mapping[str, float] = field(default_factory=dict)


def recover(request: PitrRequest, store: t.Optional[ObjectStore]) -> PitrResult:
    """Do what the request's mode says. With a store, an audit record is written. Raises RecoveryError."""
    wish = request.wish
    details = {"mode": wish.mode, "stanza": wish.place.stanza, "target": wish.target.words, "data": wish.data}
    with audited(store, request.source, OPERATION, details, check_mode=request.check_mode) as outcome:
        result = _recover(request)
        if result.changed:
            outcome.update({"backup": result.backup, "plan_digest": result.plan_digest, "timings": result.timings})
    return result


def _recover(request: PitrRequest) -> PitrResult:
    timings = Timings(request.listener)
    if request.wish.mode == "remove":
        return _remove(request, timings)
    if request.wish.mode == "undo":
        return _undo(request, timings)
    return _restore(request, timings)


def _restore(request: PitrRequest, timings: Timings) -> PitrResult:
    wish = request.wish
    in_place = wish.mode == "in_place"
    with scratch_folder("lifeline-pitr-", request.spool_dir) as scratch:
        with timings.phase("preflight"):
            if in_place:
                refuse_interrupted(wish.data)
            else:
                refuse_occupied(wish, request.start)
            plan = make_plan(wish, scratch)
            if in_place:
                require_confirmation(request.environment, request.confirm, wish.place.stanza, plan.digest)
            elif request.confirm is not None:
                require_confirmation("sandbox", request.confirm, wish.place.stanza, plan.digest, "restores")
        if request.check_mode:
            return _result(request, plan, timings, f"Would restore {plan.stanza.name!r} to {wish.target.words}.")
        plan = settle_plan(wish, plan, scratch, timings)
    if in_place:
        return _in_place(request, plan, timings)
    made = restore_beside(wish, plan, request.start, timings)
    where = f"port {made.port}" if made.port else "not started"
    summary = f"Restored {plan.stanza.name!r} to {wish.target.words} in {wish.data} ({made.reached.state}, {where})."
    result = _result(request, plan, timings, summary, made.reached)
    return replace(result, port=made.port, socket_directory=made.socket_dir)


def _in_place(request: PitrRequest, plan: Plan, timings: Timings) -> PitrResult:
    wish = request.wish
    reached, kept = restore_in_place(
        wish, plan, service=request.service, start=request.start.start, timeout=request.start.timeout,
        jobs=request.start.jobs, timings=timings,
    )  # fmt: skip
    summary = (
        f"{wish.data} is at {wish.target.words} ({reached.state}); the old one is {kept}. "
        "A new full backup is due once it is promoted."
    )
    result = _result(request, plan, timings, summary, reached)
    undo = {"mode": "undo", "data_directory": wish.data, "kept": kept}
    return replace(result, undo=undo, backup_due=True)


def _undo(request: PitrRequest, timings: Timings) -> PitrResult:
    wish = request.wish
    marker = read_marker(wish.data)
    plan = {"mode": "undo", "data_directory": wish.data, "kept": marker.kept if marker else None}
    if marker is not None and marker.stanza != wish.place.stanza:
        raise RecoveryError(
            ErrorKind.WRONG_SERVER,
            f"{wish.data} is of the stanza {marker.stanza!r}, not of {wish.place.stanza!r}.",
            next_step="Check stanza and data_directory.",
        )
    if marker is not None:
        require_confirmation(request.environment, request.confirm, wish.place.stanza, plan_digest(plan))
    marker, aside = undo_in_place(
        wish.data, wish.place.user, request.service, wish.place.environment, timings, check_mode=request.check_mode
    )
    words = f" What stood there is {aside}." if aside else ""
    return PitrResult(
        changed=True,
        mode="undo",
        stanza=marker.stanza,
        data_directory=wish.data,
        summary=f"{wish.data} is the directory from before the recovery again.{words}"
        if not request.check_mode
        else f"Would give {marker.kept} its name {wish.data} back.",
        backup_due=True,
        plan=plan,
        plan_digest=plan_digest(plan),
        timings=timings.as_dict(),
    )


def _remove(request: PitrRequest, timings: Timings) -> PitrResult:
    data = request.wish.data
    there = os.path.lexists(data) or read_marker(data) is not None
    if not request.check_mode:
        with timings.phase("teardown"):
            there = remove_beside(data, request.wish.place.user)
    return PitrResult(
        changed=there,
        mode="remove",
        stanza=request.wish.place.stanza,
        data_directory=data,
        summary=f"{data} is {'gone' if not request.check_mode else 'to be removed'}." if there else "Nothing is there.",
        timings=timings.as_dict(),
    )


def _result(
    request: PitrRequest, plan: Plan, timings: Timings, summary: str, reached: t.Optional[Reached] = None
) -> PitrResult:
    wish = request.wish
    return PitrResult(
        changed=True,
        mode=wish.mode,
        stanza=plan.stanza.name,
        data_directory=wish.data,
        summary=summary,
        target=wish.target.words,
        backup=plan.backup.label,
        stops_at=describe_stop(plan.stop),
        reached=reached,
        plan=plan.shown,
        plan_digest=plan.digest,
        timings=timings.as_dict(),
    )
