# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Deletes edge functions after the replacement is proved, with their bundles kept as the undo."""

from __future__ import annotations

import time
import typing as t
from dataclasses import dataclass, field

from ..._core.errors import Applied, ErrorKind, RecoveryError
from ..._core.options import FAMILY
from ..._core.sizes import first_of
from ..._repository.change import ChangePlan, Outcome, Unchanged
from ..._store.base import ObjectStore
from .answers import ACTIVE
from .api import FunctionsApi
from .change import FunctionOptions, FunctionsChange, FunctionsResult
from .sources import require_slugs


@dataclass(frozen=True)
class RemoveRequest:
    """replacement: a function that must be active before the functions are deleted."""

    functions: t.Sequence[str] = ()
    replacement: t.Optional[str] = None
    options: FunctionOptions = field(default_factory=FunctionOptions, metadata=FAMILY)

    def require_valid(self) -> None:
        """Raise RecoveryError(invalid_options)."""
        require_slugs(self.functions, "functions")
        if self.replacement is not None:
            require_slugs([self.replacement], "replacement")
        if self.replacement in self.functions:
            raise RecoveryError(
                ErrorKind.INVALID_OPTIONS,
                f"`replacement` {self.replacement} is in `functions`, which would be deleted.",
                next_step="Set it to the function that takes over, or leave it unset.",
            )
        self.options.require_valid()


class FunctionsRemove(FunctionsChange):
    """Raises RecoveryError: invalid_options, not_ready and check_failed for the replacement, confirmation_required,
    conflict, not_equal."""

    def __init__(self, api: FunctionsApi, request: RemoveRequest, store: t.Optional[ObjectStore]) -> None:
        super().__init__(api, request.options, store)
        self._request = request
        self._present: t.List[str] = []
        self._deleted: t.List[str] = []

    def _slugs(self) -> t.Sequence[str]:
        return self._present

    def plan(self) -> ChangePlan:
        request = self._request
        request.require_valid()
        with self.timings.phase("read"):
            self._before = self._api.functions()
        self._present = [slug for slug in request.functions if slug in self._before]
        self.details.update(functions=self._present, replacement=request.replacement)
        if self._present:
            self._require_replacement()
        self._facts = {
            "project": self._api.ref,
            "deletes": [{"slug": slug, "version": self._before[slug].version} for slug in self._present],
            "replacement": request.replacement,
        }
        return ChangePlan(
            self._facts,
            target=", ".join(request.functions),
            destroys=True,
            does="deletes the function",
            changes=bool(self._present),
        )

    def _require_replacement(self) -> None:
        slug = self._request.replacement
        if slug is not None:
            found = self._before.get(slug)
            if found is None or found.status != ACTIVE:
                raise RecoveryError(
                    ErrorKind.NOT_READY,
                    f"The replacement {slug} is {found.status if found else 'missing'}, not {ACTIVE}.",
                    left="No function was deleted.",
                    next_step="Deploy the replacement first.",
                )
        try:
            self._prove()
        except RecoveryError as error:
            raise error.restated(left="No function was deleted.") from None

    def keep_undo(self) -> t.Mapping[str, t.Any]:
        return {"state": "restored", "kept": self._keep([self._before[slug] for slug in self._present])}

    def act(self) -> None:
        self._require_unchanged()
        with self.timings.phase("delete"):
            for slug in self._present:
                try:
                    self._api.delete(slug)
                except RecoveryError as error:
                    # Whether the service has done it is shown by the list of functions.
                    if error.applied == Applied.UNKNOWN:
                        self._is_answer_lost = True
                    elif error.kind != ErrorKind.TARGET_MISSING:
                        raise
                self._deleted.append(slug)

    def verify(self) -> None:
        deadline = time.monotonic() + self._options.deploy_timeout
        with self.timings.phase("verify"):
            while True:
                remaining = [slug for slug in self._present if slug in self._api.functions()]
                if not remaining:
                    break
                if time.monotonic() >= deadline:
                    raise RecoveryError(
                        ErrorKind.NOT_EQUAL,
                        f"The project still has {first_of(remaining, 5)} after the deletion.",
                        left="",
                        next_step="Check the function in the dashboard of Supabase, then run it again.",
                        applied=Applied.UNKNOWN if self._is_answer_lost else Applied.MAYBE,
                    )
                time.sleep(self._options.poll)
        self.equal = True

    def put_back(self, error: RecoveryError) -> RecoveryError:
        if not self._deleted:
            return super().put_back(error.restated(left="No function was deleted."))
        left = f"Deleted: {first_of(self._deleted, 5)}."
        return super().put_back(error.restated(left=left, applied=error.applied or Applied.MAYBE))

    def why_unchanged(self) -> Unchanged:
        names = first_of(self._request.functions, 5)
        return Unchanged(f"The project does not have {names}.", "Nothing is left to do.")

    def result(self, outcome: Outcome) -> FunctionsResult:
        entries = [self._entry(slug, None, changes=slug in self._present) for slug in self._request.functions]
        if outcome.unchanged is not None:
            summary = outcome.unchanged.reason
        else:
            does = "Deleted" if self.safeguards.acts else "Would delete"
            summary = f"{does} {first_of(self._present, 5)} of {self._api.ref}."
        return self._result(outcome, None, entries, summary)
