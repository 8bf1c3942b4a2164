# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rows of settings and statements of the operator, which run with the rights of the owner or of a named role."""

from __future__ import annotations

import json
import typing as t
from dataclasses import dataclass, field

from ...._core.errors import ErrorKind, RecoveryError
from ..server.confined import Confined, drop_role, run, writing_role
from ..server.connection import Connection, fetch_all, fetch_value, quote_identifier, quote_literal
from ..server.driver import psycopg2
from ..server.names import parse_qualified_name
from ..server.refusals import query_error
from .request import NeutralRules, Setting, Statement

_LEFT = "Nothing was changed in the database."

_TABLE = """
    SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = %s AND c.relname = %s AND c.relkind IN ('r', 'p')
"""
_ROLE = "SELECT rolname = current_user FROM pg_roles WHERE rolname = %s"


@dataclass(frozen=True)
class Work:
    """A statement that changes rows. role: the role that it runs as; None for a role that owns the table.

    is_provable: whether a query shows that the statement is still to run.
    """

    kind: str
    name: str
    before: t.Mapping[str, t.Any]
    is_provable: bool
    statement: str = field(repr=False)
    table: t.Optional[int] = None
    role: t.Optional[str] = None

    def run(self, conn: Connection) -> None:
        _run(conn, self, self.statement)


def works_of(conn: Connection, rules: NeutralRules) -> t.List[Work]:
    """The settings and statements that are still to run, read in the open transaction."""
    found = [work for one in rules.settings for work in _work_of_setting(conn, one)]
    return found + [work for one in rules.statements for work in _work_of_statement(conn, one)]


def confined(conn: Connection, role: t.Optional[str]) -> t.Any:
    """The session whose statements have the rights of a role; the connection itself without one."""
    return conn if role is None else Confined(conn, role)


def _work_of_setting(conn: Connection, setting: Setting) -> t.Iterator[Work]:
    name = parse_qualified_name(setting.table)
    oid = fetch_value(conn, _TABLE, tuple(name))
    if oid is None:
        raise RecoveryError(
            ErrorKind.TABLE_MISSING,
            f"The table {name} of `settings` does not exist.",
            left=_LEFT,
            next_step="Correct the name of the table.",
        )
    conditions = [
        f"{quote_identifier(column)} IS NULL" if value is None else f"{quote_identifier(column)} = {_literal(value)}"
        for column, value in setting.where.items()
    ]
    different = " OR ".join(
        f"{quote_identifier(column)} IS DISTINCT FROM {_literal(value)}" for column, value in setting.set.items()
    )
    where = " AND ".join([*conditions, f"({different})"])
    values = ", ".join(f"{quote_identifier(column)} = {_literal(value)}" for column, value in setting.set.items())
    update = f"UPDATE {name.quoted} SET {values} WHERE {where}"
    work = Work("setting", str(name), {"columns": sorted(setting.set)}, True, update, int(oid))
    rows = _run(conn, work, f"SELECT 1 FROM {name.quoted} WHERE {where}")
    if rows:
        yield Work(work.kind, work.name, {**work.before, "rows": rows}, True, update, work.table)


def _work_of_statement(conn: Connection, statement: Statement) -> t.Iterator[Work]:
    known = fetch_all(conn, _ROLE, (statement.role,))
    if not known:
        raise RecoveryError(
            ErrorKind.ROLES_MISSING,
            f"The role {statement.role} of the statement {statement.name} does not exist.",
            left=_LEFT,
            next_step="Create the role, or set another `role`.",
        )
    work = Work("statement", statement.name, {}, bool(statement.only_if), statement.sql, role=statement.role)
    if not statement.only_if or _run(conn, work, statement.only_if):
        yield work


def _run(conn: Connection, work: Work, statement: str) -> int:
    role = work.role if work.table is None else writing_role(conn, [work.table])
    try:
        number = run(confined(conn, role), statement)
        if work.table is not None:
            drop_role(conn, role)
    except psycopg2.Error as error:
        raise query_error(
            error, left=_LEFT, subject=f"the {work.kind} {work.name}", next_step=f"Correct the {work.kind}."
        ) from None
    return number


def _literal(value: t.Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return "'true'" if value else "'false'"
    return quote_literal(json.dumps(value) if isinstance(value, (dict, list)) else str(value))
