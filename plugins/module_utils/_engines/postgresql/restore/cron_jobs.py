# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Schedules the jobs of a set with the functions of pg_cron, for a role that may not write to cron.job.

Source: https://github.com/citusdata/pg_cron (1.4): a role schedules jobs that run as itself; only a superuser
schedules jobs of other roles.
"""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass

from ..archive.object_errors import ObjectFailure
from ..archive.statements import copied_columns
from ..archive.toc import TocEntry
from ..server.connection import Connection, fetch_all, fetch_value, quote_literal

TABLE = ("cron", "job")

#: Other functions of these names belong to the owner of the schema, and would run with the rights of this role.
_SCHEDULER = """
    SELECT count(*) = 3
    FROM unnest(ARRAY['cron.schedule(text,text)', 'cron.alter_job(bigint,text,text,text,text,boolean)',
                      'cron.schedule_in_database(text,text,text,text,text,boolean)']) name
    JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = to_regprocedure(name) AND d.deptype = 'e'
    JOIN pg_extension e ON d.refclassid = 'pg_extension'::regclass AND e.oid = d.refobjid AND e.extname = 'pg_cron'
    WHERE has_function_privilege(d.objid, 'EXECUTE')
"""
_EXISTING = "SELECT jobid FROM cron.job WHERE username = current_user ORDER BY 1"

_ESCAPES = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}


@dataclass(frozen=True)
class Jobs:
    """statements replace the jobs of the connected role; left_out are those of other roles."""

    statements: t.Tuple[str, ...]
    left_out: t.Tuple[ObjectFailure, ...]


def may_schedule(conn: Connection) -> bool:
    """Whether pg_cron is there and the connected role may use its functions."""
    return bool(fetch_value(conn, _SCHEDULER))


def jobs_of(
    conn: Connection, entry: TocEntry, lines: t.Iterable[bytes], *, source_database: str, database: str
) -> Jobs:
    """The jobs in the COPY lines of cron.job. Jobs of the source database become jobs of the database."""
    statements = [f"SELECT cron.unschedule({int(row[0])})" for row in fetch_all(conn, _EXISTING)]
    left_out = []
    role, columns = fetch_value(conn, "SELECT current_user"), copied_columns(entry.copy_statement)
    for line in filter(None, b"".join(lines).decode().split("\n")):
        job = dict(zip(columns, (_value(part) for part in line.split("\t"))))
        name = job.get("jobname")
        title = f"cron job {name or job['jobid']}"
        if job["username"] != role:
            left_out.append(ObjectFailure(title, f"only a superuser may schedule a job that runs as {job['username']}"))
            continue
        where = database if job["database"] == source_database else job["database"]
        schedule, command, within = (quote_literal(text or "") for text in (job["schedule"], job["command"], where))
        active = "true" if job["active"] == "t" else "false"
        if name is None:
            made = f"cron.schedule({schedule}, {command})"
            statements.append(f"SELECT cron.alter_job({made}, database := {within}, active := {active})")
        else:
            named = quote_literal(name)
            statements.append(
                f"SELECT cron.schedule_in_database({named}, {schedule}, {command}, {within}, NULL, {active})"
            )
    return Jobs(tuple(statements), tuple(left_out))


def _value(field: str) -> t.Optional[str]:
    """A field of a COPY line in its text format. Source: https://www.postgresql.org/docs/current/sql-copy.html"""
    if field == "\\N":
        return None
    return re.sub(r"\\(.)", lambda match: _ESCAPES.get(match.group(1), match.group(1)), field)
