# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs statements of the operator in one transaction, each with the rights of a role."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from ...._core.errors import ErrorKind, RecoveryError, guaranteed
from ...._core.options import FAMILY, INTERNAL, SUBOPTIONS
from ...._core.sizes import counted, first_of
from ...._repository.change import Change, ChangePlan, Outcome, Safeguards, Unchanged
from ...._store.base import ObjectStore
from ..server.catalog import server_facts
from ..server.connection import Connection, ConnectionOptions, connection
from ..server.transaction import transaction
from .request import NeutralRules, Statement
from .rows import Work, works_of


@dataclass(frozen=True)
class ExecuteRequest:
    """connection leads to the database."""

    connection: ConnectionOptions = field(metadata=INTERNAL)
    statements: t.Tuple[Statement, ...] = field(default=(), metadata=SUBOPTIONS)
    source: t.Optional[str] = None
    lock_timeout: float = 30
    safeguards: Safeguards = field(default_factory=Safeguards, metadata=FAMILY)


@dataclass(frozen=True)
class ExecuteResult(Outcome):
    """statements: the names of those that ran, in check mode of those that would run."""

    database: str
    statements: t.Sequence[str]
    summary: str
    timings: t.Mapping[str, float]


class Execute(Change[ExecuteResult]):
    """Raises RecoveryError: roles_missing, access_denied, locked, query_failed, check_failed."""

    operation = "execute"
    records_unchanged = False

    def __init__(self, request: ExecuteRequest, store: t.Optional[ObjectStore]) -> None:
        super().__init__(request.safeguards, store, request.source)
        self._request, self._rules = request, NeutralRules(statements=request.statements)
        self._conn: t.Optional[Connection] = None
        self._works: t.Sequence[Work] = ()
        self._database = request.connection.database

    def plan(self) -> ChangePlan:
        request = self._request
        with self.timings.phase("plan"):
            conn = self._conn = self.resources.enter_context(connection(request.connection))
            facts = server_facts(conn)
            self._database = facts.database
            with transaction(conn, lock_timeout=request.lock_timeout, commit=False):
                self._works = works_of(conn, self._rules)
        self.details = {"database": self._database, "statements": self._names}
        statements = [[one.statement, one.role] for one in self._works]
        return ChangePlan(
            {"server": facts.system_identifier, "database": self._database, "statements": statements},
            self._database,
            destroys=True,
            does="runs statements in the database",
            changes=bool(statements),
        )

    @property
    def _names(self) -> t.List[str]:
        return [one.name for one in self._works]

    def act(self) -> None:
        """Run the statements, and prove that each with a query has had its effect."""
        conn = guaranteed(self._conn)
        with self.timings.phase("execute"), transaction(conn, lock_timeout=self._request.lock_timeout):
            for work in self._works:
                work.run(conn)
            left = [one.name for one in works_of(conn, self._rules) if one.is_provable]
            if left:
                raise RecoveryError(
                    ErrorKind.CHECK_FAILED,
                    f"The query `only_if` of the statement {left[0]} still returns a row.",
                    next_step="Correct the statement or the query.",
                )

    def why_unchanged(self) -> Unchanged:
        return Unchanged("No statement is necessary.", "Nothing is left to do.")

    def result(self, outcome: Outcome) -> ExecuteResult:
        verb = "Ran" if self.safeguards.acts else "Would run"
        names = self._names
        summary = f"{verb} {counted(len(names), 'statement')} in the database {self._database}: {first_of(names, 5)}."
        if outcome.unchanged is not None:
            summary = outcome.unchanged.reason
        return ExecuteResult(
            **vars(outcome), database=self._database, statements=names, summary=summary, timings=self.timings.as_dict()
        )
