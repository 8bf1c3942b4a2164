# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs statements over user tables with the rights of another role, which the code that they call cannot leave.

Any statement over a table may run functions of the table's owner: casts, operators, domain checks, triggers, generated
columns, and immutable functions in index expressions, which the planner evaluates even for "SELECT count(*)". SET ROLE
does not help, because such a function may run RESET ROLE. PostgreSQL refuses to change the role inside a function that
is SECURITY DEFINER, so each statement runs inside a temporary function that belongs to the role.
https://www.postgresql.org/docs/current/sql-createfunction.html#SQL-CREATEFUNCTION-SECURITY
"""

from __future__ import annotations

import re
import secrets
import typing as t

from .connection import Connection, fetch_all, fetch_value, quote_identifier, quote_literal

SAFE_PATH = "pg_catalog, pg_temp"

_CURSOR = "lifeline_confined"

#: Settings that decide how later statements and texts are read; a function may have changed them for the session.
_SETTINGS = (
    "search_path", "row_security", "datestyle", "intervalstyle", "timezone", "extra_float_digits", "bytea_output",
    "xmloption", "standard_conforming_strings", "backslash_quote", "array_nulls", "transform_null_equals",
    "quote_all_identifiers", "lock_timeout", "statement_timeout", "client_encoding", "client_min_messages",
    "check_function_bodies", "default_table_access_method",
)  # fmt: skip

_TRIGGERS = "session_replication_role"

_FUNCTIONS = """
CREATE FUNCTION pg_temp.{name}_run(statement text, path text) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $lifeline$
DECLARE
  number bigint;
BEGIN
  PERFORM set_config('search_path', path, true);
  EXECUTE statement;
  GET DIAGNOSTICS number = ROW_COUNT;
  RETURN number;
END
$lifeline$;
CREATE FUNCTION pg_temp.{name}_open(statement text, path text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $lifeline$
DECLARE
  opened refcursor := 'lifeline_confined';
BEGIN
  PERFORM set_config('search_path', path, true);
  OPEN opened NO SCROLL FOR EXECUTE statement;
  -- Statements other than a plain SELECT run on the first FETCH, which has to happen inside this function.
  EXECUTE 'MOVE FORWARD 0 FROM lifeline_confined';
END
$lifeline$;
CREATE FUNCTION pg_temp.{name}_fetch(statement text, path text) RETURNS SETOF record
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $lifeline$
BEGIN
  PERFORM set_config('search_path', path, true);
  RETURN QUERY EXECUTE statement;
END
$lifeline$;
"""

_OPEN_QUERY = f"""
DO $body$
DECLARE
  opened refcursor := '{_CURSOR}';
BEGIN
  OPEN opened NO SCROLL FOR EXECUTE current_setting('lifeline.query');
END
$body$ LANGUAGE plpgsql
"""

_SELECT = re.compile(r"\s*select\b", re.IGNORECASE)
_QUERY = re.compile(r"\s*[(\s]*(select|with|values|table|explain)\b", re.IGNORECASE)


class _Session:
    """The attributes of a connection of psycopg2 that Confined and Plain pass through."""

    def __init__(self, raw: Connection) -> None:
        self.raw = raw

    @property
    def closed(self) -> int:
        return int(self.raw.closed)

    @property
    def server_version(self) -> int:
        return int(self.raw.server_version)

    def close(self) -> None:
        self.raw.close()

    def cancel(self) -> None:
        self.raw.cancel()


class Confined(_Session):
    """A connection, as psycopg2 has them, whose statements run with the rights of the role; needs a transaction.

    The connection below it, raw, keeps the tool's rights; it is for statements that read no user table.
    role None: the rights of the session's own role, which its statements cannot change either.
    """

    def __init__(
        self, raw: Connection, role: t.Optional[str], *, read_only: bool = False, path: str = SAFE_PATH
    ) -> None:
        super().__init__(raw)
        self.role, self.path = role, path
        self._read_only = read_only
        self._types: t.Dict[int, t.Tuple[str, bool]] = {}
        self._columns: t.List[t.Tuple[str, str]] = []
        self._empty = self._rewritten = False
        names = ", ".join(f"('{name}')" for name in (*_SETTINGS, _TRIGGERS))
        found = dict(fetch_all(raw, f"SELECT n, current_setting(n) FROM (VALUES {names}) v (n)"))
        # Only a superuser may set this one.
        self._triggers = f"SET LOCAL {_TRIGGERS} = {found.pop(_TRIGGERS)};"
        self._restore = "SELECT " + ", ".join(
            f"pg_catalog.set_config('{name}', {quote_literal(value)}, true)" for name, value in found.items()
        )
        self._superuser = is_superuser(raw)
        self._name = ""
        if read_only:
            self._make()

    def cursor(self) -> ConfinedCursor:
        return ConfinedCursor(self)

    def run(self, statement: str) -> int:
        """Run a statement; the number of rows that it touched."""
        self._make()
        call = f"pg_temp.{self._name}_run({quote_literal(statement)}, {_text(self.path)})"
        number = fetch_value(self.raw, f"SELECT {call}")
        self._drop()
        return int(number)

    def open(self, query: str, *, path: str = SAFE_PATH) -> t.List[t.Tuple[str, int]]:
        """Start a query; its columns as (name, type oid). take fetches its rows, and finish ends it."""
        columns = self._open(query, path)
        self._rewritten = not columns or any(self._type(oid)[1] for _name, oid in columns)
        if any(self._type(oid)[1] for _name, oid in columns):
            # Values of a pseudo-type, as record and void, have no place in a list of columns.
            self.finish()
            aliases = [f"c{number}" for number in range(len(columns))]
            texts = ", ".join(
                f"{_as_text(alias) if self._type(oid)[1] else alias} AS {quote_identifier(name)}"
                for alias, (name, oid) in zip(aliases, columns)
            )
            columns = self._open(f"SELECT {texts} FROM ({query}) q ({', '.join(aliases)})", path)
        self._empty = not columns
        if self._empty:
            # A list of columns has at least one.
            self.finish()
            self._open(f"SELECT true FROM ({query}) q", path)
            self._columns = [("c0", "bool")]
            return columns
        self._columns = [(f"c{number}", self._type(oid)[0]) for number, (_name, oid) in enumerate(columns)]
        return columns

    def take(self, most: t.Optional[int], *, path: str = SAFE_PATH) -> t.List[t.Tuple[t.Any, ...]]:
        """The next rows of the open query, at most so many, or all that are left."""
        rows = fetch_all(self.raw, f"SELECT * FROM {self._next_rows(most, path)}")
        _execute(self.raw, self._restore)
        return [()] * len(rows) if self._empty else rows

    def skip(self, *, path: str = SAFE_PATH) -> int:
        """Read past the rows that are left, which stay on the server; their number."""
        number = fetch_value(self.raw, f"SELECT count(*) FROM {self._next_rows(None, path)}")
        _execute(self.raw, self._restore)
        return int(number)

    def finish(self) -> None:
        """End the open query."""
        _execute(self.raw, f"CLOSE {_CURSOR}")
        self._drop()

    def fetch(self, query: str) -> t.Tuple[t.List[t.Tuple[str, int]], t.List[t.Tuple[t.Any, ...]]]:
        """The columns and all rows of a query."""
        columns = self.open(query, path=self.path)
        if self._read_only and not self._rewritten and _SELECT.match(query):
            # A cursor uses no parallel workers, so once the types are known the query runs as a whole.
            _execute(self.raw, f"CLOSE {_CURSOR}")
            rows = fetch_all(self.raw, f"SELECT * FROM {self._rows_of(query, self.path)}")
        else:
            rows = self.take(None, path=self.path)
            _execute(self.raw, f"CLOSE {_CURSOR}")
        self._drop()
        return columns, rows

    def _next_rows(self, most: t.Optional[int], path: str) -> str:
        return self._rows_of(f"FETCH FORWARD {'ALL' if most is None else most} FROM {_CURSOR}", path)

    def _rows_of(self, command: str, path: str) -> str:
        listed = ", ".join(f"{name} {kind}" for name, kind in self._columns)
        return f"pg_temp.{self._name}_fetch({quote_literal(command)}, {_text(path)}) AS q ({listed})"

    def _open(self, query: str, path: str) -> t.List[t.Tuple[str, int]]:
        self._make()
        call = f"SELECT pg_temp.{self._name}_open({quote_literal(query)}, {_text(path)})"
        _execute(self.raw, f"{call}; {self._restore}")
        with self.raw.cursor() as cursor:
            # Describes the rows and runs nothing.
            cursor.execute(f"FETCH FORWARD 0 FROM {_CURSOR}")
            return [(column.name, column.type_code) for column in cursor.description or ()]

    def _make(self) -> None:
        """Make the functions. They are the role's, whose code may replace them, so that each serves one statement.

        In a transaction that only reads nothing can replace them, nor make them again.
        """
        if self._read_only and self._name:
            return
        self._name = f"lifeline_{secrets.token_hex(6)}"
        statements = _FUNCTIONS.format(name=self._name)
        if self.role is not None:
            statements += "".join(
                f"ALTER FUNCTION pg_temp.{self._name}_{verb}(text, text) OWNER TO {quote_identifier(self.role)};"
                for verb in ("run", "open", "fetch")
            )
        if self._superuser:
            # Event triggers of the database have no part in this.
            statements = f"SET LOCAL {_TRIGGERS} = replica; {statements} {self._triggers}"
        _execute(self.raw, statements)

    def _drop(self) -> None:
        _execute(self.raw, self._restore)
        if not self._read_only:
            names = ", ".join(f"pg_temp.{self._name}_{verb}(text, text)" for verb in ("run", "open", "fetch"))
            drop = f"DROP FUNCTION IF EXISTS {names}"
            _execute(
                self.raw,
                f"SET LOCAL {_TRIGGERS} = replica; {drop}; {self._triggers}" if self._superuser else drop,
            )

    def _type(self, oid: int) -> t.Tuple[str, bool]:
        """(the name of a type, whether it is a pseudo-type)."""
        if oid not in self._types:
            row = fetch_all(self.raw, "SELECT format_type(oid, -1), typtype = 'p' FROM pg_type WHERE oid = %s", (oid,))
            self._types[oid] = ("text", True) if row[0][1] else row[0]
        return self._types[oid]


class Plain(_Session):
    """The same of a session whose role is limited already, or whose server can make no functions."""

    role = None

    def cursor(self) -> t.Any:
        return self.raw.cursor()

    def open(self, query: str, *, path: str = SAFE_PATH) -> t.List[t.Tuple[str, int]]:
        fetch_all(self.raw, f"SELECT set_config('lifeline.query', {_text(query)}, true)")
        _execute(self.raw, f"SET LOCAL search_path = {path}")
        # A query in an EXECUTE is one statement, which cannot end the transaction.
        _execute(self.raw, _OPEN_QUERY)
        with self.raw.cursor() as cursor:
            cursor.execute(f"FETCH FORWARD 0 FROM {_CURSOR}")
            return [(column.name, column.type_code) for column in cursor.description or ()]

    def take(self, most: t.Optional[int], *, path: str = SAFE_PATH) -> t.List[t.Tuple[t.Any, ...]]:
        return fetch_all(self.raw, f"FETCH FORWARD {'ALL' if most is None else most} FROM {_CURSOR}")

    def skip(self, *, path: str = SAFE_PATH) -> int:
        with self.raw.cursor() as cursor:
            cursor.execute(f"MOVE FORWARD ALL FROM {_CURSOR}")
            return int(cursor.rowcount)

    def finish(self) -> None:
        _execute(self.raw, f"CLOSE {_CURSOR}; SET LOCAL search_path = {SAFE_PATH}")


class ConfinedCursor:
    """The methods of a psycopg2 cursor that callers of a session use."""

    def __init__(self, owner: Confined) -> None:
        self._owner = owner
        self._rows: t.List[t.Tuple[t.Any, ...]] = []
        self.description: t.List[Column] = []
        self.rowcount = -1

    def __enter__(self) -> ConfinedCursor:
        return self

    def __exit__(self, *_error: t.Any) -> None:
        """There is nothing to release."""

    def execute(self, statement: str, parameters: t.Any = None) -> None:
        if parameters is not None:
            with self._owner.raw.cursor() as cursor:
                statement = cursor.mogrify(statement, parameters).decode()
        self._rows, self.description = [], []
        if not _QUERY.match(statement):
            self.rowcount = self._owner.run(statement)
            return
        columns, self._rows = self._owner.fetch(statement.strip().rstrip(";"))
        self.description = [Column(*column) for column in columns]
        self.rowcount = len(self._rows)

    def fetchall(self) -> t.List[t.Tuple[t.Any, ...]]:
        rows, self._rows = self._rows, []
        return rows

    def fetchone(self) -> t.Optional[t.Tuple[t.Any, ...]]:
        return self._rows.pop(0) if self._rows else None


class Column(t.NamedTuple):
    """A column of a result, as the description of a cursor has it."""

    name: str
    type_code: int


Session = t.Union[Confined, Plain]


def run(conn: t.Union[Connection, Session], statement: str) -> int:
    """Run a statement whose rows are not of interest; how many there were."""
    if isinstance(conn, Confined):
        return conn.run(statement)
    with conn.cursor() as cursor:
        cursor.execute(statement)
        return int(cursor.rowcount)


def begin_reading(
    conn: Connection,
    *,
    snapshot: t.Optional[str] = None,
    run_as: t.Optional[str] = None,
    settings: t.Optional[t.Mapping[str, str]] = None,
) -> Session:
    """Begin a transaction that only reads, in one snapshot; to be rolled back. The session reads user tables in it.

    run_as: a role to read as, else the one of reading_role. settings: those of the transaction, by name.
    Raises psycopg2.Error where the session's role may not act for run_as.
    """
    standby = fetch_value(conn, "SELECT pg_is_in_recovery()")
    _execute(conn, f"BEGIN ISOLATION LEVEL REPEATABLE READ, {'READ ONLY' if standby else 'READ WRITE'}")
    if snapshot is not None:
        _execute(conn, f"SET TRANSACTION SNAPSHOT {quote_literal(snapshot)}")
    for name, value in (settings or {}).items():
        fetch_value(conn, "SELECT set_config(%s, %s, true)", (name, value))
    role = None if standby else run_as or reading_role(conn)
    session = Plain(conn) if role is None else Confined(conn, role, read_only=True)
    # Nothing can make the transaction writable again once a query has run.
    _execute(conn, "SET TRANSACTION READ ONLY")
    return session


def is_superuser(conn: Connection) -> bool:
    return bool(fetch_value(conn, "SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user"))


def reading_role(conn: Connection) -> t.Optional[str]:
    """A role that may read all tables and do nothing else, made in the open transaction and gone with its rollback.

    None where the session is no superuser's, because its role is limited already.
    """
    if not is_superuser(conn):
        return None
    return _passing_role(conn, ["pg_read_all_data", "pg_monitor"])


def writing_role(conn: Connection, tables: t.Sequence[int]) -> t.Optional[str]:
    """The role to change these tables as: their owner, where all have the same one.

    Otherwise a role of the open transaction that has the rights of all owners, and of a superuser among them no more
    than to read and write rows; drop_role removes it before the commit. None where the session's own role has no
    right to act for the owner.
    """
    owners = fetch_all(conn, _OWNERS.replace("{right}", _right_to_act(conn)), (list(tables),))
    super_session = is_superuser(conn)
    if len(owners) == 1 and not owners[0][1] and not owners[0][2]:
        return str(owners[0][0]) if super_session or owners[0][3] else None
    if not super_session or not owners:
        return None
    groups = [name for name, is_super, _forced, _may in owners if not is_super]
    if len(groups) < len(owners):
        groups += ["pg_read_all_data", "pg_write_all_data"]
    return _passing_role(conn, groups)


def acting_role(conn: Connection, owners: t.Collection[str]) -> t.Optional[str]:
    """The role to make objects of these owners as: the one owner, or a role that has the rights of all of them.

    drop_role removes the second. None where a superuser is among them, or the session has no right to act for them.
    """
    others = [str(row[0]) for row in fetch_all(conn, _OTHERS.replace("{right}", _right_to_act(conn)), (list(owners),))]
    if not others or len(others) < len(owners):
        return None
    if len(others) == 1:
        return others[0]
    return _passing_role(conn, sorted(others)) if is_superuser(conn) else None


def owner_session(session: Session, tables: t.Sequence[int]) -> t.Union[Connection, Session]:
    """The session that alters these tables: the given one if its role may, else its connection, as for a superuser."""
    sql = "SELECT bool_and(pg_has_role(%s::name, relowner, 'USAGE')) FROM pg_class WHERE oid = ANY (%s)"
    may = session.role is None or fetch_value(session.raw, sql, (session.role, list(tables)))
    return session if may else session.raw


def drop_role(conn: Connection, role: t.Optional[str]) -> None:
    """Remove a role that writing_role made. Raises psycopg2.errors.DependentObjectsStillExist where it owns objects.

    Only triggers can have made such objects. No role may inherit these: a function runs with its new owner's rights.
    """
    if role is not None and role.startswith(_ROLE):
        _execute(conn, f"DROP ROLE {quote_identifier(role)}")


def require_nothing_deferred(conn: Connection) -> None:
    """Raise psycopg2.errors.ObjectInUse when a deferred trigger waits for the commit, which runs as the session's role.

    From PostgreSQL 18 on such a trigger runs as the role that its event came from. ALTER TABLE refuses a table that has
    waiting events; no table has this storage parameter, so that nothing else is changed.
    https://www.postgresql.org/docs/18/release-18.html
    """
    if conn.server_version >= 180000 or not is_superuser(conn):
        return
    for (table,) in fetch_all(conn, _DEFERRABLE):
        _execute(conn, f"ALTER TABLE ONLY {table} RESET (lifeline_none)")


_ROLE = "lifeline_transaction_"

_OWNERS = """
SELECT r.rolname::text, r.rolsuper, bool_or(c.relforcerowsecurity AND c.relrowsecurity AND NOT r.rolbypassrls),
  pg_has_role(r.oid, '{right}') AND has_database_privilege(r.oid, current_database(), 'TEMP')
FROM pg_class c JOIN pg_roles r ON r.oid = c.relowner WHERE c.oid = ANY (%s)
GROUP BY r.oid, r.rolname, r.rolsuper ORDER BY 1
"""

_OTHERS = """
SELECT o.rolname FROM pg_roles o JOIN pg_roles s ON s.rolname = current_user
WHERE o.rolname = ANY (%s) AND o.rolname <> s.rolname AND NOT o.rolsuper AND (s.rolsuper OR
  pg_has_role(o.oid, '{right}') AND has_database_privilege(o.oid, current_database(), 'TEMP'))
"""

_DEFERRABLE = """
SELECT DISTINCT format('%I.%I', n.nspname, c.relname)
FROM pg_trigger g JOIN pg_class c ON c.oid = g.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_roles r ON r.oid = c.relowner
WHERE g.tgdeferrable AND g.tgenabled <> 'D' AND NOT r.rolsuper AND c.relkind IN ('r', 'p')
ORDER BY 1
"""


def _right_to_act(conn: Connection) -> str:
    """From PostgreSQL 16 on a member may lack the right to act for the role."""
    return "SET" if conn.server_version >= 160000 else "MEMBER"


def _passing_role(conn: Connection, groups: t.Sequence[str]) -> str:
    name = f"{_ROLE}{secrets.token_hex(6)}"
    listed = ", ".join(map(quote_identifier, groups))
    _execute(conn, f"CREATE ROLE {quote_identifier(name)} NOLOGIN INHERIT BYPASSRLS IN ROLE {listed}")
    return name


def _text(path: str) -> str:
    return quote_literal(path)


def _as_text(column: str) -> str:
    return f"CASE WHEN pg_catalog.num_nulls({column}) = 0 THEN pg_catalog.concat({column}) END"


def _execute(conn: Connection, statements: str) -> None:
    with conn.cursor() as cursor:
        cursor.execute(statements)
