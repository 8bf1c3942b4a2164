# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One small source of each kind, for tests that hold for every kind: it is changed, lost, backed up and restored."""

from __future__ import annotations

import contextlib
import os
import secrets
import sqlite3
import typing as t
from pathlib import Path

import psycopg2

from ansible_collections.lifeline.recovery.plugins.module_utils._core.cloudflare import Account
from ansible_collections.lifeline.recovery.plugins.module_utils._engines.bucket.backup import (
    BucketBackup,
    BucketBackupRequest,
)
from ansible_collections.lifeline.recovery.plugins.module_utils._engines.d1.api import D1Api
from ansible_collections.lifeline.recovery.plugins.module_utils._engines.d1.engine import D1Engine
from ansible_collections.lifeline.recovery.plugins.module_utils._engines.postgresql.backup.backup import (
    PostgresBackup,
    PostgresBackupRequest,
)
from ansible_collections.lifeline.recovery.plugins.module_utils._engines.sqlite.backup import (
    SqliteBackup,
    SqliteBackupRequest,
)
from ansible_collections.lifeline.recovery.plugins.module_utils._engines.sqlite.file import FileEngine
from ansible_collections.lifeline.recovery.plugins.module_utils._repository.engine import BackupEngine, BackupResult
from ansible_collections.lifeline.recovery.plugins.module_utils._store.open import StoreOptions, open_store
from tests.support.runner.modules import run_module
from tests.support.servers.d1 import ACCOUNT, D1Server
from tests.support.servers.postgres import PostgresServer
from tests.support.servers.s3 import S3Server

Options = dict[str, t.Any]

#: Content that does not compress, so that its object is the largest of a set.
LARGE = 100_000


class Source(t.Protocol):
    """One source. restore brings back all that lose destroyed; undo brings back what restore replaced."""

    #: Whether sets record which database they are of.
    has_identity: bool

    def engine(self, **request: t.Any) -> BackupEngine[BackupResult]:
        """The engine of a backup, with these fields of its request."""

    def content(self) -> object:
        """All that the source holds, to compare."""

    def change(self) -> None:
        """Change a little, and nothing of the large content."""

    def lose(self) -> None:
        """Destroy the large content, and change something else."""

    def restore(self, store: Options, set_id: str, tier: str = "daily") -> Options:
        """Restore a set over the source; what the module returned."""

    def undo(self, store: Options, restored: Options) -> None:
        """Take a restore back."""

    def another(self) -> Source:
        """A different source of the same kind."""


class PostgresSource:
    """A database of a real server."""

    has_identity = True

    def __init__(self, server: PostgresServer, stack: contextlib.ExitStack) -> None:
        self._server, self._stack = server, stack
        self.database = server.create_database()
        stack.callback(server.drop_database, self.database)
        with server.session(self.database) as cursor:
            cursor.execute(
                "CREATE TABLE large (id int PRIMARY KEY, x bytea); CREATE TABLE small (id int PRIMARY KEY, x text);"
                "INSERT INTO large VALUES (1, %s); INSERT INTO small VALUES (1, 'first')",
                [psycopg2.Binary(secrets.token_bytes(LARGE))],
            )

    def engine(self, **request: t.Any) -> BackupEngine[BackupResult]:
        return PostgresBackup(self._server.options(self.database), PostgresBackupRequest(**request))

    def content(self) -> object:
        with self._server.session(self.database) as cursor:
            cursor.execute("SELECT id, md5(x) FROM large UNION ALL SELECT id, x FROM small ORDER BY 1, 2")
            return cursor.fetchall()

    def change(self) -> None:
        self._run("INSERT INTO small SELECT max(id) + 1, 'more' FROM small")

    def lose(self) -> None:
        self._run("DELETE FROM large; UPDATE small SET x = 'lost'")

    def restore(self, store: Options, set_id: str, tier: str = "daily") -> Options:
        return run_module(
            "pg_restore",
            {
                **self._server.module_options(self.database), "source": "app", "store": store, "set": set_id,
                "tier": tier, "mode": "in_place", "target_db": self.database, "recovery_confirm": self.database,
            },
        )  # fmt: skip

    def undo(self, store: Options, restored: Options) -> None:
        self.restore(store, restored["undo"]["set"], "undo")

    def another(self) -> Source:
        return PostgresSource(self._server, self._stack)

    def _run(self, sql: str) -> None:
        with self._server.session(self.database) as cursor:
            cursor.execute(sql)


_SQLITE = (
    "CREATE TABLE large (id INTEGER PRIMARY KEY, x)",
    "CREATE TABLE small (id INTEGER PRIMARY KEY, x)",
    f"INSERT INTO large VALUES (1, randomblob({LARGE}))",
    "INSERT INTO small VALUES (1, 'first')",
)
_SQLITE_CONTENT = "SELECT id, hex(x) AS x FROM large UNION ALL SELECT id, x FROM small ORDER BY 1, 2"
_SQLITE_CHANGE = "INSERT INTO small (x) VALUES ('more')"
_SQLITE_LOSS = ("DELETE FROM large", "UPDATE small SET x = 'lost'")


class FileSource:
    """A file of SQLite."""

    has_identity = False

    def __init__(self, folder: Path) -> None:
        self._folder, self._path = folder, folder / f"{secrets.token_hex(4)}.sqlite"
        self._run(*_SQLITE)

    def engine(self, **request: t.Any) -> BackupEngine[BackupResult]:
        return SqliteBackup(FileEngine(str(self._path), read_only=True), SqliteBackupRequest(**request))

    def content(self) -> object:
        return self._run(_SQLITE_CONTENT)

    def change(self) -> None:
        self._run(_SQLITE_CHANGE)

    def lose(self) -> None:
        self._run(*_SQLITE_LOSS)

    def restore(self, store: Options, set_id: str, tier: str = "daily") -> Options:
        where = {"path": str(self._path), "mode": "in_place", "recovery_confirm": str(self._path)}
        return run_module("d1_restore", {**where, "source": "app", "store": store, "set": set_id, "tier": tier})

    def undo(self, store: Options, restored: Options) -> None:
        os.replace(restored["previous_path"], self._path)

    def another(self) -> Source:
        return FileSource(self._folder)

    def _run(self, *statements: str) -> list[t.Any]:
        file = sqlite3.connect(self._path)
        with contextlib.closing(file), file:
            return [file.execute(statement).fetchall() for statement in statements]


class D1Source:
    """A database of D1."""

    has_identity = True

    def __init__(self, server: D1Server) -> None:
        self._server = server
        self._options = server.options(f"contract-{secrets.token_hex(4)}")
        run_module("d1_database", self._options)
        self._run(*_SQLITE)

    def engine(self, **request: t.Any) -> BackupEngine[BackupResult]:
        api = D1Api(Account(ACCOUNT, self._server.api_token, self._server.api_url))
        found = api.require(self._options["database"])
        return SqliteBackup(D1Engine(api, found.uuid, found.name), SqliteBackupRequest(**request))

    def content(self) -> object:
        return self._run(_SQLITE_CONTENT)

    def change(self) -> None:
        self._run(_SQLITE_CHANGE)

    def lose(self) -> None:
        self._run(*_SQLITE_LOSS)

    def restore(self, store: Options, set_id: str, tier: str = "daily") -> Options:
        where = {**self._options, "mode": "in_place", "recovery_confirm": self._options["database"]}
        return run_module("d1_restore", {**where, "source": "app", "store": store, "set": set_id, "tier": tier})

    def undo(self, store: Options, restored: Options) -> None:
        back = {"bookmark": restored["previous_bookmark"], "restore": True}
        run_module("d1_time_travel", {**self._options, **back, "recovery_confirm": self._options["database"]})

    def another(self) -> Source:
        return D1Source(self._server)

    def _run(self, *statements: str) -> list[t.Any]:
        return [run_module("d1_execute", {**self._options, "sql": statement})["rows"] for statement in statements]


class BucketSource:
    """A prefix of a real bucket."""

    has_identity = False

    def __init__(self, server: S3Server) -> None:
        self._server = server
        self._options = server.store_options(prefix=secrets.token_hex(6))
        for key, data in (("large", secrets.token_bytes(LARGE)), ("folder/small", b"first")):
            self._files.put(key, [data])

    def engine(self, **request: t.Any) -> BackupEngine[BackupResult]:
        return BucketBackup(self._files, BucketBackupRequest(**{"parallel": 4, **request}))

    def content(self) -> object:
        files = self._files
        return {item.key: b"".join(files.read(item.key)) for item in files.list()}

    def change(self) -> None:
        self._files.put(f"folder/{secrets.token_hex(4)}", [b"more"])

    def lose(self) -> None:
        self._files.delete(["large"])
        self._files.put("folder/small", [b"lost"])

    def restore(self, store: Options, set_id: str, tier: str = "daily") -> Options:
        where = {"files": self._options, "mode": "all", "recovery_confirm": self._server.bucket}
        return run_module("bucket_restore", {**where, "source": "app", "store": store, "set": set_id, "tier": tier})

    def undo(self, store: Options, restored: Options) -> None:
        # An undo set holds what was replaced. Restored files stay.
        self.restore(store, restored["undo"]["set"], "undo")
        self._files.delete(restored["missing_files"])

    def another(self) -> Source:
        return BucketSource(self._server)

    @property
    def _files(self) -> t.Any:
        return open_store(StoreOptions(**self._options))
