# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Connection options of a PostgreSQL server, for psycopg2 and for the client programs."""

from __future__ import annotations

import contextlib
import os
import typing as t
from dataclasses import dataclass, field, replace

from ...._core.errors import ErrorKind, RecoveryError
from . import encoding
from .driver import psycopg2, require_psycopg2
from .pooler import PostgresConnection, prepare, refuses_startup_options, startup_options
from .refusals import query_error
from .stall import supervise

if psycopg2 is not None:
    encoding.register()

#: libpq keyword to the environment variable that the client programs read.
#: https://www.postgresql.org/docs/current/libpq-envars.html
_ENVIRONMENT = {
    "host": "PGHOST",
    "hostaddr": "PGHOSTADDR",
    "port": "PGPORT",
    "dbname": "PGDATABASE",
    "user": "PGUSER",
    "password": "PGPASSWORD",
    "passfile": "PGPASSFILE",
    "service": "PGSERVICE",
    "options": "PGOPTIONS",
    "sslmode": "PGSSLMODE",
    "sslrootcert": "PGSSLROOTCERT",
    "sslcert": "PGSSLCERT",
    "sslkey": "PGSSLKEY",
    "channel_binding": "PGCHANNELBINDING",
    "gssencmode": "PGGSSENCMODE",
    "target_session_attrs": "PGTARGETSESSIONATTRS",
    "connect_timeout": "PGCONNECT_TIMEOUT",
}

#: Limits for dead connections of libpq; keywords of the operator have priority. tcp_user_timeout is in milliseconds.
#: https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-PARAMKEYWORDS
_PATIENCE = {
    "connect_timeout": "10",
    "keepalives": "1",
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
    "tcp_user_timeout": "60000",
}

Connection = t.Any


@dataclass(frozen=True)
class ConnectionOptions:
    """libpq keywords of one server. The values hold the password, so they are never printed.

    stall_timeout: seconds without any progress after which a connection is given up; 0 is without a limit.
    """

    keywords: t.Mapping[str, str] = field(repr=False)
    client_bin_dir: t.Optional[str] = None
    stall_timeout: float = 300

    @property
    def database(self) -> str:
        return self.keywords.get("dbname") or self.keywords.get("user") or ""

    @property
    def port(self) -> int:
        return int(self.keywords.get("port") or 5432)

    @property
    def place(self) -> str:
        """For messages: C(host:port/database), without credentials."""
        host = self.keywords.get("host") or self.keywords.get("hostaddr") or "local socket"
        return f"{host}:{self.port}/{self.database}"

    def with_database(self, name: str) -> ConnectionOptions:
        return replace(self, keywords={**self.keywords, "dbname": name})

    def conninfo(self) -> str:
        """The database, as a connection string without secrets for a command line.

        It holds what has no environment variable: how long a dead connection is waited for.
        """
        known = {name: self.keywords.get(name, value) for name, value in _PATIENCE.items() if name not in _ENVIRONMENT}
        escaped = self.database.replace("\\", "\\\\").replace("'", "\\'")
        named = [f"dbname='{escaped}'"] if self.database else []
        return " ".join([*named, *(f"{name}={value}" for name, value in known.items())])

    def environment(self) -> t.Dict[str, str]:
        """The environment for pg_dump, pg_restore and psql: the inherited one with these keywords."""
        inherited = {key: value for key, value in os.environ.items() if key not in _ENVIRONMENT.values()}
        keywords = {**_PATIENCE, **self.keywords}
        ours = {_ENVIRONMENT[key]: value for key, value in keywords.items() if key in _ENVIRONMENT}
        # Messages are parsed, so their language is fixed.
        return {**inherited, **ours, "LC_ALL": "C", "PGCLIENTENCODING": "UTF8"}


def parse_dsn(dsn: str) -> t.Dict[str, str]:
    """libpq keywords of a URI or keyword string. Raises RecoveryError without repeating the text."""
    require_psycopg2()
    try:
        return dict(psycopg2.extensions.parse_dsn(dsn))
    except psycopg2.ProgrammingError:
        raise RecoveryError(
            ErrorKind.INVALID_OPTIONS,
            "The option dsn is not a PostgreSQL connection string.",
            next_step="Write it as postgresql://user@host:5432/database or as host=... dbname=...",
        ) from None


@contextlib.contextmanager
def connection(
    options: ConnectionOptions,
    *,
    application: str = "lifeline.recovery",
    settings: t.Optional[t.Mapping[str, str]] = None,
    describe: t.Optional[t.Callable[[t.Any], RecoveryError]] = None,
) -> t.Iterator[Connection]:
    """A psycopg2 connection in autocommit mode with fixed session settings; closed at the end.

    settings are added to the fixed ones. A statement that waits for a connection which passes nothing ends after
    stall_timeout. Raises RecoveryError(unreachable, access_denied, target_missing, transaction_pooler or timeout); a
    statement that the server refuses within the context, and that the caller does not expect, is raised as describe
    (query_error) reports it.
    """
    opened = connect(options, application=application, settings=settings)
    try:
        yield opened
    except psycopg2.Error as error:
        raise (describe or _unexpected_refusal)(error) from None
    finally:
        opened.close()


def connect(
    options: ConnectionOptions,
    *,
    application: str = "lifeline.recovery",
    settings: t.Optional[t.Mapping[str, str]] = None,
) -> Connection:
    """As connection, for callers that close it themselves."""
    require_psycopg2()
    keywords: t.Dict[str, t.Any] = {
        **_PATIENCE,
        **options.keywords,
        "application_name": application,
        "client_encoding": "UTF8",
        "connection_factory": PostgresConnection,
    }
    opened = _open(options, keywords)
    try:
        opened.autocommit = True
        supervise(opened, keywords, options.place, options.stall_timeout)
        prepare(opened, options.place, lambda: psycopg2.connect(**keywords), settings or {})
        if opened.info.parameter_status("server_encoding") == "SQL_ASCII":
            # The server knows no encoding, so that any other one would have it refuse bytes.
            opened.set_client_encoding("SQL_ASCII")
    except psycopg2.Error as error:
        opened.close()
        raise connection_error(options, str(error)) from None
    except BaseException:
        opened.close()
        raise
    return opened


def _open(options: ConnectionOptions, keywords: t.Mapping[str, t.Any]) -> Connection:
    """With our settings in the startup packet, and without them for a pooler that refuses them."""
    try:
        try:
            return psycopg2.connect(**{**keywords, "options": startup_options(options.keywords.get("options", ""))})
        except psycopg2.OperationalError as error:
            if not refuses_startup_options(str(error)):
                raise
        return psycopg2.connect(**keywords)
    except psycopg2.OperationalError as error:
        raise connection_error(options, str(error)) from None


def stall_keywords(options: ConnectionOptions) -> t.Dict[str, t.Any]:
    """The keywords for a look at the server from a second connection."""
    return {**_PATIENCE, **options.keywords}


def fetch_all(conn: Connection, sql: str, parameters: t.Any = None) -> t.List[t.Tuple[t.Any, ...]]:
    with conn.cursor() as cursor:
        cursor.execute(sql, parameters)
        return list(cursor.fetchall())


def fetch_value(conn: Connection, sql: str, parameters: t.Any = None) -> t.Any:
    """The first column of the first row, or None when there is no row."""
    with conn.cursor() as cursor:
        cursor.execute(sql, parameters)
        row = cursor.fetchone()
    return row[0] if row else None


def quote_identifier(*parts: str) -> str:
    """C(public, my table) becomes C("public"."my table")."""
    return ".".join('"' + part.replace('"', '""') + '"' for part in parts)


def quote_literal(text: str) -> str:
    """A string constant with the same value for each setting of standard_conforming_strings."""
    escaped = text.replace("'", "''")
    return " E'" + escaped.replace("\\", "\\\\") + "'" if "\\" in escaped else "'" + escaped + "'"


def _unexpected_refusal(error: Exception) -> RecoveryError:
    """query_error for a statement of which nothing is known, so neither what it left."""
    return query_error(error, left="")


def connection_error(options: ConnectionOptions, message: str) -> RecoveryError:
    # Without libpq's question, which next_step answers, and without a full stop, because a sentence is made of it.
    lines = [" ".join(line.split()) for line in message.splitlines()]
    text = "; ".join(line for line in lines if line and not line.startswith("Is the server running")).rstrip(".")
    password = options.keywords.get("password")
    if password:
        text = text.replace(password, "********")
    lowered = text.lower()
    if "does not exist" in lowered and "database" in lowered:
        return RecoveryError(
            ErrorKind.TARGET_MISSING,
            f"The database {options.database!r} does not exist on {options.place}.",
            next_step="Check login_db, or create the database first.",
        )
    if any(part in lowered for part in ("authentication failed", "no password", "pg_hba", "permission denied", "role")):
        return RecoveryError(
            ErrorKind.ACCESS_DENIED,
            f"PostgreSQL at {options.place} refused the login: {text}.",
            next_step="Check login_user, login_password and the server's pg_hba.conf.",
        )
    return RecoveryError(
        ErrorKind.UNREACHABLE,
        f"PostgreSQL at {options.place} cannot be reached: {text}.",
        next_step="Check login_host, login_port, the firewall, and that the server runs.",
    )
