# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs a change: plan, digest, limits, confirmation, undo, act, verify, settle, record, result."""

from __future__ import annotations

import contextlib
import typing as t

from .._core.confirmation import missing_confirmation, plan_digest, require_confirmation
from .._core.errors import ErrorKind, RecoveryError
from .._core.notices import note
from .._repository.audit import write_audit
from .._repository.change import Change, ChangePlan, Outcome, Result_co
from .._repository.restores import record_restore


def perform(change: Change[Result_co]) -> Result_co:
    """Make a change after its plan was judged and confirmed; in check mode and with plan_only, only the plan.

    The end is recorded in the audit log, also of a failure, and beside the set if a whole set was restored.
    Raises RecoveryError: limit_exceeded, confirmation_required, and those of the engine.
    """
    return _Performance(change).complete()


class _Performance(t.Generic[Result_co]):
    def __init__(self, change: Change[Result_co]) -> None:
        self._change, self._guards = change, change.safeguards
        self._undo: t.Mapping[str, t.Any] = {}
        self._changed = False

    def complete(self) -> Result_co:
        change = self._change
        with self._recorded():
            with change.resources:
                plan = change.plan()
                digest = plan_digest(plan.facts) if plan.facts else ""
                self._changed = plan.changes
                confirmation = ""
                if plan.changes:
                    confirmation = self._missing_confirmation(plan, digest)
                    self._require_allowed(plan, digest)
                    if self._guards.acts:
                        self._act()
            unchanged = None if self._changed else change.why_unchanged()
            return change.result(Outcome(self._changed, digest, confirmation, self._undo, unchanged))

    def _require_allowed(self, plan: ChangePlan, digest: str) -> None:
        guards = self._guards
        guards.limits.require(plan.writes, plan.deletes)
        if plan.undo_set and self._change.store is not None:
            self._change.store.require_writable(f"{self._change.source}/undo/")
        if guards.check_mode:
            return
        require_confirmation(
            self._environment(plan), guards.confirm, plan.target, digest, plan.does, elsewhere=plan.elsewhere
        )

    def _missing_confirmation(self, plan: ChangePlan, digest: str) -> str:
        return missing_confirmation(
            self._environment(plan), self._guards.confirm, plan.target, digest, elsewhere=plan.elsewhere
        )

    def _environment(self, plan: ChangePlan) -> str:
        # A confirmation that is given has to be of this plan, also where none is required.
        return self._guards.environment if plan.destroys else "sandbox"

    def _act(self) -> None:
        change = self._change
        try:
            change.prepare()
            self._undo = change.keep_undo()
            change.act()
            change.verify()
            self._undo = {**self._undo, **change.settle()}
        except RecoveryError as error:
            raise change.put_back(error) from None
        self._changed = change.has_changed()

    @contextlib.contextmanager
    def _recorded(self) -> t.Iterator[None]:
        try:
            yield
        except RecoveryError as error:
            # Names only: reasons and statements may hold data.
            self._record_failure(error.kind, error.objects or error.damaged)
            raise
        except Exception:
            self._record_failure(ErrorKind.UNEXPECTED)
            raise
        except BaseException:
            self._record_failure(ErrorKind.INTERRUPTED)
            raise
        change = self._change
        compared = {} if change.equal is None else {"equal": change.equal}
        if self._changed and compared:
            self._record_restore(None if change.equal else ErrorKind.NOT_EQUAL, change.unequal)
        if self._changed or change.records_unchanged:
            self._audit("succeeded", {"changed": self._changed, **compared})

    def _record_failure(self, kind: str, objects: t.Sequence[str] = ()) -> None:
        if kind in self._change.faults_of_set:
            self._record_restore(kind, objects)
        self._audit("failed", {"error_kind": kind})

    def _audit(self, status: str, end: t.Mapping[str, t.Any]) -> None:
        change = self._change
        if change.store is None or not change.source or not self._guards.acts:
            return
        undo = {"undo": dict(self._undo)} if self._undo else {}
        try:
            write_audit(change.store, change.source, change.operation, status, {**change.details, **undo, **end})
        except RecoveryError as error:
            # The change has ended; a store that takes no record does not alter how.
            note(f"No audit record of this operation was written: {error.what}")

    def _record_restore(self, kind: t.Optional[str], objects: t.Sequence[str] = ()) -> None:
        store, manifest = self._change.store, self._change.restores
        if store is None or manifest is None or not self._guards.acts:
            return
        with contextlib.suppress(RecoveryError):
            record_restore(store, manifest, kind, objects)
