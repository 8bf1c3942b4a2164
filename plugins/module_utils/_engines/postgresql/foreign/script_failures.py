# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The statements of a script that PostgreSQL refused, and what the dump lacks by the server's own words.

A dump of one schema refers to schemas, extensions and types that it does not hold. One refused statement names one of
them, so that an operator would find them one restore after another.
"""

from __future__ import annotations

import re
import typing as t
from dataclasses import asdict, dataclass

from ...._core.errors import ErrorKind, RecoveryError
from ...._core.sizes import first_of
from ..archive.object_errors import ObjectFailure
from ..server.names import QualifiedName, parse_qualified_name
from .preparation import proposed

#: How many refused statements a message shows, and how many missing objects.
_SHOWN, _NAMED = 3, 10
_MISSING = re.compile(
    r"(schema|role|type|function|relation|extension|operator|collation|language|access method|server|"
    r"text search configuration|operator class) (\"[^\"]+\"|\S+(?:\([^)]*\))?) does not exist"
)


@dataclass(frozen=True)
class Refused:
    """A refused statement: its place in the dump, the error that would end the restore, PostgreSQL's own message."""

    where: str
    error: RecoveryError
    message: str
    statement: str

    @property
    def failure(self) -> ObjectFailure:
        return ObjectFailure(self.where, self.message, self.statement)


def missing_parts(refused: t.Iterable[Refused], created: t.Collection[QualifiedName]) -> t.List[str]:
    """Objects that the dump needs and that neither it nor the database has. created: tables of the script."""
    found: t.Dict[str, None] = {}
    for one in refused:
        match = _MISSING.search(one.message)
        if match is None:
            continue
        kind, name = match.group(1), match.group(2).strip('"')
        # A table whose own statement was refused is missing in all that follows.
        if kind != "relation" or _table(name) not in created:
            found[f"{kind} {name}"] = None
    return list(found)


def script_refused(refused: t.Sequence[Refused], created: t.Collection[QualifiedName]) -> RecoveryError:
    """One error for all refused statements, with what the dump lacks. Its details hold every statement."""
    first, lacking = refused[0].error, missing_parts(refused, created)
    what = first.what
    if len(refused) > 1:
        named = "; ".join(f"{one.where}: {one.message}" for one in refused[:_SHOWN])
        more = f"; and {len(refused) - _SHOWN} more" if len(refused) > _SHOWN else ""
        what = f"PostgreSQL refused {len(refused)} statements of the dump: {named}{more}."
    kind, next_step = first.kind, first.next_step
    if lacking:
        what += f" The dump refers to these and does not hold them: {first_of(lacking, _NAMED)}."
    if kind == ErrorKind.RESTORE_FAILED:
        options = proposed(lacking, [one.statement for one in refused])
        helps = [f"set `{name}` to {value}" for name, value in options.items() if value]
        helps.append("set `object_errors` to report to restore everything else")
        next_step = f"{'; '.join(helps)}.".replace("s", "S", 1)
    details = {"failed_objects": [asdict(one.failure) for one in refused], "lacking": lacking}
    objects = [one.where for one in refused]
    return RecoveryError(kind, what, left="", next_step=next_step, details=details, objects=objects)


def _table(name: str) -> t.Optional[QualifiedName]:
    try:
        return parse_qualified_name(name)
    except RecoveryError:
        return None
