# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The catalogs about the safeguards of versions: what exists, who owns it, and who can remove it."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from .._core.errors import ErrorKind, RecoveryError
from .._engines.postgresql.server.connection import Connection, fetch_all, fetch_value, quote_identifier
from .._engines.postgresql.server.names import QualifiedName
from .safeguard_sql import (
    GUARD,
    KEEPER,
    MARK,
    REQUIREMENT,
    SCHEMA,
    TRUNCATE_GUARD,
    Function,
    Trigger,
    suffix_of,
)
from .tables import Table

_OWNER = """
SELECT r.rolname::text, c.relkind = 'p',
  c.relforcerowsecurity AND c.relrowsecurity AND NOT (r.rolbypassrls OR r.rolsuper),
  r.rolname = current_user, pg_has_role(r.oid, '{right}')
FROM pg_class c JOIN pg_roles r ON r.oid = c.relowner WHERE c.oid = %s
"""

_SCHEMA = "SELECT coalesce(obj_description(n.oid, 'pg_namespace'), '') FROM pg_namespace n WHERE n.nspname = %s"

#: acl: whether PUBLIC may make triggers of the function, which it may without a list of rights.
_FUNCTIONS = """
SELECT p.proname::text, p.prosrc, p.prosecdef, coalesce(array_to_string(p.proconfig, ','), ''), r.rolname::text,
  p.proacl IS NULL OR EXISTS (SELECT FROM aclexplode(p.proacl) a WHERE a.grantee = 0)
FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_roles r ON r.oid = p.proowner
WHERE n.nspname = %s ORDER BY 1
"""

_TRIGGERS = """
SELECT g.tgrelid::bigint, g.tgname::text, n.nspname::text, p.proname::text, g.tgtype::int, g.tgenabled::text,
  g.tgdeferrable AND g.tginitdeferred, g.tgqual IS NULL AND array_length(g.tgattr::int[], 1) IS NULL
FROM pg_trigger g JOIN pg_proc p ON p.oid = g.tgfoid JOIN pg_namespace n ON n.oid = p.pronamespace
WHERE g.tgrelid = ANY (%s) AND NOT g.tgisinternal AND g.tgname = ANY (%s)
"""

#: Indexes that make the pair of document and version unique, and that ON CONFLICT can use.
_UNIQUE = """
SELECT EXISTS (
  SELECT FROM pg_index i
  WHERE i.indrelid = %(table)s AND i.indisunique AND i.indisvalid AND i.indimmediate AND i.indpred IS NULL
    AND i.indexprs IS NULL AND i.indnkeyatts = 2
    AND (SELECT array_agg(a.attname::text ORDER BY a.attname::text) FROM pg_attribute a
         WHERE a.attrelid = i.indrelid AND a.attnum = ANY ((i.indkey::int[])[0:1])) = %(columns)s::text[]
)
"""

_CONSTRAINT = """
SELECT c.conname::text FROM pg_constraint c
WHERE c.conrelid = %s AND c.contype = 'u' AND obj_description(c.oid, 'pg_constraint') = %s
"""

_REMOVERS = """
SELECT r.rolname::text FROM pg_roles r
WHERE r.rolcanlogin AND (r.rolsuper OR pg_has_role(r.oid, %s::name, 'MEMBER')) ORDER BY 1
"""


@dataclass(frozen=True)
class Owner:
    """The owner of both tables. acts_as: the role that this session must set to change them; None for its own."""

    name: str
    acts_as: t.Optional[str]


def owner_of(conn: Connection, tables: t.Sequence[Table], *, super_session: bool) -> Owner:
    """Raises RecoveryError: unsupported for partitions, two owners, or an owner whom row security of the table holds;
    access_denied for a session that may not act for the owner.
    """
    right = "SET" if conn.server_version >= 160000 else "MEMBER"
    found = {}
    for table in tables:
        ((name, is_partitioned, is_held, is_own, may),) = fetch_all(conn, _OWNER.format(right=right), (table.oid,))
        if is_partitioned:
            raise RecoveryError(
                ErrorKind.UNSUPPORTED,
                f"The table {table.name} is partitioned: statements on its partitions would not be refused.",
                next_step="Revoke UPDATE, DELETE and TRUNCATE on the partitions.",
            )
        if is_held:
            raise RecoveryError(
                ErrorKind.UNSUPPORTED,
                f"The table {table.name} has FORCE ROW LEVEL SECURITY, which also applies to its owner {name}.",
                next_step=f"Run ALTER TABLE {table.name.quoted} NO FORCE ROW LEVEL SECURITY, or give {name} BYPASSRLS.",
            )
        found[name] = (is_own, may)
    if len(found) > 1:
        raise RecoveryError(
            ErrorKind.UNSUPPORTED,
            f"The tables of versions and documents must have one owner, got {' and '.join(sorted(found))}.",
            next_step="Give both tables the same owner.",
        )
    name = next(iter(found))
    is_own, may = found[name]
    if not (super_session or is_own or may):
        raise RecoveryError(
            ErrorKind.ACCESS_DENIED,
            f"The role of this session may not act for {name}, the owner of {tables[0].name}.",
            next_step=f"Connect as {name}, as a member of {name}, or as a superuser.",
        )
    return Owner(name, None if super_session or is_own else name)


class Found:
    """The safeguards of a table of versions that exist, as far as this collection made them.

    Raises RecoveryError(conflict) for a schema or a trigger of the same name that another program made.
    """

    def __init__(self, conn: Connection, versions: Table, metadata: t.Optional[Table]) -> None:
        comments = [row[0] for row in fetch_all(conn, _SCHEMA, (SCHEMA,))]
        if comments and comments[0] != MARK:
            raise RecoveryError(
                ErrorKind.CONFLICT,
                f"The schema {SCHEMA} exists and was not made by lifeline.recovery.",
                next_step=f"Rename the schema {SCHEMA}.",
            )
        self.has_schema = bool(comments)
        self.functions = {row[0]: tuple(row[1:]) for row in fetch_all(conn, _FUNCTIONS, (SCHEMA,))}
        self._tables = {table.oid: table for table in (versions, metadata) if table is not None}
        rows = fetch_all(conn, _TRIGGERS, (list(self._tables), [GUARD, TRUNCATE_GUARD, KEEPER, REQUIREMENT]))
        self.triggers: t.Dict[t.Tuple[int, str], t.Tuple[t.Any, ...]] = {}
        for oid, name, schema, *facts in rows:
            if schema != SCHEMA:
                raise RecoveryError(
                    ErrorKind.CONFLICT,
                    f"The table {self._tables[oid].name} has a trigger {name} that was not made by lifeline.recovery.",
                    next_step="Rename the trigger.",
                )
            self.triggers[(oid, name)] = tuple(facts)
        self._suffix = suffix_of(versions.name)
        columns = [versions[name].replace("%%", "%")[1:-1].replace('""', '"') for name in ("document", "version")]
        given = {"table": versions.oid, "columns": sorted(columns)}
        self.is_unique = bool(fetch_value(conn, _UNIQUE, given))
        self.constraint = fetch_value(conn, _CONSTRAINT, (versions.oid, MARK))

    def own_functions(self) -> t.List[str]:
        """The names of the functions of this table of versions."""
        return [name for name in self.functions if name.endswith(f"_{self._suffix}")]

    def has_function(self, wanted: Function, owner: str) -> bool:
        path = "search_path=pg_catalog, pg_temp"
        return self.functions.get(wanted.name) == (wanted.body, wanted.definer, path, owner, False)

    def has_trigger(self, wanted: Trigger) -> bool:
        enabled = "A" if wanted.always else "O"
        expected = (wanted.function.name, wanted.kind, enabled, wanted.deferred, True)
        return self.triggers.get((wanted.table.oid, wanted.name)) == expected

    def drop(self, key: t.Tuple[int, str]) -> str:
        oid, name = key
        return f"DROP TRIGGER {name} ON {self._tables[oid].name.quoted}"


def removers(conn: Connection, owner: str) -> t.List[str]:
    """Logins that can remove the safeguards: superusers, the owner of the table and its members."""
    return [str(row[0]) for row in fetch_all(conn, _REMOVERS, (owner,))]


def constraint_name(versions: QualifiedName) -> str:
    return quote_identifier(f"lifeline_versions_{suffix_of(versions)}_key")
