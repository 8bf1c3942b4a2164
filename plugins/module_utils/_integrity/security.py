# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Row-level security and privileges as expected after a restore."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from .._core.errors import RecoveryError
from .._engines.postgresql.server.connection import Connection, fetch_all, fetch_value
from .._engines.postgresql.server.names import QualifiedName, parse_qualified_name
from .catalog import RELATIONS, SEQUENCES, TABLES, Scope, find_relation
from .check import Check, Context, NotThere
from .options import OptionReader
from .result import Finding

_RLS = """
SELECT n.nspname::text, c.relname::text, c.relrowsecurity, c.relforcerowsecurity,
  ARRAY(SELECT p.polname::text FROM pg_policy p WHERE p.polrelid = c.oid ORDER BY 1)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
"""

_OF_SCHEMAS = """
WHERE n.nspname = ANY (%s) AND c.relkind IN ('r', 'p')
  AND NOT EXISTS (SELECT FROM pg_depend d
                  WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
ORDER BY 1, 2
"""


@dataclass(frozen=True)
class RowSecurity(Check):
    """Row-level security of tables is as expected; partitions count, tables of extensions do not."""

    tables: t.Tuple[QualifiedName, ...]
    scope: Scope
    excluded: t.Tuple[QualifiedName, ...]
    enabled: bool
    forced: t.Optional[bool]
    policies: t.Tuple[str, ...]
    min_policies: t.Optional[int]

    @classmethod
    def read(cls, options: OptionReader) -> RowSecurity:
        check = cls(
            options.tables("tables"),
            Scope(options.texts("schemas")),
            options.tables("exclude_tables"),
            options.boolean("enabled", True),
            options.optional_boolean("forced"),
            options.texts("policies"),
            options.integer("min_policies"),
        )
        options.one_of("tables", "schemas")
        return check

    @property
    def subject(self) -> str:
        return ", ".join(map(str, self.tables)) or f"in {self.scope}"

    def run(self, context: Context) -> Finding:
        rows = self._rows(context.connection)
        if not rows:
            raise NotThere(f"There is no table {self.subject}.")
        problems = [
            {"table": str(QualifiedName(*row[:2])), "problem": problem}
            for row in rows
            for problem in self._problems(*row[2:])
        ]
        wrong = list(dict.fromkeys(problem["table"] for problem in problems))
        if problems:
            named = "; ".join(f"{problem['table']}: {problem['problem']}" for problem in problems[:_NAMED])
            further = f"; and {len(problems) - _NAMED} more" if len(problems) > _NAMED else ""
            message = f"Row-level security is not as expected on {len(wrong)} of {len(rows)} tables ({named}{further})."
        else:
            message = f"Row-level security is as expected on {len(rows)} table{'' if len(rows) == 1 else 's'}."
        # Names of tables and policies are no rows, so every one is returned.
        return Finding(not problems, self._expected(), problems, message)

    def _rows(self, conn: Connection) -> t.List[t.Tuple[t.Any, ...]]:
        if not self.tables:
            found = fetch_all(conn, _RLS + _OF_SCHEMAS, [self.scope.resolve(conn)])
            return [row for row in found if QualifiedName(*row[:2]) not in self.excluded]
        oids = [find_relation(conn, name, TABLES).oid for name in self.tables]
        return fetch_all(conn, f"{_RLS} WHERE c.oid = ANY (%s::oid[]) ORDER BY 1, 2", [oids])

    def _expected(self) -> t.Dict[str, t.Any]:
        wanted = {
            "enabled": self.enabled,
            "forced": self.forced,
            "policies": list(self.policies) or None,
            "min_policies": self.min_policies,
        }
        return {key: value for key, value in wanted.items() if value is not None}

    def _problems(self, enabled: bool, forced: bool, policies: t.Sequence[str]) -> t.Iterator[str]:
        if enabled != self.enabled:
            yield "it is enabled" if enabled else "it is not enabled"
        if self.forced is not None and forced != self.forced:
            yield "it is forced" if forced else "it is not forced"
        missing = [name for name in self.policies if name not in policies]
        if missing:
            yield f"missing policies: {', '.join(missing)}"
        if self.min_policies is not None and len(policies) < self.min_policies:
            yield f"{len(policies)} policies instead of at least {self.min_policies}"


_NAMED = 10

#: Kind of object to its function and to the privileges it knows.
#: https://www.postgresql.org/docs/current/functions-info.html#FUNCTIONS-INFO-ACCESS
_PRIVILEGES = {
    "table": ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER", "MAINTAIN"),
    "sequence": ("USAGE", "SELECT", "UPDATE"),
    "schema": ("USAGE", "CREATE"),
    "function": ("EXECUTE",),
    "database": ("CONNECT", "CREATE", "TEMPORARY"),
}

_ALL_IN_SCHEMA = """
SELECT c.oid, n.nspname::text, c.relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = %s AND c.relkind = ANY (%s) ORDER BY 3
"""


@dataclass(frozen=True)
class Grants(Check):
    """A role has, or must not have, privileges on objects; privileges through other roles count."""

    role: str
    privileges: t.Tuple[str, ...]
    kind: str
    objects: t.Tuple[str, ...]
    granted: bool

    @classmethod
    def read(cls, options: OptionReader) -> Grants:
        kind = options.enum("object_type", tuple(_PRIVILEGES), "table")
        privileges = tuple(text.upper() for text in options.required_texts("privileges"))
        unknown = [name for name in privileges if name not in _PRIVILEGES[kind]]
        if unknown:
            known = ", ".join(_PRIVILEGES[kind])
            options.mistake(f"privileges: a {kind} has no {', '.join(unknown)}, only {known}")
        objects = options.required_texts("objects")
        if kind in ("table", "sequence"):
            for text in objects:
                try:
                    parse_qualified_name(text)
                except RecoveryError as error:
                    options.mistake(f"objects: {error.what.rstrip('.')}")
        return cls(options.text("role"), privileges, kind, objects, options.boolean("granted", True))

    @property
    def subject(self) -> str:
        return f"{self.role} on {self.kind} {', '.join(self.objects)}"

    def run(self, context: Context) -> Finding:
        conn = context.connection
        if self.role != "public" and not fetch_value(conn, "SELECT 1 FROM pg_roles WHERE rolname = %s", [self.role]):
            raise NotThere(f"The role {self.role} does not exist.")
        targets = [target for text in self.objects for target in self._targets(conn, text)]
        ask = f"SELECT has_{self.kind}_privilege(%s::name, %s::oid, %s)"
        wrong = [
            {"object": label, "privilege": privilege, "granted": not self.granted}
            for oid, label in targets
            for privilege in self.privileges
            if fetch_value(conn, ask, [self.role, oid, privilege]) is not self.granted
        ]
        listed = ", ".join(f"{item['privilege']} on {item['object']}" for item in wrong)
        verb = "lacks" if self.granted else "has, and should not have,"
        message = f"The role {self.role} {verb} {listed}."
        if not wrong:
            message = f"The privileges of the role {self.role} are as expected."
        expected = {"privileges": list(self.privileges), "granted": self.granted}
        return Finding(not wrong, expected, wrong, message)

    def _targets(self, conn: Connection, text: str) -> t.List[t.Tuple[int, str]]:
        """The oid and the readable name of one entry of objects. Raises NotThere."""
        if self.kind in ("table", "sequence"):
            name = parse_qualified_name(text)
            kinds = RELATIONS if self.kind == "table" else SEQUENCES
            if name.name != "*":
                return [(find_relation(conn, name, kinds).oid, str(name))]
            found = fetch_all(conn, _ALL_IN_SCHEMA, [name.schema, list(kinds)])
            if not found:
                raise NotThere(f"The schema {name.schema} has no {self.kind}.")
            return [(row[0], str(QualifiedName(*row[1:]))) for row in found]
        oid = fetch_value(conn, _OID_OF[self.kind], [text])
        if oid is None:
            raise NotThere(f"The {self.kind} {text} does not exist.")
        return [(oid, text)]


_OID_OF = {
    "schema": "SELECT oid FROM pg_namespace WHERE nspname = %s",
    "database": "SELECT oid FROM pg_database WHERE datname = %s",
    "function": "SELECT to_regprocedure(%s)::oid",
}
