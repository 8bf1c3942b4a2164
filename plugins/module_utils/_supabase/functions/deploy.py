# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rolls edge functions back to the sources of a commit: bundle all, keep the current bundles, switch in one request.

The service bundles before anything is switched, so that a commit which does not build leaves every function unchanged,
and that a bundle which is the current one already is not deployed again. Bundles of the plan are those that are
switched to.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from ..._core.errors import Applied, ErrorKind, RecoveryError
from ..._core.notices import note
from ..._core.options import FAMILY, FilePath
from ..._core.sizes import counted, first_of
from ..._git.client import Remote
from ..._git.snapshot import snapshot
from ..._repository.change import ChangePlan, Outcome, Unchanged
from ..._store.base import ObjectStore
from .answers import ACTIVE, Function
from .api import FunctionsApi
from .change import FunctionOptions, FunctionsChange, FunctionsResult
from .form import Sources
from .sources import collect, missing_note, require_slugs


@dataclass(frozen=True)
class DeployRequest:
    """ref: a commit, tag or branch. workdir: the folder of the repository that has the folder supabase.

    verify_jwt: for all functions; None leaves that of the current function. spool_dir: where the clone is made.
    """

    functions: t.Sequence[str] = ()
    ref: t.Optional[str] = None
    workdir: str = ""
    verify_jwt: t.Optional[bool] = None
    remote: Remote = field(default_factory=lambda: Remote(""), metadata=FAMILY)
    spool_dir: t.Optional[FilePath] = None
    options: FunctionOptions = field(default_factory=FunctionOptions, metadata=FAMILY)

    def require_valid(self) -> None:
        """Raise RecoveryError(invalid_options)."""
        require_slugs(self.functions, "functions")
        self.options.require_valid()
        if self.workdir.startswith("/") or ".." in self.workdir.split("/"):
            raise RecoveryError(
                ErrorKind.INVALID_OPTIONS, f"`workdir` must be a folder of the repository, got {self.workdir!r}."
            )


class FunctionsDeploy(FunctionsChange):
    """Raises RecoveryError: target_missing, unsupported, conflict, timeout, not_equal, check_failed."""

    def __init__(self, api: FunctionsApi, request: DeployRequest, store: t.Optional[ObjectStore]) -> None:
        super().__init__(api, request.options, store)
        self._request = request
        self._sources: t.Dict[str, Sources] = {}
        self._bundled: t.Dict[str, Function] = {}
        self._changed: t.List[str] = []
        self._commit = ""

    def _slugs(self) -> t.Sequence[str]:
        return self._request.functions

    def plan(self) -> ChangePlan:
        request = self._request
        request.require_valid()
        with self.timings.phase("read"):
            self._before = self._api.functions()
            with snapshot(request.remote, request.ref or "", request.spool_dir) as commit:
                self._commit, subject = commit.sha, commit.subject
                self._sources = {slug: collect(commit, slug, request.workdir) for slug in request.functions}
        for note_text in filter(None, map(missing_note, self._sources.values())):
            note(note_text)
        with self.timings.phase("bundle"):
            for slug, sources in self._sources.items():
                self._bundled[slug] = self._api.bundle(sources, self._verify_jwt(slug))
        self._changed = [slug for slug in request.functions if not self._is_current(slug)]
        self.details.update(commit=self._commit, functions=list(request.functions))
        self._facts = {
            "project": self._api.ref,
            "commit": self._commit,
            "subject": subject,
            "functions": [self._fact(slug) for slug in request.functions],
        }
        return ChangePlan(
            self._facts,
            target=", ".join(request.functions),
            destroys=False,
            does="deploys the function",
            changes=bool(self._changed),
        )

    def _fact(self, slug: str) -> t.Dict[str, t.Any]:
        sources, before = self._sources[slug], self._before.get(slug)
        return {
            "slug": slug,
            "from_version": before.version if before else None,
            "verify_jwt": self._verify_jwt(slug),
            "ezbr_sha256": self._bundled[slug].ezbr_sha256,
            "files": sorted(sources.files),
            "changes": slug in self._changed,
        }

    def _verify_jwt(self, slug: str) -> bool:
        """The option, else that of the current function, else that of the configuration, else true."""
        before = self._before.get(slug)
        for value in (self._request.verify_jwt, before.verify_jwt if before else None, self._sources[slug].verify_jwt):
            if value is not None:
                return value
        return True

    def _is_current(self, slug: str) -> bool:
        before = self._before.get(slug)
        return (
            before is not None
            and before.status == ACTIVE
            and before.same_bundle(self._bundled[slug])
            and before.verify_jwt == self._verify_jwt(slug)
        )

    def keep_undo(self) -> t.Mapping[str, t.Any]:
        kept = self._keep([self._before[slug] for slug in self._changed if slug in self._before])
        if kept is not None:
            return {"state": "restored", "kept": kept}
        return {"state": "absent", "functions": list(self._changed)}

    def act(self) -> None:
        self._require_unchanged()
        updates = []
        for slug in self._changed:
            before, bundled = self._before.get(slug), self._bundled[slug]
            # The document of the API: "You will need to manually bump the version."
            version = max(bundled.version, before.version + 1 if before else 1)
            updates.append({**bundled.as_update(version), "verify_jwt": self._verify_jwt(slug)})
        with self.timings.phase("deploy"):
            try:
                self._api.switch(updates)
            except RecoveryError as error:
                if error.applied != Applied.UNKNOWN:
                    raise error.restated(left="No function was changed.") from None
                # The versions show whether the service has done it; the request is not sent twice.
                self._is_answer_lost = True

    def verify(self) -> None:
        with self.timings.phase("verify"):
            self._wait_for({slug: self._bundled[slug].ezbr_sha256 for slug in self._changed})
        for slug in self._changed:
            wanted, seen = self._verify_jwt(slug), self._after[slug].verify_jwt
            if seen is not None and seen != wanted:
                raise RecoveryError(
                    ErrorKind.NOT_EQUAL,
                    f"The function {slug} is deployed with verify_jwt {str(seen).lower()}, not {str(wanted).lower()}.",
                    left="The new version is active.",
                    next_step="Set `verify_jwt`, and run it again.",
                    applied=Applied.YES,
                )
        try:
            self._prove()
        except RecoveryError as error:
            names = first_of(self._changed, 5)
            raise error.restated(left=f"The new version of {names} is active.", applied=Applied.YES) from None

    def why_unchanged(self) -> Unchanged:
        names = first_of(self._request.functions, 5)
        return Unchanged(
            f"The bundles of {names} at {self._commit[:12]} are the current ones.", "Nothing is left to do."
        )

    def result(self, outcome: Outcome) -> FunctionsResult:
        entries = [
            self._entry(slug, self._bundled[slug], changes=slug in self._changed, files=len(self._sources[slug].files))
            for slug in self._request.functions
        ]
        if outcome.unchanged is not None:
            summary = outcome.unchanged.reason
        else:
            does = "Deployed" if self.safeguards.acts else "Would deploy"
            named = f"{counted(len(self._changed), 'function')} of {self._commit[:12]}: {first_of(self._changed, 5)}"
            same = len(entries) - len(self._changed)
            proved = "; `health_url` answers as expected" if self._is_proved else ""
            summary = f"{does} {named}{f'; {same} unchanged' if same else ''}{proved}."
        return self._result(outcome, self._commit, entries, summary)
