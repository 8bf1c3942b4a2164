# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Keeps the rows that a restore is about to touch, as a set that takes the restore back."""

from __future__ import annotations

import os
import sqlite3
import typing as t
from dataclasses import replace

from ...._core.clock import utc_now
from ...._core.errors import ErrorKind, RecoveryError
from ...._repository.catalogue import list_sets, load_set
from ...._repository.commit import SetFacts
from ...._repository.fetch import fetch_objects
from ...._repository.manifest import SQLITE_ROWS_ENGINE, Manifest
from ...._repository.writer import SetWriter
from ...._store.base import ObjectStore
from ..file import FileEngine
from ..load import loading
from ..portable import UNLIMITED, inserted
from ..schema import read_schema
from ..script import write_dump
from ..stand_ins import stand_in
from ..stored_dump import add_dump, facts_of
from .difference import Sides, TableChange
from .ownership import rows_by_key
from .selection import TOUCHED_FILE, Touched, read_touched, write_touched


def write_undo_set(
    store: ObjectStore,
    restored: Manifest,
    sides: Sides,
    changes: t.Sequence[TableChange],
    folder: str,
    *,
    parallel: int,
) -> Manifest:
    """A set of the tier undo with the live rows that will change or go. Raises those of engine and store."""
    began = utc_now()
    path = os.path.join(folder, "rows.sqlite")
    with loading(path) as connection:
        # Live rows may be older than a rule that they break.
        connection.execute("PRAGMA ignore_check_constraints = ON")
        for change in changes:
            # The live table may have columns that the set does not know.
            table = sides.there[change.table.name.lower()]
            try:
                connection.execute(table.sql)
            except sqlite3.Error:
                # D1 runs a newer SQLite than this host.
                connection.execute(stand_in(table))
            kept = replace(table, rowid=change.table.rowid)
            for key, values in rows_by_key(sides.target, kept, [*change.updates, *change.deletes]):
                for statement in inserted(kept, key, values, UNLIMITED):
                    connection.execute(statement)
    engine = FileEngine(path, read_only=True)
    try:
        schema = read_schema(engine)
        dump = write_dump(engine, schema, folder, lambda _rows: None)
    finally:
        engine.close()
    os.unlink(path)
    write_touched(folder, changes)
    about = {"undo_of": restored.set_id, "tables": [change.table.name for change in changes], "consistent": True}
    with SetWriter(store, restored.source, "undo", codec="zstd", parallel=parallel) as writer:
        writer.add(folder, TOUCHED_FILE, "touched")
        add_dump(writer, folder, dump)
        facts = SetFacts(
            engine=SQLITE_ROWS_ENGINE,
            recovery_point=began,
            began=began,
            server=facts_of(sides.target, sides.target.bookmark()),
            coverage=about,
        )
        return writer.commit(facts, {"total": (utc_now() - began).total_seconds()})


def require_newest(store: ObjectStore, chosen: Manifest, mine: t.Mapping[str, Touched], folder: str) -> None:
    """Raise RecoveryError(conflict) when the set was used already, or a later restore touched the same rows.

    mine is what the set touched. A set that was used and the set that its use left behind cancel each other out.
    """
    later = [load_set(store, name) for name in list_sets(store, chosen.source, "undo") if name.set_id > chosen.set_id]
    there = [item for item in later if item.server.get("location") == chosen.server.get("location")]
    void: t.Set[str] = set()
    for item in reversed(there):
        if item.set_id in void:
            continue
        used = str(item.coverage.get("undo_of"))
        if used == chosen.set_id:
            raise _not_the_newest(f"Set {chosen.set_id} was used already", item)
        if any(used == other.set_id for other in there):
            void |= {used, item.set_id}
            continue
        work = os.path.join(folder, f"later-{item.set_id}")
        os.mkdir(work)
        fetch_objects(store, [item.object_at(TOUCHED_FILE)], work, parallel=1)
        theirs = read_touched(work)
        if any(set(mine[name].keys) & set(theirs[name].keys) for name in set(mine) & set(theirs)):
            raise _not_the_newest("A later restore touched the same rows", item)


def _not_the_newest(what: str, later: Manifest) -> RecoveryError:
    return RecoveryError(
        ErrorKind.CONFLICT,
        f"{what}, and kept what it changed as set {later.set_id}.",
        next_step=f"Take that back first, with the undo set {later.set_id}.",
    )
