# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Two regions: a primary in the east, a standby in the west, a DNS server and a pooler that lead clients to them."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import typing as t
from dataclasses import dataclass, field, replace
from pathlib import Path

import psutil
import psycopg2

from tests.support.clients import writer
from tests.support.clients.judge import Attempt, Row, Verdict, attempts, judge
from tests.support.servers.dns import DnsServer, dns_server
from tests.support.servers.pgbouncer import Pooler, pooler
from tests.support.servers.postgres import (
    PostgresServer,
    as_server_user,
    available_versions,
    find_bin_dir,
    give_to_server,
)
from tests.support.servers.standby import until, value

ADDRESSES = {"east": "127.1.0.10", "west": "127.2.0.10"}
ZONE = "example.test"
#: The name through which clients look for the writer.
WRITER = f"db.{ZONE}"
DATABASE = "app"
#: The server in records of a client of the socket.
LOCAL = "local:0"
#: Of both servers. Rows that were acknowledged survive a kill, and a lost peer is noticed soon.
SETTINGS = {
    "fsync": "off",
    "synchronous_commit": "on",
    "max_connections": "40",
    "shared_buffers": "32MB",
    "min_wal_size": "32MB",
    "wal_keep_size": "64MB",
    "wal_receiver_timeout": "2s",
    "wal_sender_timeout": "4s",
    "wal_retrieve_retry_interval": "500ms",
    "hot_standby": "on",
}


@dataclass
class Region:
    root: Path
    servers: t.Mapping[str, PostgresServer]
    dns: DnsServer
    pooler: Pooler
    replicator_password: str = field(repr=False)
    application_password: str = field(repr=False)
    _running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    _local: str = ""

    @property
    def east(self) -> PostgresServer:
        return self.servers["east"]

    @property
    def west(self) -> PostgresServer:
        return self.servers["west"]

    @property
    def rows_dir(self) -> Path:
        """Where a rewind saves the rows that only the old primary has."""
        return self.root / "rows"

    def saved_rows(self) -> set[Row]:
        files = [file.read_text().splitlines() for file in self.rows_dir.glob("*/*.copy")]
        return {(line.split("\t")[0], int(line.split("\t")[1])) for lines in files for line in lines}

    def sites(self) -> list[dict[str, t.Any]]:
        """The variable recovery_sites."""
        return [
            {
                "name": name,
                "host": f"db-{name}",
                "connection": server.module_options(),
                "data_dir": str(server.data_dir),
                "client_bin_dir": str(server.bin_dir),
                "rows_dir": str(self.rows_dir),
                "become": False,
                "replication": {
                    "host": server.address,
                    "port": server.port,
                    "user": "replicator",
                    "password": self.replicator_password,
                },
            }
            for name, server in self.servers.items()
        ]

    def redirects(self) -> list[dict[str, t.Any]]:
        """The variable recovery_redirects: the DNS name and the pooler."""
        key = {"key_name": self.dns.key_name, "key_secret": self.dns.key_secret}
        server = {"server": self.dns.address, "port": self.dns.port, "zone": ZONE, "record": WRITER}
        return [
            {
                "name": "name of the writer",
                "rfc2136": {**server, **key, "type": "CNAME", "ttl": 5},
                "values": {name: f"{name}.{ZONE}." for name in self.servers},
            },
            {
                "name": "pooler",
                "pgbouncer": {"ini": str(self.pooler.ini), "database": DATABASE, "admin": self.pooler_admin()},
                "values": {name: _target(server) for name, server in self.servers.items()},
            },
        ]

    def pooler_admin(self) -> dict[str, t.Any]:
        return {"port": self.pooler.port, "password": self.east.password}

    def variables(self) -> dict[str, t.Any]:
        """The variables of the role failover."""
        return {
            "recovery_sites": self.sites(),
            "recovery_redirects": self.redirects(),
            "recovery_poolers": [{"name": "pooler", "database": DATABASE, "admin": self.pooler_admin()}],
            "recovery_client_connection": {
                "login_host": "127.0.0.1",
                "login_port": self.pooler.port,
                "login_user": "app",
                "login_password": self.application_password,
                "login_db": DATABASE,
            },
        }

    @contextlib.contextmanager
    def pooler_session(self) -> t.Iterator[t.Any]:
        """A cursor of the pooler's console."""
        login = {"host": "127.0.0.1", "port": self.pooler.port, "user": "postgres", "dbname": "pgbouncer"}
        conn = psycopg2.connect(**login, password=self.east.password)
        # The console knows no transactions.
        conn.autocommit = True
        try:
            with conn.cursor() as cursor:
                yield cursor
        finally:
            conn.close()

    @contextlib.contextmanager
    def clients(self, *, local: str = "", patience: float = 3) -> t.Iterator[None]:
        """Clients that write: C(by-name) through DNS, C(by-pooler), and C(local) on the host of that server.

        patience: seconds that the client of the pooler waits for a reply, as a pooler that pauses holds it back.
        """
        self.start_client("by-name", WRITER, self.east.port, f"{self.dns.address}:{self.dns.port}")
        self.start_client("by-pooler", "127.0.0.1", self.pooler.port, patience=patience)
        self._local = local
        if local:
            self.start_client("local", str(self.servers[local].data_dir.parent), self.servers[local].port)
        try:
            for client in tuple(self._running):
                self.wait_for_rows(client)
            yield
        finally:
            self.stop_clients()

    def start_client(self, name: str, host: str, port: int, *resolver: str, patience: float = 3) -> None:
        command = [sys.executable, writer.__file__, str(self.record(name)), host, str(port), *resolver]
        login = {"PGUSER": "app", "PGPASSWORD": self.application_password, "PGDATABASE": DATABASE}
        limit = {"WRITER_PATIENCE": str(patience)}
        self._running[name] = subprocess.Popen(command, env={**os.environ, **login, **limit})

    def stop_clients(self) -> None:
        for process in self._running.values():
            process.terminate()
        for process in self._running.values():
            process.wait(20)
        self._running.clear()

    def record(self, client: str) -> Path:
        return self.root / f"{client}.jsonl"

    def attempts(self, client: str) -> list[Attempt]:
        record = self.record(client)
        found = attempts(record) if record.exists() else []
        # The server cannot state an address to a client of its socket.
        here = answered_by(self.servers[self._local]) if self._local else ""
        return [replace(attempt, server=here) if attempt.server == LOCAL else attempt for attempt in found]

    def wait_for_rows(self, client: str, *, since: float = 0.0, server: PostgresServer | None = None) -> None:
        """Wait until the client wrote a row after that instant, which that server acknowledged."""
        wanted = answered_by(server) if server else ""
        until(
            lambda: any(
                attempt.began > since and attempt.server and wanted in attempt.server
                for attempt in self.attempts(client)[-200:]
            )
        )

    def verdict(self, primary: PostgresServer, *clients: str, since: float = 0.0) -> Verdict:
        """The verdict on these clients, of the attempts that began after that instant."""
        found = [attempt for client in clients for attempt in self.attempts(client) if attempt.began >= since]
        return judge(found, written(primary))


def answered_by(server: PostgresServer) -> str:
    """How clients record that this server acknowledged a row."""
    return f"{server.address}:{server.port}"


def written(server: PostgresServer) -> set[Row]:
    with server.session(DATABASE) as cursor:
        cursor.execute("SELECT client, number FROM written")
        return set(cursor.fetchall())


@contextlib.contextmanager
def region(version: str = "", *, settings: t.Mapping[str, str] | None = None) -> t.Iterator[Region]:
    """Servers that run and stream; all that was started is ended, also servers that a test or a role started again."""
    version = version or available_versions()[0]
    root = Path(tempfile.mkdtemp(prefix="lifeline-region-", dir="/tmp"))
    # Clients are the tests' user, servers have their own.
    root.chmod(0o755)
    try:
        east = _primary(version, root, settings or {})
        password, replicator = secrets.token_urlsafe(12), secrets.token_urlsafe(12)
        _fill(east, password, replicator)
        west = _standby(east, root, replicator, settings or {})
        users = root / "users"
        users.write_text(f'"app" "{password}"\n"postgres" "{east.password}"\n')
        give_to_server(users)
        lines = [f"{DATABASE} = {_target(east)} dbname={DATABASE}"]
        settings_of_pooler = {"auth_file": users, "admin_users": "postgres", "server_login_retry": 1}
        front = pooler(east, "transaction", lines, **settings_of_pooler)
        with dns_server(*_records(), zone=ZONE) as dns, front as started:
            yield Region(root, {"east": east, "west": west}, dns, started, replicator, password)
    finally:
        for data in root.glob("*/data*"):
            _end(data)
        shutil.rmtree(root, ignore_errors=True)


def start(server: PostgresServer) -> None:
    """Start a server as its service would; its settings are in its data directory."""
    pg_ctl(server, "-l", str(server.data_dir.parent / "server.log"), "-w", "start")


def pg_ctl(server: PostgresServer, *arguments: str) -> None:
    command = [str(server.bin_dir / "pg_ctl"), "-s", "-D", str(server.data_dir), *arguments]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, start_new_session=True, **as_server_user())


def _primary(version: str, root: Path, settings: t.Mapping[str, str]) -> PostgresServer:
    bin_dir = find_bin_dir(version)
    assert bin_dir is not None, f"PostgreSQL {version} is not installed"
    folder = _folder(root, "east")
    password = secrets.token_urlsafe(12)
    (folder / "password").write_text(password)
    give_to_server(folder / "password")
    server = PostgresServer(version, bin_dir, _port(), folder / "data", password, ADDRESSES["east"])
    subprocess.run(
        [
            str(bin_dir / "initdb"), "-D", str(server.data_dir), "-U", "postgres", "-E", "UTF8", "--locale=C.UTF-8",
            "--auth-host=scram-sha-256", "--auth-local=trust", "--no-sync", "--data-checksums",
            f"--pwfile={folder / 'password'}",
        ],
        check=True,
        stdout=subprocess.DEVNULL,
        **as_server_user(),
    )  # fmt: skip
    with (server.data_dir / "pg_hba.conf").open("a") as rules:
        rules.write("host all all 127.0.0.0/8 scram-sha-256\nhost replication replicator 127.0.0.0/8 scram-sha-256\n")
    _configure(server, "east", settings)
    start(server)
    return server


def _standby(primary: PostgresServer, root: Path, password: str, settings: t.Mapping[str, str]) -> PostgresServer:
    folder = _folder(root, "west")
    server = replace(primary, data_dir=folder / "data", address=ADDRESSES["west"])
    passfile = folder / "passfile"
    passfile.write_text(f"*:*:*:replicator:{password}\n")
    passfile.chmod(0o600)
    give_to_server(passfile)
    login = f"host={primary.address} port={primary.port} user=replicator application_name=west passfile={passfile}"
    subprocess.run(
        [
            str(primary.bin_dir / "pg_basebackup"), "-D", str(server.data_dir), "-R", "-C", "-S", "west", "--no-sync",
            "--checkpoint=fast", "--wal-method=stream", "-d", login,
        ],
        check=True,
        **as_server_user(),
    )  # fmt: skip
    _configure(server, "west", settings)
    start(server)
    until(lambda: value(server, "SELECT count(*) FROM pg_stat_wal_receiver WHERE status = 'streaming'") == 1)
    return server


def _fill(server: PostgresServer, application: str, replicator: str) -> None:
    server.psql(
        "postgres",
        f"CREATE ROLE app LOGIN PASSWORD '{application}'; CREATE DATABASE {DATABASE} OWNER app;"
        f"CREATE ROLE replicator LOGIN REPLICATION PASSWORD '{replicator}';",
    )
    server.psql(
        DATABASE,
        "CREATE TABLE written (client text, number int, at timestamptz NOT NULL DEFAULT clock_timestamp(),"
        " PRIMARY KEY (client, number)); ALTER TABLE written OWNER TO app;",
    )


def _configure(server: PostgresServer, name: str, settings: t.Mapping[str, str]) -> None:
    """Settings go into the data directory, so that the server can be started by another program than this."""
    values = {
        **SETTINGS,
        "listen_addresses": server.address,
        "port": str(server.port),
        "unix_socket_directories": str(server.data_dir.parent),
        "cluster_name": name,
        **settings,
    }
    with (server.data_dir / "postgresql.conf").open("a") as lines:
        lines.writelines(f"{key} = '{setting}'\n" for key, setting in values.items())


def _folder(root: Path, name: str) -> Path:
    folder = root / name
    folder.mkdir(mode=0o755)
    give_to_server(folder)
    return folder


def _port() -> int:
    """One port that is free on the addresses of both sites, as in regions where servers have the same port."""
    while True:
        with contextlib.ExitStack() as probes:
            port = 0
            try:
                for address in ADDRESSES.values():
                    probe = probes.enter_context(socket.socket())
                    probe.bind((address, port))
                    port = int(probe.getsockname()[1])
            except OSError:
                continue
            return port


def _target(server: PostgresServer) -> str:
    return f"host={server.address} port={server.port}"


def _records() -> list[str]:
    hosts = [f"{name} IN A {address}" for name, address in ADDRESSES.items()]
    return [*hosts, f"db 5 IN CNAME east.{ZONE}."]


def _end(data: Path) -> None:
    """End the server of a data directory, also a server that a module started."""
    with contextlib.suppress(OSError, ValueError, IndexError, psutil.Error):
        postmaster = psutil.Process(int((data / "postmaster.pid").read_text().splitlines()[0]))
        if "postgres" in postmaster.name():
            for process in (postmaster, *postmaster.children(recursive=True)):
                process.kill()
