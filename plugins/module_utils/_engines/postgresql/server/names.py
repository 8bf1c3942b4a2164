# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Names of tables as people write them: schema.table, "Sch ema"."Ta.ble", or just table."""

from __future__ import annotations

import re
import typing as t

from ...._core.errors import ErrorKind, RecoveryError
from .connection import quote_identifier

#: NAMEDATALEN - 1: PostgreSQL cuts longer names off, so none can exist.
_LONGEST = 63

_PLAIN = re.compile(r"[a-z_][a-z0-9_$]*\Z")


class QualifiedName(t.NamedTuple):
    """A schema and the name of something in it, both without quotes."""

    schema: str
    name: str

    @property
    def quoted(self) -> str:
        """For statements."""
        return quote_identifier(self.schema, self.name)

    def __str__(self) -> str:
        """For people, who quote only where they must."""
        return ".".join(part if _PLAIN.match(part) else quote_identifier(part) for part in self)


def parse_qualified_name(text: str, *, default_schema: str = "public") -> QualifiedName:
    """Split a name into schema and name. Case counts, quoted or not, as it does in a column option.

    Quotes are needed only around a part that holds a dot or a quote; inside them a quote is doubled.
    Raises RecoveryError(invalid_options).
    """
    parts = _split(text.strip(), text)
    if len(parts) > 2:
        raise _mistake(text, f"it has {len(parts)} parts, a table has a schema and a name")
    for part in parts:
        if not part:
            raise _mistake(text, "a part of it is empty")
        if "\0" in part:
            raise _mistake(text, "it holds a NUL character")
        if len(part.encode("utf-8", "surrogatepass")) > _LONGEST:
            raise _mistake(text, f"a part of it is longer than {_LONGEST} bytes")
    return QualifiedName(*([default_schema, *parts] if len(parts) == 1 else parts))


def _split(remaining: str, text: str) -> t.List[str]:
    parts = []
    while True:
        if remaining.startswith('"'):
            part, remaining = _quoted_part(remaining, text)
        else:
            end = remaining.find(".")
            part, remaining = (remaining, "") if end < 0 else (remaining[:end], remaining[end:])
            part = part.strip()
            if '"' in part:
                raise _mistake(text, "it has a quote inside a part that does not begin with one")
        parts.append(part)
        if not remaining:
            return parts
        if not remaining.startswith("."):
            raise _mistake(text, "a dot is missing after a closing quote")
        remaining = remaining[1:].lstrip()


def _quoted_part(remaining: str, text: str) -> t.Tuple[str, str]:
    match = re.match(r'"((?:[^"]|"")*)"\s*', remaining)
    if match is None:
        raise _mistake(text, "a quote is not closed")
    return match.group(1).replace('""', '"'), remaining[match.end() :]


def _mistake(text: str, why: str) -> RecoveryError:
    return RecoveryError(
        ErrorKind.INVALID_OPTIONS,
        f"{text!r} is not the name of a table: {why}.",
        next_step='Write it as table, schema.table or "Odd Schema"."Odd.Table".',
    )
