# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The object of an archive that the server refused, its statement, and the option that helps."""

from __future__ import annotations

import re
import typing as t
from dataclasses import asdict, dataclass

from ...._core.errors import ErrorKind, RecoveryError

#: Characters of a statement that a message shows; details hold it up to _LONGEST.
_SHOWN, _LONGEST = 160, 2000
_NAMED = 3

#: Where pg_restore names the entry: its number, two catalog numbers, and the kind in capitals before the tag.
_ENTRY = re.compile(r"pg_restore: (?:from|in) TOC entry (\d+);")
_ERROR = re.compile(r"pg_restore: error: (?:could not execute query: )?(.*)")

#: pg_restore since 17 sets a parameter of its session that older servers do not know; nothing depends on it.
_NO_OBJECT = re.compile(r'unrecognized configuration parameter "transaction_timeout"')

#: A pattern of a message, the kind of the error and the next step.
_HINTS = (
    (
        r'role ".*" does not exist',
        ErrorKind.ROLES_MISSING,
        "Set create_roles to true, or owner and privileges to false.",
    ),
    (
        r'tablespace ".*" does not exist',
        ErrorKind.RESTORE_FAILED,
        "Create the tablespace, or set tablespaces to false.",
    ),
    (
        r"extension .* is not available|could not open extension control file",
        ErrorKind.RESTORE_FAILED,
        "Install the packages of the extension on the server, or set object_errors to report.",
    ),
    (r"lock timeout|deadlock detected", ErrorKind.LOCKED, "End the sessions that hold the tables, then run it again."),
    (
        r"permission denied|must be owner|must be superuser|must be able to SET ROLE",
        ErrorKind.ACCESS_DENIED,
        "Connect as a role that may create these objects, or set owner to false.",
    ),
)
_DEFAULT_HINT = "Mend the cause that PostgreSQL names, or set object_errors to report to restore everything else."


@dataclass(frozen=True)
class ObjectFailure:
    """An object that was not restored: kind, schema and name, PostgreSQL's reason, and the statement."""

    object: str
    reason: str
    statement: str = ""

    @property
    def text(self) -> str:
        shown = " ".join(self.statement.split())
        shown = shown[:_SHOWN] + "..." * (len(shown) > _SHOWN)
        return f"{self.object}: {self.reason}" + (f" ({shown})" if shown else "")


def parse_object_failures(lines: t.Iterable[str], titles: t.Mapping[int, str]) -> t.List[ObjectFailure]:
    """The failures that pg_restore printed. titles gives the name of an entry by its number in the archive."""
    found: t.List[ObjectFailure] = []
    entry, statement, in_statement = "", [""], False

    def close() -> None:
        if found and in_statement:
            found[-1] = ObjectFailure(found[-1].object, found[-1].reason, "\n".join(statement).strip()[:_LONGEST])

    for line in lines:
        if line.startswith("pg_restore: "):
            close()
            in_statement = False
            named = _ENTRY.match(line)
            if named:
                entry = titles.get(int(named.group(1)), "") or line.split("TOC entry ", 1)[1]
                continue
            refused = _ERROR.match(line)
            if refused:
                reason = re.sub(r"^ERROR:\s+", "", refused.group(1)).rstrip(".")
                found.append(ObjectFailure(entry or "the archive", reason))
        elif line.startswith("Command was: "):
            in_statement, statement = True, [line[len("Command was: ") :]]
        elif in_statement:
            statement.append(line)
        elif found and line.startswith(("DETAIL:", "HINT:", "CONTEXT:")):
            last = found[-1]
            found[-1] = ObjectFailure(last.object, f"{last.reason}. {' '.join(line.split())}".rstrip("."))
    close()
    return without_session_settings(found)


def without_session_settings(failures: t.Iterable[ObjectFailure]) -> t.List[ObjectFailure]:
    """The failures that concern objects."""
    return [failure for failure in failures if not _NO_OBJECT.search(failure.reason)]


def objects_refused(
    failures: t.Sequence[ObjectFailure], left: str, default_kind: str = ErrorKind.RESTORE_FAILED
) -> RecoveryError:
    """The error that names the objects. Its details hold all of them under failed_objects."""
    texts = [failure.reason for failure in failures]
    kind, next_step = next(
        ((kind, step) for pattern, kind, step in _HINTS if any(re.search(pattern, text) for text in texts)),
        (default_kind, _DEFAULT_HINT),
    )
    count = len(failures)
    named = "; ".join(failure.text for failure in failures[:_NAMED])
    more = f"; and {count - _NAMED} more" if count > _NAMED else ""
    return RecoveryError(
        kind,
        f"PostgreSQL refused {count} object{'s' * (count > 1)} of the set: {named}{more}.",
        left=left,
        next_step=next_step,
        details={"failed_objects": [asdict(failure) for failure in failures]},
        objects=[failure.object for failure in failures],
    )
