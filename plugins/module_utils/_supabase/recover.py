# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A project restored in place: looked at, confirmed, a restore point taken, begun once, and watched to its end."""

from __future__ import annotations

import contextlib
import typing as t
from dataclasses import dataclass, field
from datetime import datetime

from .._core.clock import PhaseListener, Timings
from .._core.confirmation import plan_digest, require_confirmation
from .._core.errors import Applied, ErrorKind, RecoveryError
from .._core.progress import Progress
from .._core.sizes import readable_seconds
from .._sets.audit import audited
from .._store.base import ObjectStore
from .answers import Backups, Project
from .api import Step, SupabaseApi
from .course import GONE, HEALTHY, PAUSED, RESTORING, Course, details_after, require_ready, undo_options
from .points import NOT_OFFERED, Patience, make_point, new_name, require_name
from .waiting import watch
from .window import describe_window, step_to_backup, step_to_instant, step_to_point

REQUIRED, TRY, NONE = "required", "try", "none"


@dataclass(frozen=True)
class RecoverRequest:
    """What to restore: one of to, backup_id, and point, which is a restore point to go back to.

    project_name is what the project has to be called, for who may have mistaken the ref. undo_first says whether there
    has to be a restore point of before; a way back to a point takes none, for it could put that point out.
    """

    to: t.Optional[datetime] = None
    backup_id: t.Optional[int] = None
    point: t.Optional[str] = None
    project_name: t.Optional[str] = None
    undo_first: str = REQUIRED
    patience: Patience = field(default_factory=Patience)
    environment: str = "production"
    confirm: t.Optional[str] = None
    check_mode: bool = False
    progress_file: t.Optional[str] = None
    source: t.Optional[str] = None
    listener: t.Optional[PhaseListener] = None


@dataclass(frozen=True)
class RecoverResult:
    """undo are the options that take the restore back, empty where nothing does; without_undo says why.

    answer_lost: the answer to the request never came, and the restore was seen to run.
    """

    changed: bool
    project: Project
    target: str
    status: str
    window: t.Optional[t.Mapping[str, t.Any]]
    undo: t.Mapping[str, str]
    without_undo: t.Optional[str]
    answer_lost: bool
    plan: t.Mapping[str, t.Any]
    plan_digest: str
    timings: t.Mapping[str, float]
    summary: str


@dataclass(frozen=True)
class WaitResult:
    """Nothing was changed by waiting."""

    changed: bool
    project: Project
    status: str
    timings: t.Mapping[str, float]
    summary: str


def recover(api: SupabaseApi, request: RecoverRequest, store: t.Optional[ObjectStore]) -> RecoverResult:
    """Restore a project and wait until it is well. Nothing is sent before target and confirmation are known to be good.

    With a store, an audit record of the request's source is written, also when it failed. Raises RecoveryError:
    outside_window, no_backup_set, unsupported, target_in_use, confirmation_required, restore_failed, timeout, and those
    of the service; the error says in which state the project was left.
    """
    run = _Run(api, request)
    with audited(store, request.source, "restore", run.told, check_mode=request.check_mode) as outcome:
        result = run.complete()
        outcome.update(undo=dict(result.undo), status=result.status)
    return result


def wait(api: SupabaseApi, patience: Patience, progress_file: t.Optional[str], *, check_mode: bool) -> WaitResult:
    """The project when what runs in it is done; as it is now in check mode.

    Raises RecoveryError: restore_failed, timeout, or unsupported for a project that is paused or gone.
    """
    timings = Timings()
    project = api.project()
    if project.status in (*PAUSED, *GONE):
        require_ready(api.ref, project.status)
    if project.status != HEALTHY and not check_mode:
        course = Course(start="", certain=True, begun=True)
        with timings.phase("restore"):
            watch(api, course, patience, Progress(progress_file, api.ref))
        project = api.project()
    summary = f"{project.name!r} ({project.ref}) is {project.status}."
    return WaitResult(False, project, project.status, timings.as_dict(), summary)


class _Run:
    def __init__(self, api: SupabaseApi, request: RecoverRequest) -> None:
        self._api, self._request = api, request
        self._timings = Timings(request.listener)
        self._without: t.Optional[str] = None
        #: For the audit record, also of a run that fails.
        self.told: t.Dict[str, t.Any] = {"project": api.ref}

    def complete(self) -> RecoverResult:
        request, timings = self._request, self._timings
        with timings.phase("preflight"):
            project = self._project()
            backups = self._api.backups()
            step = self._step(backups)
            plan = self._plan(project, step)
            digest = plan_digest(plan)
        self.told["target"] = step.target
        if request.check_mode:
            return self._result(project, backups, step, plan, digest, None, lost=False)
        require_confirmation(request.environment, request.confirm, project.ref, digest)
        with timings.phase("undo"):
            point = self._point()
        self.told["undo"] = undo_options(point)
        start = self._still_free(point)
        with timings.phase("restore"):
            lost = self._begin(step, point)
            progress = Progress(request.progress_file, project.ref)
            watch(self._api, Course(start, certain=not lost), request.patience, progress, point)
        with timings.phase("verify"):
            project = self._seen_again(project)
        return self._result(project, backups, step, plan, digest, point, lost=lost)

    def _project(self) -> Project:
        project, wanted = self._api.project(), self._request.project_name
        if wanted and project.name != wanted:
            raise RecoveryError(
                ErrorKind.CONFLICT,
                f"The project {project.ref} is called {project.name!r}, not {wanted!r}.",
                next_step="Check project_ref and project_name.",
            )
        require_ready(project.ref, project.status)
        return project

    def _step(self, backups: Backups) -> Step:
        request, ref = self._request, self._api.ref
        if request.to is not None:
            return step_to_instant(ref, backups, request.to)
        if request.backup_id is not None:
            return step_to_backup(ref, backups, request.backup_id)
        name = request.point or ""
        require_name(name)
        return step_to_point(ref, name, self._api.point(name))

    def _plan(self, project: Project, step: Step) -> t.Dict[str, t.Any]:
        return {
            "project": project.ref,
            "name": project.name,
            "host": project.host,
            "target": step.target,
            "undo_first": self._undo_first(),
            "replaces": "the whole database, in place, with downtime",
        }

    def _undo_first(self) -> str:
        return NONE if self._request.point else self._request.undo_first

    def _point(self) -> t.Optional[str]:
        wanted = self._undo_first()
        if wanted == NONE:
            self._without = "A way back was not asked for." if not self._request.point else _NO_POINT_BEFORE_UNDO
            return None
        name = new_name()
        try:
            make_point(self._api, name, self._request.patience)
        except RecoveryError as error:
            if wanted == TRY and error.kind in NOT_OFFERED:
                self._without = error.what
                return None
            raise RecoveryError(
                error.kind,
                f"There is no restore point to go back to: {error.what}",
                left="The restore was not begun, and the database is as it was.",
                next_step=f"{error.next_step} Or take a set with pg_backup, and set undo_first to {TRY} or {NONE}.",
                details={**error.details, "applied": "no"},
            ) from None
        return name

    def _still_free(self, point: t.Optional[str]) -> str:
        """The state before the request. Time has passed since the first look, in which another may have begun."""
        try:
            return self._project().status
        except RecoveryError as error:
            raise self._refused(error, error.kind, error.what, error.next_step, point) from None

    def _begin(self, step: Step, point: t.Optional[str]) -> bool:
        """Whether the answer was lost, so that only looking tells. It is never sent twice."""
        try:
            self._api.begin(step)
        except RecoveryError as error:
            if error.applied == Applied.UNKNOWN:
                return True
            if not self._begun_by_another():
                raise self._refused(error, error.kind, error.what, error.next_step, point) from None
            what = f"Another restore of {self._api.ref} began first: {error.what}"
            wait_for_it = "Wait for its end with action wait."
            raise self._refused(error, ErrorKind.TARGET_IN_USE, what, wait_for_it, point) from None
        return False

    @staticmethod
    def _refused(error: RecoveryError, kind: str, what: str, next_step: str, point: t.Optional[str]) -> RecoveryError:
        return RecoveryError(
            kind,
            what,
            left=f"Nothing was restored by this run. {_kept(point)}".strip(),
            next_step=next_step,
            details={**error.details, **details_after(None, point, applied="no")},
        )

    def _begun_by_another(self) -> bool:
        with contextlib.suppress(RecoveryError):
            return self._api.project().status == RESTORING
        return False

    def _seen_again(self, project: Project) -> Project:
        """As it is now. When that is not told any more, the restore is done all the same."""
        with contextlib.suppress(RecoveryError):
            return self._api.project()
        return project

    def _result(
        self,
        project: Project,
        backups: Backups,
        step: Step,
        plan: t.Mapping[str, t.Any],
        digest: str,
        point: t.Optional[str],
        *,
        lost: bool,
    ) -> RecoverResult:
        timings = self._timings.as_dict()
        would = self._request.check_mode
        done = "Would restore" if would else "Restored"
        took = "" if would else f" in {readable_seconds(timings['total'])}"
        back = f"; restore point {point} takes it back" if point else "" if would else "; nothing here takes it back"
        return RecoverResult(
            changed=True,
            project=project,
            target=step.target,
            status=project.status,
            window=describe_window(backups.window),
            undo=undo_options(point),
            without_undo=self._without,
            answer_lost=lost,
            plan=plan,
            plan_digest=digest,
            timings=timings,
            summary=f"{done} {project.name!r} ({project.ref}) to {step.target}{took}{back}.",
        )


_NO_POINT_BEFORE_UNDO = "The service does not say that it keeps two restore points, so none was taken before this one."


def _kept(point: t.Optional[str]) -> str:
    return f"The restore point {point} was made and stays." if point else ""
