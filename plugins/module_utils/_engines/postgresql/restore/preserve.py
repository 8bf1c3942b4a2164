# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Empties schemas that a restore must not drop, and takes back default privileges before objects are created.

A schema falls with the default privileges that other roles have in it and with the extensions that it holds. A role
that is not a member of these roles, or does not own these extensions, could not restore them.
"""

from __future__ import annotations

import typing as t

from ..server.connection import Connection, fetch_all, quote_identifier

#: Schemas that hold what the connected role could not create again.
_PRESERVED = """
    SELECT n.nspname FROM pg_default_acl d JOIN pg_namespace n ON n.oid = d.defaclnamespace
    WHERE NOT pg_has_role(d.defaclrole, 'MEMBER') AND n.nspname = ANY (%(schemas)s)
    UNION
    SELECT n.nspname FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
    WHERE NOT pg_has_role(e.extowner, 'USAGE') AND n.nspname = ANY (%(schemas)s)
"""

#: Objects that are in a schema themselves, and not as a part of another object or of an extension.
_CONTENT = """
    SELECT i.type, i.identity
    FROM pg_depend d CROSS JOIN LATERAL pg_identify_object(d.classid, d.objid, 0) i
    WHERE d.refclassid = 'pg_namespace'::regclass AND d.refobjid = ANY (
            SELECT n.oid FROM pg_namespace n WHERE n.nspname = ANY (%s))
      AND d.deptype = 'n' AND d.objsubid = 0 AND d.classid <> 'pg_extension'::regclass
      AND NOT EXISTS (SELECT FROM pg_depend o WHERE o.classid = d.classid AND o.objid = d.objid AND o.objsubid = 0
                      AND o.deptype IN ('e', 'i', 'a', 'P', 'S'))
    ORDER BY 1, 2
"""
_DROPPED_AS = {"statistics object": "STATISTICS", "procedure": "ROUTINE", "function": "ROUTINE", "aggregate": "ROUTINE"}

_GRANTEES = """
    SELECT DISTINCT n.nspname, CASE a.grantee WHEN 0 THEN NULL ELSE pg_get_userbyid(a.grantee) END
    FROM pg_namespace n CROSS JOIN aclexplode(n.nspacl) a
    WHERE n.nspname = ANY (%s) AND a.grantee <> n.nspowner
    ORDER BY 1, 2
"""

#: Default privileges that act on what the connected role creates, or that the schema's set replaces.
_DEFAULT_GRANTS = """
    SELECT DISTINCT pg_get_userbyid(d.defaclrole), n.nspname, d.defaclobjtype::text,
           CASE a.grantee WHEN 0 THEN NULL ELSE pg_get_userbyid(a.grantee) END
    FROM pg_default_acl d JOIN pg_namespace n ON n.oid = d.defaclnamespace CROSS JOIN aclexplode(d.defaclacl) a
    WHERE n.nspname = ANY (%s) AND pg_has_role(d.defaclrole, 'MEMBER')
    ORDER BY 1, 2, 3, 4
"""
_KINDS = {"r": "TABLES", "S": "SEQUENCES", "f": "FUNCTIONS", "T": "TYPES"}


def preserved_schemas(conn: Connection, schemas: t.Collection[str]) -> t.Tuple[str, ...]:
    """Those of the schemas that must be emptied instead of dropped."""
    return tuple(sorted(row[0] for row in fetch_all(conn, _PRESERVED, {"schemas": list(schemas)})))


def emptying_statements(conn: Connection, schemas: t.Sequence[str]) -> t.List[str]:
    """SQL that drops the content of the schemas, and resets their grants to those of a new schema."""
    statements = [
        f"DROP {_DROPPED_AS.get(kind, kind.upper())} IF EXISTS {identity} CASCADE"
        for kind, identity in fetch_all(conn, _CONTENT, (list(schemas),))
    ]
    for schema, grantee in fetch_all(conn, _GRANTEES, (list(schemas),)):
        statements.append(f"REVOKE ALL ON SCHEMA {quote_identifier(schema)} FROM {_grantee(grantee)}")
    if "public" in schemas:
        statements.append(
            f"GRANT USAGE{'' if conn.server_version >= 150000 else ', CREATE'} ON SCHEMA public TO PUBLIC"
        )
    return statements


def default_privileges_reset(conn: Connection, schemas: t.Sequence[str]) -> t.List[str]:
    """SQL that takes back default privileges in the schemas: they would widen the grants of restored objects.

    The set's own default privileges are granted behind the last object.
    """
    return [
        f"ALTER DEFAULT PRIVILEGES FOR ROLE {quote_identifier(role)} IN SCHEMA {quote_identifier(schema)} "
        f"REVOKE ALL ON {_KINDS[kind]} FROM {_grantee(grantee)}"
        for role, schema, kind, grantee in fetch_all(conn, _DEFAULT_GRANTS, (list(schemas),))
    ]


def _grantee(name: t.Optional[str]) -> str:
    return "PUBLIC" if name is None else quote_identifier(name)
