# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Sends kept bundles back: the undo of a deployment or of a deletion."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from ..._core.errors import Applied, RecoveryError, guaranteed
from ..._core.notices import note
from ..._core.options import FAMILY, FilePath
from ..._core.sizes import first_of
from ..._repository.change import ChangePlan, Outcome, Unchanged
from ..._store.base import ObjectStore
from .answers import ACTIVE
from .api import FunctionsApi
from .change import FunctionOptions, FunctionsChange, FunctionsResult
from .kept import Kept, read_kept


@dataclass(frozen=True)
class RestoreRequest:
    """kept: the folder that an earlier run reported. functions: a part of its functions; empty for all."""

    kept: t.Optional[FilePath] = None
    functions: t.Sequence[str] = ()
    options: FunctionOptions = field(default_factory=FunctionOptions, metadata=FAMILY)


class FunctionsRestore(FunctionsChange):
    """Raises RecoveryError: object_missing, damaged, conflict, timeout, not_equal, check_failed."""

    def __init__(self, api: FunctionsApi, request: RestoreRequest, store: t.Optional[ObjectStore]) -> None:
        super().__init__(api, request.options, store)
        self._request = request
        self._bundles: t.List[Kept] = []
        self._changed: t.List[Kept] = []
        self._sent: t.List[str] = []

    def _slugs(self) -> t.Sequence[str]:
        return [one.function.slug for one in self._bundles]

    def plan(self) -> ChangePlan:
        request = self._request
        request.options.require_valid()
        kept = read_kept(guaranteed(request.kept), self._api.ref)
        self._bundles = [one for one in kept if not request.functions or one.function.slug in request.functions]
        with self.timings.phase("read"):
            self._before = self._api.functions()
        self._changed = [one for one in self._bundles if not self._is_current(one)]
        self.details.update(functions=self._slugs(), kept=request.kept)
        self._facts = {
            "project": self._api.ref,
            "kept": request.kept,
            "functions": [{"slug": one.function.slug, "sha256": one.sha256} for one in self._changed],
        }
        return ChangePlan(
            self._facts,
            target=", ".join(self._slugs()),
            destroys=False,
            does="deploys the function",
            changes=bool(self._changed),
        )

    def _is_current(self, kept: Kept) -> bool:
        before = self._before.get(kept.function.slug)
        return (
            before is not None
            and before.status == ACTIVE
            and before.same_bundle(kept.function)
            and before.verify_jwt == kept.function.verify_jwt
        )

    def keep_undo(self) -> t.Mapping[str, t.Any]:
        slugs = [one.function.slug for one in self._changed]
        kept = self._keep([self._before[slug] for slug in slugs if slug in self._before])
        return {"state": "restored", "kept": kept} if kept else {"state": "absent", "functions": slugs}

    def act(self) -> None:
        self._require_unchanged()
        with self.timings.phase("deploy"):
            for one in self._changed:
                slug = one.function.slug
                if one.function.ezbr_sha256 not in (None, one.sha256):
                    note(f"The service returned the kept bundle of {slug} in another encoding than its digest is of.")
                try:
                    self._api.put_bundle(one.function, one.body, exists=slug in self._before)
                except RecoveryError as error:
                    if error.applied != Applied.UNKNOWN:
                        raise
                    self._is_answer_lost = True
                self._sent.append(slug)

    def verify(self) -> None:
        with self.timings.phase("verify"):
            self._wait_for({one.function.slug: one.function.ezbr_sha256 for one in self._changed})
        self._prove()

    def put_back(self, error: RecoveryError) -> RecoveryError:
        left = f"Restored: {first_of(self._sent, 5)}." if self._sent else "No function was changed."
        return super().put_back(error.restated(left=left))

    def why_unchanged(self) -> Unchanged:
        return Unchanged("The kept bundles are the current ones.", "Nothing is left to do.")

    def result(self, outcome: Outcome) -> FunctionsResult:
        changed = [one.function.slug for one in self._changed]
        entries = [
            self._entry(one.function.slug, one.function, changes=one.function.slug in changed) for one in self._bundles
        ]
        if outcome.unchanged is not None:
            summary = outcome.unchanged.reason
        else:
            does = "Restored the kept bundles of" if self.safeguards.acts else "Would restore the kept bundles of"
            summary = f"{does} {first_of(changed, 5)}."
        return self._result(outcome, None, entries, summary)
