# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Compares the content of the database with the fingerprint of a backup set."""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass

from .._engines.postgresql.server.connection import Connection, fetch_all
from .check import CannotVerify, Check, Context
from .options import OptionReader
from .result import Finding
from .values import plain_value


@dataclass(frozen=True)
class Fingerprint(Check):
    """The database equals the set; the caller passes the comparison.

    replayed: the server was recovered from WAL, which lacks unlogged tables and records sequences in advance.
    """

    #: The comparison opens sessions of its own.
    needs_transaction = False

    replayed: bool = False

    @classmethod
    def read(cls, options: OptionReader) -> Fingerprint:
        return cls(options.boolean("replayed", False))

    @property
    def subject(self) -> str:
        return "of the backup set"

    def run(self, context: Context) -> Finding:
        if context.compare_fingerprint is None:
            raise CannotVerify("No backup set was given to compare with.")
        differences = [plain_value(difference) for difference in context.compare_fingerprint(context.connection)]
        if self.replayed and differences:
            differences = _without_replay(differences, context.connection)
        message = "The database equals the backup set."
        if differences:
            plural = "" if len(differences) == 1 else "s"
            message = f"The database differs from the backup set in {len(differences)} point{plural}."
        return Finding(not differences, 0, len(differences), message, differences[: context.sample])


#: The number of values that a WAL record of a sequence reserves: SEQ_LOG_VALS of PostgreSQL's sequence.c.
_NOTED_AHEAD = 32

_UNLOGGED = """
SELECT n.nspname || '.' || c.relname FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.relpersistence = 'u'
"""
_INCREMENTS = "SELECT schemaname || '.' || sequencename, increment_by FROM pg_catalog.pg_sequences"


def _without_replay(differences: t.Sequence[t.Any], connection: Connection) -> t.List[t.Any]:
    """The differences except those that every replay of WAL causes."""
    unlogged = {name for (name,) in fetch_all(connection, _UNLOGGED)}
    increments = dict(fetch_all(connection, _INCREMENTS))

    def is_replay(difference: t.Mapping[str, str]) -> bool:
        kind, _space, name = difference["what"].partition(" ")
        if kind == "table":
            return name in unlogged and bool(difference["actual"] == "0 rows")
        before = re.match(r"(-?\d+) ", difference["expected"])
        after = re.match(r"(-?\d+) ", difference["actual"])
        if kind != "sequence" or before is None or after is None or name not in increments:
            return False
        ahead = (int(after.group(1)) - int(before.group(1))) / increments[name]
        return bool(0 <= ahead <= _NOTED_AHEAD + 1)

    return [difference for difference in differences if not is_replay(difference)]
