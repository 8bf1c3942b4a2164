# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The shared parts of every work on migrations: the options, the ledger of the database, and the files of versions."""

from __future__ import annotations

import contextlib
import typing as t
from dataclasses import dataclass, field

from .._core.errors import ErrorKind, RecoveryError
from .._core.options import FAMILY, FilePath, option
from .._engines.postgresql.server.connection import Connection, ConnectionOptions, connection
from .._engines.postgresql.server.names import QualifiedName, parse_qualified_name
from .._repository.change import Safeguards
from .files import Folder, MigrationFile, read_folder
from .ledger import Ledger, other_ledgers, read_ledger
from .order import listed
from .run import Runner
from .script import Script

_LEDGER = "supabase_migrations.schema_migrations"
WARN, FAIL = "warn", "fail"


@dataclass(frozen=True)
class MigrationsRequest:
    """migrations_path: the folder of the files. migrations: the versions that states other than applied work on.

    without_transaction: versions whose statements run one by one. include_older: whether versions may run that are
    older than the newest one of the ledger. on_edited: what happens if a file is not what the ledger has of it.
    down_file: the file that takes a version back. ledger: the table of applied migrations. ignored_ledgers: tables of
    other tools that do not stop the work. lock_timeout: seconds.
    """

    connection: ConnectionOptions
    migrations_path: t.Optional[FilePath] = None
    migrations: t.Sequence[str] = ()
    without_transaction: t.Sequence[str] = ()
    include_older: bool = False
    on_edited: str = field(default=WARN, metadata=option(choices=(WARN, FAIL)))
    down_file: t.Optional[FilePath] = None
    ledger: str = _LEDGER
    ignored_ledgers: t.Sequence[str] = ()
    lock_timeout: float = 10
    safeguards: Safeguards = field(default_factory=Safeguards, metadata=FAMILY)
    source: t.Optional[str] = None

    @property
    def table(self) -> QualifiedName:
        return parse_qualified_name(self.ledger)

    def require_valid(self) -> None:
        """Raise RecoveryError(invalid_options) for options that no work can use."""
        if not 0 <= self.lock_timeout <= 86400:
            raise RecoveryError(
                ErrorKind.INVALID_OPTIONS,
                f"`lock_timeout` must be between 0 and 86400 seconds, got {self.lock_timeout:g}.",
            )
        for name, versions in (("migrations", self.migrations), ("without_transaction", self.without_transaction)):
            wrong = [version for version in versions if not (version.isascii() and version.isdigit())]
            # A ledger may hold any text, which has to be deleted from it.
            if wrong and name != "migrations":
                raise RecoveryError(
                    ErrorKind.INVALID_OPTIONS,
                    f"`{name}` must be versions, the numbers at the beginning of the files, got {wrong[0]!r}.",
                )

    def folder(self) -> Folder:
        """Raises RecoveryError: invalid_options, migration_refused."""
        if not self.migrations_path:
            raise RecoveryError(
                ErrorKind.INVALID_OPTIONS,
                "`migrations_path` is required.",
                next_step="Set it to the folder of the migrations on the host where the module runs.",
            )
        return read_folder(self.migrations_path)

    def versions(self, state: str) -> t.List[str]:
        """The named versions, in their order and once. Raises RecoveryError(invalid_options) if there is none."""
        if not self.migrations:
            raise RecoveryError(
                ErrorKind.INVALID_OPTIONS,
                f"`migrations` is required if `state` is {state}.",
                next_step="Set it to the list of versions.",
            )
        return list(dict.fromkeys(self.migrations))

    def runner(self, ledger: Ledger) -> Runner:
        return Runner(self.connection, ledger, self.lock_timeout)

    def require_one_transaction(self, version: str, script: Script) -> bool:
        """Whether the script runs in one transaction. Raises RecoveryError(migration_refused) if it cannot."""
        if version in self.without_transaction:
            return False
        step = script.separate
        if step is not None:
            raise RecoveryError(
                ErrorKind.MIGRATION_REFUSED,
                f"{script.file} cannot run in one transaction: {step.place}.",
                next_step="Move the statement to a migration of its own, or remove BEGIN and COMMIT. If its statements "
                f"may stay in effect when a later one fails, add {version} to `without_transaction`.",
                details={"file": script.file, "statement": step.number, "line": step.line},
            )
        return True


@contextlib.contextmanager
def reading(request: MigrationsRequest) -> t.Iterator[Connection]:
    with connection(request.connection, application="lifeline.recovery migrations") as conn:
        yield conn


def read_own_ledger(conn: Connection, request: MigrationsRequest) -> Ledger:
    """Raises RecoveryError(unsupported) if other tools keep ledgers in the database."""
    ledger = read_ledger(conn, request.table)
    ignored = {parse_qualified_name(name) for name in request.ignored_ledgers}
    others = [other for other in other_ledgers(conn, ledger.name) if other.table not in ignored]
    if others:
        tables = listed([str(other.table) for other in others])
        raise RecoveryError(
            ErrorKind.UNSUPPORTED,
            f"The database {request.connection.database} has the ledger {listed([str(other) for other in others])}.",
            next_step="Apply its migrations with that tool. If the tool is no longer used, add the table to "
            f"`ignored_ledgers`: [{tables}].",
            details={"ledgers": [{"tool": one.tool, "table": str(one.table)} for one in others]},
        )
    return ledger


def require_file(folder: Folder, version: str) -> MigrationFile:
    """Raises RecoveryError(invalid_options)."""
    found = folder.find(version)
    if found is None:
        raise RecoveryError(
            ErrorKind.INVALID_OPTIONS,
            f"`migrations` must be versions that have a file in {folder.path}, got {version!r}.",
            next_step="Correct the version, or `migrations_path`.",
        )
    return found
