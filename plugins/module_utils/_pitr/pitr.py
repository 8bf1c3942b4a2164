# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Point-in-time recovery: plan, check the archive, confirm, restore, report."""

from __future__ import annotations

import os
import typing as t
from dataclasses import dataclass, field, replace

from .._core.clock import PhaseListener, Timings
from .._core.confirmation import ENVIRONMENTS, missing_confirmation, plan_digest, require_confirmation
from .._core.errors import ErrorKind, RecoveryError
from .._core.options import FilePath, option
from .._core.process import scratch_folder
from .._repository.audit import audited
from .._store.base import ObjectStore
from .in_place import refuse_interrupted, restore_in_place, undo_in_place
from .plan import Plan, RecoverySpec, describe_stop, make_plan, settle_plan
from .recovery import Reached, read_marker
from .side_by_side import Start, refuse_occupied, remove_side_by_side, restore_side_by_side

OPERATION = "point_in_time_recovery"


@dataclass(frozen=True)
class PitrRequest:
    """service: the systemd unit that a recovery in place stops and starts, instead of pg_ctl."""

    spec: RecoverySpec
    start: Start
    service: t.Optional[str] = None
    environment: str = field(default="production", metadata=option("recovery_environment", choices=ENVIRONMENTS))
    confirm: t.Optional[str] = field(default=None, metadata=option("recovery_confirm"))
    source: t.Optional[str] = None
    spool_dir: t.Optional[FilePath] = None
    listener: t.Optional[PhaseListener] = field(default=None, metadata=option("journal"))
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
    confirmation: str = ""
    timings: t.Mapping[str, float] = field(default_factory=dict)


def recover(request: PitrRequest, store: t.Optional[ObjectStore]) -> PitrResult:
    """Run the mode of the request. If a store is set, an audit record is written. Raises RecoveryError."""
    spec = request.spec
    details = {"mode": spec.mode, "stanza": spec.place.stanza, "target": spec.target.description, "data": spec.data}
    with audited(store, request.source, OPERATION, details, check_mode=request.check_mode) as outcome:
        result = _recover(request)
        if result.changed:
            outcome.update({"backup": result.backup, "plan_digest": result.plan_digest, "timings": result.timings})
    return result


def _recover(request: PitrRequest) -> PitrResult:
    timings = Timings(request.listener)
    if request.spec.mode == "remove":
        return _remove(request, timings)
    if request.spec.mode == "undo":
        return _undo(request, timings)
    return _restore(request, timings)


def _restore(request: PitrRequest, timings: Timings) -> PitrResult:
    spec = request.spec
    in_place = spec.mode == "in_place"
    with scratch_folder("lifeline-pitr-", request.spool_dir) as scratch:
        with timings.phase("preflight"):
            if in_place:
                refuse_interrupted(spec.data)
            else:
                refuse_occupied(spec, request.start)
            plan = make_plan(spec, scratch)
            # A confirmation that is given has to be of this plan, also where none is required.
            environment = request.environment if in_place else "sandbox"
            confirming = (environment, request.confirm, spec.place.stanza, plan.digest)
            if not request.check_mode:
                require_confirmation(*confirming, "replaces" if in_place else "restores")
        if request.check_mode:
            done = f"Would restore {plan.stanza.name!r} to {spec.target.description}."
            return replace(_result(request, plan, timings, done), confirmation=missing_confirmation(*confirming))
        plan = settle_plan(spec, plan, scratch, timings)
    if in_place:
        return _in_place(request, plan, timings)
    made = restore_side_by_side(spec, plan, request.start, timings)
    where = f"port {made.port}" if made.port else "not started"
    summary = (
        f"Restored {plan.stanza.name!r} to {spec.target.description} in {spec.data} ({made.reached.state}, {where})."
    )
    result = _result(request, plan, timings, summary, made.reached)
    return replace(result, port=made.port, socket_directory=made.socket_dir)


def _in_place(request: PitrRequest, plan: Plan, timings: Timings) -> PitrResult:
    spec = request.spec
    reached, kept = restore_in_place(
        spec, plan, service=request.service, start=request.start.start, timeout=request.start.recovery_timeout,
        jobs=request.start.jobs, timings=timings,
    )  # fmt: skip
    summary = (
        f"{spec.data} is at {spec.target.description} ({reached.state}); the old directory is {kept}. "
        "Start a new full backup after the promotion."
    )
    result = _result(request, plan, timings, summary, reached)
    undo = {"mode": "undo", "data_directory": spec.data, "kept": kept}
    return replace(result, undo=undo, backup_due=True)


def _undo(request: PitrRequest, timings: Timings) -> PitrResult:
    spec = request.spec
    marker = read_marker(spec.data)
    plan = {"mode": "undo", "data_directory": spec.data, "kept": marker.kept if marker else None}
    if marker is not None and marker.stanza != spec.place.stanza:
        raise RecoveryError(
            ErrorKind.WRONG_SERVER,
            f"{spec.data} belongs to the stanza {marker.stanza!r}, not to {spec.place.stanza!r}.",
            next_step="Check stanza and data_directory.",
        )
    confirming = (request.environment, request.confirm, spec.place.stanza, plan_digest(plan))
    if marker is not None and not request.check_mode:
        require_confirmation(*confirming)
    marker, aside = undo_in_place(
        spec.data, spec.place.user, request.service, spec.place.environment, timings, check_mode=request.check_mode
    )
    removed = f" The recovered directory is {aside}." if aside else ""
    return PitrResult(
        changed=True,
        mode="undo",
        stanza=marker.stanza,
        data_directory=spec.data,
        summary=f"{spec.data} is the directory from before the recovery again.{removed}"
        if not request.check_mode
        else f"Would rename {marker.kept} to {spec.data}.",
        backup_due=True,
        plan=plan,
        plan_digest=plan_digest(plan),
        confirmation=missing_confirmation(*confirming) if request.check_mode else "",
        timings=timings.as_dict(),
    )


def _remove(request: PitrRequest, timings: Timings) -> PitrResult:
    data = request.spec.data
    there = os.path.lexists(data) or read_marker(data) is not None
    if not request.check_mode:
        with timings.phase("teardown"):
            there = remove_side_by_side(data, request.spec.place.user)
    return PitrResult(
        changed=there,
        mode="remove",
        stanza=request.spec.place.stanza,
        data_directory=data,
        summary=f"{data} {'would be' if request.check_mode else 'was'} removed."
        if there
        else f"{data} does not exist.",
        timings=timings.as_dict(),
    )


def _result(
    request: PitrRequest, plan: Plan, timings: Timings, summary: str, reached: t.Optional[Reached] = None
) -> PitrResult:
    spec = request.spec
    return PitrResult(
        changed=True,
        mode=spec.mode,
        stanza=plan.stanza.name,
        data_directory=spec.data,
        summary=summary,
        target=spec.target.description,
        backup=plan.backup.label,
        stops_at=describe_stop(plan.stop),
        reached=reached,
        plan=plan.shown,
        plan_digest=plan.digest,
        timings=timings.as_dict(),
    )
