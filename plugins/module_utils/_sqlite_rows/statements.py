# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The statements that carry changes out, in one transaction."""

from __future__ import annotations

import typing as t
from dataclasses import replace

from .._sqlite.engine import Bound, Engine
from .._sqlite.portable import deleted, inserted, updated
from .._sqlite.schema import quoted
from .._sqlite.statements import tokens
from .belonging import rows_by_key
from .difference import Change, Sides


class Trigger(t.NamedTuple):
    """A trigger of a touched table."""

    name: str
    sql: str


def silenced_triggers(sides: Sides, changes: t.Iterable[Change]) -> t.List[Trigger]:
    """The live triggers of touched tables, but for those that keep a full-text table up to date."""
    touched = {change.table.name.lower() for change in changes if change.total}
    virtual = {table.name.lower() for table in sides.live_schema.of_kind("virtual")}
    (answer,) = sides.live.run(
        [Bound("SELECT name, tbl_name, sql FROM sqlite_schema WHERE type = 'trigger' ORDER BY rowid", reads_only=True)]
    )
    found = []
    for name, table, sql in answer.rows:
        words = {token.text.strip("\"`[]'").lower() for token in tokens(str(sql)) if token.kind in ("word", "quoted")}
        if str(table).lower() in touched and not words & virtual:
            found.append(Trigger(str(name), str(sql)))
    return found


def statements_of(sides: Sides, changes: t.Sequence[Change], silenced: t.Sequence[Trigger]) -> t.Iterator[str]:
    """References are judged at the end. Updates come before deletes, which take along what still refers to them."""
    yield "PRAGMA defer_foreign_keys = TRUE"
    for trigger in silenced:
        yield f"DROP TRIGGER {quoted(trigger.name)}"
    for change in changes:
        for key, values in rows_by_key(sides.set, change.table, change.updates):
            yield from updated(change.table, key, values)
    for change in changes:
        for place in change.deletes:
            yield deleted(change.table, list(place))
    for change in changes:
        yield from _inserts(sides.set, change)
    for trigger in silenced:
        yield trigger.sql


def _inserts(engine: Engine, change: Change) -> t.Iterator[str]:
    table = change.table
    # A row with a key gets the next number that is free.
    written = table if change.numbers else replace(table, rowid=None) if table.is_numbered else table
    for key, values in rows_by_key(engine, table, change.inserts):
        place = [change.numbers[tuple(key)]] if change.numbers else key
        yield from inserted(written, place, values)
