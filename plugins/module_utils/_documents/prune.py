# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Deletes the former copies that restores of documents kept, by a policy."""

from __future__ import annotations

import typing as t
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from .._core.clock import compact_instant
from .._core.errors import ErrorKind, RecoveryError
from .._core.options import INTERNAL, option
from .._core.sizes import counted, readable_size
from .._repository.change import Change, ChangePlan, Outcome, Safeguards, Unchanged
from .._store.base import ObjectStore
from .published import KeptCopy, PublishedCopies


@dataclass(frozen=True)
class CopiesPruneRequest:
    """Delete copies that are older than keep_days, but not the newest of each document, as many as minimum.

    keep_forever: delete none.
    """

    files: ObjectStore = field(metadata=INTERNAL)
    safeguards: Safeguards = field(metadata=INTERNAL)
    key: str = field(default="{document}.json", metadata=option(shown=True))
    keep_days: float = 30
    minimum: int = 1
    keep_forever: bool = False
    source: t.Optional[str] = None


@dataclass(frozen=True)
class CopiesPruneResult(Outcome):
    """removed: keys. retained: those that the store did not delete, and why."""

    kept: int
    removed: t.Sequence[str]
    retained: t.Mapping[str, str]
    summary: str
    diff: t.Mapping[str, str]


class CopiesPrune(Change[CopiesPruneResult]):
    """Raises RecoveryError: invalid_options, and those of the bucket."""

    operation = "prune"
    records_unchanged = False

    def __init__(self, request: CopiesPruneRequest, now: datetime, store: t.Optional[ObjectStore]) -> None:
        super().__init__(request.safeguards, store, request.source)
        self._request, self._now = request, now
        self._kept: t.List[KeptCopy] = []
        self._planned: t.List[KeptCopy] = []
        self._retained: t.Dict[str, str] = {}
        self._removed: t.List[str] = []

    def plan(self) -> ChangePlan:
        request = self._request
        for name, value in (("keep_days", request.keep_days), ("minimum", request.minimum)):
            if value < 0:
                raise RecoveryError(ErrorKind.INVALID_OPTIONS, f"`{name}` must be at least 0, got {value:g}.")
        self._kept = PublishedCopies(request.files, request.key).kept()
        oldest = compact_instant(self._now - timedelta(days=request.keep_days))
        left = Counter(one.document for one in self._kept)
        for one in self._kept:
            if not request.keep_forever and one.instant < oldest and left[one.document] > request.minimum:
                left[one.document] -= 1
                self._planned.append(one)
        return ChangePlan(
            {"bucket": request.files.location, "delete": [one.info.key for one in self._planned]},
            target=request.files.location,
            destroys=False,
            does="deletes former copies in",
            changes=bool(self._planned),
        )

    def act(self) -> None:
        self.details["removed"] = self._removed
        for one in self._planned:
            reason = self._request.files.remove(one.info.key)
            if reason is None:
                self._removed.append(one.info.key)
            else:
                self._retained[one.info.key] = reason

    def has_changed(self) -> bool:
        return bool(self._removed)

    def why_unchanged(self) -> Unchanged:
        if self._retained:
            return Unchanged("The bucket retains the expired copies.", "Read the reasons, and run it again.")
        return Unchanged("The policy keeps every copy that restores kept.", "Nothing is left to do.")

    def result(self, outcome: Outcome) -> CopiesPruneResult:
        acts = self.safeguards.acts
        removed = self._removed if acts else [one.info.key for one in self._planned]
        size = sum(one.info.size for one in self._planned if one.info.key in set(removed))
        summary = (
            f"{'Deleted' if acts else 'Would delete'} {len(removed)} of {counted(len(self._kept), 'object')} that "
            f"restores of documents kept ({readable_size(size)})."
        )
        if self._retained:
            summary += f" The bucket retains {counted(len(self._retained), 'object')}."
        return CopiesPruneResult(
            **vars(outcome),
            kept=len(self._kept) - len(self._removed),
            removed=removed,
            retained=self._retained,
            summary=summary,
            diff={
                "before": "".join(f"{one.info.key}\n" for one in self._kept),
                "after": "".join(f"{one.info.key}\n" for one in self._kept if one.info.key not in set(removed)),
            },
        )
