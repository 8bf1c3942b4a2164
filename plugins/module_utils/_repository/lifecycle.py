# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Lifecycle rules of the bucket of a store: those that destroy sets, and the one that is safe.

Sets share objects, and a reused object keeps the date of its first upload. A rule that deletes objects by age
therefore takes objects of the newest set.
"""

from __future__ import annotations

import itertools
import re
import typing as t
from dataclasses import dataclass

from .._core.errors import ErrorKind, RecoveryError
from .._core.notices import note
from .._store.base import ObjectStore
from .layout import PROBES, TIERS

Rules = t.List[t.Dict[str, t.Any]]

#: The id of the rule that set_abort_rule owns.
ABORT_RULE = "lifeline-abort-incomplete-uploads"

#: So many objects below the prefix of a rule are looked at.
_LOOKED_AT = 1000

_OF_A_SET = re.compile(f"[^/]+/(?:{'|'.join(TIERS)}|audit)/.+", re.DOTALL)

#: The kinds of refusals after which the rules count as unknown.
_NOT_SHOWN = (ErrorKind.ACCESS_DENIED, ErrorKind.UNSUPPORTED, ErrorKind.STORE_FAILED)


@dataclass(frozen=True)
class Lifecycle:
    """state: safe, expires where a rule deletes objects of the store, or unknown where rules are not shown.

    expiring_rules: such rules, a sentence each.
    """

    state: str
    expiring_rules: t.Tuple[str, ...] = ()

    def as_error(self, location: str) -> RecoveryError:
        return RecoveryError(
            ErrorKind.EXPIRING_RULE,
            f"A lifecycle rule destroys backup sets in {location}: {' '.join(self.expiring_rules)} Sets share objects, "
            "and a reused object keeps its first date, so such a rule deletes objects of the newest set.",
            next_step="Remove the rule or limit it to another prefix; lifeline.recovery.backup_prune deletes old sets.",
            details={"expiring_rules": list(self.expiring_rules)},
        )


@dataclass(frozen=True)
class AbortRuleResult:
    """The rules as they were and as they are."""

    changed: bool
    before: Rules
    rules: Rules
    expiring_rules: t.Sequence[str]


def judge_lifecycle(store: ObjectStore) -> Lifecycle:
    """Which rules of the bucket delete objects of the store.

    Raises the RecoveryError of the store, except the refusal to list the rules.
    """
    try:
        rules = store.lifecycle_rules()
    except RecoveryError as error:
        if error.kind not in _NOT_SHOWN:
            raise
        return Lifecycle("unknown")
    found = tuple(_expiring(store, rules))
    return Lifecycle("expires" if found else "safe", found)


def noted_expiring_rules(store: ObjectStore) -> t.List[str]:
    """As judge_lifecycle, the rules alone, with a notice of each."""
    rules = list(judge_lifecycle(store).expiring_rules)
    for rule in rules:
        note(f"A lifecycle rule destroys backup sets in {store.location}: {rule}")
    return rules


def set_abort_rule(store: ObjectStore, days: t.Optional[int], *, check_mode: bool) -> AbortRuleResult:
    """Have the bucket abort multipart uploads of the store that are incomplete for so many days; None removes the rule.

    Other rules are left unchanged. Raises RecoveryError: invalid_options, unsupported for a folder or a store without
    lifecycle rules, store_failed when the rules are others afterwards than those that were set.
    """
    if days is not None and not 1 <= days <= 36500:
        raise RecoveryError(
            ErrorKind.INVALID_OPTIONS,
            f"abort_uploads_days must be between 1 and 36500, got {days}.",
            next_step="Correct abort_uploads_days.",
        )
    before = store.lifecycle_rules()
    others = [rule for rule in before if rule.get("ID") != ABORT_RULE]
    after = others if days is None else [*others, _abort_rule(store.key_prefix, days)]
    mine = [rule for rule in before if rule.get("ID") == ABORT_RULE]
    changed = [_known(rule) for rule in mine] != [_known(rule) for rule in after[len(others) :]]
    if changed and not check_mode:
        store.set_lifecycle_rules(after)
        seen = store.lifecycle_rules()
        if sorted(map(_known, seen)) != sorted(map(_known, after)):
            raise RecoveryError(
                ErrorKind.STORE_FAILED,
                f"The lifecycle rules of {store.location} are others than those that were set.",
                left="They are as the store shows them.",
                next_step="Find out what else sets them, then run it again.",
                details={"rules": seen},
            )
    return AbortRuleResult(changed, before, after if changed else before, noted_expiring_rules(store))


def _abort_rule(prefix: str, days: int) -> t.Dict[str, t.Any]:
    return {
        "ID": ABORT_RULE,
        "Status": "Enabled",
        "Filter": {"Prefix": prefix},
        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": days},
    }


def _known(rule: t.Mapping[str, t.Any]) -> str:
    """A rule as text to compare, whichever form a store gives its prefix."""
    rest = {name: value for name, value in rule.items() if name not in ("Filter", "Prefix") and value}
    return repr((_prefix(rule), sorted(_criteria(rule)), sorted((name, repr(value)) for name, value in rest.items())))


def _expiring(store: ObjectStore, rules: Rules) -> t.Iterator[str]:
    for rule in rules:
        expiration = rule.get("Expiration") or {}
        prefix = _prefix(rule)
        # Objects of sets have no tags.
        if rule.get("Status") != "Enabled" or "Tag" in _criteria(rule) or not _concerns(store, prefix):
            continue
        when = ""
        if expiration.get("Days"):
            when = f"{expiration['Days']} days after they were written"
        elif expiration.get("Date"):
            when = f"on {str(expiration['Date'])[:10]}"
        if when:
            yield f"Rule {rule.get('ID') or 'without a name'!r} deletes objects below {prefix!r} {when}."


def _concerns(store: ObjectStore, prefix: str) -> bool:
    """Whether objects of the store lie, or may come to lie, below the prefix of a rule."""
    store_prefix = store.key_prefix
    if store_prefix.startswith(prefix):
        return True
    if not prefix.startswith(store_prefix):
        return False
    within = prefix[len(store_prefix) :]
    if within.startswith(PROBES):
        return False
    listed = list(itertools.islice(store.list(within), _LOOKED_AT))
    # Other applications may keep their objects in the bucket; an empty place may get a source.
    return not listed or any(_OF_A_SET.fullmatch(item.key) for item in listed)


def _prefix(rule: t.Mapping[str, t.Any]) -> str:
    limits = rule.get("Filter") or {}
    return str(limits.get("Prefix") or (limits.get("And") or {}).get("Prefix") or rule.get("Prefix") or "")


def _criteria(rule: t.Mapping[str, t.Any]) -> t.Set[str]:
    """The criteria of a rule other than the prefix."""
    limits = rule.get("Filter") or {}
    names = {*limits, *(limits.get("And") or {})} - {"Prefix", "And"}
    return {"Tag" if name == "Tags" else name for name in names}
