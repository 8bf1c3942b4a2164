# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ends programs and statements that wait for an unreachable server.

TCP notices a host that is gone, but not a proxy or a firewall that keeps a connection open and passes nothing on. How
long a statement may take is unknown as well: an index may be built for hours. So whatever waits without any progress
is looked at from a second connection, and is ended when no server process works for it.
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import threading
import time
import typing as t
import weakref
from dataclasses import dataclass, field

from ...._core.deadline import within
from ...._core.errors import ErrorKind, RecoveryError
from .driver import DriverCursor, psycopg2

#: Seconds at most for a look from a second connection.
_LOOK = 30.0

_WORKING = """
    SELECT pg_catalog.count(*) FROM pg_catalog.pg_stat_activity a
    WHERE {whose} AND a.state OPERATOR(pg_catalog.=) 'active'
      AND a.wait_event_type IS DISTINCT FROM 'Client'
"""
_BY_PID = "a.pid OPERATOR(pg_catalog.=) %s"
_BY_NAME = "a.application_name OPERATOR(pg_catalog.=) %s"


@dataclass
class Supervision:
    """One connection that may wait. since: when its current statement began or last made progress; 0 outside one."""

    keywords: t.Mapping[str, t.Any] = field(repr=False)
    place: str
    limit: float
    pid: int = 0
    since: float = 0.0
    examined: bool = False
    stalled: bool = False

    def error(self) -> RecoveryError:
        return stall_error(self.place, self.limit)


class SupervisedCursor(DriverCursor):  # type: ignore[misc,valid-type]
    """Each of its statements ends with RecoveryError(timeout) when the connection has stalled."""

    def execute(self, *arguments: t.Any, **named: t.Any) -> t.Any:
        with _waiting(self.connection):
            return super().execute(*arguments, **named)

    def copy_expert(self, sql: t.Any, file: t.Any, *arguments: t.Any, **named: t.Any) -> t.Any:
        with _waiting(self.connection) as supervision:
            return super().copy_expert(sql, _Progress(file, supervision), *arguments, **named)


def supervise(opened: t.Any, keywords: t.Mapping[str, t.Any], place: str, limit: float) -> None:
    """Have the connection's statements looked at that wait longer than limit seconds; 0 is without a limit."""
    if limit <= 0:
        return
    opened.supervision = Supervision(keywords, place, limit, opened.info.backend_pid)
    opened.cursor_factory = opened.cursor_factory or SupervisedCursor
    _MONITOR.add(opened)


def interrupt(opened: t.Any) -> None:
    """Have the server cancel the current statement. The request may stall itself, so it is not waited for."""

    def cancel() -> None:
        with contextlib.suppress(psycopg2.Error):
            opened.cancel()

    threading.Thread(target=cancel, daemon=True).start()


def stall_error(place: str, limit: float) -> RecoveryError:
    return RecoveryError(
        ErrorKind.TIMEOUT,
        f"The connection to {place} passed nothing for {limit:g} seconds while no server process worked for it.",
        left="",
        next_step="Check the network, proxies and firewalls on the way, and run it again; "
        "raise stall_timeout for a server that pauses longer.",
    )


class ProgramWatch:
    """Detects that a client program has stalled, by the work of its server processes; see StallWatch."""

    def __init__(self, keywords: t.Mapping[str, t.Any], place: str, limit: float, application: str) -> None:
        self._keywords, self._place, self.limit, self._application = keywords, place, limit, application

    def is_stalled(self) -> bool:
        """Called when the program has used no processor time for limit seconds."""
        return not _works(self._keywords, self._place, _BY_NAME, self._application)

    def error(self) -> RecoveryError:
        return stall_error(self._place, self.limit)


class _Progress:
    """A file whose every read and write is progress of a statement."""

    def __init__(self, file: t.Any, supervision: t.Optional[Supervision]) -> None:
        self._file, self._supervision = file, supervision

    def read(self, *arguments: t.Any) -> t.Any:
        # This waits for the file, which has a limit of its own.
        since = self._since(0.0)
        try:
            return self._file.read(*arguments)
        finally:
            self._since(time.monotonic() if since else 0.0)

    def write(self, data: t.Any) -> t.Any:
        since = self._since(0.0)
        try:
            return self._file.write(data)
        finally:
            self._since(time.monotonic() if since else 0.0)

    def _since(self, value: float) -> float:
        if self._supervision is None:
            return 0.0
        before, self._supervision.since = self._supervision.since, value
        return before


@contextlib.contextmanager
def _waiting(conn: t.Any) -> t.Iterator[t.Optional[Supervision]]:
    supervision: t.Optional[Supervision] = getattr(conn, "supervision", None)
    if supervision is None:
        yield None
        return
    supervision.since = time.monotonic()
    try:
        yield supervision
    except psycopg2.Error:
        if supervision.stalled:
            raise supervision.error() from None
        raise
    finally:
        supervision.since = 0.0


class _Monitor:
    """One thread for all connections of this process, which starts with the first."""

    def __init__(self) -> None:
        self._connections: weakref.WeakSet[t.Any] = weakref.WeakSet()
        self._lock = threading.Lock()
        self._thread: t.Optional[threading.Thread] = None

    def add(self, conn: t.Any) -> None:
        with self._lock:
            self._connections.add(conn)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="stalls", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while True:
            time.sleep(0.5)
            with self._lock:
                known = [conn for conn in self._connections if not conn.closed]
            for conn in known:
                watch: Supervision = conn.supervision
                now = time.monotonic()
                if watch.since and now - watch.since > watch.limit and not watch.examined:
                    watch.examined = True
                    threading.Thread(target=_look, args=(conn, watch, watch.since), daemon=True).start()


def _look(conn: t.Any, watch: Supervision, since: float) -> None:
    """Decide about the statement that began at since, which may end before the decision."""
    try:
        with contextlib.closing(socket.socket(fileno=os.dup(conn.fileno()))) as line:
            works = _is_moving(line, watch.limit) or _works(watch.keywords, watch.place, _BY_PID, watch.pid)
            if watch.since != since:
                return
            if works:
                # The next look is a limit later.
                watch.since = time.monotonic()
                return
            watch.stalled = True
            # Closing would wait for the statement; the end of the socket ends the statement.
            line.shutdown(socket.SHUT_RDWR)
    except (OSError, psycopg2.Error):
        return
    finally:
        watch.examined = False


def _is_moving(line: socket.socket, limit: float) -> bool:
    """Whether bytes passed within limit seconds; only known of TCP on Linux, whose tcp_info holds milliseconds."""
    if line.family == socket.AF_UNIX or not hasattr(socket, "TCP_INFO"):
        return False
    try:
        info = line.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 56)
    except OSError:
        return False
    (received,) = struct.unpack_from("=I", info, 52)
    return bool(received < limit * 1000)


def _works(keywords: t.Mapping[str, t.Any], place: str, whose: str, value: t.Any) -> bool:
    """Whether a server process works on it; also true if the server refuses the query."""

    def ask() -> bool:
        looking = {**keywords, "application_name": "lifeline.recovery stall check"}
        with contextlib.closing(psycopg2.connect(**looking)) as conn:
            conn.autocommit = True
            with conn.cursor() as cursor:
                cursor.execute(_WORKING.format(whose=whose), (value,))
                return bool(cursor.fetchone()[0])

    for attempt in range(3):
        if attempt:
            # An answer may be on its way, or a program between two statements.
            time.sleep(1)
        try:
            if within(min(_LOOK, int(keywords["connect_timeout"]) + 5.0), place, ask):
                return True
        except RecoveryError:
            continue
        except psycopg2.Error as error:
            # A server that refuses a session is alive: it has too many, or is starting.
            if "FATAL" in str(error):
                return True
    return False


_MONITOR = _Monitor()
