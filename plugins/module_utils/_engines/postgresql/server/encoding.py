# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Names and texts of databases whose encoding is SQL_ASCII, which is any bytes at all."""

from __future__ import annotations

import codecs
import typing as t

from .driver import psycopg2

_CODEC = "lifeline_any_bytes"


def register() -> None:
    """Have psycopg2 read SQL_ASCII as UTF-8 in which bytes that are none become lone surrogates, as PEP 383 has it."""
    codecs.register(_find)
    for name in ("SQLASCII", "SQL_ASCII"):
        psycopg2.extensions.encodings[name] = _CODEC


def is_readable(text: str) -> bool:
    """Whether the bytes of a name were UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def shown(text: str) -> str:
    """For messages: bytes that are not UTF-8 as C(\\xNN)."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _find(name: str) -> t.Optional[codecs.CodecInfo]:
    if name != _CODEC:
        return None
    return codecs.CodecInfo(
        lambda text, errors="strict": codecs.utf_8_encode(text, "surrogateescape"),
        lambda data, errors="strict": codecs.utf_8_decode(data, "surrogateescape", True),
        name=_CODEC,
    )
