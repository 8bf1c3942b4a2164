# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs the statements of a script in a session of its own, and changes the ledger in the same transaction."""

from __future__ import annotations

import contextlib
import typing as t
from dataclasses import dataclass

from .._core.errors import ErrorKind, RecoveryError
from .._engines.postgresql.foreign.run_script import interruptible, plain_session
from .._engines.postgresql.server.connection import Connection, ConnectionOptions, connection, fetch_all, fetch_value
from .._engines.postgresql.server.driver import psycopg2
from .._engines.postgresql.server.names import QualifiedName
from .._engines.postgresql.server.refusals import NO_LOCK, query_error
from .._engines.postgresql.server.work_lock import lock_work
from .ledger import Ledger
from .script import Script, Step

WORK = "migration"

#: RESET ALL leaves the role of the session.
_RESET = "RESET SESSION AUTHORIZATION; RESET ROLE; RESET ALL"
#: Deferred constraints and triggers run with the settings of the file, the ledger is written with those of the session.
_ENDED = f"SET CONSTRAINTS ALL IMMEDIATE; {_RESET}"
#: INSERTs of constants travel together up to this many characters, because each statement costs a round trip.
_BATCH = 64 * 1024
_BROKEN_INDEXES = """
SELECT pg_catalog.format('%I.%I', n.nspname, c.relname)
FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) i.indexrelid
JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
WHERE NOT i.indisvalid ORDER BY 1
"""

#: Changes the ledger within the transaction of the script.
Recorder = t.Callable[[Connection], None]


@dataclass(frozen=True)
class Runner:
    """Runs scripts against one database. lock_timeout: seconds that a statement waits for a lock; 0 is without a limit.

    Each script has a session of its own, because a script may change everything of its session: settings, roles,
    temporary tables, locks.
    """

    options: ConnectionOptions
    ledger: Ledger
    lock_timeout: float

    @contextlib.contextmanager
    def alone(self) -> t.Iterator[t.Tuple[str, ...]]:
        """Keep other runs out; notes for the operator. Raises RecoveryError(locked)."""
        with connection(self.options, application=f"lifeline.recovery {WORK}") as conn:
            yield lock_work(conn, WORK, str(self.ledger.name), _running)

    def run(self, script: Script, known: t.Collection[str], recorder: Recorder, *, transaction: bool) -> None:
        """Run a script and change the ledger, which must have exactly the known versions.

        Raises RecoveryError: migration_failed, locked, access_denied, conflict, unreachable. A script with a
        transaction leaves nothing behind then; the error of another names the statements that stay in effect.
        """
        with contextlib.closing(plain_session(self.options, f"lifeline.recovery {WORK} of {script.file[:20]}")) as conn:
            work = _Run(conn, self.ledger, script, self.lock_timeout, frozenset(known), recorder)
            interruptible(conn, work.at_once if transaction else work.one_by_one)


class _Run:
    def __init__(
        self,
        conn: Connection,
        ledger: Ledger,
        script: Script,
        lock_timeout: float,
        known: t.FrozenSet[str],
        recorder: Recorder,
    ) -> None:
        self._conn, self._ledger, self._script = conn, ledger, script
        self._lock_timeout, self._known, self._recorder = lock_timeout, known, recorder
        self._cursor = conn.cursor()

    def at_once(self) -> None:
        """The script and the ledger in one transaction."""
        left = f"Nothing of {self._script.file} is in the database."
        with self._refusals("the beginning of the migration", left):
            self._begin()
            self._claim()
        for batch in _batches(self._script.steps):
            self._batch(batch, left)
        with self._refusals("a deferred constraint or trigger", left):
            self._execute(_ENDED)
        with self._refusals("the row of the ledger", left):
            self._recorder(self._conn)
        with self._refusals("the commit", left):
            self._execute("COMMIT")

    def one_by_one(self) -> None:
        """Each statement by itself, and the ledger after the last one."""
        script = self._script
        with self._refusals("the beginning of the migration", f"Nothing of {script.file} was run."):
            self._begin()
            self._claim()
            self._execute("COMMIT")
            broken = set(self._broken_indexes())
        # The first statement of a transaction that the script itself has begun.
        opened: t.Optional[int] = None
        for step in script.steps:
            try:
                self._cursor.execute(step.text.encode())
                self._require_reading(step)
            except (psycopg2.Error, RecoveryError) as error:
                raise self._half(step, opened, broken, error) from None
            opened = (opened or step.number) if self._status != psycopg2.extensions.TRANSACTION_STATUS_IDLE else None
        left = f"All {len(script.steps)} statements of {script.file} are in effect, and the ledger does not have it."
        if opened is not None:
            self._execute("ROLLBACK")
            left = _in_effect(opened - 1, len(script.steps), script.file)
            what = f"{script.file} begins a transaction in statement {opened} and does not end it."
            raise RecoveryError(ErrorKind.MIGRATION_FAILED, what, left=left, next_step=_HALF_STEP)
        with self._refusals("the row of the ledger", left):
            self._begin()
            self._claim()
            self._recorder(self._conn)
            self._execute("COMMIT")

    @property
    def _status(self) -> int:
        return int(self._conn.info.transaction_status)

    def _begin(self) -> None:
        self._execute(_RESET)
        self._execute(f"SET lock_timeout = {int(self._lock_timeout * 1000)}")
        self._execute("BEGIN")

    def _claim(self) -> None:
        """Lock the ledger, which other tools do not lock, and compare it with the one of the plan."""
        for sql in self._ledger.definitions:
            self._execute(sql)
        table = self._ledger.name.quoted
        self._execute(f"LOCK TABLE {table} IN SHARE ROW EXCLUSIVE MODE")
        found = {row[0] for row in fetch_all(self._conn, f"SELECT version::pg_catalog.text FROM {table}")}
        if found != self._known:
            versions = ", ".join(sorted(found ^ self._known)[:10])
            raise RecoveryError(
                ErrorKind.CONFLICT,
                f"Another run changed the ledger {self._ledger.name} since the plan: {versions}.",
                left=f"Nothing of {self._script.file} was run.",
                next_step="Read the new plan in check mode, then run it again.",
            )

    def _batch(self, steps: t.Sequence[Step], left: str) -> None:
        if len(steps) > 1:
            self._execute("SAVEPOINT lifeline_batch")
            try:
                self._execute(";\n".join(step.text for step in steps))
                self._execute("RELEASE SAVEPOINT lifeline_batch")
                return
            except psycopg2.Error as error:
                if error.pgcode is None:
                    raise
                # One of them is refused again, by itself.
                self._execute("ROLLBACK TO SAVEPOINT lifeline_batch; RELEASE SAVEPOINT lifeline_batch")
        for step in steps:
            try:
                self._cursor.execute(step.text.encode())
            except psycopg2.Error as error:
                raise self._failure(step, error, left) from None
            self._require_reading(step)
            if self._status != psycopg2.extensions.TRANSACTION_STATUS_INTRANS:
                raise RecoveryError(
                    ErrorKind.INCONSISTENT,
                    f"{self._script.file}: {step.place} ended the transaction.",
                    left=f"Statements 1 to {step.number} may be in effect, and the ledger does not have the migration.",
                    next_step=_HALF_STEP,
                )

    def _require_reading(self, step: Step) -> None:
        """The server must read text as the scanner does; a function may change that unseen."""
        encoding = self._conn.info.parameter_status("client_encoding")
        strings = self._conn.info.parameter_status("standard_conforming_strings")
        if encoding not in ("UTF8", "SQL_ASCII") or (strings == "off") != step.backslash_quotes:
            raise RecoveryError(
                ErrorKind.MIGRATION_FAILED,
                f"{self._script.file}: {step.place} changes how the server reads the text of the file.",
                left=f"Nothing of {self._script.file} is in the database.",
                next_step="Remove the setting; a migration is UTF-8.",
            )

    def _half(
        self, step: Step, opened: t.Optional[int], broken: t.Set[str], error: t.Union[Exception, RecoveryError]
    ) -> RecoveryError:
        """The error of a script without a transaction, with what stays in effect."""
        last = (opened or step.number) - 1
        left = _in_effect(last, len(self._script.steps), self._script.file)
        with contextlib.suppress(psycopg2.Error):
            if self._status != psycopg2.extensions.TRANSACTION_STATUS_IDLE:
                self._execute("ROLLBACK")
            indexes = [name for name in self._broken_indexes() if name not in broken]
            left += f" Invalid indexes that it left: {', '.join(indexes)}; drop them." if indexes else ""
        if not isinstance(error, RecoveryError):
            error = self._failure(step, error, left)
        return error.restated(left=left, next_step=_HALF_STEP, details={"in_effect": last})

    def _failure(self, step: Step, error: t.Any, left: str) -> RecoveryError:
        position = getattr(getattr(error, "diag", None), "statement_position", None)
        line = step.line_at(int(position) if position else None)
        at = f", at line {line}" if line != step.line else ""
        found = query_error(
            error,
            left,
            subject=f"{step.place}{at} of {self._script.file}",
            kind=ErrorKind.MIGRATION_FAILED,
            next_step="Correct the file, then run it again.",
            steps=_STEPS,
            hint=True,
        )
        return found.restated(details={"file": self._script.file, "statement": step.number, "line": line})

    def _broken_indexes(self) -> t.List[str]:
        return [row[0] for row in fetch_all(self._conn, _BROKEN_INDEXES)]

    @contextlib.contextmanager
    def _refusals(self, subject: str, left: str) -> t.Iterator[None]:
        try:
            yield
        except psycopg2.Error as error:
            raise query_error(
                error,
                left,
                subject=f"{subject} of {self._script.file}",
                kind=ErrorKind.MIGRATION_FAILED,
                next_step="Correct the cause that PostgreSQL reports, then run it again.",
                steps=_STEPS,
                hint=True,
            ) from None

    def _execute(self, sql: str) -> None:
        self._cursor.execute(sql.encode())


def settled(options: ConnectionOptions, table: QualifiedName, lock_timeout: float) -> t.Optional[t.Set[str]]:
    """The versions of the ledger once no other run changes it; None if the ledger does not exist.

    Raises RecoveryError: unreachable, locked.
    """
    with connection(options, application=f"lifeline.recovery {WORK}") as conn, conn.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute(f"SET LOCAL lock_timeout = {int(lock_timeout * 1000)}")
        if not fetch_value(conn, "SELECT to_regclass(%s)", (table.quoted,)):
            return None
        cursor.execute(f"LOCK TABLE {table.quoted} IN SHARE ROW EXCLUSIVE MODE")
        return {row[0] for row in fetch_all(conn, f"SELECT version::text FROM {table.quoted}")}


_HALF_STEP = (
    "Write the file so that it can run again, for example with IF NOT EXISTS, and run it again. Or run the rest by "
    "hand, then set `state` to recorded for this version."
)
_STEPS = {NO_LOCK: "Wait for the session that holds the lock, or raise `lock_timeout`, then run it again."}


def _batches(steps: t.Sequence[Step]) -> t.Iterator[t.List[Step]]:
    """Rows that follow each other, up to a size; any other statement by itself."""
    batch: t.List[Step] = []
    size = 0
    for step in steps:
        if batch and not (step.is_row and batch[-1].is_row and size < _BATCH):
            yield batch
            batch, size = [], 0
        batch.append(step)
        size += len(step.text)
    if batch:
        yield batch


def _in_effect(last: int, count: int, file: str) -> str:
    if last == 0:
        return f"No statement of {file} is in effect, and the ledger does not have it."
    named = f"Statement 1 of {count} is" if last == 1 else f"Statements 1 to {last} of {count} are"
    return f"{named} in effect, because {file} runs without a transaction; the ledger does not have it."


def _running(subject: str, pid: int) -> RecoveryError:
    return RecoveryError(
        ErrorKind.LOCKED,
        f"Another run applies migrations to {subject}, in the session with the process id {pid}.",
        next_step=f"Wait for it to end; its session is named 'lifeline.recovery {WORK}' in pg_stat_activity.",
    )
