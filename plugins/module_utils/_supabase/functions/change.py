# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The parts that the changes of edge functions share: the functions as they are, the kept bundles, and the proof."""

from __future__ import annotations

import abc
import os
import time
import typing as t
from dataclasses import dataclass, field

from ..._core.errors import Applied, ErrorKind, RecoveryError
from ..._core.options import FAMILY, FilePath, option
from ..._core.sizes import first_of
from ..._release.proof import Health
from ..._repository.change import Change, Outcome, Safeguards
from ..._store.base import ObjectStore
from .answers import ACTIVE, Function
from .api import FunctionsApi
from .kept import Kept, keep

#: Errors of one request that the next one may not have.
_PASSING = (ErrorKind.UNREACHABLE, ErrorKind.SERVICE_FAILED)
_KEPT_BY_ROOT = "/var/lib/lifeline-functions"
_KEPT_BY_USER = "~/.local/state/lifeline-functions"


@dataclass(frozen=True)
class FunctionOptions:
    """keep_dir: where bundles are kept. deploy_timeout: seconds until the new version must be the current one."""

    keep_dir: t.Optional[FilePath] = None
    deploy_timeout: float = 300
    poll: float = field(default=2, metadata=option("poll_seconds"))
    health: Health = field(default_factory=Health, metadata=FAMILY)
    safeguards: Safeguards = field(default_factory=Safeguards, metadata=FAMILY)
    source: t.Optional[str] = None

    def require_valid(self) -> None:
        """Raise RecoveryError(invalid_options)."""
        for name, value in (("deploy_timeout", self.deploy_timeout), ("poll_seconds", self.poll)):
            if value <= 0:
                raise RecoveryError(ErrorKind.INVALID_OPTIONS, f"`{name}` must be above 0, got {value:g}.")
        self.health.require_valid()


@dataclass(frozen=True)
class DeployedFunction:
    """A function of the result. from_version: None if the project did not have it; version: None if it is deleted.

    ezbr_sha256: of the bundle of the plan. equal: whether the current bundle has that digest; None if the service
    returned no digests.
    """

    slug: str
    from_version: t.Optional[int]
    version: t.Optional[int]
    verify_jwt: t.Optional[bool]
    ezbr_sha256: t.Optional[str]
    equal: t.Optional[bool]
    changes: bool
    files: t.Optional[int] = None


@dataclass(frozen=True)
class FunctionsResult(Outcome):
    """commit: of the deployed sources; None if none were. proved: whether health_url answered as expected after it."""

    project: str
    commit: t.Optional[str]
    functions: t.Sequence[DeployedFunction]
    proved: bool
    answer_lost: bool
    plan: t.Mapping[str, t.Any]
    summary: str
    timings: t.Mapping[str, float]


class FunctionsChange(Change[FunctionsResult], abc.ABC):
    """before: the functions before the change. kept: the folder of the bundles before it."""

    operation = "roll_back"

    def __init__(self, api: FunctionsApi, options: FunctionOptions, store: t.Optional[ObjectStore]) -> None:
        super().__init__(options.safeguards, store, options.source)
        self._api, self._options = api, options
        self._before: t.Dict[str, Function] = {}
        self._after: t.Dict[str, Function] = {}
        self._facts: t.Mapping[str, t.Any] = {}
        self._kept: t.Optional[str] = None
        self._is_proved = False
        self._is_answer_lost = False
        self.details = {"project": api.ref}

    def _keep(self, functions: t.Sequence[Function]) -> t.Optional[str]:
        """Keep the current bundles of functions on the host. Raises RecoveryError before anything is changed."""
        if not functions:
            return None
        options = self._options
        folder = options.keep_dir or os.path.expanduser(_KEPT_BY_ROOT if os.geteuid() == 0 else _KEPT_BY_USER)
        with self.timings.phase("undo"):
            bodies = [Kept(one, self._api.body(one.slug)) for one in functions]
            self._kept = keep(folder, self._api.ref, bodies)
        return self._kept

    def _require_unchanged(self) -> None:
        """Raise RecoveryError(conflict) if another client changed a function since the plan."""
        now = self._api.functions()
        changed = [
            slug
            for slug in self._slugs()
            if (now.get(slug) and now[slug].version) != (self._before.get(slug) and self._before[slug].version)
        ]
        if changed:
            raise RecoveryError(
                ErrorKind.CONFLICT,
                f"Another client deployed {first_of(changed, 5)} since the plan.",
                left="This run changed nothing.",
                next_step="Find the client, for example a pipeline, stop it, and run this again.",
            )

    @abc.abstractmethod
    def _slugs(self) -> t.Sequence[str]:
        """The functions that the change concerns."""

    def _wait_for(self, wanted: t.Mapping[str, t.Optional[str]]) -> None:
        """Wait until functions have a new version that is active, and compare. wanted: the digests by the slugs.

        Raises RecoveryError: timeout, not_equal, and errors of the service that do not pass.
        """
        deadline = time.monotonic() + self._options.deploy_timeout
        pending = dict.fromkeys(wanted)
        while pending:
            for slug in list(pending):
                seen = self._seen(slug)
                if seen is not None:
                    self._after[slug] = seen
                    if self._is_new(slug, seen):
                        del pending[slug]
            if pending and time.monotonic() >= deadline:
                raise self._too_long(list(pending))
            if pending:
                time.sleep(self._options.poll)
        for slug, digest in wanted.items():
            after = self._after[slug]
            if digest is not None and after.ezbr_sha256 not in (None, digest):
                raise RecoveryError(
                    ErrorKind.NOT_EQUAL,
                    f"The function {slug} is active as version {after.version} with another bundle than was deployed.",
                    left="Another client deployed in between, or the service changed the bundle.",
                    next_step="Find the client that deployed it, then run it again.",
                    applied=Applied.MAYBE,
                )
        digests = [(digest, self._after[slug].ezbr_sha256) for slug, digest in wanted.items()]
        self.equal = True if all(None not in pair for pair in digests) else None

    def _seen(self, slug: str) -> t.Optional[Function]:
        try:
            return self._api.function(slug)
        except RecoveryError as error:
            if error.kind not in (*_PASSING, ErrorKind.TARGET_MISSING):
                raise
            return None

    def _is_new(self, slug: str, seen: Function) -> bool:
        before = self._before.get(slug)
        return seen.status == ACTIVE and (before is None or seen.version > before.version)

    def _too_long(self, pending: t.Sequence[str]) -> RecoveryError:
        states = []
        for slug in pending:
            seen = self._after.get(slug)
            states.append(f"{slug} is {seen.status} as version {seen.version}" if seen else f"{slug} was not seen")
        applied = Applied.UNKNOWN if self._is_answer_lost else Applied.YES
        return RecoveryError(
            ErrorKind.TIMEOUT,
            f"No new version was active within {self._options.deploy_timeout:g} seconds: {first_of(states, 5)}.",
            left="The service may still complete the deployment." if self._is_answer_lost else "",
            next_step="Check the function in the dashboard of Supabase, then run it again.",
            applied=applied,
        )

    def _prove(self) -> None:
        with self.timings.phase("prove"):
            self._is_proved = self._options.health.require_proof(self._options.poll)

    def put_back(self, error: RecoveryError) -> RecoveryError:
        if self._kept is None:
            return error
        return error.restated(
            next_step=f"{error.next_step} The former bundles are kept: state restored, kept {self._kept}.".strip(),
            details={"undo": {"state": "restored", "kept": self._kept}},
        )

    def _entry(
        self, slug: str, wanted: t.Optional[Function], *, changes: bool, files: t.Optional[int] = None
    ) -> DeployedFunction:
        before, after = self._before.get(slug), self._after.get(slug)
        now = after or (None if changes else before)
        digest = wanted.ezbr_sha256 if wanted else None
        known = now is not None and digest is not None and now.ezbr_sha256 is not None
        return DeployedFunction(
            slug=slug,
            from_version=before.version if before else None,
            version=now.version if now else None,
            verify_jwt=wanted.verify_jwt if wanted else None,
            ezbr_sha256=digest,
            equal=(now.ezbr_sha256 == digest) if known and now else None,
            changes=changes,
            files=files,
        )

    def _result(
        self, outcome: Outcome, commit: t.Optional[str], functions: t.Sequence[DeployedFunction], summary: str
    ) -> FunctionsResult:
        return FunctionsResult(
            **vars(outcome),
            project=self._api.ref,
            commit=commit,
            functions=functions,
            proved=self._is_proved,
            answer_lost=self._is_answer_lost,
            plan=self._facts,
            summary=summary,
            timings=self.timings.as_dict(),
        )
