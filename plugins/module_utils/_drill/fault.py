# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Disasters on purpose, in sandboxes alone."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from .._core.clock import format_instant, utc_now
from .._core.confirmation import ENVIRONMENTS
from .._core.errors import ErrorKind, RecoveryError
from .._core.options import option
from .._engines.postgresql.restore import databases
from .._engines.postgresql.server.catalog import server_facts
from .._engines.postgresql.server.connection import ConnectionOptions, connection

#: The statements of each fault in the database of the sandbox, as one transaction. database_loss has no statement.
FAULTS: t.Mapping[str, t.Sequence[str]] = {
    "database_loss": (),
    "rows_deleted": (
        "DELETE FROM public.bookings WHERE child_id IN (11, 12, 13)",
        "DELETE FROM public.children WHERE id IN (11, 12, 13)",
    ),
    "table_truncated": ("TRUNCATE public.user_progress CASCADE",),
    "table_dropped": ("DROP TABLE public.bookings CASCADE",),
    "bad_update": ("UPDATE public.bookings SET price = 0 WHERE room <= 2",),
    # A migration with several mistakes; the restore of a single table cannot undo it.
    "point_in_time": (
        "UPDATE public.bookings SET price = 0",
        "DELETE FROM public.user_progress WHERE child_id % 2 = 0",
        "ALTER TABLE public.children DROP COLUMN parent_id CASCADE",
        "DROP TABLE public.progress_notes CASCADE",
    ),
    "tenant_deleted": (
        "DELETE FROM public.bookings b USING public.children c "
        "WHERE c.id = b.child_id AND c.parent_id = md5('user7')::uuid",
        "DELETE FROM public.course_versions v USING public.courses c "
        "WHERE c.id = v.course_id AND c.owner_id = md5('user7')::uuid",
        "DELETE FROM public.courses WHERE owner_id = md5('user7')::uuid",
        "DELETE FROM auth.users WHERE id = md5('user7')::uuid",
    ),
}


_APPLICATION = "lifeline.recovery drill"


@dataclass(frozen=True)
class FaultRequest:
    """connection leads to a maintenance database; system_identifier is that of the sandbox's server."""

    connection: ConnectionOptions
    database: str
    system_identifier: str
    fault: str = field(default="database_loss", metadata=option(choices=list(FAULTS)))
    environment: str = field(default="production", metadata=option("recovery_environment", choices=ENVIRONMENTS))
    check_mode: bool = False


@dataclass(frozen=True)
class FaultResult:
    changed: bool
    fault: str
    database: str
    incident_at: str


def inject(request: FaultRequest) -> FaultResult:
    """Inject a fault. database_loss drops the database with its sessions; the others run their statements.

    Raises RecoveryError(not_a_sandbox) unless the environment is a sandbox and the server is the one named.
    """
    if request.environment != "sandbox":
        raise refused(f"recovery_environment is {request.environment!r}")
    with connection(request.connection, application=_APPLICATION) as conn:
        found = server_facts(conn).system_identifier
        if found != request.system_identifier:
            raise refused(f"the server is {found}, not the sandbox {request.system_identifier}")
        there = databases.exists(conn, request.database)
        incident_at = format_instant(utc_now())
        statements = FAULTS[request.fault]
        if there and not statements and not request.check_mode:
            databases.drop(conn, request.database)
    if there and statements and not request.check_mode:
        options = request.connection.with_database(request.database)
        with connection(options, application=_APPLICATION) as conn, conn.cursor() as cursor:
            # Several statements in one text are one transaction.
            cursor.execute("; ".join(statements))
    return FaultResult(changed=there, fault=request.fault, database=request.database, incident_at=incident_at)


def refused(why: str) -> RecoveryError:
    return RecoveryError(
        ErrorKind.NOT_A_SANDBOX,
        f"No fault is injected here: {why}.",
        next_step="Run drills against a sandbox, with recovery_environment set to sandbox.",
    )
