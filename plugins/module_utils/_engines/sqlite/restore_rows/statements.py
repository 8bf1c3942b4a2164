# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The statements that apply changes, in one transaction."""

from __future__ import annotations

import typing as t
from dataclasses import replace

from ..engine import Bound
from ..portable import deleted, inserted, updated
from ..schema import quoted
from ..statements import tokens
from .difference import Sides, TableChange, children_first
from .ownership import rows_by_key
from .references import Reference

_TARGETS = ("INTO", "FROM", "UPDATE")


class Trigger(t.NamedTuple):
    """A trigger of a touched table. keeps: the full-text tables that it writes to."""

    name: str
    table: str
    sql: str
    keeps: t.FrozenSet[str]


def enabled_triggers(sides: Sides, changes: t.Iterable[TableChange]) -> t.List[Trigger]:
    """The live triggers of touched tables."""
    touched = {change.table.name.lower() for change in changes if change.total}
    virtual = {table.name.lower() for table in sides.target_schema.of_kind("virtual")}
    (answer,) = sides.target.run(
        [Bound("SELECT name, tbl_name, sql FROM sqlite_schema WHERE type = 'trigger' ORDER BY rowid", reads_only=True)]
    )
    return [
        Trigger(str(name), str(table).lower(), str(sql), frozenset(_written_to(str(sql)) & virtual))
        for name, table, sql in answer.rows
        if str(table).lower() in touched
    ]


def statements_of(
    sides: Sides,
    changes: t.Sequence[TableChange],
    references: t.Sequence[Reference],
    triggers: t.Sequence[Trigger],
    *,
    silence: bool,
    longest: int,
) -> t.Iterator[str]:
    """The statements of a merge. References are checked at the end; children are deleted before their parents."""
    silenced = [trigger for trigger in triggers if not trigger.keeps] if silence else []
    by_name = {change.table.name: change for change in changes}

    def updates(early: bool) -> t.Iterator[str]:
        for change in changes:
            keys = [key for key in change.updates if (key in change.early) is early]
            for key, values in rows_by_key(sides.set, change.table, keys):
                yield from updated(change.table, key, values, longest)

    yield "PRAGMA defer_foreign_keys = TRUE"
    for trigger in silenced:
        yield f"DROP TRIGGER {quoted(trigger.name)}"
    yield from updates(early=True)
    for name in children_first(list(by_name), references):
        for place in by_name[name].deletes:
            yield deleted(by_name[name].table, list(place))
    yield from updates(early=False)
    for change in changes:
        # A row with a key gets the next number that is free.
        table = replace(change.table, rowid=None) if change.table.is_numbered and not change.numbers else change.table
        for key, values in rows_by_key(sides.set, change.table, change.inserts):
            yield from inserted(table, [change.numbers[tuple(key)]] if change.numbers else key, values, longest)
    for trigger in silenced:
        yield trigger.sql


def _written_to(sql: str) -> t.Set[str]:
    """The names after INTO, FROM and UPDATE."""
    found: t.Set[str] = set()
    before = ""
    for token in tokens(sql):
        if token.kind in ("space", "comment"):
            continue
        if before in _TARGETS and token.kind in ("word", "quoted"):
            found.add(token.text.strip("\"`[]'").lower())
        before = token.text.upper()
    return found
