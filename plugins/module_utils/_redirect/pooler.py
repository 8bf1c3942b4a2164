# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The admin console of pgbouncer: https://www.pgbouncer.org/usage.html#admin-console."""

from __future__ import annotations

import contextlib
import os
import socket
import typing as t
from dataclasses import dataclass

from .._core.deadline import within
from .._core.errors import ErrorKind, RecoveryError, guaranteed
from .._core.options import Secret
from .._engines.postgresql.server.driver import psycopg2, require_psycopg2

Row = t.Mapping[str, t.Any]


@dataclass(frozen=True)
class PoolerLogin:
    """host: a name, an address or the folder of a socket. user: one of admin_users for the console."""

    host: str = "127.0.0.1"
    port: int = 6432
    user: str = "postgres"
    password: t.Optional[Secret] = None
    sslmode: str = "prefer"

    @property
    def address(self) -> str:
        return f"{self.host}:{self.port}"


class Console:
    """A session of the admin console. timeout: seconds of each command."""

    def __init__(self, login: PoolerLogin, timeout: float) -> None:
        self._login, self._timeout = login, timeout
        self._session = _connect(login, "pgbouncer", timeout)
        self._is_stuck = False

    def close(self) -> None:
        if self._is_stuck:
            # The thread that waits holds the lock that close() takes, so that the connection is cut instead.
            with contextlib.suppress(OSError), socket.socket(fileno=os.dup(self._session.fileno())) as cut:
                cut.shutdown(socket.SHUT_RDWR)
            return
        self._session.close()

    def command(self, text: str, database: t.Optional[str] = None, timeout: t.Optional[float] = None) -> None:
        """Run a command, with the name of a database. Raises RecoveryError: timeout, service_failed."""
        self._execute(text if database is None else f"{text} {_identifier(database)}", timeout)

    def rows(self, text: str) -> t.List[Row]:
        columns, rows = self._execute(text, None)
        return [dict(zip(columns, row)) for row in rows]

    def database(self, name: str) -> Row:
        """The row of SHOW DATABASES. Raises RecoveryError(object_missing)."""
        found = [row for row in self.rows("SHOW DATABASES") if row["name"] == name]
        if not found:
            raise RecoveryError(
                ErrorKind.OBJECT_MISSING,
                f"pgbouncer at {self._login.address} has no database {name}.",
                next_step="Correct the name, or the address of the console.",
            )
        return found[0]

    def servers(self, database: str) -> t.List[Row]:
        """The connections to the server of a database."""
        return [row for row in self.rows("SHOW SERVERS") if row["database"] == database]

    def _execute(self, text: str, timeout: t.Optional[float]) -> t.Tuple[t.List[str], t.List[t.Any]]:
        seconds = self._timeout if timeout is None else timeout

        def work() -> t.Tuple[t.List[str], t.List[t.Any]]:
            with self._session.cursor() as cursor:
                cursor.execute(text)
                if cursor.description is None:
                    return [], []
                return [column[0] for column in cursor.description], list(cursor.fetchall())

        try:
            return within(seconds, f"pgbouncer at {self._login.address}", work)
        except RecoveryError:
            self._is_stuck = True
            raise
        except psycopg2.Error as error:
            raise RecoveryError(
                ErrorKind.SERVICE_FAILED,
                f"pgbouncer at {self._login.address} refused {text.split(' ', 1)[0]}: {_first_line(error)}.",
                left="",
                next_step="Check that the user is in `admin_users` of pgbouncer.",
            ) from None


@contextlib.contextmanager
def console(login: PoolerLogin, timeout: float) -> t.Iterator[Console]:
    """A session of the console, which is closed at the end."""
    opened = Console(login, timeout)
    try:
        yield opened
    finally:
        opened.close()


def ask_through(login: PoolerLogin, database: str, query: str, timeout: float) -> t.Sequence[t.Any]:
    """The first row of a query that a new client of the pooler runs. Raises RecoveryError: unreachable, timeout."""

    def work() -> t.Sequence[t.Any]:
        session = _connect(login, database, timeout)
        try:
            with session.cursor() as cursor:
                cursor.execute(query)
                return t.cast(t.Sequence[t.Any], cursor.fetchone())
        finally:
            session.close()

    try:
        return within(timeout, f"The database {database} behind pgbouncer at {login.address}", work)
    except psycopg2.Error as error:
        raise RecoveryError(
            ErrorKind.UNREACHABLE,
            f"The database {database} behind pgbouncer at {login.address} does not answer: {_first_line(error)}.",
        ) from None


def _connect(login: PoolerLogin, database: str, timeout: float) -> t.Any:
    require_psycopg2()
    driver = guaranteed(psycopg2)
    try:
        session = driver.connect(
            host=login.host, port=login.port, user=login.user, password=login.password, dbname=database,
            sslmode=login.sslmode, connect_timeout=max(2, int(timeout)), application_name="lifeline",
        )  # fmt: skip
    except driver.Error as error:
        if database != "pgbouncer":
            raise
        reason = _first_line(error)
        raise RecoveryError(
            ErrorKind.UNREACHABLE,
            f"The admin console of pgbouncer at {login.address} gives no session: {reason}.",
            next_step="Check that pgbouncer runs, and that the user is in its `admin_users`.",
        ) from None
    # The console knows no transactions.
    session.autocommit = True
    return session


def _identifier(name: str) -> str:
    escaped = name.replace('"', '""')
    return f'"{escaped}"'


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or ["no reason"])[0].strip().rstrip(".")[:200]
