# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The functions of a database that leave the server, directly or through other functions."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ..server.connection import Connection, fetch_all
from ..server.names import QualifiedName
from .calls import KNOWN, OF_EXTENSIONS, OF_LIBRARIES, Name, calls_in, runs_program

#: Objects that initdb made have lower OIDs, and none of them leaves the server but by large privileges.
_FIRST_OID = 16384

_FUNCTIONS = f"""
    SELECT p.oid, n.nspname::text, p.proname::text, l.lanname::text, l.lanpltrusted, e.extname::text,
      CASE WHEN p.prosqlbody IS NULL THEN p.prosrc ELSE pg_get_functiondef(p.oid) END, coalesce(p.probin, ''),
      p.oid::regprocedure::text
    FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_language l ON l.oid = p.prolang
    LEFT JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
      AND d.refclassid = 'pg_extension'::regclass
    LEFT JOIN pg_extension e ON e.oid = d.refobjid
    WHERE p.oid >= {_FIRST_OID}
    ORDER BY p.oid
"""


@dataclass(frozen=True)
class Outbound:
    """A function that leaves the server. of_extension: it belongs to an extension."""

    oid: int
    signature: str
    reason: str
    of_extension: bool


class _Function(t.NamedTuple):
    oid: int
    schema: str
    name: str
    language: str
    is_trusted: bool
    extension: t.Optional[str]
    source: str
    library: str
    signature: str


def outbound_functions(conn: Connection) -> t.Dict[int, Outbound]:
    """The functions that leave the server, by OID. They may not exist: a call of one that is missing counts."""
    functions = [_Function(*row) for row in fetch_all(conn, _FUNCTIONS)]
    calls = {one.oid: calls_in(one.source) for one in functions if one.language not in ("c", "internal")}
    reasons = {one.oid: reason for one in functions for reason in [_own_reason(one, calls.get(one.oid))] if reason}
    callers: t.Dict[Name, t.List[_Function]] = {}
    for one in functions:
        for name in calls.get(one.oid, ()):
            callers.setdefault(name, []).append(one)
    waiting = [one for one in functions if one.oid in reasons]
    while waiting:
        called = waiting.pop()
        for name in (("", called.name), (called.schema, called.name)):
            for caller in callers.get(name, ()):
                if caller.oid not in reasons:
                    reasons[caller.oid] = f"calls {QualifiedName(called.schema, called.name)}"
                    waiting.append(caller)
    return {
        one.oid: Outbound(one.oid, one.signature, reasons[one.oid], one.extension is not None)
        for one in functions
        if one.oid in reasons
    }


def _own_reason(function: _Function, calls: t.Optional[t.AbstractSet[Name]]) -> str:
    """Why a function leaves the server by itself; empty if it does not."""
    name = (function.schema, function.name)
    of_extension = OF_EXTENSIONS.get(function.extension or "")
    if name in KNOWN or (of_extension and of_extension.fullmatch(function.name)):
        return "sends requests"
    if calls is None:
        return "sends requests" if not function.extension and OF_LIBRARIES.search(function.library) else ""
    if not function.is_trusted:
        return f"is written in the untrusted language {function.language}"
    known = sorted(KNOWN & calls)
    if known:
        return f"calls {QualifiedName(*known[0])}"
    return "runs a program of the server" if runs_program(function.source) else ""
