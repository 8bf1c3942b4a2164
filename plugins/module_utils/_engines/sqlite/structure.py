# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The structure of a database of SQLite: definitions, counters, and the numbers in the header of its file."""

from __future__ import annotations

import typing as t

from .engine import Bound, Engine
from .exact import decode_row, exact_columns, literal
from .schema import Schema, quoted
from .virtual import settings

#: Numbers that applications keep in the head of a file; D1 has none.
_NUMBERS = ("user_version", "application_id")

#: By what it is, as C(trigger audit), C(counter users), C(setting "posts" rank) or C(user_version): its definition or
#: its value.
Structure = t.Mapping[str, str]


def structure_of(engine: Engine, schema: Schema) -> t.Dict[str, str]:
    """Definitions as SQLite keeps them, counters of AUTOINCREMENT, settings of full-text indexes, and numbers of the
    head that are not 0.
    """
    found = {f"{kind} {name}": sql for kind, name, sql in schema.definitions}
    for name, value in counters(engine, schema):
        what = f"counter {name}"
        found[what] = ", ".join(sorted([literal(value), *filter(None, [found.get(what)])]))
    found.update({f"setting {quoted(table)} {name}": literal(value) for table, name, value in settings(engine, schema)})
    found.update({name: str(value) for name, value in numbers_of(engine)})
    return found


def counters(engine: Engine, schema: Schema) -> t.List[t.Tuple[t.Any, t.Any]]:
    """Table and last number of each counter; applications may have written values of any type there."""
    if not schema.has_sequence:
        return []
    columns = exact_columns(("name", "seq"), native=not engine.loses_bytes)
    (answer,) = engine.run([Bound(f"SELECT {columns} FROM sqlite_sequence", reads_only=True)])
    return [(row[0], row[1]) for row in (decode_row(row, 2) for row in answer.rows)]


def numbers_of(engine: Engine) -> t.List[t.Tuple[str, int]]:
    """The numbers in the head of a file that are not 0."""
    found = []
    for name in () if engine.loses_bytes else _NUMBERS:
        (answer,) = engine.run([Bound(f"PRAGMA {name}", reads_only=True)])
        if answer.rows[0][0]:
            found.append((name, int(answer.rows[0][0])))
    return found


def without_numbers(structure: Structure) -> t.Dict[str, str]:
    """The part of a structure that D1 can hold."""
    return {what: text for what, text in structure.items() if what not in _NUMBERS}


def structure_differences(expected: Structure, actual: Structure) -> t.List[str]:
    """The parts that are missing, additional or different, each with that word."""
    return [
        f"{what} ({_difference(expected.get(what), actual.get(what))})"
        for what in sorted({*expected, *actual})
        if expected.get(what) != actual.get(what)
    ]


def _difference(expected: t.Optional[str], actual: t.Optional[str]) -> str:
    if actual is None:
        return "missing"
    return "additional" if expected is None else "other"
