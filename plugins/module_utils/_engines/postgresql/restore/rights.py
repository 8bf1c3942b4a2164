# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ownership and rights of the connected role in a live database, for a restore in place."""

from __future__ import annotations

import json
import typing as t
from dataclasses import dataclass

from ..archive.toc import Toc
from ..server.connection import Connection, fetch_all, fetch_value
from . import cron_jobs

TableName = t.Tuple[str, str]

_ROLE = """
    SELECT current_user, rolsuper, coalesce(current_setting('supautils.privileged_role', true) = current_user, false),
           current_setting('supautils.policy_grants', true)
    FROM pg_roles WHERE rolname = current_user
"""
#: supautils lets its role set the parameter although PostgreSQL knows of no such right, which is one since 15.
_MAY_SWITCH_OFF = "SELECT has_parameter_privilege('session_replication_role', 'SET')"
_MEMBERSHIPS = "SELECT rolname FROM pg_roles WHERE pg_has_role(oid, 'MEMBER')"
_SCHEMAS = "SELECT nspname, pg_has_role(nspowner, 'USAGE') FROM pg_namespace"
_RELATIONS = """
    SELECT n.nspname, c.relname, c.relkind::text, pg_has_role(c.relowner, 'USAGE'),
           CASE c.relkind WHEN 'S' THEN has_sequence_privilege(c.oid, 'UPDATE')
                ELSE has_table_privilege(c.oid, 'INSERT') AND has_table_privilege(c.oid, 'DELETE') END,
           c.relkind <> 'S' AND has_table_privilege(c.oid, 'TRIGGER'),
           EXISTS (SELECT FROM pg_depend d
                   WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e'),
           ARRAY(SELECT a.attname::text FROM pg_attribute a
                 WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped)
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = ANY (%s) AND c.relkind IN ('r', 'p', 'S')
"""
_TRIGGERS = """
    SELECT n.nspname, c.relname || ' ' || g.tgname, fn.nspname
    FROM pg_trigger g JOIN pg_class c ON c.oid = g.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_proc p ON p.oid = g.tgfoid JOIN pg_namespace fn ON fn.oid = p.pronamespace
    WHERE NOT g.tgisinternal AND n.nspname = ANY (%s)
"""
_POLICIES = """
    SELECT n.nspname, c.relname, p.polname
    FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = ANY (%s)
"""
_NAMES = """
    SELECT 'EXTENSION', extname, pg_has_role(extowner, 'USAGE') FROM pg_extension
    UNION ALL SELECT 'EVENT TRIGGER', evtname, pg_has_role(evtowner, 'USAGE') FROM pg_event_trigger
    UNION ALL SELECT 'PUBLICATION', pubname, pg_has_role(pubowner, 'USAGE') FROM pg_publication
"""
_DEFAULT_PRIVILEGES = """
    SELECT pg_get_userbyid(d.defaclrole), coalesce(n.nspname, ''), d.defaclobjtype::text
    FROM pg_default_acl d LEFT JOIN pg_namespace n ON n.oid = d.defaclnamespace
"""
_DEFAULTS_OF = {"r": "TABLES", "S": "SEQUENCES", "f": "FUNCTIONS", "T": "TYPES", "n": "SCHEMAS"}


@dataclass(frozen=True)
class Relation:
    """A table or sequence of a kept schema. writable: rows may be deleted and inserted, or the sequence set."""

    schema: str
    name: str
    kind: str
    owned: bool
    writable: bool
    may_trigger: bool
    of_extension: bool
    columns: t.FrozenSet[str]


@dataclass(frozen=True)
class Rights:
    """privileged: the role of supautils, or a superuser. policy_tables: tables of others on which it may make policies.

    schemas: those of the archive that exist. kept: those among them that belong to other roles. triggers: schema and
    "table name" to the schema of the function. names: kind and name of what has no schema, and whether it is owned.
    default_privileges: role, schema and kind of objects.
    """

    role: str
    superuser: bool
    privileged: bool
    may_switch_triggers_off: bool
    may_schedule: bool
    policy_tables: t.FrozenSet[str]
    memberships: t.FrozenSet[str]
    schemas: t.FrozenSet[str]
    kept: t.FrozenSet[str]
    relations: t.Mapping[TableName, Relation]
    triggers: t.Mapping[t.Tuple[str, str], str]
    policies: t.Tuple[t.Tuple[str, str, str], ...]
    names: t.Mapping[t.Tuple[str, str], bool]
    default_privileges: t.FrozenSet[t.Tuple[str, str, str]]

    def may_make_policies(self, table: TableName) -> bool:
        relation = self.relations.get(table)
        if relation is None or relation.of_extension:
            return False
        return relation.owned or f"{relation.schema}.{relation.name}" in self.policy_tables


def read_rights(conn: Connection, toc: Toc) -> Rights:
    """The rights of the connected role on what the archive has entries for."""
    role, superuser, privileged, grants = fetch_all(conn, _ROLE)[0]
    named = {entry.tag for entry in toc.of_kind("SCHEMA")} | {entry.schema for entry in toc.entries if entry.schema}
    schemas = dict(fetch_all(conn, _SCHEMAS))
    kept = [name for name in named if schemas.get(name) is False]
    relations = [
        Relation(schema, name, kind, owned, writable, may_trigger, of_extension, frozenset(columns))
        for schema, name, kind, owned, writable, may_trigger, of_extension, columns in fetch_all(
            conn, _RELATIONS, (kept,)
        )
    ]
    may_switch = superuser or privileged
    if not may_switch and conn.server_version >= 150000:
        may_switch = fetch_value(conn, _MAY_SWITCH_OFF)
    return Rights(
        role=role,
        superuser=superuser,
        privileged=superuser or privileged,
        may_switch_triggers_off=may_switch,
        may_schedule=cron_jobs.may_schedule(conn),
        policy_tables=_policy_tables(grants, role),
        memberships=frozenset(row[0] for row in fetch_all(conn, _MEMBERSHIPS)),
        schemas=frozenset(named & set(schemas)),
        kept=frozenset(kept),
        relations={(relation.schema, relation.name): relation for relation in relations},
        triggers={(row[0], row[1]): row[2] for row in fetch_all(conn, _TRIGGERS, (kept,))},
        policies=tuple((row[0], row[1], row[2]) for row in fetch_all(conn, _POLICIES, (kept,))),
        names={(row[0], row[1]): row[2] for row in fetch_all(conn, _NAMES)},
        default_privileges=frozenset(
            (row[0], row[1], _DEFAULTS_OF[row[2]]) for row in fetch_all(conn, _DEFAULT_PRIVILEGES)
        ),
    )


def _policy_tables(grants: t.Optional[str], role: str) -> t.FrozenSet[str]:
    """Tables of other roles on which the extension supautils lets the role make policies."""
    try:
        return frozenset(json.loads(grants or "{}").get(role, []))
    except (ValueError, AttributeError):
        return frozenset()
