# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Proves that a comparison can fail: a copy of what was restored is damaged, and each damage must be named."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, replace

from .._core.errors import ErrorKind, RecoveryError
from .self_test import DamageResult, SelfTestResult

#: A copy takes one damage for each object; kinds that find no other object get copies of their own.
_MOST_COPIES = 4


@dataclass(frozen=True)
class Damage:
    """One way to damage one object. kind: what the report names; what: the difference that must be found.

    statements run in one transaction of the copy; each must change something.
    """

    kind: str
    what: str
    subject: str
    statements: t.Sequence[str]


class Copy(t.Protocol):
    """A copy of what was restored, which nothing else uses."""

    def apply(self, damage: Damage) -> bool:
        """Whether the damage was done; a rule of the database may prevent it, which leaves the copy unchanged."""

    def differences(self) -> t.Mapping[str, str]:
        """The differences that the comparison of restores finds, as text by object."""


@dataclass(frozen=True)
class CopyTests:
    """not_tried: kinds for which the database has no object."""

    results: t.Sequence[DamageResult]
    not_tried: t.Sequence[str]


def run_copy_tests(
    fresh: t.Callable[[], t.ContextManager[Copy]], kinds: t.Sequence[str], damages: t.Sequence[Damage]
) -> CopyTests:
    """Damage copies and compare them. Objects that differ before, such as rows written after the restore, are skipped.

    Raises RecoveryError: unsupported when nothing can be damaged, and whatever stops the comparison.
    """
    left: t.Dict[str, t.List[Damage]] = {kind: [item for item in damages if item.kind == kind] for kind in kinds}
    known: t.Optional[t.Mapping[str, str]] = None
    results: t.List[DamageResult] = []
    for _number in range(_MOST_COPIES):
        with fresh() as copy:
            if known is None:
                known = copy.differences()
            done = _damaged(copy, left, known)
            found = copy.differences() if done else {}
        results += [_result(damage, found) for damage in done]
        for damage in done:
            del left[damage.kind]
        if not done or not left:
            break
    if not results:
        raise RecoveryError(
            ErrorKind.UNSUPPORTED,
            "The restored database has no object that could be damaged to test the comparison.",
            next_step="Run the drill on a set that has rows.",
        )
    ordered = sorted(results, key=lambda result: list(kinds).index(result.damage))
    return CopyTests(ordered, [kind for kind in kinds if kind in left])


def with_copy_tests(tested: SelfTestResult, copies: t.Optional[CopyTests]) -> SelfTestResult:
    """The tests of the stored set together with those of the restored copies, where there are some."""
    if copies is None:
        return tested
    results = [*tested.self_tests, *copies.results]
    return replace(
        tested,
        self_tests=results,
        all_caught=all(result.caught for result in results),
        not_tried=copies.not_tried,
    )


def _damaged(copy: Copy, left: t.Mapping[str, t.Sequence[Damage]], known: t.Mapping[str, str]) -> t.List[Damage]:
    """One damage of each kind that is left, each on an object of its own."""
    used: t.Set[str] = set()
    done = []
    for damages in left.values():
        for damage in damages:
            if damage.subject not in used and damage.what not in known and copy.apply(damage):
                used.add(damage.subject)
                done.append(damage)
                break
    return done


def _result(damage: Damage, found: t.Mapping[str, str]) -> DamageResult:
    if damage.what in found:
        return DamageResult(damage.kind, True, found[damage.what])
    return DamageResult(damage.kind, False, f"the comparison did not see the damage to {damage.what}")
