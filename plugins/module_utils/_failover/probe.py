# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Probes of a server: does it answer, is it a primary, does a commit return."""

from __future__ import annotations

import threading
import time
import typing as t
from dataclasses import dataclass

from .._core.errors import ErrorKind, RecoveryError
from .._engines.postgresql.server.catalog import system_identifier
from .._engines.postgresql.server.connection import ConnectionOptions, connection
from .._replication.queries import in_recovery

#: Errors of a server that does not answer; a refused login is an answer.
_SILENT = (ErrorKind.UNREACHABLE, ErrorKind.TIMEOUT)

# A temporary table makes a commit record, which waits for synchronous standbys as the commits of clients do.
_WRITE = """
BEGIN;
CREATE TEMPORARY TABLE lifeline_write_probe (written_at timestamptz) ON COMMIT DROP;
INSERT INTO pg_temp.lifeline_write_probe VALUES (clock_timestamp());
COMMIT
"""


@dataclass(frozen=True)
class OldPrimary:
    """The server that was the primary. state: C(silent), C(refused), C(standby) or C(primary).

    reason: the answer of a server that gave no session.
    """

    state: str
    reason: str = ""
    system_identifier: t.Optional[str] = None


def probe_old_primary(options: t.Optional[ConnectionOptions]) -> t.Optional[OldPrimary]:
    """Log in and ask for the role, because a frozen server still accepts TCP connections. None without options."""
    if options is None:
        return None
    try:
        with connection(options) as conn:
            state = "standby" if in_recovery(conn) else "primary"
            return OldPrimary(state, system_identifier=system_identifier(conn))
    except RecoveryError as error:
        return OldPrimary("silent" if error.kind in _SILENT else "refused", error.what)


def probe_write(options: ConnectionOptions, timeout: float) -> float:
    """The seconds of a commit. Raises RecoveryError, with the reason, if no commit returns within timeout seconds."""
    began = time.monotonic()
    with connection(options) as conn:
        # The server ends statement_timeout before it waits for synchronous standbys; a cancel request it obeys.
        timer = threading.Timer(timeout, conn.cancel)
        timer.start()
        try:
            with conn.cursor() as cursor:
                cursor.execute(_WRITE)
        finally:
            timer.cancel()
        waited = [notice for notice in conn.notices if "synchronous replication" in notice]
    if waited:
        raise RecoveryError(
            ErrorKind.TIMEOUT,
            f"A commit waited {timeout:g} seconds for a synchronous standby that does not answer.",
            left="The commit is on this server only.",
            next_step="Run ALTER SYSTEM SET synchronous_standby_names = '' and SELECT pg_reload_conf().",
        )
    return round(time.monotonic() - began, 3)
