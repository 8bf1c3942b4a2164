# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Injects faults into sandboxes."""

from __future__ import annotations

import contextlib
import typing as t
from dataclasses import dataclass, field

from .._core.clock import format_instant, utc_now
from .._core.confirmation import ENVIRONMENTS
from .._core.errors import ErrorKind, RecoveryError
from .._core.options import FilePath, option
from .._engines.postgresql.restore import databases
from .._engines.postgresql.server.catalog import server_facts
from .._engines.postgresql.server.connection import ConnectionOptions, connection
from .._sandbox.sandbox import kill_server, sandbox_store


@dataclass(frozen=True)
class ObjectDamage:
    """content: what the object has afterwards; None deletes the object. Without a key, every object of the bucket."""

    bucket: str
    key: str = ""
    content: t.Optional[bytes] = None


@dataclass(frozen=True)
class Fault:
    """statements: run in the database of the sandbox, as one transaction. kills_server: its PostgreSQL is killed."""

    statements: t.Sequence[str] = ()
    objects: t.Sequence[ObjectDamage] = ()
    drops_database: bool = False
    kills_server: bool = False


#: Faults in the content of the samples of the sandbox, school and application.
FAULTS: t.Mapping[str, Fault] = {
    "database_loss": Fault(drops_database=True),
    "rows_deleted": Fault(
        (
            "DELETE FROM public.bookings WHERE child_id IN (11, 12, 13)",
            "DELETE FROM public.children WHERE id IN (11, 12, 13)",
        )
    ),
    "table_truncated": Fault(("TRUNCATE public.user_progress CASCADE",)),
    "table_dropped": Fault(("DROP TABLE public.bookings CASCADE",)),
    "bad_update": Fault(("UPDATE public.bookings SET price = 0 WHERE room <= 2",)),
    # A migration with several mistakes; the restore of a single table cannot undo it.
    "point_in_time": Fault(
        (
            "UPDATE public.bookings SET price = 0",
            "DELETE FROM public.user_progress WHERE child_id % 2 = 0",
            "ALTER TABLE public.children DROP COLUMN parent_id CASCADE",
            "DROP TABLE public.progress_notes CASCADE",
        )
    ),
    "tenant_deleted": Fault(
        (
            "DELETE FROM public.bookings b USING public.children c "
            "WHERE c.id = b.child_id AND c.parent_id = md5('user7')::uuid",
            "DELETE FROM public.course_versions v USING public.courses c "
            "WHERE c.id = v.course_id AND c.owner_id = md5('user7')::uuid",
            "DELETE FROM public.courses WHERE owner_id = md5('user7')::uuid",
            "DELETE FROM auth.users WHERE id = md5('user7')::uuid",
        )
    ),
    "courses_damaged": Fault(
        objects=(
            ObjectDamage("courses", "course-2.json", b'{"title": "course-2", "items": [{"id": 1, "st'),
            ObjectDamage("courses", "course-3.json", b'{"title": "course-3"}'),
            ObjectDamage("courses", "course-5.json", b""),
            ObjectDamage("courses", "course-8.json"),
        )
    ),
    "course_versions_lost": Fault(("DROP TABLE public.course_versions CASCADE",)),
    # The rows that name the deleted tags in an array stay.
    "tags_lost": Fault(("TRUNCATE public.tag_types CASCADE",)),
    "organization_lost": Fault(("DELETE FROM public.organizations",)),
    "media_lost": Fault(objects=(ObjectDamage("media"),)),
    "bad_migration": Fault(
        (
            "ALTER TABLE public.course_metadata DROP COLUMN tag_ids CASCADE",
            "UPDATE public.course_versions SET snapshot = snapshot - 'items'",
            "DROP FUNCTION public.restore_course_version(text, int, text)",
            "CREATE SCHEMA supabase_migrations",
            "CREATE TABLE supabase_migrations.schema_migrations (version text PRIMARY KEY, name text)",
            "INSERT INTO supabase_migrations.schema_migrations (version, name) VALUES ('20260301120000', 'cleanup')",
        )
    ),
    # An attacker who encrypts rows and drops a table.
    "ransomware": Fault(
        (
            "UPDATE auth.users SET email = md5(email)",
            "UPDATE public.course_versions SET snapshot = to_jsonb(md5(snapshot::text))",
            "DROP TABLE public.organizations CASCADE",
        )
    ),
    "region_outage": Fault(kills_server=True),
    "provider_exit": Fault(kills_server=True),
    "everything_lost": Fault(objects=(ObjectDamage("courses"), ObjectDamage("media")), drops_database=True),
}


_APPLICATION = "lifeline.recovery drill"


@dataclass(frozen=True)
class FaultRequest:
    """connection leads to a maintenance database; system_identifier is that of the sandbox's server.

    sandbox_path: the folder of the sandbox, for faults that damage objects.
    """

    connection: ConnectionOptions
    database: str
    system_identifier: str
    sandbox_path: t.Optional[FilePath] = None
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
    """Inject a fault into the database and the objects of a sandbox.

    Raises RecoveryError(not_a_sandbox) unless the environment is a sandbox, the server is the one named, and
    sandbox_path is the folder of a sandbox if the fault damages objects.
    """
    fault = FAULTS[request.fault]
    if request.environment != "sandbox":
        raise refused(f"recovery_environment is {request.environment!r}")
    with connection(request.connection, application=_APPLICATION) as conn:
        found = server_facts(conn).system_identifier
        if found != request.system_identifier:
            raise refused(f"the server is {found}, not the sandbox {request.system_identifier}")
        there = databases.exists(conn, request.database)
        incident_at = format_instant(utc_now())
        if fault.drops_database and there and not request.check_mode:
            databases.drop(conn, request.database)
    if fault.statements and there and not request.check_mode:
        options = request.connection.with_database(request.database)
        with connection(options, application=_APPLICATION) as conn, conn.cursor() as cursor:
            # Several statements in one text are one transaction.
            cursor.execute("; ".join(fault.statements))
    for damage in fault.objects:
        _damage(request, damage)
    if fault.kills_server and not request.check_mode:
        kill_server(_folder(request))
    changed = there or bool(fault.objects)
    return FaultResult(changed=changed, fault=request.fault, database=request.database, incident_at=incident_at)


def _folder(request: FaultRequest) -> str:
    if not request.sandbox_path:
        raise refused("sandbox_path, the folder of the sandbox that the fault damages, is not set")
    return request.sandbox_path


def _damage(request: FaultRequest, damage: ObjectDamage) -> None:
    with contextlib.closing(sandbox_store(_folder(request), damage.bucket)) as store:
        if request.check_mode:
            return
        if damage.content is None:
            store.delete([damage.key] if damage.key else [found.key for found in store.list()])
        else:
            store.put(damage.key, [damage.content])


def refused(why: str) -> RecoveryError:
    return RecoveryError(
        ErrorKind.NOT_A_SANDBOX,
        f"No fault is injected here: {why}.",
        next_step="Run drills against a sandbox, with recovery_environment set to sandbox.",
    )
