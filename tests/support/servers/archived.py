# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A real PostgreSQL 15 that archives with pgBackRest into an encrypted folder, and a bad migration in its past."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
import time
import typing as t
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.servers.postgres import PostgresServer, as_server_user, find_bin_dir, give_to_server, postgres_server

PASSPHRASE = "a passphrase that no output may show 4711"
_CONFIG = """[global]
log-path={root}/log
lock-path={root}/lock
spool-path={root}/spool
repo1-path={root}/repo
repo1-cipher-type=aes-256-cbc
compress-type=zst
start-fast=y
log-level-file=off
{secret}
[main]
pg1-path={data}
pg1-port={port}
pg1-socket-path={socket}
pg1-user=postgres
"""

#: The state at the known moments, by the names that tests use.
Moments = t.Dict[str, t.Any]


def can_run() -> bool:
    return shutil.which("pgbackrest") is not None and find_bin_dir("15") is not None


@dataclass
class ArchivedServer:
    """moments has at, lsn, xid and the rows around the migration."""

    server: PostgresServer
    root: Path
    user: str | None
    moments: Moments = field(default_factory=dict)

    @property
    def config(self) -> Path:
        """Without the passphrase, which comes by the environment."""
        return self.root / "module.conf"

    def options(self, **more: t.Any) -> dict[str, t.Any]:
        return {
            "stanza": "main",
            "config": str(self.config),
            "environment": {"PGBACKREST_REPO1_CIPHER_PASS": PASSPHRASE},
            "login_user": "postgres",
            "login_password": self.server.password,
            "recovery_environment": "sandbox",
            **more,
        }

    def run(self, *arguments: str) -> str:
        command = ["pgbackrest", f"--config={self.root}/server.conf", *arguments]
        done = subprocess.run(command, check=False, capture_output=True, text=True, **as_server_user())
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def rows(self, port: int | None = None, database: str = "postgres") -> list[tuple[t.Any, ...]]:
        with PostgresServer(
            "15", self.server.bin_dir, port or self.server.port, self.root, self.server.password
        ).session(database) as cursor:
            cursor.execute("SELECT id, note FROM public.kept ORDER BY id")
            return list(cursor.fetchall())

    def has_table(self, name: str, port: int) -> bool:
        with PostgresServer("15", self.server.bin_dir, port, self.root, self.server.password).session() as cursor:
            cursor.execute("SELECT to_regclass(%s) IS NOT NULL", (name,))
            return bool(cursor.fetchone()[0])

    @contextlib.contextmanager
    def copy_of_repository(self) -> t.Iterator[tuple[Path, Path]]:
        """A copy of the repository to damage, and the configuration that leads to it."""
        folder = Path(tempfile.mkdtemp(prefix="lifeline-repo-", dir="/tmp"))
        try:
            shutil.copytree(self.root / "repo", folder / "repo")
            config = folder / "pgbackrest.conf"
            config.write_text(self.config.read_text().replace(f"{self.root}/repo", f"{folder}/repo"))
            self.own(folder)
            yield folder / "repo", config
        finally:
            shutil.rmtree(folder)

    def another_cluster(self) -> Path:
        """The data directory of a cluster that has nothing to do with the archive."""
        path = self.root / "spool" / f"other-{time.monotonic_ns()}"
        command = [str(self.server.bin_dir / "initdb"), "-D", str(path), "-U", "postgres", "--no-sync"]
        subprocess.run(command, check=True, capture_output=True, **as_server_user())
        return path

    def own(self, folder: Path) -> None:
        for path in (folder, *folder.rglob("*")):
            give_to_server(path)


@contextlib.contextmanager
def archived_server() -> t.Iterator[ArchivedServer]:
    """Started, with its stanza, a full backup, and the migration of C(migrate)."""
    root = Path(tempfile.mkdtemp(prefix="lifeline-pitr-", dir="/tmp"))
    root.chmod(0o755)
    user = "nobody" if os.geteuid() == 0 else None
    push = f"pgbackrest --config={root}/server.conf --stanza=main archive-push %p"
    settings = {"archive_mode": "on", "archive_command": push, "track_commit_timestamp": "on"}
    try:
        for name in ("repo", "log", "lock", "spool"):
            (root / name).mkdir()
        with postgres_server("15", settings=settings) as server:
            archived = ArchivedServer(server, root, user)
            for name, secret in (("server.conf", f"repo1-cipher-pass={PASSPHRASE}"), ("module.conf", "")):
                (root / name).touch(mode=0o600)
                (root / name).write_text(
                    _CONFIG.format(
                        root=root, secret=secret, data=server.data_dir, port=server.port, socket=server.data_dir.parent
                    )
                )
            archived.own(root)
            archived.run("--stanza=main", "stanza-create")
            try:
                archived.moments = migrate(archived)
                yield archived
            finally:
                # A recovery in place leaves another process than the one that was started.
                subprocess.run(
                    [str(server.bin_dir / "pg_ctl"), "stop", "-s", "-m", "immediate", "-D", str(server.data_dir)],
                    check=False, capture_output=True, **as_server_user(),
                )  # fmt: skip
    finally:
        shutil.rmtree(root, ignore_errors=True)


def migrate(archived: ArchivedServer) -> Moments:
    """Rows are written, a second goes by, more are written, and a migration spoils them all."""
    moments: Moments = {}
    with archived.server.session() as cursor:
        cursor.execute("CREATE TABLE public.kept (id int PRIMARY KEY, note text)")
        cursor.execute("CREATE TABLE public.dropped AS SELECT g AS id FROM generate_series(1, 500) g")
        archived.run("--stanza=main", "--type=full", "backup")
        cursor.execute("INSERT INTO public.kept SELECT g, 'early' FROM generate_series(1, 300) g")
        cursor.execute("SELECT pg_create_restore_point('before_migration')")
        moments["early"] = archived.rows()
        time.sleep(1.2)
        cursor.execute("INSERT INTO public.kept SELECT g, 'late' FROM generate_series(301, 400) g")
        moments["late"] = archived.rows()
        cursor.execute("SELECT pg_current_wal_insert_lsn()::text")
        moments["lsn"] = cursor.fetchone()[0]
        cursor.execute(
            "BEGIN; UPDATE public.kept SET note = 'spoiled' WHERE id % 2 = 0; "
            "DELETE FROM public.kept WHERE id % 5 = 0; "
            "DROP TABLE public.dropped; SELECT pg_current_xact_id()::text"
        )
        moments["xid"] = cursor.fetchone()[0]
        cursor.execute("COMMIT")
        cursor.execute("SELECT to_char(pg_xact_commit_timestamp(%s::xid) AT TIME ZONE 'UTC', %s)",
                       (moments["xid"], 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'))  # fmt: skip
        moments["at"] = cursor.fetchone()[0]
        moments["spoiled"] = archived.rows()
        cursor.execute("SELECT pg_walfile_name(pg_switch_wal())")
        _wait_until_archived(cursor, cursor.fetchone()[0])
        cursor.execute("INSERT INTO public.kept VALUES (1000, 'afterwards')")
        moments["now"] = archived.rows()
    return moments


def _wait_until_archived(cursor: t.Any, segment: str) -> None:
    """Some tests see the archive as it is when the server is gone."""
    for _attempt in range(600):
        cursor.execute("SELECT last_archived_wal >= %s FROM pg_stat_archiver", (segment,))
        if cursor.fetchone()[0]:
            return
        time.sleep(0.1)
    raise AssertionError(f"{segment} was not archived in a minute")
