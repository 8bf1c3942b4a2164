# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A real Patroni cluster of two members with etcd, on this host and without root."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import typing as t
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from tests.support.servers.postgres import (
    PostgresServer,
    as_server_user,
    available_versions,
    find_bin_dir,
    free_port,
    give_to_server,
)

_CACHED = Path(__file__).resolve().parents[3] / ".cache/bin/etcd"
ETCD = shutil.which("etcd") or (str(_CACHED) if _CACHED.exists() else None)
#: The smallest values that Patroni accepts, so that tests wait little.
_DYNAMIC = {"ttl": 20, "loop_wait": 1, "retry_timeout": 3}
_SETTINGS = {"fsync": "off", "max_connections": 40, "shared_buffers": "32MB", "wal_keep_size": "64MB"}
_USER = "operator"
_IMPORTS = "import patroni, psycopg2, yaml, etcd"


def _interpreter() -> list[str] | None:
    """A Python that the user of the servers may run, and that has the packages of the tests; None without one."""
    same = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for program in filter(None, (sys.executable, shutil.which(same, path="/usr/bin:/usr/local/bin"))):
        probe = ["/usr/bin/env", f"PYTHONPATH={_packages()}", program, "-S", "-c", _IMPORTS]
        if subprocess.run(probe, check=False, capture_output=True, **as_server_user()).returncode == 0:
            # Packages of the distribution do not mix with those of the tests.
            return [program, "-S", "-m", "patroni"]
    return None


def _packages() -> str:
    return next((path for path in sys.path if path.endswith("site-packages")), "")


PATRONI = _interpreter()
#: Why no cluster can be started; empty if it can.
MISSING = "" if ETCD and PATRONI and available_versions() else "etcd or Patroni is missing; make system brings etcd"


@dataclass
class PatroniMember:
    """A member. server: its PostgreSQL."""

    name: str
    url: str
    server: PostgresServer
    config: Path
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.config.with_suffix(".log").open("ab") as log:
            self.process = subprocess.Popen(
                [*(PATRONI or ()), str(self.config)],
                stdout=log,
                stderr=log,
                env={"PATH": os.environ["PATH"], "PYTHONPATH": _packages(), "LANG": "C.UTF-8"},
                start_new_session=True,
                **as_server_user(),
            )

    def stop(self) -> None:
        """Patroni stops its PostgreSQL when it is ended; a Patroni that is killed leaves the server running."""
        if self.process is None:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
        self.process = None


@dataclass
class PatroniCluster:
    """Members by name, and the login to the REST API, which requests that change something need."""

    scope: str
    members: dict[str, PatroniMember]
    username: str = _USER
    password: str = field(default_factory=lambda: secrets.token_urlsafe(12), repr=False)

    @property
    def endpoints(self) -> list[str]:
        return [member.url for member in self.members.values()]

    def module_options(self) -> dict[str, t.Any]:
        """The login as options of our modules."""
        return {"endpoints": self.endpoints, "username": self.username, "password": self.password}

    def ask(self, path: str, method: str = "GET", body: t.Any = None) -> tuple[int, t.Any]:
        """Status and document of the first member that answers."""
        for member in self.members.values():
            with contextlib.suppress(OSError):
                return ask(f"{member.url}/{path}", method, body, (self.username, self.password))
        raise AssertionError("no member answers")

    def leader(self) -> str | None:
        _status, cluster = self.ask("cluster")
        names = [one["name"] for one in cluster["members"] if one["role"] == "leader" and one["state"] == "running"]
        return str(names[0]) if names else None

    def settle(self, **dynamic: t.Any) -> str:
        """Set the dynamic configuration, wait until a leader has a streaming standby, and return its name."""
        self.ask("config", "PATCH", {"pause": None, "synchronous_mode": None, **dynamic})
        until(self.is_settled)
        leader = self.leader()
        assert leader is not None
        return leader

    def is_settled(self) -> bool:
        _status, cluster = self.ask("cluster")
        states = {(one["role"], one["state"]) for one in cluster["members"]}
        timelines = {one.get("timeline") for one in cluster["members"]}
        with_standby = {("leader", "running"), ("replica", "streaming")}
        return states == with_standby and len(timelines) == 1 and not cluster.get("pause")


def ask(url: str, method: str, body: t.Any, login: tuple[str, str]) -> tuple[int, t.Any]:
    manager = urllib.request.HTTPPasswordMgrWithPriorAuth()
    manager.add_password(None, url, *login, is_authenticated=True)
    opener = urllib.request.build_opener(urllib.request.HTTPBasicAuthHandler(manager))
    data = None if body is None else json.dumps(body).encode()
    try:
        with opener.open(urllib.request.Request(url, data=data, method=method), timeout=60) as answer:
            status, text = answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            status, text = error.code, error.read()
    try:
        return status, json.loads(text)
    except ValueError:
        return status, text.decode()


def until(condition: t.Callable[[], t.Any], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the cluster did not get into the expected state"
        time.sleep(0.2)


@contextlib.contextmanager
def patroni_cluster() -> t.Iterator[PatroniCluster]:
    """A cluster of p1, the first leader, and p2; stopped and removed at the end."""
    version = available_versions()[0]
    bin_dir = find_bin_dir(version)
    assert bin_dir is not None
    root = Path(tempfile.mkdtemp(prefix="lifeline-patroni-", dir="/tmp"))
    give_to_server(root)
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, root, ignore_errors=True)
        etcd = stack.enter_context(_etcd(root))
        cluster = PatroniCluster("school", {})
        superuser = secrets.token_urlsafe(12)
        for name in ("p1", "p2"):
            server = PostgresServer(version, bin_dir, free_port(), root / name, superuser)
            url = f"http://127.0.0.1:{free_port()}"
            config = root / f"{name}.yml"
            member = PatroniMember(name, url, server, config)
            config.write_text(yaml.safe_dump(_config(cluster, member, etcd)), encoding="utf-8")
            give_to_server(config)
            cluster.members[name] = member
        for member in cluster.members.values():
            stack.callback(member.stop)
        cluster.members["p1"].start()
        until(lambda: _answers(cluster.members["p1"].url + "/primary"))
        cluster.members["p2"].start()
        until(cluster.is_settled)
        yield cluster


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


@contextlib.contextmanager
def _etcd(root: Path) -> t.Iterator[str]:
    client, peer = f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
    process = subprocess.Popen(
        [
            str(ETCD), "--data-dir", str(root / "etcd"), "--unsafe-no-fsync",
            "--listen-client-urls", f"http://{client}", "--advertise-client-urls", f"http://{client}",
            "--listen-peer-urls", f"http://{peer}", "--initial-advertise-peer-urls", f"http://{peer}",
            "--initial-cluster", f"default=http://{peer}",
        ],
        stdout=subprocess.DEVNULL,
        stderr=(root / "etcd.log").open("ab"),
        start_new_session=True,
        **as_server_user(),
    )  # fmt: skip
    try:
        until(lambda: _answers(f"http://{client}/health"))
        yield client
    finally:
        process.terminate()
        process.wait(20)


def _config(cluster: PatroniCluster, member: PatroniMember, etcd: str) -> dict[str, t.Any]:
    server = member.server
    root = server.data_dir.parent
    address = f"127.0.0.1:{server.port}"
    api = member.url.removeprefix("http://")
    return {
        "scope": cluster.scope,
        "name": member.name,
        "restapi": {
            "listen": api,
            "connect_address": api,
            "authentication": {"username": cluster.username, "password": cluster.password},
        },
        "etcd3": {"host": etcd},
        "bootstrap": {
            "dcs": {**_DYNAMIC, "postgresql": {"use_pg_rewind": True, "parameters": _SETTINGS}},
            "initdb": ["data-checksums", "no-sync", {"encoding": "UTF8"}, {"locale": "C.UTF-8"}],
        },
        "postgresql": {
            "listen": address,
            "connect_address": address,
            "data_dir": str(server.data_dir),
            "bin_dir": str(server.bin_dir),
            "pgpass": str(root / f"{member.name}.pgpass"),
            "authentication": {
                "superuser": {"username": "postgres", "password": server.password},
                "replication": {"username": "replicator", "password": server.password},
            },
            "parameters": {"unix_socket_directories": str(root)},
            "pg_hba": [
                "local all all trust",
                "host all all 127.0.0.1/32 scram-sha-256",
                "host replication all 127.0.0.1/32 scram-sha-256",
            ],
        },
    }
