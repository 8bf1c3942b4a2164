# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Describes what a restore of rows does, did, or could not do, from what was compared. Pure: it reads no database."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from .change import Unchanged
from .layout import SetName
from .manifest import Manifest
from .recovery_points import UNDO_TIER

#: So many tables, and so many keys of a table, are named in a sentence.
_NAMED, _KEYS_NAMED = 3, 10


@dataclass(frozen=True)
class Changes:
    """The changes of a merge to one table, in rows; chosen is the number of rows of the set.

    differing: rows that differ from the set and that the mode leaves unchanged. elsewhere: live rows of a tenant that
    the set has as rows of another tenant, and that are left unchanged.
    """

    table: str
    chosen: int
    inserts: int
    updates: int
    deletes: int
    differing: int = 0
    elsewhere: int = 0

    @property
    def total(self) -> int:
        return self.inserts + self.updates + self.deletes


@dataclass(frozen=True)
class MissingKeys:
    """Keys of a table that were asked for and found nowhere: how many of how many, and the first of them."""

    table: str
    missing: int
    wanted: int
    named: t.Tuple[str, ...]

    @property
    def sentence(self) -> str:
        return f"{self.missing:,} of {self.wanted:,} keys of {self.table}: {_listed(self.named, self.missing)}"


def why_unchanged(changes: t.Sequence[Changes], chosen: Manifest, older: t.Optional[SetName]) -> Unchanged:
    """The reason why rows of the set change nothing. older: the next older set that an operator can choose."""
    origin = f"The set {chosen.set_id} of {chosen.recovery_point}"
    number = _count(sum(change.chosen for change in changes), "row")
    if chosen.tier == UNDO_TIER:
        return Unchanged(
            f"{origin} and the database are equal: the restore that the set takes back was taken back already.",
            "Nothing is left to do.",
        )
    if not any(change.chosen for change in changes):
        return Unchanged.for_lack_of(older, f"{origin} holds no row that was asked for.", "Check `where` and `tables`.")
    if any(change.differing for change in changes):
        return Unchanged(
            f"{number} that were asked for are in the database already. {left_rows(changes)}",
            "Set `mode` to merge to put them back as they are in the set.",
        )
    return Unchanged.for_lack_of(
        older,
        f"{origin} and the database are equal in {number} that were asked for: "
        "the set was taken after the damage, or these rows are no longer damaged.",
    )


def missing_rows(missing: t.Iterable[MissingKeys]) -> t.Dict[str, t.Dict[str, t.Any]]:
    """Table to the keys that the set does not hold, for a result."""
    return {item.table: {"missing": item.missing, "wanted": item.wanted, "keys": list(item.named)} for item in missing}


def left_rows(changes: t.Sequence[Changes]) -> str:
    """The sentence on rows that differ and were left; empty when there are none."""
    differing = [change for change in changes if change.differing]
    number = sum(change.differing for change in differing)
    if not number:
        return ""
    tables = _listed([change.table for change in differing], len(differing), _NAMED)
    verb = "differs from the set and is" if number == 1 else "differ from the set and are"
    return f"{_count(number, 'row')} of {tables} {verb} left unchanged; `mode` merge restores {_them(number)}."


def what_it_does(changes: t.Sequence[Changes]) -> str:
    """For a confirmation: the changes of existing rows, as the start of a sentence that ends with the database."""
    touching = [change for change in changes if change.updates or change.deletes]
    updates, deletes = (sum(getattr(change, name) for change in touching) for name in ("updates", "deletes"))
    parts = [f"updates {_count(updates, 'row')}"] * bool(updates) + [f"deletes {_count(deletes, 'row')}"] * bool(
        deletes
    )
    tables = _listed([change.table for change in touching], len(touching), _NAMED)
    return f"{' and '.join(parts)} of {tables} in"


def _listed(names: t.Sequence[str], number: int, most: int = _KEYS_NAMED) -> str:
    shown = ", ".join(names[:most])
    more = number - len(names[:most])
    return f"{shown} and {more:,} more" if more > 0 else shown


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'s' * (number != 1)}"


def _them(number: int) -> str:
    return "it" if number == 1 else "them"
