# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reading values so that they survive JSON, which has neither integers beyond 2^53 nor infinities nor types."""

from __future__ import annotations

import math
import sqlite3
import threading
import typing as t

#: So many columns a statement may give in D1, the types of the others among them.
MOST_COLUMNS = 100

#: The chain of an expression may be a hundred deep in D1.
_TOGETHER = 40

#: Beyond it JSON readers round.
LARGEST_EXACT = 2**53

#: Reads numbers as a restore on this host does; threads take turns.
_READER = sqlite3.connect(":memory:", check_same_thread=False)
_READING = threading.Lock()


class NotText(bytes):
    """A value of type text whose bytes are no UTF-8."""


def text_of(data: bytes) -> t.Union[str, NotText]:
    """A text, or its bytes when they are no UTF-8."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return NotText(data)


def exact_columns(names: t.Sequence[str], *, native: bool = False) -> str:
    """The SELECT list for these expressions; decode_row decodes the row. native: values do not travel over JSON.

    quote() and JSON both lose the sign of -0.0, which atan2() shows. https://www.sqlite.org/lang_mathfunc.html
    """
    values = [
        name
        if native
        else (
            f"CASE typeof({name}) WHEN 'integer' THEN CAST({name} AS TEXT) WHEN 'real' THEN"
            f" iif({name} = 0.0 AND atan2({name}, -1.0) < 0, '-0.0', quote({name})) ELSE {name} END"
        )
        for name in names
    ]
    types = [
        "||".join(f"substr(typeof({name}),1,1)" for name in names[start : start + _TOGETHER])
        for start in range(0, len(names), _TOGETHER)
    ]
    return ", ".join([*values, *types])


def exact_query(query: str, columns: int) -> t.Optional[str]:
    """A query whose rows decode_row turns back, or None when it gives too many columns."""
    if columns + -(-columns // _TOGETHER) > MOST_COLUMNS:
        return None
    names = [f"c{number}" for number in range(columns)]
    return f"WITH exactly({', '.join(names)}) AS ({query}) SELECT {exact_columns(names)} FROM exactly"


def decode_row(row: t.Sequence[t.Any], columns: int) -> t.List[t.Any]:
    """The values of a row that exact_columns selected."""
    types = "".join(row[columns:])
    return [_decoded(value, kind) for value, kind in zip(row, types)]


def literal(value: t.Any) -> str:
    """A value as SQL has it, exactly."""
    if isinstance(value, str):
        if "\0" in value:
            return f"CAST(x'{value.encode().hex()}' AS TEXT)"
        return "'" + value.replace("'", "''") + "'"
    if value is None:
        return "NULL"
    if isinstance(value, int):
        return str(int(value))
    if isinstance(value, float):
        if math.isinf(value):
            return "9.0e+999" if value > 0 else "-9.0e+999"
        return _real(value)
    digits = f"x'{value.hex()}'"
    return f"CAST({digits} AS TEXT)" if isinstance(value, NotText) else digits


def _real(value: float) -> str:
    """A finite number, as a product if the SQLite of this host reads its digits as another number.

    Before 3.43 (https://sqlite.org/releaselog/3_43_0.html) that is one of 100,000 numbers, and one of 100 below 1e-290.
    """
    digits = repr(value)
    # At most 15 digits and no power of ten, which every version reads exactly.
    if len(digits) <= 16 and "e" not in digits:
        return digits
    with _READING:
        (read,) = _READER.execute(f"SELECT {digits}").fetchone()
    return digits if read == value else _product(value)


def _product(value: float) -> str:
    """The integer mantissa and powers of two, each of which is read exactly, and whose products are exact."""
    fraction, exponent = math.frexp(value)
    factors = [f"{int(fraction * 2**53)}.0"]
    exponent -= 53
    while exponent:
        step = min(52, abs(exponent))
        factors.append(f"{'*' if exponent > 0 else '/'}{2**step}.0")
        exponent += -step if exponent > 0 else step
    return f"({''.join(factors)})"


def _decoded(value: t.Any, kind: str) -> t.Any:
    if kind == "i":
        return int(value)
    if kind == "r":
        return float(value)
    if kind == "b":
        return bytes(value)
    return NotText(value) if isinstance(value, bytes) else value
