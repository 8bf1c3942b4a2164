# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lock that keeps two runs of the same work apart, and that a role of the application cannot take away.

Every role that may log in may take any advisory lock. A lock of a role that could not do the work anyway is therefore
passed over; then the sessions of other runs are looked for by their name.
"""

from __future__ import annotations

import typing as t

from ...._core.errors import ErrorKind, RecoveryError
from .connection import Connection, fetch_all, fetch_value

_KEY = "hashtextextended(%(work)s || ' of ' || %(subject)s, 0)"

_TAKE = f"SELECT pg_try_advisory_lock({_KEY})"

#: Roles that could do the work: superusers, those that see every row, and those that may act as this role.
_TRUSTED = """
    EXISTS (SELECT FROM pg_roles r
            WHERE r.oid = a.usesysid
              AND (r.rolsuper OR r.rolbypassrls OR pg_has_role(r.oid, 'pg_read_all_data', 'MEMBER')
                   OR pg_has_role(r.oid, session_user, 'MEMBER')))
"""

#: A lock of one 64-bit key has it in two halves. A holder without a session is a prepared transaction.
_HOLDERS = f"""
    SELECT l.pid, coalesce(a.usename, ''), {_TRUSTED}
    FROM pg_locks l LEFT JOIN pg_stat_activity a ON a.pid = l.pid
    WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
      AND l.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())
      AND (l.classid::bigint << 32) | l.objid::bigint = {_KEY}
      AND l.pid IS DISTINCT FROM pg_backend_pid()
"""

_ANNOUNCE = "SELECT set_config('application_name', %(name)s, false)"

_ANNOUNCED = f"""
    SELECT a.pid FROM pg_stat_activity a
    WHERE a.application_name = %(name)s AND a.datname = current_database() AND a.pid <> pg_backend_pid() AND {_TRUSTED}
"""

_NAME = "SELECT %(work)s || ' ' || to_hex(hashtextextended(%(subject)s, 0))"


def lock_source(conn: Connection, source: str) -> t.Tuple[str, ...]:
    """Keep other backups of the source out while the session lasts; notes for the operator.

    Raises RecoveryError(backup_running).
    """
    return lock_work(conn, "backup", source, _backup_running)


def lock_work(
    conn: Connection, work: str, subject: str, running: t.Callable[[str, int], RecoveryError]
) -> t.Tuple[str, ...]:
    """Keep other sessions from the same work on the subject while this one lasts; notes for the operator.

    work: one word, by which the sessions are named. running: the error for the subject and the process that works.
    """
    given: t.Dict[str, t.Any] = {"work": f"lifeline.recovery {work}", "subject": subject}
    given["name"] = fetch_value(conn, _NAME, given)
    fetch_value(conn, _ANNOUNCE, given)
    if fetch_value(conn, _TAKE, given):
        # A session that passed a foreign lock over has none of its own.
        others = fetch_all(conn, _ANNOUNCED, given)
        if others:
            raise running(subject, others[0][0])
        return ()
    holders = fetch_all(conn, _HOLDERS, given)
    ours = [pid for pid, _role, trusted in holders if trusted]
    ours += [row[0] for row in fetch_all(conn, _ANNOUNCED, given)]
    if ours:
        raise running(subject, ours[0])
    roles = ", ".join(sorted({role for _pid, role, _trusted in holders}) or ["another session"])
    return (f"The advisory lock of {subject} is held by {roles}, which cannot run a {work}; it was passed over.",)


def _backup_running(source: str, pid: int) -> RecoveryError:
    return RecoveryError(
        ErrorKind.BACKUP_RUNNING,
        f"Another backup of {source!r} is running, in the session with the process id {pid}.",
        next_step="Wait for it to end; its session is named 'lifeline.recovery backup' in pg_stat_activity.",
    )
