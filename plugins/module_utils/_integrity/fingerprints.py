# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The content of the database against the fingerprint that a backup set holds."""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass

from .._postgres.connection import Connection, fetch_all
from .check import CannotVerify, Check, Context
from .options import OptionReader
from .result import Finding
from .values import plain_value


@dataclass(frozen=True)
class Fingerprint(Check):
    """Nothing differs from the set; the comparison itself is given by the caller.

    replayed: the server was recovered from its log, which lacks unlogged tables and notes sequences in advance.
    """

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


#: How many values of a sequence the server notes in its log at once: SEQ_LOG_VALS of its sequence.c.
_NOTED_AHEAD = 32

_UNLOGGED = """
SELECT n.nspname || '.' || c.relname FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.relpersistence = 'u'
"""
_INCREMENTS = "SELECT schemaname || '.' || sequencename, increment_by FROM pg_catalog.pg_sequences"


def _without_replay(differences: t.Sequence[t.Any], connection: Connection) -> t.List[t.Any]:
    """What is left of the differences when those are taken away that every replay of a log makes."""
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
