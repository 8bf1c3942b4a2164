# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The settings of sessions, and the detection of poolers.

A session of a pooler belongs to other clients as well, so that a setting that stays in it changes their work. Settings
are therefore part of the connection's startup packet, which a pooler does not hand to a session of others.
"""

from __future__ import annotations

import contextlib
import typing as t

from ...._core.deadline import within
from ...._core.errors import ErrorKind, RecoveryError
from .driver import DriverConnection, psycopg2

Connection = t.Any

#: Text forms must not depend on the role or the server. Values have no blanks, which the startup packet splits at.
_SETTINGS: t.Mapping[str, str] = {
    "statement_timeout": "0",
    "lock_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "datestyle": "ISO,YMD",
    "intervalstyle": "postgres",
    "timezone": "UTC",
    "extra_float_digits": "3",
    "bytea_output": "hex",
    "xmloption": "content",
    "row_security": "off",
    # A database that is read-only during maintenance is restored nonetheless; transactions that only read declare it.
    "default_transaction_read_only": "off",
    # Our queries spend their time in functions that compiling does not touch.
    "jit": "off",
}

#: Since which version of the server, and so not in the startup packet, whose unknown settings refuse the connection.
_NEWER: t.Sequence[t.Tuple[int, str, str]] = (
    (140000, "idle_session_timeout", "0"),
    # A backend whose client was killed must not continue to compute a digest.
    (140000, "client_connection_check_interval", "2s"),
    (170000, "transaction_timeout", "0"),
)

#: Objects of users are named with their schema. pg_temp comes last, else a temporary table hides a catalog.
_SEARCH_PATH = "pg_catalog,pg_temp"

#: Seconds in which a second connection through a pooler must answer.
_PATIENCE = 20.0

#: Which of two connections asks. Any order in which a pooler deals out two sessions gives one of them a change.
_ORDER = (0, 1, 1, 0, 0, 1, 0, 1, 1)


class PostgresConnection(DriverConnection):  # type: ignore[misc,valid-type]
    """A connection that gives a pooler's session back as it got it.

    shared: the settings to reset before the session serves others; empty for a connection to the server itself.
    """

    shared: t.Sequence[str] = ()
    supervision: t.Any = None

    def close(self) -> None:
        if self.shared and not self.closed:
            # A session that cannot be reset is in a state in which its pooler closes it.
            with contextlib.suppress(psycopg2.Error), self.cursor() as cursor:
                cursor.execute("ROLLBACK")
                for name in self.shared:
                    cursor.execute(f"RESET {name}")
        super().close()


def startup_options(given: str = "") -> str:
    """The value of libpq's keyword options; the settings come last, so they override the given ones."""
    return " ".join([*([given] if given else []), *(f"-c {name}={value}" for name, value in _SETTINGS.items())])


def refuses_startup_options(message: str) -> bool:
    """Whether a failed connection was refused by a pooler because of settings in the startup packet."""
    return "startup parameter" in message


def prepare(opened: Connection, place: str, again: t.Callable[[], Connection], extra: t.Mapping[str, str]) -> None:
    """Give a new connection its settings. again opens a second connection to the same place, without settings.

    Settings are applied only to a session that no other client shares. Raises RecoveryError(transaction_pooler).
    """
    applied = _is_the_server(opened)
    if not applied:
        _require_own_session(opened, place, again)
    wanted = [] if applied else list(_SETTINGS.items())
    wanted += [(name, value) for since, name, value in _NEWER if opened.server_version >= since]
    wanted += [("search_path", _SEARCH_PATH), *extra.items()]
    if not applied:
        opened.shared = [name for name, _value in wanted]
    with opened.cursor() as cursor:
        for name, value in wanted:
            # A list of names is written without quotes.
            cursor.execute(f"SET {name} = {value if name == 'search_path' else _quoted(value)}")


def _quoted(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _is_the_server(opened: Connection) -> bool:
    """A pooler has cancel keys of its own, and gives its sessions no settings of the startup packet."""
    with opened.cursor() as cursor:
        shown = ", ".join(f"pg_catalog.current_setting('{name}')" for name in _SETTINGS)
        cursor.execute(f"SELECT pg_catalog.pg_backend_pid(), {shown}")
        pid, *values = cursor.fetchone()
    if opened.supervision is not None:
        opened.supervision.pid = pid
    same = [value.replace(" ", "").lower() for value in values] == [value.lower() for value in _SETTINGS.values()]
    return bool(pid == opened.info.backend_pid and same)


def _require_own_session(opened: Connection, place: str, again: t.Callable[[], Connection]) -> None:
    """Two connections never meet in one server process when the pooler keeps sessions apart."""

    def ask() -> bool:
        with contextlib.closing(again()) as second:
            second.autocommit = True
            both, owned = (opened, second), [0, 0]
            for number in _ORDER:
                with both[number].cursor() as cursor:
                    cursor.execute("SELECT pg_catalog.pg_backend_pid()")
                    pid = cursor.fetchone()[0]
                if owned[number] not in (0, pid) or pid == owned[1 - number]:
                    return False
                owned[number] = pid
        return True

    try:
        kept = within(_PATIENCE, place, ask)
    except (RecoveryError, psycopg2.Error):
        kept = None
    if kept:
        return
    why = (
        "changes the server process between transactions, so it is a transaction pooler"
        if kept is False
        else "is a pooler that gave no second session, so that it cannot be proved to be a session pooler"
    )
    raise RecoveryError(
        ErrorKind.TRANSACTION_POOLER,
        f"{place} {why}.",
        next_step="Connect to the server itself, or to a session pooler with at least two server connections.",
    )
