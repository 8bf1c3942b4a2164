# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Statements that PostgreSQL refused, as errors: SQLSTATE to the kind, the sentence and the next step."""

from __future__ import annotations

import typing as t

from ...._core.errors import ErrorKind, RecoveryError
from .driver import psycopg2

#: SQLSTATE of a refused statement. https://www.postgresql.org/docs/current/errcodes-appendix.html
FOREIGN_KEY, UNIQUE, SERIALIZATION, DEADLOCK, NO_LOCK = "23503", "23505", "40001", "40P01", "55P03"
NO_RIGHT, NO_TABLE, NO_OBJECT, NO_MEMORY, IN_USE = "42501", "42P01", "42704", "53200", "55006"

#: The state NO_OBJECT if the object is a role, which has a kind of its own.
NO_ROLE = "42704 role"

#: The server ends the connection: it stops, it crashed, or an administrator ended the session.
_ENDED = ("57P01", "57P02", "57P03")

#: A conflict with other rows, for callers that have a next step for the state; in a dump, a defect of the dump.
_CONFLICTS = (FOREIGN_KEY, UNIQUE, SERIALIZATION)

#: The kind of error and the next step, unless the caller has a better step.
_REFUSALS = {
    DEADLOCK: (ErrorKind.LOCKED, "Run it again when fewer sessions use the tables."),
    NO_LOCK: (ErrorKind.LOCKED, "Wait for the session that holds the lock, then run it again."),
    NO_RIGHT: (ErrorKind.ACCESS_DENIED, "Connect as the owner of the object or as a superuser."),
    NO_ROLE: (ErrorKind.ROLES_MISSING, "Create the role, then run it again."),
}


def query_error(
    error: Exception,
    left: str = "Nothing was changed.",
    *,
    subject: str = "a statement",
    kind: str = ErrorKind.QUERY_FAILED,
    next_step: str = "",
    steps: t.Optional[t.Mapping[str, str]] = None,
    detail: bool = False,
    hint: bool = False,
) -> RecoveryError:
    """The error of a refused statement, or of a lost connection.

    subject: the refused part of the work. kind and next_step: for a SQLSTATE without a kind of its own. steps: the next
    step by SQLSTATE. detail and hint: add these lines of the server, which may quote values of a row.
    """
    state = getattr(error, "pgcode", None) or ""
    if state in _ENDED or (not state and isinstance(error, (psycopg2.OperationalError, psycopg2.InterfaceError))):
        return RecoveryError(
            ErrorKind.UNREACHABLE,
            f"The connection to PostgreSQL was lost: {server_message(error)}.",
            left=left,
            next_step="Check the server and the network, then run it again.",
        )
    message = server_message(error)
    if state == NO_OBJECT and message.startswith("role "):
        state = NO_ROLE
    steps = steps or {}
    found, step = _REFUSALS.get(state, (kind, next_step))
    if state in _CONFLICTS and state in steps:
        found = ErrorKind.CONFLICT
    diagnosis = getattr(error, "diag", None)
    more = [
        text.rstrip(".") + "."
        for text, is_wanted in (
            (getattr(diagnosis, "message_detail", None), detail),
            (getattr(diagnosis, "message_hint", None), hint),
        )
        if is_wanted and text
    ]
    return RecoveryError(
        found,
        " ".join([f"PostgreSQL refused {subject}: {message}.", *more]),
        left=left,
        next_step=steps.get(state) or step,
    )


def server_message(error: Exception) -> str:
    """The message of the server without its full stop; of a lost connection, the first line of libpq."""
    message = getattr(getattr(error, "diag", None), "message_primary", None) or str(error).strip()
    return (message.splitlines() or ["no reason given"])[0].rstrip(".")


def refusal_reason(error: t.Any) -> str:
    """The message of a refused statement. Raises the error again if the connection was lost."""
    if error.pgcode is None or error.pgcode in _ENDED:
        raise error
    return server_message(error)
