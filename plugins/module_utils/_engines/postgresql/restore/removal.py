# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The objects that a restore within a live database removes first, in the transaction that loads the archive."""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass

from ..archive.toc import Toc
from ..server.connection import Connection, fetch_all, fetch_value, quote_identifier
from .ownership import Replacement

#: Kinds of entries outside any schema that pg_restore cannot create a second time, in the order of removal.
#: Extensions, schemas and the settings of the archive are handled apart.
_WITHOUT_SCHEMA = (
    "EVENT TRIGGER",
    "PUBLICATION",
    "USER MAPPING",
    "SERVER",
    "FOREIGN DATA WRAPPER",
    "TRANSFORM",
    "CAST",
    "ACCESS METHOD",
    "PROCEDURAL LANGUAGE",
)

#: As initdb makes it; the archive holds only how it was changed since.
_PUBLIC = (
    "CREATE SCHEMA public AUTHORIZATION {owner}",
    "GRANT USAGE{create} ON SCHEMA public TO PUBLIC",
    "COMMENT ON SCHEMA public IS 'standard public schema'",
)

_SCHEMAS = """
    SELECT n.nspname, EXISTS (SELECT FROM pg_depend d
                              WHERE d.classid = 'pg_namespace'::regclass AND d.objid = n.oid AND d.deptype = 'e')
    FROM pg_namespace n WHERE n.nspname = ANY (%s) AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
    ORDER BY 1
"""

#: Objects of users in schemas that an extension created.
_WITHIN_EXTENSION_SCHEMAS = """
    SELECT format('DROP %%s IF EXISTS %%I.%%I CASCADE',
                  CASE c.relkind WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW' WHEN 'S' THEN 'SEQUENCE'
                                 WHEN 'f' THEN 'FOREIGN TABLE' WHEN 'c' THEN 'TYPE' ELSE 'TABLE' END,
                  n.nspname, c.relname)
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = ANY (%(schemas)s) AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S', 'c')
      AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
                      AND d.deptype IN ('e', 'a', 'i'))
    UNION ALL
    SELECT format('DROP ROUTINE IF EXISTS %%s CASCADE', p.oid::regprocedure)
    FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
    WHERE n.nspname = ANY (%(schemas)s)
      AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid
                      AND d.deptype = 'e')
    UNION ALL
    SELECT format('DROP TYPE IF EXISTS %%I.%%I CASCADE', n.nspname, y.typname)
    FROM pg_type y JOIN pg_namespace n ON n.oid = y.typnamespace
    WHERE n.nspname = ANY (%(schemas)s) AND y.typtype IN ('e', 'd', 'r')
      AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_type'::regclass AND d.objid = y.oid
                      AND d.deptype IN ('e', 'i'))
"""

#: Tables whose rows pg_dump takes although an extension made them, with the condition of the rows.
_CONFIGURATION = """
    SELECT n.nspname, c.relname, x.condition
    FROM pg_extension e CROSS JOIN LATERAL unnest(e.extconfig, e.extcondition) x (relation, condition)
    JOIN pg_class c ON c.oid = x.relation JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p')
"""

_EVENT_TRIGGERS = "SELECT evtname, evtenabled::text FROM pg_event_trigger WHERE evtenabled <> 'D' ORDER BY 1"

_SUBSCRIPTIONS = """
    SELECT s.subname FROM pg_subscription s JOIN pg_database d ON d.oid = s.subdbid
    WHERE d.datname = current_database() AND s.subname = ANY (%s)
"""

_ENABLE = {"O": "ENABLE", "R": "ENABLE REPLICA", "A": "ENABLE ALWAYS"}


@dataclass(frozen=True)
class Removal:
    """schemas are replaced as a whole; kept_schemas belong to extensions, and only their content is replaced.

    emptied are tables of extensions whose rows the archive brings, and tables of foreign_schemas, which belong to other
    roles and stay. first and last are statements that run before and after the archive is loaded, before_rows and
    after_rows around its rows. large_objects: the archive replaces them.
    """

    schemas: t.Tuple[str, ...]
    kept_schemas: t.Tuple[str, ...]
    emptied: t.Tuple[t.Tuple[str, str], ...]
    first: t.Tuple[str, ...]
    last: t.Tuple[str, ...]
    foreign_schemas: t.Tuple[str, ...] = ()
    before_rows: t.Tuple[str, ...] = ()
    after_rows: t.Tuple[str, ...] = ()
    large_objects: bool = False


def plan_removal(conn: Connection, replacement: Replacement) -> Removal:
    """The objects that must be removed from the database of conn before the archive can be loaded."""
    toc = replacement.toc
    named = {entry.tag for entry in toc.of_kind("SCHEMA")} | {entry.schema for entry in toc.entries if entry.schema}
    named -= {*replacement.kept, *replacement.preserved}
    rows = fetch_all(conn, _SCHEMAS, (sorted(named),))
    schemas = tuple(name for name, is_member in rows if not is_member)
    kept = tuple(name for name, is_member in rows if is_member)
    # Only a superuser may silence event triggers.
    superuser = bool(fetch_value(conn, "SELECT rolsuper FROM pg_roles WHERE rolname = current_user"))
    silenced, again = _event_triggers(conn, toc) if superuser else ([], ())
    subscriptions = _subscriptions(conn, toc)
    emptied = _configuration(conn, toc, kept)
    first = [
        *silenced,
        *subscriptions,
        *replacement.first,
        *(f"DROP SCHEMA {quote_identifier(schema)} CASCADE" for schema in schemas),
        *(row[0] for row in fetch_all(conn, _WITHIN_EXTENSION_SCHEMAS, {"schemas": list(kept)})),
        *(f"DELETE FROM {quote_identifier(schema, name)} {condition}" for schema, name, condition in emptied),
        *_without_schema(toc),
    ]
    if "public" in schemas:
        modern = conn.server_version >= 150000
        owner, create = ("pg_database_owner", "") if modern else ("CURRENT_USER", ", CREATE")
        first += [statement.format(owner=owner, create=create) for statement in _PUBLIC]
    return Removal(
        schemas=(*schemas, *replacement.preserved),
        kept_schemas=kept,
        foreign_schemas=replacement.kept,
        emptied=(*((schema, name) for schema, name, _condition in emptied), *replacement.emptied),
        first=tuple(first),
        before_rows=replacement.before_rows,
        after_rows=replacement.after_rows,
        last=again,
        large_objects=bool(toc.of_kind("BLOBS")),
    )


def _event_triggers(conn: Connection, toc: Toc) -> t.Tuple[t.List[str], t.Tuple[str, ...]]:
    """Statements that silence the event triggers of the database, and those that enable again what stays.

    For a role that may not do that the triggers run, and one that raises fails the restore.
    """
    replaced = {entry.tag for entry in toc.of_kind("EVENT TRIGGER")}
    triggers = fetch_all(conn, _EVENT_TRIGGERS)
    off = [f"ALTER EVENT TRIGGER {quote_identifier(name)} DISABLE" for name, _enabled in triggers]
    on = tuple(
        f"ALTER EVENT TRIGGER {quote_identifier(name)} {_ENABLE[enabled]}"
        for name, enabled in triggers
        if name not in replaced
    )
    return off, on


def _subscriptions(conn: Connection, toc: Toc) -> t.Iterator[str]:
    """A subscription can be dropped within a transaction only when it has no slot; the publisher keeps the slot."""
    wanted = [entry.tag for entry in toc.of_kind("SUBSCRIPTION")]
    for (name,) in fetch_all(conn, _SUBSCRIPTIONS, (wanted,)):
        quoted = quote_identifier(name)
        yield f"ALTER SUBSCRIPTION {quoted} DISABLE"
        yield f"ALTER SUBSCRIPTION {quoted} SET (slot_name = NONE)"
        yield f"DROP SUBSCRIPTION {quoted}"


def _configuration(conn: Connection, toc: Toc, kept_schemas: t.Collection[str]) -> t.List[t.Tuple[str, str, str]]:
    """Tables of extensions that stay, and whose rows the archive brings: schema, name, condition of the rows."""
    brought = {(entry.schema, entry.tag) for entry in toc.of_kind("TABLE DATA")}
    return [
        (schema, name, condition or "")
        for schema, name, condition in fetch_all(conn, _CONFIGURATION)
        if schema in kept_schemas and (schema, name) in brought
    ]


def _without_schema(toc: Toc) -> t.Iterator[str]:
    """The archive's own statements that drop what has no schema, for what exists."""
    for kind in _WITHOUT_SCHEMA:
        for entry in toc.of_kind(kind):
            statement = entry.drop_statement.strip().rstrip(";")
            found = re.match(rf"DROP {kind} ", statement)
            if found:
                yield f"DROP {kind} IF EXISTS {statement[found.end() :]}"
