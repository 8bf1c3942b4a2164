# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Restores a project in place: judge, confirm, create a restore point, send the request once, wait for the end."""

from __future__ import annotations

import contextlib
import typing as t
from dataclasses import dataclass, field
from datetime import datetime

from .._core.clock import PhaseListener, Timings
from .._core.errors import Applied, ErrorKind, RecoveryError
from .._core.options import FAMILY, FilePath, option
from .._core.progress import Progress
from .._core.sizes import readable_seconds
from .._repository.change import Change, ChangePlan, Outcome, Safeguards
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
    """The target of the restore: one of to, backup_id, and point, which is a restore point to go back to.

    project_name: the name that the project must have, against a mistaken ref. undo_first: whether a restore point must
    be created first; a restore to a point creates none, because the new point could replace that point.
    """

    to: t.Optional[datetime] = None
    backup_id: t.Optional[int] = None
    point: t.Optional[str] = field(default=None, metadata=option("name"))
    project_name: t.Optional[str] = None
    undo_first: str = field(default=REQUIRED, metadata=option(choices=(REQUIRED, TRY, NONE)))
    patience: Patience = field(default_factory=Patience, metadata=FAMILY)
    safeguards: Safeguards = field(default_factory=Safeguards, metadata=FAMILY)
    progress_file: t.Optional[FilePath] = None
    source: t.Optional[str] = None
    listener: t.Optional[PhaseListener] = field(default=None, metadata=option("journal"))


@dataclass(frozen=True)
class RecoverResult(Outcome):
    """without_undo: why nothing takes the restore back.

    answer_lost: the answer to the request never came, and the restore was seen to run.
    """

    project: Project
    target: str
    status: str
    window: t.Optional[t.Mapping[str, t.Any]]
    without_undo: t.Optional[str]
    answer_lost: bool
    plan: t.Mapping[str, t.Any]
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


class ProjectRestore(Change[RecoverResult]):
    """Restores a project and waits until it is healthy. Nothing is sent before target and confirmation were judged.

    Raises RecoveryError: outside_window, no_backup_set, unsupported, target_in_use, confirmation_required,
    restore_failed, timeout, and those of the service; the error states in which state the project was left.
    """

    def __init__(self, api: SupabaseApi, request: RecoverRequest, store: t.Optional[ObjectStore]) -> None:
        super().__init__(request.safeguards, store, request.source, request.listener)
        self._api, self._request = api, request
        self.details = {"project": api.ref}
        self._without: t.Optional[str] = None
        self._point_name: t.Optional[str] = None
        self._is_answer_lost = False

    def plan(self) -> ChangePlan:
        with self.timings.phase("preflight"):
            self._seen = project = self._project()
            self._backups = self._api.backups()
            self._target = step = self._step(self._backups)
        self.details["target"] = step.target
        self._facts = {
            "project": project.ref,
            "name": project.name,
            "host": project.host,
            "target": step.target,
            "undo_first": self._undo_first(),
            "replaces": "the whole database, in place, with downtime",
        }
        return ChangePlan(self._facts, project.ref, destroys=True)

    def keep_undo(self) -> t.Mapping[str, str]:
        with self.timings.phase("undo"):
            self._point_name = self._point()
        return undo_options(self._point_name)

    def act(self) -> None:
        point = self._point_name
        start = self._still_free(point)
        with self.timings.phase("restore"):
            self._is_answer_lost = self._begin(self._target, point)
            progress = Progress(self._request.progress_file, self._seen.ref)
            watch(self._api, Course(start, certain=not self._is_answer_lost), self._request.patience, progress, point)

    def verify(self) -> None:
        with self.timings.phase("verify"):
            self._seen = self._seen_again(self._seen)
        self.details["status"] = self._seen.status

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
            raise error.restated(
                what=f"There is no restore point to go back to: {error.what}",
                left="The restore was not begun, and the database is unchanged.",
                next_step=f"{error.next_step} Or take a set with pg_backup, and set undo_first to {TRY} or {NONE}.",
                applied=Applied.NO,
            ) from None
        return name

    def _still_free(self, point: t.Optional[str]) -> str:
        """The state before the request. Time has passed since the first look, in which another may have begun."""
        try:
            return self._project().status
        except RecoveryError as error:
            raise self._refused(error, error.kind, error.what, error.next_step, point) from None

    def _begin(self, step: Step, point: t.Optional[str]) -> bool:
        """Whether the answer was lost, so that only the state of the project shows the outcome. Never sent twice."""
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
        return error.restated(
            kind=kind,
            what=what,
            left=f"Nothing was restored by this run. {_kept(point)}".strip(),
            next_step=next_step,
            details=details_after(None, point, Applied.NO),
            applied=Applied.NO,
        )

    def _begun_by_another(self) -> bool:
        with contextlib.suppress(RecoveryError):
            return self._api.project().status == RESTORING
        return False

    def _seen_again(self, project: Project) -> Project:
        """The project as it is now. If the service does not answer, the restore is done nevertheless."""
        with contextlib.suppress(RecoveryError):
            return self._api.project()
        return project

    def result(self, outcome: Outcome) -> RecoverResult:
        timings, project, point = self.timings.as_dict(), self._seen, self._point_name
        acts = self.safeguards.acts
        done = "Restored" if acts else "Would restore"
        took = f" in {readable_seconds(timings['total'])}" if acts else ""
        back = f"; restore point {point} takes it back" if point else "; nothing here takes it back" if acts else ""
        return RecoverResult(
            **vars(outcome),
            project=project,
            target=self._target.target,
            status=project.status,
            window=describe_window(self._backups.window),
            without_undo=self._without,
            answer_lost=self._is_answer_lost,
            plan=self._facts,
            timings=timings,
            summary=f"{done} {project.name!r} ({project.ref}) to {self._target.target}{took}{back}.",
        )


_NO_POINT_BEFORE_UNDO = (
    "The service does not document that it keeps two restore points, so none was created before this one."
)


def _kept(point: t.Optional[str]) -> str:
    return f"The restore point {point} was made and stays." if point else ""
