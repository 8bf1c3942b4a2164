# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Commits as roles of clients, from this host: does the server accept the commit, refuse it, or not answer?

A frozen server and a lost network prove nothing, so that silence is never a refusal. Neither is an answer that would be
the same without a fence, for example that of a wrong password.
"""

from __future__ import annotations

import contextlib
import re
import time
import typing as t
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from .._core.deadline import within
from .._core.errors import ErrorKind, RecoveryError
from .._core.options import INTERNAL
from .._engines.postgresql.server.connection import ConnectionOptions, connection_error
from .._engines.postgresql.server.driver import psycopg2, require_psycopg2
from .._engines.postgresql.server.refusals import NO_RIGHT, server_message

ACCEPTS, REFUSED, SILENT = "accepts", "refused", "silent"

# READ WRITE overrides default_transaction_read_only as any client can, without a setting that a pooled session keeps.
# A temporary table makes a commit record, which waits for synchronous standbys as the commits of clients do.
_WRITE = """
BEGIN READ WRITE;
CREATE TEMPORARY TABLE lifeline_write_probe (written_at pg_catalog.timestamptz) ON COMMIT DROP;
INSERT INTO pg_temp.lifeline_write_probe VALUES (pg_catalog.clock_timestamp());
COMMIT
"""
#: For a role that may not create temporary tables; a standby assigns no transaction number.
_NUMBER = "BEGIN READ WRITE; SELECT pg_catalog.txid_current(); COMMIT"

#: SQLSTATE of a write and of READ WRITE on a standby.
_IN_RECOVERY = ("25006", "0A000")
#: A server that stops, or that starts and may accept commits soon.
_CHANGING = ("57P01", "57P02", "57P03")
#: Answers to a login. PostgreSQL gives the client no SQLSTATE of them.
#: https://github.com/postgres/postgres/blob/REL_18_STABLE/src/backend/utils/init/postinit.c
_ANSWER = re.compile(r"\bFATAL:")
_UNSETTLED = re.compile(r"the database system is (starting up|shutting down|in recovery mode|not yet accepting)")
_FENCED = re.compile(
    r"is not permitted to log in|permission denied for database|pg_hba\.conf rejects|no pg_hba\.conf entry"
    r"|is not currently accepting connections|Hot standby mode is disabled"
)
_MOST_AT_ONCE = 8


@dataclass(frozen=True)
class WriteProbeRequest:
    """logins: the roles of clients. timeout: seconds for the login and the commit of each."""

    logins: t.Sequence[ConnectionOptions] = field(metadata=INTERNAL)
    expect: t.Optional[t.Literal["refused", "accepted"]] = None
    timeout: float = 10


@dataclass(frozen=True)
class LoginProbe:
    """state: C(accepts), C(refused) or C(silent). is_proof: whether the answer would differ without a fence.

    seconds: of the login and the commit.
    """

    role: str
    state: str
    is_proof: bool
    reason: str
    seconds: float


@dataclass(frozen=True)
class WriteProbeResult:
    """The roles by state, and each attempt."""

    server: str
    logins: t.Sequence[LoginProbe]
    accepts: t.Sequence[str]
    refused: t.Sequence[str]
    silent: t.Sequence[str]
    summary: str


def probe_writes(request: WriteProbeRequest) -> WriteProbeResult:
    """Try a commit as each role. Raises RecoveryError: invalid_options, check_failed unless expect holds."""
    if request.timeout <= 0:
        raise RecoveryError(ErrorKind.INVALID_OPTIONS, f"`timeout` must be above 0, got {request.timeout:g}.")
    require_psycopg2()
    with ThreadPoolExecutor(_MOST_AT_ONCE) as pool:
        probes = list(pool.map(lambda login: probe_login(login, request.timeout), request.logins))
    place = request.logins[0].place.rsplit("/", 1)[0]
    _require_expected(request.expect, place, probes)
    named = {state: [probe.role for probe in probes if probe.state == state] for state in (ACCEPTS, REFUSED, SILENT)}
    counts = ", ".join(f"{state} {len(roles)}" for state, roles in named.items() if roles)
    return WriteProbeResult(
        place, probes, named[ACCEPTS], named[REFUSED], named[SILENT], f"Commits at {place} by login: {counts}."
    )


def probe_login(options: ConnectionOptions, timeout: float) -> LoginProbe:
    """Log in and commit, within timeout seconds."""
    role = options.keywords.get("user", "")
    began = time.monotonic()
    try:
        state, is_proof, reason = within(timeout, options.place, lambda: _try_commit(options))
    except RecoveryError as error:
        # A server that accepts the connection and then nothing is frozen, or its commits wait for a standby.
        state, is_proof, reason = SILENT, False, error.what
    return LoginProbe(role, state, is_proof, reason, round(time.monotonic() - began, 3))


def _try_commit(options: ConnectionOptions) -> t.Tuple[str, bool, str]:
    try:
        # Without the settings of other connections of this collection, as a client has none of them.
        conn = psycopg2.connect(**options.keywords)
    except psycopg2.OperationalError as error:
        return _judge_login(str(error), connection_error(options, str(error)).what)
    with contextlib.closing(conn):
        conn.autocommit = True
        try:
            _run(conn, _WRITE)
        except psycopg2.Error as error:
            if error.pgcode != NO_RIGHT:
                return _judge_refusal(error)
            try:
                _run(conn, f"ROLLBACK; {_NUMBER}")
            except psycopg2.Error as second:
                return _judge_refusal(second)
    return ACCEPTS, True, "a commit returned"


def _judge_login(message: str, reason: str) -> t.Tuple[str, bool, str]:
    """A connection that failed, by the text of libpq. reason: the text without secrets. Pure."""
    if not _ANSWER.search(message) or _UNSETTLED.search(message):
        return SILENT, False, reason
    return REFUSED, bool(_FENCED.search(message)), reason


def _judge_refusal(error: t.Any) -> t.Tuple[str, bool, str]:
    if not error.pgcode or error.pgcode in _CHANGING:
        return SILENT, False, f"The connection was lost: {server_message(error)}."
    return REFUSED, error.pgcode in _IN_RECOVERY, f"PostgreSQL refused the commit: {server_message(error)}."


def _require_expected(expect: t.Optional[str], place: str, probes: t.Sequence[LoginProbe]) -> None:
    if expect is None:
        return
    wanted = ACCEPTS if expect == "accepted" else REFUSED
    wrong = [probe for probe in probes if probe.state != wanted or not probe.is_proof]
    if not wrong:
        return
    found = wrong[0]
    states = {ACCEPTS: "accepts the commit", REFUSED: "refuses the commit", SILENT: "does not answer"}
    doubt = " This answer proves no fence." if found.state == wanted else ""
    raise RecoveryError(
        ErrorKind.CHECK_FAILED,
        f"`expect` is {expect}, and {place} {states[found.state]} of the role {found.role!r}: "
        f"{found.reason.rstrip('.')}.{doubt}",
        next_step="Fence the server, or read its control file with pg_control_info if it is stopped."
        if expect == "refused"
        else "Read the reason, mend it, then run it again.",
        details={"logins": probes},
    )


def _run(conn: t.Any, sql: str) -> None:
    with conn.cursor() as cursor:
        cursor.execute(sql)
