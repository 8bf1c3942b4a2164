# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Databases of a server: find, create, drop, end sessions."""

from __future__ import annotations

import contextlib
import re
import secrets
import typing as t
from dataclasses import dataclass

from ...._core.errors import ErrorKind, RecoveryError, guaranteed
from ...._core.sizes import counted
from ..archive.properties import Locale
from ..server.connection import (
    Connection,
    ConnectionOptions,
    connection,
    fetch_all,
    fetch_value,
    quote_identifier,
    quote_literal,
)
from ..server.driver import psycopg2
from ..server.refusals import NO_RIGHT, query_error, server_message

#: The database of every server that the lock of a restore is taken in, because advisory locks are per database.
_LOCK_DATABASE = "postgres"

_LOCK = "SELECT pg_try_advisory_lock(hashtextextended('lifeline.recovery restore into ' || %s, 0))"

#: The comment of a database that a restore has not finished.
_UNFINISHED = "lifeline.recovery: unfinished restore into "

#: How CREATE DATABASE refuses a locale: wrong_object_type, invalid_parameter_value, feature_not_supported,
#: syntax_error (an option that a newer version has), invalid_object_definition.
_LOCALE_REFUSED = ("42809", "22023", "0A000", "42601", "42P17")

#: For sessions of other roles, backend_type is null unless the role has pg_read_all_stats; a client has a role.
#: https://www.postgresql.org/docs/current/monitoring-stats.html
OF_A_CLIENT = "coalesce(backend_type = 'client backend', usesysid IS NOT NULL)"

_OTHER_PLACE = """
    SELECT format(' TABLESPACE %%I', s.spcname)
    FROM pg_tablespace s JOIN pg_database d ON d.datname = 'template0' AND d.dattablespace <> s.oid
    WHERE s.spcname = %s
"""

_OWNER = """
    SELECT current_user::text, pg_get_userbyid(datdba)::text, pg_has_role(datdba, 'USAGE')
    FROM pg_database WHERE datname = %s
"""

_NOT_ENDED = """
    SELECT DISTINCT current_user::text, r.rolname::text, r.rolsuper
    FROM pg_stat_activity a JOIN pg_roles r ON r.oid = a.usesysid
    WHERE a.datname = %s AND a.pid <> pg_backend_pid() AND NOT pg_has_role(r.oid, 'USAGE')
      AND (r.rolsuper OR NOT pg_has_role('pg_signal_backend', 'USAGE')) AND
"""

_LEFTOVERS = """
    SELECT datname, shobj_description(oid, 'pg_database') FROM pg_database WHERE datname LIKE %s ESCAPE '!'
"""


@dataclass(frozen=True)
class Session:
    pid: int
    user: str
    application: str


@dataclass(frozen=True)
class Database:
    """A database by its name and its identity, which a rename does not change."""

    name: str
    oid: int


def find(conn: Connection, name: str) -> t.Optional[Database]:
    oid = fetch_value(conn, "SELECT oid FROM pg_database WHERE datname = %s", (name,))
    return Database(name, int(oid)) if oid is not None else None


def exists(conn: Connection, name: str) -> bool:
    return find(conn, name) is not None


def size(conn: Connection, name: str) -> int:
    """Bytes on disk."""
    return int(fetch_value(conn, "SELECT pg_database_size(%s)", (name,)))


def derived_name(name: str, suffix: str) -> str:
    """name with suffix, shortened to the 63 bytes that PostgreSQL keeps of a name."""
    size_left = 63 - len(suffix.encode())
    return name.encode()[:size_left].decode("utf-8", "ignore") + suffix


def working_name(target: str) -> str:
    """A name that no other restore into the target uses."""
    return derived_name(target, f"_restoring_{secrets.token_hex(4)}")


def sessions(conn: Connection, name: str) -> t.List[Session]:
    rows = fetch_all(
        conn,
        "SELECT pid, coalesce(usename, ''), coalesce(application_name, '') FROM pg_stat_activity "
        f"WHERE datname = %s AND pid <> pg_backend_pid() AND {OF_A_CLIENT} ORDER BY pid",
        (name,),
    )
    return [Session(*row) for row in rows]


@contextlib.contextmanager
def restore_lock(admin: Connection, options: ConnectionOptions, target: str) -> t.Iterator[None]:
    """Keep every other restore away from the target, whatever database it logs in to.

    Raises RecoveryError(target_in_use). Where the role cannot log in to the database postgres, the lock is taken in
    the database of admin; a swap checks the identity of both databases in any case.
    """
    with contextlib.ExitStack() as stack:
        conn = admin
        if admin.info.dbname != _LOCK_DATABASE:
            try:
                there = options.with_database(_LOCK_DATABASE)
                conn = stack.enter_context(connection(there, application="lifeline.recovery restore lock"))
            except RecoveryError as error:
                if error.kind not in (ErrorKind.TARGET_MISSING, ErrorKind.ACCESS_DENIED):
                    raise
        if not fetch_value(conn, _LOCK, (target,)):
            raise RecoveryError(
                ErrorKind.TARGET_IN_USE,
                f"Another restore into {target!r} is running.",
                next_step="Wait for it to end.",
            )
        yield


def create(
    conn: Connection,
    name: str,
    locale: t.Optional[Locale],
    *,
    nearest: bool = False,
    tablespace: t.Optional[str] = None,
    target: t.Optional[str] = None,
) -> None:
    """Create an empty database with exactly this locale, or that of template0 for None.

    With nearest, a locale that the server lacks is replaced by C.UTF-8 or that of template0, with the same encoding.
    A tablespace that the server lacks is left out.
    target marks the database as an unfinished restore into it.
    Raises RecoveryError(unsupported) for a locale that the server lacks, and access_denied.
    """
    # A clause for the tablespace of the template would ask for a right that the role needs for no other.
    place = fetch_value(conn, _OTHER_PLACE, (tablespace,)) or ""
    candidates = [locale]
    if nearest and locale is not None:
        plain = Locale(locale.encoding, "libc", "C.UTF-8", "C.UTF-8")
        candidates += [plain, Locale(locale.encoding, "", "", ""), None]
    refusals = []
    for candidate in candidates:
        clause = _locale_clause(candidate, conn.server_version) if candidate is not None else ""
        try:
            with conn.cursor() as cursor:
                cursor.execute(f"CREATE DATABASE {quote_identifier(name)} TEMPLATE template0{clause}{place}")
            break
        except psycopg2.Error as error:
            if error.pgcode not in _LOCALE_REFUSED:
                raise _refused(error) from None
            refusals.append(server_message(error))
    else:
        raise RecoveryError(
            ErrorKind.UNSUPPORTED,
            f"The server cannot create a database with {_describe(guaranteed(locale))}: {refusals[0]}.",
            next_step="Install the locale on the server, or set `locale` to nearest: text may then sort differently.",
        )
    if target is not None:
        execute(conn, f"COMMENT ON DATABASE {quote_identifier(name)} IS {quote_literal(_UNFINISHED + target)}")


def require_right_to_create(conn: Connection) -> None:
    """Raise RecoveryError(access_denied) where the role may not create databases."""
    role, may = fetch_all(conn, "SELECT rolname, rolsuper OR rolcreatedb FROM pg_roles WHERE rolname = current_user")[0]
    if not may:
        raise _lacks_right(role, "may not create databases", f"ALTER ROLE {quote_identifier(role)} CREATEDB")


def require_right_to_rename(conn: Connection, name: str) -> None:
    """Raise RecoveryError(access_denied) where the role may not rename the database, which takes its owner's rights."""
    for role, owner, may in fetch_all(conn, _OWNER, (name,)):
        if not may:
            raise _lacks_right(
                role,
                f"may not rename the database {name!r} of {owner}",
                f"GRANT {quote_identifier(owner)} TO {quote_identifier(role)}",
            )


def require_right_to_end_sessions(conn: Connection, name: str) -> None:
    """Raise RecoveryError(access_denied) where the role may not end the sessions that use the database now."""
    for role, user, is_super in fetch_all(conn, f"{_NOT_ENDED} {OF_A_CLIENT} ORDER BY 3 DESC, 2", (name,)):
        if is_super:
            raise RecoveryError(
                ErrorKind.ACCESS_DENIED,
                f"The role {role} may not end the session of the superuser {user} in the database {name!r}.",
                left="It is unchanged.",
                next_step="End the session, or connect as a superuser.",
            )
        raise _lacks_right(
            role,
            f"may not end the session of {user} in the database {name!r}",
            f"GRANT pg_signal_backend TO {quote_identifier(role)}",
        )


def _lacks_right(role: str, what: str, statement: str) -> RecoveryError:
    return RecoveryError(
        ErrorKind.ACCESS_DENIED,
        f"The role {role} {what}.",
        next_step=f"As a superuser: {statement}. Or connect as another role.",
    )


def drop(conn: Connection, name: str) -> None:
    """Drop a database with its sessions. A missing database is no error."""
    execute(conn, f"DROP DATABASE IF EXISTS {quote_identifier(name)} WITH (FORCE)")


def leftovers(conn: Connection, target: str) -> t.List[str]:
    """Databases of restores into the target that were killed or failed; the caller holds the lock of the target."""
    prefix = derived_name(target, "_restoring_" + "0" * 8)[:-8]
    pattern = re.sub(r"([!%_])", r"!\1", prefix) + "________"
    return [
        name
        for name, comment in fetch_all(conn, _LEFTOVERS, (pattern,))
        if re.fullmatch(r"[0-9a-f]{8}", name[len(prefix) :])
        and (comment or _UNFINISHED + target) == _UNFINISHED + target
    ]


def refuse_sessions(conn: Connection, name: str) -> None:
    """Raise RecoveryError(target_in_use) when another session or a subscription uses the database."""
    found = sessions(conn, name)
    if found:
        who = ", ".join(sorted({f"{session.user} ({session.application or 'unnamed'})" for session in found})[:5])
        raise RecoveryError(
            ErrorKind.TARGET_IN_USE,
            f"The database {name!r} has {len(found)} session{'s' * (len(found) > 1)}: {who}.",
            left="It is unchanged.",
            next_step="Stop the application, or set `terminate_sessions` to true.",
        )


def refuse_subscriptions(conn: Connection, name: str) -> None:
    """Raise RecoveryError(target_in_use) when the database receives changes by logical replication."""
    rows = fetch_all(
        conn,
        "SELECT s.subname FROM pg_subscription s JOIN pg_database d ON d.oid = s.subdbid "
        "WHERE d.datname = %s AND s.subenabled ORDER BY 1",
        (name,),
    )
    if rows:
        names = ", ".join(row[0] for row in rows)
        raise RecoveryError(
            ErrorKind.TARGET_IN_USE,
            f"The database {name!r} has enabled subscriptions: {names}.",
            left="It is unchanged.",
            next_step=f"Disable each of them: ALTER SUBSCRIPTION {quote_identifier(rows[0][0])} DISABLE.",
        )


def refuse_prepared_transactions(conn: Connection, name: str) -> None:
    """Raise RecoveryError(target_in_use) when the database has prepared transactions, which keep locks and the name."""
    number = fetch_value(conn, "SELECT count(*) FROM pg_prepared_xacts WHERE database = %s", (name,))
    if number:
        raise RecoveryError(
            ErrorKind.TARGET_IN_USE,
            f"The database {name!r} has {counted(number, 'prepared transaction')}.",
            left="It is unchanged.",
            next_step="End each one of pg_prepared_xacts with COMMIT PREPARED or ROLLBACK PREPARED.",
        )


def terminate(conn: Connection, name: str, *, spare: t.Collection[int] = ()) -> None:
    """End every other session on a database and wait until it has ended. spare lists process ids of our own."""
    fetch_all(
        conn,
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
        f"WHERE datname = %s AND pid <> pg_backend_pid() AND {OF_A_CLIENT} AND pid <> ALL (%s)",
        (name, list(spare)),
    )


def execute(conn: Connection, sql: str) -> None:
    """Run statements in which names are quoted already. Raises RecoveryError(access_denied, query_failed, ...)."""
    try:
        with conn.cursor() as cursor:
            cursor.execute(sql)
    except psycopg2.Error as error:
        raise _refused(error) from None


def _refused(error: Exception) -> RecoveryError:
    as_owner = "Connect as a superuser, or as a role with CREATEDB that owns the database."
    return query_error(error, steps={NO_RIGHT: as_owner})


def _locale_clause(locale: Locale, version: int) -> str:
    parts = [f" ENCODING {quote_literal(locale.encoding)}"]
    if locale.collation:
        parts.append(f" LC_COLLATE {quote_literal(locale.collation)} LC_CTYPE {quote_literal(locale.ctype)}")
    if version >= 150000 and locale.provider:
        parts.append(f" LOCALE_PROVIDER {quote_literal(locale.provider)}")
    if locale.provider in ("icu", "builtin"):
        parts.append(f" {locale.provider.upper()}_LOCALE {quote_literal(locale.locale or '')}")
    if locale.rules:
        parts.append(f" ICU_RULES {quote_literal(locale.rules)}")
    return "".join(parts)


def _describe(locale: Locale) -> str:
    text = f"encoding {locale.encoding}, LC_COLLATE {locale.collation!r}, LC_CTYPE {locale.ctype!r}"
    return text if locale.provider == "libc" else f"{text}, locale {locale.locale!r} of the provider {locale.provider}"
