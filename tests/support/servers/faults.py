# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Faults of a real PostgreSQL server: killed, frozen, slow, cut off the network, replay paused or late."""

from __future__ import annotations

import contextlib
import os
import subprocess
import threading
import typing as t
from pathlib import Path

import psutil

from tests.support.servers.postgres import PostgresServer
from tests.support.servers.standby import until, value


def family(server: PostgresServer) -> list[psutil.Process]:
    """The postmaster and its children, the postmaster first: it would start others in the place of its children."""
    pid = int((server.data_dir / "postmaster.pid").read_text().splitlines()[0])
    postmaster = psutil.Process(pid)
    return [postmaster, *postmaster.children(recursive=True)]


def kill(server: PostgresServer) -> None:
    """End all processes of the server without warning, as a host that loses its power."""
    processes = family(server)
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(processes, timeout=10)


def freeze(server: PostgresServer) -> None:
    postmaster, *_children = family(server)
    postmaster.suspend()
    for process in postmaster.children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            process.suspend()


def thaw(server: PostgresServer) -> None:
    for process in reversed(family(server)):
        # Children that ended while the postmaster was frozen are zombies until it runs again.
        with contextlib.suppress(psutil.NoSuchProcess):
            process.resume()


@contextlib.contextmanager
def frozen(server: PostgresServer) -> t.Iterator[None]:
    freeze(server)
    try:
        yield
    finally:
        with contextlib.suppress(psutil.NoSuchProcess, FileNotFoundError):
            thaw(server)


@contextlib.contextmanager
def slow(server: PostgresServer, *, frozen_seconds: float = 0.8, running_seconds: float = 0.1) -> t.Iterator[None]:
    """A server that runs only a part of the time."""
    ended = threading.Event()

    def drag() -> None:
        while not ended.is_set():
            # A test may stop or restart the server.
            vanished = contextlib.suppress(psutil.NoSuchProcess, FileNotFoundError, IndexError, ValueError)
            with vanished, frozen(server):
                ended.wait(frozen_seconds)
            ended.wait(running_seconds)

    thread = threading.Thread(target=drag)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def cut_is_possible() -> bool:
    """Whether this machine lets the tests drop packets."""
    if os.geteuid() != 0:
        return False
    try:
        return subprocess.run(["iptables", "-w", "-S", "INPUT"], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


@contextlib.contextmanager
def cut_off(server: PostgresServer) -> t.Iterator[None]:
    """Drop all packets from and to the server. Its own host still reaches it by the socket."""
    rules = [
        ["INPUT", "-p", "tcp", "-d", server.address, "--dport", str(server.port), "-j", "DROP"],
        ["INPUT", "-p", "tcp", "-s", server.address, "--sport", str(server.port), "-j", "DROP"],
    ]
    for rule in rules:
        subprocess.run(["iptables", "-w", "-I", *rule], check=True)
    try:
        yield
    finally:
        for rule in rules:
            subprocess.run(["iptables", "-w", "-D", *rule], check=True)


@contextlib.contextmanager
def replay_paused(standby: PostgresServer) -> t.Iterator[None]:
    """Received WAL is kept and not replayed, until the end or until the promotion."""
    _execute(standby, "SELECT pg_wal_replay_pause()")
    until(lambda: value(standby, "SELECT pg_get_wal_replay_pause_state()") == "paused")
    try:
        yield
    finally:
        if value(standby, "SELECT pg_is_in_recovery()"):
            _execute(standby, "SELECT pg_wal_replay_resume()")


@contextlib.contextmanager
def set_by_sql(server: PostgresServer, name: str, setting: str) -> t.Iterator[None]:
    """A setting in postgresql.auto.conf; recovery_min_apply_delay makes a late replica, primary_conninfo a deaf one."""
    before, shown = (server.data_dir / "postgresql.auto.conf").read_text(), value(server, f"SHOW {name}")
    _execute(server, f"ALTER SYSTEM SET {name} = '{setting}'")
    _execute(server, "SELECT pg_reload_conf()")
    until(lambda: value(server, f"SHOW {name}") != shown)
    try:
        yield
    finally:
        _set_again(server, name, before)


def _set_again(server: PostgresServer, name: str, before: str) -> None:
    old = [line.partition("=")[2].strip() for line in before.splitlines() if line.startswith(f"{name} ")]
    _execute(server, f"ALTER SYSTEM SET {name} = {old[-1]}" if old else f"ALTER SYSTEM RESET {name}")
    _execute(server, "SELECT pg_reload_conf()")


def _execute(server: PostgresServer, statement: str) -> None:
    with server.session() as cursor:
        cursor.execute(statement)


def socket_of(server: PostgresServer) -> Path:
    """The folder of the server's socket, for a client on its own host."""
    return server.data_dir.parent
