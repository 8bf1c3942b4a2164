# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Starts a fenced cluster so that only this process reaches it: no network, an own socket, no programs of its own."""

from __future__ import annotations

import contextlib
import os
import typing as t

from .._core.errors import ErrorKind, RecoveryError
from .._core.files import replace_file
from .._core.process import give_to, scratch_folder
from .._engines.postgresql.server.connection import ConnectionOptions, connection, fetch_value
from .._maintenance.means import wait_until
from .._pitr.cluster import Cluster, as_options
from .fence import create_signal, remove_signal
from .follow import add_guard, remove_guard
from .server_process import end_orphans, postmaster_status, server_processes

_PORT = 5432
_PREFIX, _PARENT = "lifeline-rejoin-", "/tmp"
#: Programs and workers that would act on the world or reach the archive, and files of the regular server.
_SETTINGS = {
    "listen_addresses": "",
    "port": str(_PORT),
    "archive_mode": "off",
    "shared_preload_libraries": "",
    "max_logical_replication_workers": "0",
    "synchronous_standby_names": "",
    "autovacuum": "off",
    "ssl": "off",
    "logging_collector": "off",
    "external_pid_file": "",
    "primary_conninfo": "",
    "default_transaction_read_only": "off",
    # pg_rewind reads the WAL of the old cluster back to the last common checkpoint; checkpoints would remove it.
    "wal_keep_size": "1TB",
}
_SUPERUSER = "SELECT rolname::text FROM pg_roles WHERE oid = 10"
_STOP_SECONDS = 300.0


@contextlib.contextmanager
def isolated_server(
    cluster: Cluster, arguments: t.Sequence[str], role: str, timeout: float
) -> t.Iterator[ConnectionOptions]:
    """The connection to the database postgres of the isolated server, as its first superuser.

    standby.signal is missing from the start until the server is ready, because with it the server would not end its
    recovery. During that time a setting makes each other start fail. At the end the server is stopped, and the signal
    exists. Raises RecoveryError(service_failed).
    """
    with scratch_folder(_PREFIX, _PARENT) as folder:
        rules = os.path.join(folder, "pg_hba.conf")
        replace_file(rules, "local all all trust\n", 0o600)
        give_to(cluster.user, folder, rules)
        settings = {**_SETTINGS, "unix_socket_directories": folder, "hba_file": rules}
        log = os.path.join(folder, "server.log")
        try:
            add_guard(cluster.data)
            remove_signal(cluster.data)
            cluster.start([*arguments, *as_options(settings)], log, {})
            reason = wait_until(timeout, lambda: _why_not_ready(cluster.data))
            if reason:
                raise _failed(cluster, reason, log)
            _protect(cluster)
            yield _login(folder, role)
        finally:
            stop_isolated(cluster)


def is_isolated(cluster: Cluster) -> bool:
    """Whether the running server is one that a killed run started in isolation, by the folder of its socket."""
    server = cluster.running()
    return server is not None and server.socket_dir.startswith(os.path.join(_PARENT, _PREFIX))


def stop_isolated(cluster: Cluster) -> None:
    """Stop the server, also one that a killed run left, and create the signal. Raises RecoveryError(service_failed)."""
    _protect(cluster)
    running = server_processes(cluster.data)
    if not running:
        return
    cluster.request_stop()

    def why_not() -> str:
        found = server_processes(cluster.data)
        end_orphans(cluster.data, found)
        return f"{len(found)} processes run" if found else ""

    reason = wait_until(_STOP_SECONDS, why_not)
    if reason:
        raise RecoveryError(
            ErrorKind.SERVICE_FAILED,
            f"The isolated server of {cluster.data} does not stop: {reason}.",
            left="It is a server without a network, and standby.signal exists.",
            next_step="Stop it with pg_ctl, then run this again.",
        )


def _protect(cluster: Cluster) -> None:
    """A server reads the signal when it starts, so that it is created while the server runs."""
    create_signal(cluster.data)
    remove_guard(cluster.data)


def _why_not_ready(data_dir: str) -> str:
    status = postmaster_status(data_dir)
    return "" if status == "ready" else f"its state is {status or 'stopped'}"


def _failed(cluster: Cluster, reason: str, log: str) -> RecoveryError:
    lines = ""
    with contextlib.suppress(OSError), open(log, encoding="utf-8", errors="replace") as stream:
        lines = " ".join(line.strip() for line in stream.read()[-1000:].splitlines()[-3:])
    return RecoveryError(
        ErrorKind.SERVICE_FAILED,
        f"The old cluster in {cluster.data} cannot be started to save its rows: {reason}. {lines}".rstrip(),
        left="Its data directory stays fenced.",
        next_step="Start it by hand without a network and save its rows, or build it again with standby.yml.",
    )


def _login(folder: str, role: str) -> ConnectionOptions:
    """As the role, or as postgres if the old cluster does not have the role, and from there as the superuser."""
    for user in dict.fromkeys([role or "postgres", "postgres"]):
        options = ConnectionOptions({"host": folder, "port": str(_PORT), "user": user, "dbname": "postgres"})
        try:
            with connection(options) as conn:
                superuser = str(fetch_value(conn, _SUPERUSER))
        except RecoveryError as error:
            if error.kind != ErrorKind.ACCESS_DENIED:
                raise
            continue
        return ConnectionOptions({**options.keywords, "user": superuser})
    raise RecoveryError(
        ErrorKind.ACCESS_DENIED,
        f"The old cluster has neither the role {role!r} nor postgres.",
        next_step="Log in to the new primary as a role that both servers have.",
    )
