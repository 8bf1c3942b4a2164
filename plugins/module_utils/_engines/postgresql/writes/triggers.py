# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Triggers that refuse writes to tables.

A statement trigger refuses every statement that names the table, TRUNCATE too, also one that finds no row. Rows that
are routed to a partition, and rows of logical replication, fire no statement trigger of the table, so that a row
trigger refuses them. Both fire always: session_replication_role does not switch them off.
https://www.postgresql.org/docs/current/trigger-definition.html
"""

from __future__ import annotations

import typing as t

from ...._core.errors import ErrorKind, RecoveryError
from ..server.connection import Connection, fetch_all, fetch_value, quote_identifier, quote_literal
from ..server.names import QualifiedName
from .catalog import Table

SCHEMA = "lifeline_maintenance"
_FUNCTION = f"{SCHEMA}.refuse_write"
_STATEMENT, _ROW = "lifeline_writes_stopped", "lifeline_writes_stopped_row"
#: The comment by which a schema of this name is known to be made by `create_function`.
_MARK = "lifeline.recovery: writes to tables are stopped"

#: A session of an exempt role sets this to on to be refused as well: a probe proves what other roles get.
PROBE = "lifeline.write_probe"

#: SQLSTATE of a write in a read-only transaction: applications know that it is no error of their statement.
REFUSED = "25006"

#: The start of a trigger that refuses: sessions of exempt roles pass, unless they probe.
PASS_EXEMPT = """
BEGIN
  IF session_user = ANY (ARRAY[{exempt}]::name[])
     AND coalesce(current_setting('{probe}', true), '') <> 'on' THEN
    IF TG_LEVEL = 'ROW' AND TG_OP = 'DELETE' THEN
      RETURN OLD;
    END IF;
    RETURN NEW;
  END IF;
"""

_BODY = (
    PASS_EXEMPT
    + """  RAISE EXCEPTION USING ERRCODE = '{refused}',
    MESSAGE = format('writes to %I.%I are stopped for maintenance', TG_TABLE_SCHEMA, TG_TABLE_NAME);
END
"""
)

_COMMENT = f"SELECT obj_description(n.oid, 'pg_namespace') FROM pg_namespace n WHERE n.nspname = '{SCHEMA}'"

#: Triggers that a row trigger of a partitioned table made in its partitions have a parent, and are not made here.
_TRIGGERS = f"""
    SELECT g.tgrelid, n.nspname::text, c.relname::text, g.tgname::text, g.tgenabled::text
    FROM pg_trigger g JOIN pg_class c ON c.oid = g.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_proc p ON p.oid = g.tgfoid JOIN pg_namespace f ON f.oid = p.pronamespace
    WHERE f.nspname = '{SCHEMA}' AND p.proname = 'refuse_write' AND NOT g.tgisinternal AND g.tgparentid = 0
    ORDER BY 2, 3, 4
"""

_FOREIGN = """
    SELECT n.nspname::text, c.relname::text, g.tgname::text
    FROM pg_trigger g JOIN pg_class c ON c.oid = g.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_proc p ON p.oid = g.tgfoid
    WHERE g.tgrelid = ANY (%s) AND g.tgname = ANY (%s) AND p.oid IS DISTINCT FROM to_regproc(%s)
"""

_SOURCE = "SELECT prosrc FROM pg_proc WHERE oid = to_regproc(%s)"


class Trigger(t.NamedTuple):
    """A trigger of this file. always: it fires for every session_replication_role."""

    table: int
    name: QualifiedName
    trigger: str
    always: bool

    @property
    def drop(self) -> str:
        return f"DROP TRIGGER {quote_identifier(self.trigger)} ON {self.name.quoted}"


def read_triggers(conn: Connection) -> t.List[Trigger]:
    """The triggers of this file in the database."""
    if not _has_schema(conn):
        return []
    return [
        Trigger(int(oid), QualifiedName(schema, name), trigger, enabled == "A")
        for oid, schema, name, trigger, enabled in fetch_all(conn, _TRIGGERS)
    ]


def function_statements(conn: Connection, exempt: t.Sequence[str]) -> t.List[str]:
    """The statements that create the function, or replace one that exempts other roles; none if it is up to date.

    Raises RecoveryError(conflict) if a schema has the name of the function's schema.
    """
    body = _BODY.format(
        exempt=", ".join(quote_literal(name).strip() for name in sorted(set(exempt))), probe=PROBE, refused=REFUSED
    )
    statements = []
    if not _has_schema(conn):
        if fetch_all(conn, _COMMENT):
            raise RecoveryError(
                ErrorKind.CONFLICT,
                f"The schema {SCHEMA} exists and was not made by lifeline.recovery.",
                next_step=f"Rename the schema {SCHEMA}.",
            )
        statements = [f"CREATE SCHEMA {SCHEMA}", f"COMMENT ON SCHEMA {SCHEMA} IS {quote_literal(_MARK)}"]
    elif fetch_value(conn, _SOURCE, (_FUNCTION,)) == body:
        return []
    return [
        *statements,
        f"CREATE OR REPLACE FUNCTION {_FUNCTION}() RETURNS trigger LANGUAGE plpgsql "
        f"SET search_path = pg_catalog, pg_temp AS {_dollar_quoted(body)}",
    ]


def _has_schema(conn: Connection) -> bool:
    """Whether the schema exists and was made by this file."""
    rows = fetch_all(conn, _COMMENT)
    return bool(rows) and str(rows[0][0] or "").startswith(_MARK)


def create_statements(
    conn: Connection, tables: t.Sequence[Table], found: t.Sequence[Trigger]
) -> t.List[t.Tuple[Table, str]]:
    """The statements that create the triggers which a table lacks. Raises RecoveryError(conflict)."""
    names = [_STATEMENT, _ROW]
    for schema, name, trigger in fetch_all(conn, _FOREIGN, ([one.state.oid for one in tables], names, _FUNCTION)):
        raise RecoveryError(
            ErrorKind.CONFLICT,
            f"The table {QualifiedName(schema, name)} has a trigger {trigger} that was not made by lifeline.recovery.",
            next_step="Rename the trigger.",
        )
    complete = {(one.table, one.trigger) for one in found if one.always}
    present = {(one.table, one.trigger) for one in found}
    statements = []
    for table in tables:
        # A row trigger of a partitioned table would make one in each partition, which has its own.
        for trigger in names[: 1 if table.is_partitioned else 2]:
            key = (table.state.oid, trigger)
            if key not in present:
                statements.append((table, _create(table.name, trigger)))
            if key not in complete:
                statements.append((table, f"ALTER TABLE {_only(table)} ENABLE ALWAYS TRIGGER {trigger}"))
    return statements


def drop_schema_statements(conn: Connection) -> t.List[str]:
    """The statements that remove function and schema."""
    if not _has_schema(conn):
        return []
    return [f"DROP FUNCTION IF EXISTS {_FUNCTION}()", f"DROP SCHEMA {SCHEMA}"]


def _create(name: QualifiedName, trigger: str) -> str:
    events, level = ("INSERT OR UPDATE OR DELETE", "ROW") if trigger == _ROW else (
        "INSERT OR UPDATE OR DELETE OR TRUNCATE", "STATEMENT")  # fmt: skip
    return f"CREATE TRIGGER {trigger} BEFORE {events} ON {name.quoted} FOR EACH {level} EXECUTE FUNCTION {_FUNCTION}()"


def _only(table: Table) -> str:
    return f"ONLY {table.name.quoted}" if table.is_partitioned else table.name.quoted


def _dollar_quoted(body: str) -> str:
    tag = "$lifeline$"
    while tag in body:
        tag = f"{tag[:-1]}_$"
    return f"{tag}{body}{tag}"
