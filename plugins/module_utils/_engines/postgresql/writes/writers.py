# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Writers of a database that the used means do not stop, as sentences for the operator."""

from __future__ import annotations

import typing as t

from ...._core.sizes import counted, first_of
from ..server.connection import Connection, fetch_all, fetch_value
from .means import DEFAULT_READ_ONLY, GRANTS, NO_LOGIN, TRIGGERS

_SUBSCRIPTIONS = """
    SELECT s.subname::text FROM pg_subscription s JOIN pg_database d ON d.oid = s.subdbid
    WHERE d.datname = current_database() AND s.subenabled ORDER BY 1
"""
_PREPARED = "SELECT count(*) FROM pg_prepared_xacts WHERE database = current_database()"
_CRON = "SELECT to_regclass('cron.job') IS NOT NULL AND has_table_privilege(to_regclass('cron.job'), 'SELECT')"
_JOBS = "SELECT count(*) FROM cron.job WHERE active AND database = current_database()"
_DEFINERS = """
    SELECT p.oid::regprocedure::text FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
    WHERE p.prosecdef AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
      AND EXISTS (SELECT FROM pg_roles r WHERE r.rolname = ANY (%s) AND has_function_privilege(r.oid, p.oid, 'EXECUTE')
                  AND has_schema_privilege(r.oid, n.oid, 'USAGE'))
      AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid
                      AND d.deptype = 'e')
    ORDER BY 1
"""
#: Names in a sentence.
_SHOWN = 3


def other_writers(
    conn: Connection, means: t.Sequence[str], roles: t.Sequence[str], elsewhere: t.Sequence[t.Tuple[str, str, int]]
) -> t.List[str]:
    """elsewhere: (database, role, number) of sessions in other databases."""
    found = []
    if list(means) == [DEFAULT_READ_ONLY]:
        found.append("read_only is a default: a session can request a transaction that writes, as PostgREST does.")
    subscriptions = [row[0] for row in fetch_all(conn, _SUBSCRIPTIONS)] if TRIGGERS not in means else []
    if subscriptions:
        found.append(f"The enabled subscription {first_of(subscriptions, _SHOWN)} writes: disable it.")
    prepared = int(fetch_value(conn, _PREPARED))
    if prepared:
        found.append(f"{counted(prepared, 'prepared transaction')} of pg_prepared_xacts can be committed.")
    if TRIGGERS not in means and fetch_value(conn, _CRON):
        jobs = int(fetch_value(conn, _JOBS))
        if jobs:
            found.append(f"{counted(jobs, 'active job')} of pg_cron can write: deactivate them with cron.alter_job.")
    if GRANTS in means and TRIGGERS not in means:
        functions = [row[0] for row in fetch_all(conn, _DEFINERS, (list(roles),))]
        if functions:
            found.append(
                f"{first_of(functions, _SHOWN)} run with the rights of their owner (SECURITY DEFINER): use triggers."
            )
    if NO_LOGIN in means:
        found += [
            f"{counted(number, 'session')} of {role} in the database {database} continue, and {role} cannot log in "
            "to it again."
            for database, role, number in elsewhere
        ]
    return found
