# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Lets through the COPY lines whose key is among those looked for, before a server sees any of them."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

#: Types whose text is the same in every session, so that equal text means equal values.
_INTEGERS = frozenset(("smallint", "integer", "bigint"))
_EXACT = frozenset(("oid", "uuid", "text", "name", "date", "timestamp without time zone"))
_ESCAPES = {
    ord("\\"): "\\\\",
    ord("\b"): "\\b",
    ord("\f"): "\\f",
    ord("\n"): "\\n",
    ord("\r"): "\\r",
    ord("\t"): "\\t",
    ord("\v"): "\\v",
}


@dataclass(frozen=True)
class Wanted:
    """Lines whose columns at these positions hold one of the values, each a tuple of fields as COPY writes them."""

    positions: t.Tuple[int, ...]
    values: t.FrozenSet[t.Tuple[bytes, ...]]


def is_comparable(stored: t.Optional[str], looked_for: str) -> bool:
    """Whether texts of these two types are equal exactly when the values are."""
    if stored is None:
        return False
    if stored in _INTEGERS:
        return looked_for in _INTEGERS
    if stored.startswith("character varying"):
        return looked_for == "text" or looked_for.startswith("character varying")
    return stored == looked_for and stored in _EXACT


def copy_field(text: str) -> bytes:
    """A value's text as COPY writes it."""
    return text.translate(_ESCAPES).encode()


def matching_lines(chunks: t.Iterable[bytes], wanted: t.Sequence[Wanted]) -> t.Iterator[bytes]:
    """The lines that at least one of wanted asks for, whole, a block at a time."""
    rest = b""
    for chunk in chunks:
        lines = (rest + chunk).split(b"\n")
        rest = lines.pop()
        found = _matching(lines, wanted)
        if found:
            yield b"\n".join(found) + b"\n"


def _matching(lines: t.List[bytes], wanted: t.Sequence[Wanted]) -> t.List[bytes]:
    if len(wanted) == 1 and len(wanted[0].positions) == 1:
        place = wanted[0].positions[0]
        values = frozenset(value for (value,) in wanted[0].values)
        return [line for line in lines if line.split(b"\t", place + 1)[place] in values]
    found = []
    for line in lines:
        fields = line.split(b"\t")
        if any(tuple(fields[place] for place in item.positions) in item.values for item in wanted):
            found.append(line)
    return found
