# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Disasters on purpose, in sandboxes alone."""

from __future__ import annotations

from dataclasses import dataclass

from .._core.clock import format_instant, utc_now
from .._core.errors import ErrorKind, RecoveryError
from .._postgres import databases
from .._postgres.catalog import server_facts
from .._postgres.connection import ConnectionOptions, connection

FAULTS = ("database_loss",)


@dataclass(frozen=True)
class FaultRequest:
    """connection leads to a maintenance database; system_identifier is that of the sandbox's server."""

    connection: ConnectionOptions
    fault: str
    database: str
    environment: str
    system_identifier: str
    check_mode: bool = False


@dataclass(frozen=True)
class FaultResult:
    changed: bool
    fault: str
    database: str
    incident_at: str


def inject(request: FaultRequest) -> FaultResult:
    """Inject a fault. database_loss drops the database with its sessions.

    Raises RecoveryError(not_a_sandbox) unless the environment is a sandbox and the server is the one named.
    """
    if request.environment != "sandbox":
        raise _refused(f"recovery_environment is {request.environment!r}")
    with connection(request.connection, application="lifeline.recovery drill") as conn:
        found = server_facts(conn).system_identifier
        if found != request.system_identifier:
            raise _refused(f"the server is {found}, not the sandbox {request.system_identifier}")
        there = databases.exists(conn, request.database)
        incident_at = format_instant(utc_now())
        if there and not request.check_mode:
            databases.drop(conn, request.database)
    return FaultResult(changed=there, fault=request.fault, database=request.database, incident_at=incident_at)


def _refused(why: str) -> RecoveryError:
    return RecoveryError(
        ErrorKind.NOT_A_SANDBOX,
        f"No fault is injected here: {why}.",
        next_step="Run drills against a sandbox, with recovery_environment set to sandbox.",
    )
