# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads JSON that a store gave back, which is untrusted: strict, and bounded in size, depth and numbers."""

from __future__ import annotations

import json
import re
import typing as t

from .errors import ErrorKind, RecoveryError

#: Bytes of one document. A manifest of 100,000 large objects takes 40 MB.
LARGEST = 64 * 1024 * 1024

#: Levels of lists and mappings. The documents of this collection have at most 6.
DEEPEST = 32

#: Digits of a whole number: 64 bits need 20.
_LONGEST_NUMBER = 20

#: An escaped half of a surrogate pair; only text with one needs a closer look.
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


def read_document(
    data: t.Union[bytes, str], what: str, *, next_step: str = "", largest: int = LARGEST
) -> t.Dict[str, t.Any]:
    """The mapping that a stored document holds. what names the document in errors, largest is in bytes.

    Refused are NaN, infinite numbers, whole numbers above 64 bits, a key that a mapping has twice, text that is not
    Unicode, and documents that are too large or nested too deeply. Raises RecoveryError(damaged).
    """
    try:
        document = parse_json(data, largest=largest)
        if not isinstance(document, dict):
            raise ValueError("it is not a JSON object")
    except ValueError as error:
        raise RecoveryError(ErrorKind.DAMAGED, f"{what} is damaged: {error}.", next_step=next_step) from None
    return document


def parse_json(data: t.Union[bytes, str], *, largest: int = LARGEST) -> t.Any:
    """As read_document, for any value. Raises ValueError."""
    raw = data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data
    if len(raw) > largest:
        raise ValueError(f"it has {len(raw)} bytes, more than {largest}")
    try:
        document = _DECODER.decode(raw.decode("utf-8"))
    except UnicodeDecodeError:
        raise ValueError("it is not UTF-8") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"it is not JSON ({error.msg} at character {error.pos})") from None
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    _require_flat(document)
    if _SURROGATE.search(raw):
        _require_text(document)
    return document


def _require_flat(document: t.Any) -> None:
    level = [document]
    for _depth in range(DEEPEST):
        nested = [item for item in level if isinstance(item, (dict, list))]
        if not nested:
            return
        level = [child for item in nested for child in (item.values() if isinstance(item, dict) else item)]
    raise ValueError("it is nested too deeply")


def _require_text(document: t.Any) -> None:
    try:
        json.dumps(document, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        raise ValueError("it holds half of a surrogate pair") from None


def _mapping(pairs: t.List[t.Tuple[str, t.Any]]) -> t.Dict[str, t.Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a mapping has a key twice")
    return found


def _integer(text: str) -> int:
    if len(text) > _LONGEST_NUMBER:
        raise ValueError("a number has too many digits")
    return int(text)


def _fraction(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise ValueError("a number is too large")
    return number


def _refuse(name: str) -> t.NoReturn:
    raise ValueError(f"{name} is not a number of JSON")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_mapping, parse_int=_integer, parse_float=_fraction, parse_constant=_refuse
)
