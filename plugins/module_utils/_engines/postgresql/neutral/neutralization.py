# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Disables what acts outside a database, in one transaction that is proved before its commit."""

from __future__ import annotations

import typing as t

from ...._core.errors import ErrorKind, RecoveryError
from ..server.confined import drop_role, is_superuser, run, writing_role
from ..server.connection import Connection, ConnectionOptions, connection, fetch_value
from ..server.driver import psycopg2
from ..server.refusals import NO_RIGHT, query_error
from ..server.transaction import transaction
from .actors import Actor, Listed, hidden_jobs, read_actors, read_jobs
from .functions import outbound_functions
from .listed import CRON_DATABASE, read_listed
from .request import Neutralized, NeutralRules
from .rows import Work, confined, works_of

_LEFT = "Nothing was changed in the database."


class Neutralization:
    """The objects that act outside a database.

    Raises RecoveryError: access_denied, locked, table_missing, roles_missing, query_failed.
    """

    def __init__(self, conn: Connection, rules: NeutralRules, *, lock_timeout: float) -> None:
        self._conn, self._rules, self._lock_timeout = conn, rules, lock_timeout
        self.actors: t.Sequence[Actor] = ()
        self.listed: t.Sequence[Listed] = ()
        self.works: t.Sequence[Work] = ()
        with transaction(conn, lock_timeout=lock_timeout, commit=False):
            self._read()
            self.works = works_of(conn, rules)

    def _read(self) -> None:
        conn = self._conn
        functions = outbound_functions(conn)
        self.actors, of_views = read_actors(conn, functions, drop_passwords=self._rules.drop_passwords)
        self.listed = [*of_views, *hidden_jobs(conn), *read_listed(conn, functions)]

    @property
    def acting(self) -> t.List[Actor]:
        return [one for one in self.actors if one.acts]

    @property
    def found(self) -> t.List[Neutralized]:
        """The objects that are disabled, and the changes of rows."""
        return [neutralized(one) for one in self.acting] + [
            Neutralized(one.kind, one.name, one.before) for one in self.works
        ]

    def run(self) -> None:
        """Disable everything. Raises RecoveryError(check_failed) if something still acts; nothing is changed then."""
        statements = [(one, statement) for one in self.acting for statement in one.off]
        with transaction(self._conn, lock_timeout=self._lock_timeout):
            run_for(self._conn, statements, "disable")
            for work in self.works:
                work.run(self._conn)
            self._read()
            left = [f"{one.kind.replace('_', ' ')} {one.name}" for one in self.acting]
            left += [f"{one.kind} {one.name}" for one in works_of(self._conn, self._rules) if one.is_provable]
            if left:
                raise RecoveryError(
                    ErrorKind.CHECK_FAILED,
                    f"The {left[0]} was not neutralized by its statement.",
                    left=_LEFT,
                    next_step="Correct the statement, or neutralize it by hand.",
                )


def run_for(conn: Connection, statements: t.Iterable[t.Tuple[Actor, str]], verb: str) -> None:
    """Run the statements of actors in the open transaction. Raises RecoveryError."""
    for actor, statement in statements:
        try:
            _run(conn, actor, statement)
        except psycopg2.Error as error:
            kind = actor.kind.replace("_", " ")
            raise query_error(
                error,
                left=_LEFT,
                subject=f"to {verb} the {kind} {actor.name}",
                steps={NO_RIGHT: f"Connect as the owner of the {kind} or as a superuser."},
            ) from None


def _run(conn: Connection, actor: Actor, statement: str) -> None:
    if actor.way == "owner":
        role = writing_role(conn, [t.cast(int, actor.table)])
        run(confined(conn, role), statement)
        drop_role(conn, role)
        return
    # The scheduler reads its table again because a trigger of pg_cron fires, whose library must be loaded.
    fires = actor.way == "cron" and is_superuser(conn) and fetch_value(conn, CRON_DATABASE) is not None
    former = fetch_value(conn, "SELECT current_setting('session_replication_role')")
    if fires:
        run(conn, "SET LOCAL session_replication_role = origin")
    run(conn, statement)
    if fires:
        run(conn, f"SET LOCAL session_replication_role = {former}")


def deactivate_jobs(conn: Connection) -> t.List[Neutralized]:
    """Deactivate the jobs of pg_cron in the open transaction, so that the scheduler does not see them active."""
    jobs = [one for one in read_jobs(conn) if one.acts]
    run_for(conn, [(one, statement) for one in jobs for statement in one.off], "disable")
    return [neutralized(one) for one in jobs]


def neutralized(actor: Actor) -> Neutralized:
    return Neutralized(actor.kind, actor.name, actor.state, actor.reason)


def neutralize_copy(
    options: ConnectionOptions, rules: NeutralRules, *, lock_timeout: float, left: str
) -> t.List[Neutralized]:
    """Disable the objects of a copy that was just restored. left: for errors."""
    rules.require_valid()
    try:
        with connection(options, application="lifeline.recovery neutralize") as conn:
            objects = Neutralization(conn, rules, lock_timeout=lock_timeout)
            found = objects.found
            if found:
                objects.run()
            return found
    except RecoveryError as error:
        raise error.restated(left=left) from None
