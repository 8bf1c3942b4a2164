# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Neutralizes a copy of a database, and restores the state before: the state is stored before the first change."""

from __future__ import annotations

import typing as t

from ...._core.errors import ErrorKind, RecoveryError, guaranteed
from ...._core.sizes import counted, first_of
from ...._repository.change import Change, ChangePlan, Outcome, Unchanged
from ...._store.base import ObjectStore
from ..server.catalog import server_facts
from ..server.connection import Connection, connection, fetch_value
from ..server.transaction import transaction
from .actors import Actor
from .neutralization import Neutralization, run_for
from .original import require_copy
from .request import Neutralized, NeutralizeRequest, NeutralizeResult, NeutralRules
from .state import NEUTRALIZED, RESTORED, Former, NeutralLog, merged

_OID = "SELECT oid FROM pg_database WHERE datname = current_database()"
#: Names in a summary.
_SHOWN = 5


class _OfCopy(Change[NeutralizeResult]):
    """The parts that both directions have."""

    records_unchanged = False
    state: str

    def __init__(self, request: NeutralizeRequest, store: ObjectStore) -> None:
        super().__init__(request.safeguards, store, request.source)
        self._request, self._states = request, store
        self._conn: t.Optional[Connection] = None
        self._database = request.connection.database
        self._found: t.Sequence[Neutralized] = ()
        self._restored: t.Sequence[str] = ()
        self._differences: t.List[str] = []

    def _open(self, rules: NeutralRules) -> None:
        """Connect, and read the objects and the stored states."""
        request = self._request
        request.require_valid()
        conn = self._conn = self.resources.enter_context(
            connection(request.connection, application="lifeline.recovery neutralize")
        )
        facts = server_facts(conn)
        self._server, self._database = facts.system_identifier, facts.database
        if self.state == NEUTRALIZED:
            require_copy(conn, request.connection, request.source, self.store, request.original)
        self._log = NeutralLog(self._states, request.source, self._server, int(fetch_value(conn, _OID)))
        self._stored = self._log.neutralized()
        self._objects = Neutralization(conn, rules, lock_timeout=request.lock_timeout)

    def _plan(self, statements: t.Sequence[str], *, destroys: bool, changes: bool) -> ChangePlan:
        self.details = {"database": self._database, "objects": [f"{one.kind} {one.name}" for one in self._found]}
        facts = {"server": self._server, "database": self._database, "state": self.state, "statements": statements}
        return ChangePlan(facts, self._database, destroys=destroys, does="changes rows of the copy", changes=changes)

    def result(self, outcome: Outcome) -> NeutralizeResult:
        return NeutralizeResult(
            **vars(outcome),
            state=self.state,
            database=self._database,
            neutralized=self._found,
            restored=self._restored,
            listed=[vars(one) for one in self._objects.listed],
            differences=self._differences,
            summary=self._summary(outcome),
            timings=self.timings.as_dict(),
        )

    def _summary(self, outcome: Outcome) -> str:
        if outcome.unchanged is not None:
            return outcome.unchanged.reason
        names = [f"{one.kind.replace('_', ' ')} {one.name}" for one in self._found] or list(self._restored)
        verb = {NEUTRALIZED: ("Neutralized", "Would neutralize"), RESTORED: ("Restored", "Would restore")}[self.state]
        objects = f"{counted(len(names), 'object')}: {first_of(names, _SHOWN)}" if names else "no object"
        return f"{verb[not self.safeguards.acts]} the database {self._database}, {objects}."


class Neutralize(_OfCopy):
    """Disables what acts outside a copy, in one transaction.

    Raises RecoveryError: invalid_options, conflict for the live database, no_identity, access_denied, locked,
    table_missing, roles_missing, query_failed, check_failed, damaged, and those of connection and store.
    """

    operation = "neutralize"
    state = NEUTRALIZED

    def plan(self) -> ChangePlan:
        rules = self._request.rules
        with self.timings.phase("plan"):
            self._open(rules)
        self._found = self._objects.found
        statements = [sql for one in self._objects.acting for sql in one.off]
        statements += [one.statement for one in self._objects.works]
        return self._plan(statements, destroys=rules.changes_rows and bool(statements), changes=bool(statements))

    def keep_undo(self) -> t.Mapping[str, t.Any]:
        """Store the states before, unless a former run has stored them."""
        formers = merged(self._stored, self._objects.acting)
        if formers != self._stored:
            self._log.write(NEUTRALIZED, formers)
        return {"state": RESTORED}

    def act(self) -> None:
        with self.timings.phase("neutralize"):
            self._objects.run()

    def put_back(self, error: RecoveryError) -> RecoveryError:
        return error.restated(left=f"The objects of the database {self._database} are unchanged.")

    def why_unchanged(self) -> Unchanged:
        return Unchanged(
            f"The database {self._database} has nothing active that acts outside it.", "Nothing is left to do."
        )


class RestoreActors(_OfCopy):
    """Restores the states before. Objects that were changed since are left, and listed as differences."""

    operation = "restore_neutralized"
    state = RESTORED

    def plan(self) -> ChangePlan:
        with self.timings.phase("plan"):
            self._open(NeutralRules())
            self._waiting = list(self._waiting_actors())
        self._restored = [one.name for one, _before in self._waiting]
        statements = [sql for one, before in self._waiting for sql in one.on(before)]
        # A state is closed also if nothing is left to restore.
        return self._plan(statements, destroys=False, changes=self._stored is not None)

    def _waiting_actors(self) -> t.Iterator[t.Tuple[Actor, t.Mapping[str, t.Any]]]:
        found = {(one.kind, one.key): one for one in self._objects.actors}
        for former in self._stored or ():
            actor, shown = found.get((former.kind, former.key)), f"{former.kind.replace('_', ' ')} {former.name}"
            if actor is None or not actor.restorable:
                self._differences.append(_why_not_restored(former, shown))
            elif actor.state != former.before:
                if actor.acts:
                    self._differences.append(f"The {shown} was enabled since, and stays unchanged.")
                else:
                    yield actor, former.before

    def act(self) -> None:
        with self.timings.phase("restore"):
            statements = [(one, statement) for one, before in self._waiting for statement in one.on(before)]
            conn = guaranteed(self._conn)
            with transaction(conn, lock_timeout=self._request.lock_timeout):
                run_for(conn, statements, "enable")

    def verify(self) -> None:
        """Read the objects again. Raises RecoveryError(check_failed)."""
        objects = Neutralization(guaranteed(self._conn), NeutralRules(), lock_timeout=self._request.lock_timeout)
        now = {(one.kind, one.key): one.state for one in objects.actors}
        for one, before in self._waiting:
            if now.get((one.kind, one.key)) != before:
                raise RecoveryError(
                    ErrorKind.CHECK_FAILED,
                    f"The {one.kind.replace('_', ' ')} {one.name} does not have its state before.",
                    next_step="Run it again when no other session changes the object.",
                )

    def settle(self) -> t.Mapping[str, t.Any]:
        self._log.write(RESTORED, self._stored or ())
        return {}

    def put_back(self, error: RecoveryError) -> RecoveryError:
        return error.restated(left=f"The states before are stored in {self._log.location}.")

    def why_unchanged(self) -> Unchanged:
        return Unchanged(f"The database {self._database} is not neutralized.", "Nothing is left to do.")


def _why_not_restored(former: Former, shown: str) -> str:
    if former.kind == "user_mapping":
        return f"The passwords of the {shown} are not stored: set {', '.join(former.before.get('secrets', ()))} again."
    return f"The {shown} no longer exists."
