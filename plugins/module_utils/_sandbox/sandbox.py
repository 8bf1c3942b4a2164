# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A sandbox: a real PostgreSQL, a real S3 server and an application in one folder, without cloud, root or container."""

from __future__ import annotations

import glob
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import typing as t
from dataclasses import dataclass, replace

from .._core.errors import ErrorKind, RecoveryError
from .._core.options import FilePath
from .._core.process import as_user, free_port, give_to
from .._engines.postgresql.server.catalog import server_facts
from .._engines.postgresql.server.connection import ConnectionOptions, connection
from .._engines.postgresql.server.driver import require_psycopg2
from .._store.base import ObjectStore
from .._store.open import StoreOptions, open_store
from .._store.s3_client import require_boto3
from . import application, archiving, sites
from .archiving import newest_version
from .programs import PostgresPrograms, find_postgres, find_rclone, reachable_copy
from .state import SandboxState, ServerState, is_running, load_state, process_start, save_state, stop_process

#: The longest path of a socket is 107 bytes; PostgreSQL adds its own file name to the folder.
_LONGEST_SOCKET_DIR = 85

_HOST = "127.0.0.1"


@dataclass(frozen=True)
class SandboxRequest:
    """path is the sandbox's folder; postgres_version a major version or C(auto).

    source_version: the server that the data come from, whose major version C(auto) prefers.
    postgres, s3: the servers of the sandbox. wal_archive: PostgreSQL archives with pgBackRest.
    application_database: the database that the application reads; without it there is no application.
    peer: a second PostgreSQL server, as the other site of a failover.
    """

    path: FilePath
    postgres: bool = True
    s3: bool = True
    wal_archive: bool = False
    postgres_version: str = "auto"
    source_version: t.Optional[str] = None
    postgres_bin_dir: t.Optional[FilePath] = None
    bucket: str = "backups"
    application_database: str = ""
    peer: t.Literal["none", "standby", "server"] = "none"
    check_mode: bool = False


@dataclass(frozen=True)
class SandboxResult:
    """connection holds login options of our modules, store their option store; both empty unless it runs.

    archive holds the options of its stanza, application the C(url) of the application and the option files of each of
    its buckets. sites holds both servers as the role failover describes sites, if there is a second one.
    """

    changed: bool
    state: str
    removed: bool
    postgres_version: str = ""
    system_identifier: t.Optional[str] = None
    connection: t.Optional[t.Mapping[str, t.Any]] = None
    store: t.Optional[t.Mapping[str, t.Any]] = None
    archive: t.Optional[t.Mapping[str, t.Any]] = None
    application: t.Optional[t.Mapping[str, t.Any]] = None
    sites: t.Optional[t.Sequence[t.Mapping[str, t.Any]]] = None


def start(request: SandboxRequest) -> SandboxResult:
    """Create and start the missing parts.

    Raises RecoveryError: client_missing or library_missing before anything is created, service_failed.
    """
    state = load_state(request.path)
    if state is not None and _works(request, state):
        return _running(request, state, changed=False)
    _require_programs(request)
    if request.check_mode:
        return SandboxResult(changed=True, state="started", removed=False)
    if state is None:
        state = _create(request)
    if request.postgres and not is_running(state.postgres):
        _start_postgres(request, state)
    if request.postgres and state.peer != "none" and not state.peer_port:
        _start_peer(request, state)
        save_state(request.path, state)
    if request.s3 and not is_running(state.s3):
        _start_s3(request, state)
    if state.database and not is_running(state.application):
        _start_application(request, state)
    if not _works(request, state):
        raise RecoveryError(
            ErrorKind.SERVICE_FAILED,
            f"The servers of the sandbox in {request.path} run but do not answer.",
            next_step=f"Read the logs in {request.path}, remove the sandbox and start it again.",
        )
    return _running(request, state, changed=True)


def _require_programs(request: SandboxRequest) -> None:
    """Raise RecoveryError if the servers or their clients lack a requirement: client_missing, library_missing."""
    if request.application_database and not (request.postgres and request.s3):
        raise RecoveryError(
            ErrorKind.INVALID_OPTIONS,
            "`application_database` requires both servers of the sandbox, but `postgres` or `s3` is false.",
            left="Nothing was created.",
            next_step="Remove postgres and s3, whose default is true.",
        )
    if request.postgres:
        require_psycopg2()
        _programs(request)
    if request.s3:
        find_rclone()
        require_boto3()


def _programs(request: SandboxRequest) -> PostgresPrograms:
    newest = newest_version() if request.wal_archive else None
    return find_postgres(request.postgres_version, request.postgres_bin_dir, newest, request.source_version)


def stop(request: SandboxRequest) -> SandboxResult:
    """Stop the servers and check that they ended; the data stays."""
    state = load_state(request.path)
    running = state is not None and any(map(is_running, state.servers))
    if state is not None and not request.check_mode:
        stop_process(state.application, signal.SIGTERM)
        # SIGINT is PostgreSQL's fast shutdown.
        stop_process(state.postgres, signal.SIGINT)
        stop_process(state.s3, signal.SIGTERM)
    return SandboxResult(changed=running, state="stopped", removed=False)


def remove(request: SandboxRequest) -> SandboxResult:
    """Stop and delete the sandbox. Other folders are refused."""
    if not os.path.lexists(request.path):
        return SandboxResult(changed=False, state="absent", removed=True)
    state = load_state(request.path)
    if state is None:
        raise RecoveryError(
            ErrorKind.NOT_A_SANDBOX,
            f"{request.path} is not the folder of a sandbox.",
            left="The folder is unchanged.",
            next_step="Set path to that of the sandbox.",
        )
    if request.check_mode:
        return SandboxResult(changed=True, state="absent", removed=False)
    restored = _restored_servers(request.path)
    for server in restored:
        stop_process(server, signal.SIGINT)
    stop(request)
    if state.socket_dir and not state.socket_dir.startswith(request.path):
        shutil.rmtree(state.socket_dir, ignore_errors=True)
    shutil.rmtree(request.path)
    running = [server for server in (*state.servers, *restored) if is_running(server)]
    gone = not os.path.lexists(request.path) and not running
    return SandboxResult(changed=True, state="absent", removed=gone)


def kill_server(path: str) -> None:
    """Kill the PostgreSQL of a sandbox with all its processes, as the loss of its host does.

    Raises RecoveryError(not_a_sandbox).
    """
    state = load_state(path)
    if state is None:
        raise RecoveryError(ErrorKind.NOT_A_SANDBOX, f"{path} is not the folder of a sandbox.")
    if not is_running(state.postgres):
        return
    # First the postmaster, which would otherwise start others.
    family = [state.postgres.pid, *_children(state.postgres.pid)]
    for pid in family:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


def _children(parent: int) -> t.List[int]:
    found = []
    for file in glob.glob("/proc/[0-9]*/stat"):
        try:
            with open(file, encoding="ascii", errors="replace") as stream:
                pid, _separator, rest = stream.read().partition(" ")
        except OSError:
            continue
        if rest.rpartition(")")[2].split()[1] == str(parent):
            found.append(int(pid))
    return found


def _restored_servers(path: str) -> t.List[ServerState]:
    """Servers that were restored into the sandbox: each process whose working directory has its marker file."""
    found = []
    for file in glob.glob(os.path.join(glob.escape(path), "postgres", "*", "postmaster.pid")):
        try:
            with open(file, encoding="utf-8") as stream:
                pid = int(stream.readline())
            if os.path.samefile(os.readlink(f"/proc/{pid}/cwd"), os.path.dirname(file)):
                found.append(ServerState(pid, process_start(pid)))
        except (OSError, ValueError):
            continue
    return found


def _create(request: SandboxRequest) -> SandboxState:
    if os.path.isdir(request.path) and os.listdir(request.path):
        raise RecoveryError(
            ErrorKind.NOT_A_SANDBOX,
            f"{request.path} holds files that do not belong to a sandbox.",
            left="The files are unchanged.",
            next_step="Set path to one that does not exist.",
        )
    try:
        os.makedirs(request.path, exist_ok=True)
    except OSError as error:
        raise RecoveryError(
            ErrorKind.SERVICE_FAILED,
            f"The folder {request.path} cannot be created: {error.strerror}.",
            next_step="Set path below a folder that this user may write to.",
        ) from None
    state = SandboxState(
        postgres_password=secrets.token_urlsafe(18),
        access_key=secrets.token_hex(10),
        secret_key=secrets.token_urlsafe(30),
        bucket=request.bucket,
        wal_archive=request.wal_archive,
        database=request.application_database,
        peer=request.peer,
    )
    save_state(request.path, state)
    return state


def _start_postgres(request: SandboxRequest, state: SandboxState) -> None:
    folder = os.path.join(request.path, "postgres")
    os.makedirs(folder, exist_ok=True)
    user = _server_user()
    give_to(user, folder)
    programs = reachable_copy(
        _programs(replace(request, wal_archive=state.wal_archive)), request.path, lambda path: _can_reach(path, user)
    )
    if not _can_reach(folder, user):
        raise RecoveryError(
            ErrorKind.SERVICE_FAILED,
            f"The user that runs PostgreSQL cannot reach {folder}.",
            next_step="Set path below folders that other users may enter, for example /tmp or /var/tmp.",
        )
    data = os.path.join(folder, "data")
    if not os.path.exists(os.path.join(data, "PG_VERSION")):
        _initialise(programs.bin_dir, folder, data, state.postgres_password, user)
    state.version, state.bin_dir = programs.version, programs.bin_dir
    state.socket_dir = _socket_dir(folder, user)
    state.postgres = ServerState(port=free_port(_HOST))
    settings = {
        "listen_addresses": _HOST,
        "port": str(state.postgres.port),
        "unix_socket_directories": state.socket_dir,
        # A sandbox needs no protection against a crash of the host.
        "fsync": "off",
        "full_page_writes": "off",
        "synchronous_commit": "off",
        "max_wal_size": "2GB",
    }
    if state.wal_archive:
        settings.update(archiving.prepare(request.path, state, lambda path: give_to(user, path)))
    arguments = [os.path.join(programs.bin_dir, "postgres"), "-D", data]
    if state.peer == "none":
        arguments += [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    else:
        # A failover stops and starts the servers, so that the settings must be in their files.
        sites.configure(data, {**settings, **sites.SETTINGS}, user)
    log = os.path.join(request.path, "postgres.log")
    process = _spawn(arguments, log, dict(os.environ), user)
    _settle(request, state, state.postgres, process, log, lambda: _answers_postgres(state))


def _start_peer(request: SandboxRequest, state: SandboxState) -> None:
    user = _server_user()
    if state.peer == "server":
        folder, data = os.path.join(request.path, "postgres"), sites.peer_data(request.path)
        _initialise(state.bin_dir, folder, data, state.postgres_password, user)
    sites.add_peer(request.path, state, user)


def _start_s3(request: SandboxRequest, state: SandboxState) -> None:
    folder = os.path.join(request.path, "s3")
    # It holds backups of real data, and other users may be able to enter the folder of a sandbox, such as /tmp.
    os.makedirs(folder, mode=0o700, exist_ok=True)
    os.chmod(folder, 0o700)
    for bucket in (state.bucket, *(application.BUCKETS if state.database else ())):
        os.makedirs(os.path.join(folder, bucket), mode=0o700, exist_ok=True)
    state.s3 = ServerState(port=free_port(_HOST))
    # In the environment, because all users can read a command line; it is parsed as one CSV field.
    environment = {**os.environ, "RCLONE_AUTH_KEY": f'"{state.access_key},{state.secret_key}"'}
    arguments = [find_rclone(), "serve", "s3", folder, "--addr", f"{_HOST}:{state.s3.port}", "--config", os.devnull]
    log = os.path.join(request.path, "s3.log")
    process = _spawn(arguments, log, environment, None)
    _settle(request, state, state.s3, process, log, lambda: _answers_s3(state))


def _start_application(request: SandboxRequest, state: SandboxState) -> None:
    state.application = ServerState(port=free_port(_HOST))
    arguments = application.prepare(request.path, state, _HOST)
    log = os.path.join(request.path, "application.log")
    process = _spawn(arguments, log, dict(os.environ), None)
    _settle(request, state, state.application, process, log, lambda: _answers_application(state))


def _initialise(bin_dir: str, folder: str, data: str, password: str, user: t.Optional[str]) -> None:
    password_file = os.path.join(folder, "initial-password")
    handle = os.open(password_file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as stream:
        stream.write(password)
    give_to(user, password_file)
    arguments = [
        os.path.join(bin_dir, "initdb"),
        f"--pgdata={data}",
        "--username=postgres",
        "--encoding=UTF8",
        "--locale=C.UTF-8",
        "--auth-host=scram-sha-256",
        "--auth-local=scram-sha-256",
        f"--pwfile={password_file}",
        "--no-sync",
        # A rewind needs them.
        "--data-checksums",
    ]
    try:
        done = subprocess.run(arguments, capture_output=True, text=True, check=False, **_lent(user))
    finally:
        os.unlink(password_file)
    if done.returncode != 0:
        shutil.rmtree(data, ignore_errors=True)
        raise RecoveryError(ErrorKind.SERVICE_FAILED, f"initdb failed: {' '.join(done.stderr.split())[-400:]}.")


def _spawn(
    arguments: t.Sequence[str], log: str, environment: t.Mapping[str, str], user: t.Optional[str]
) -> subprocess.Popen[bytes]:
    handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        return subprocess.Popen(
            list(arguments),
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=handle,
            stderr=handle,
            start_new_session=True,
            **_lent(user),
        )
    finally:
        os.close(handle)


def _settle(
    request: SandboxRequest,
    state: SandboxState,
    server: ServerState,
    process: subprocess.Popen[bytes],
    log: str,
    answers: t.Callable[[], bool],
) -> None:
    """Record the process, then wait until it answers. Raises RecoveryError(service_failed) with the end of the log."""
    server.pid, server.started = process.pid, process_start(process.pid)
    save_state(request.path, state)
    deadline = time.monotonic() + 60
    while not answers():
        if process.poll() is not None or time.monotonic() > deadline:
            with open(log, encoding="utf-8", errors="replace") as stream:
                last = " ".join(stream.read()[-600:].split())
            raise RecoveryError(
                ErrorKind.SERVICE_FAILED,
                f"The server with the log {os.path.basename(log)} did not start: {last}.",
                next_step=f"Read {log}.",
            )
        time.sleep(0.05)


def _works(request: SandboxRequest, state: SandboxState) -> bool:
    database = not request.postgres or (is_running(state.postgres) and _answers_postgres(state))
    objects = not request.s3 or (is_running(state.s3) and _answers_s3(state))
    return database and objects and (not state.database or _answers_application(state))


def _answers_postgres(state: SandboxState) -> bool:
    try:
        with connection(_options(state)):
            return True
    except RecoveryError:
        return False


def _answers_s3(state: SandboxState) -> bool:
    try:
        with socket.create_connection((_HOST, state.s3.port), timeout=5):
            pass
        store = open_store(StoreOptions(**_store(state)))
        next(iter(store.list("nothing/")), None)
        store.close()
        return True
    except (OSError, RecoveryError):
        return False


def _answers_application(state: SandboxState) -> bool:
    return is_running(state.application) and application.is_listening(_HOST, state.application.port)


def _running(request: SandboxRequest, state: SandboxState, *, changed: bool) -> SandboxResult:
    store = _store(state) if request.s3 else None
    if not request.postgres:
        return SandboxResult(changed=changed, state="started", removed=False, store=store)
    with connection(_options(state)) as conn:
        facts = server_facts(conn)
    login = {
        "login_host": _HOST,
        "login_port": state.postgres.port,
        "login_user": "postgres",
        "login_password": state.postgres_password,
        "client_bin_dir": state.bin_dir,
    }
    return SandboxResult(
        changed=changed,
        state="started",
        removed=False,
        postgres_version=facts.version,
        system_identifier=facts.system_identifier,
        connection=login,
        store=store,
        archive=archiving.archive_options(request.path) if state.wal_archive else None,
        application=_application(request.path, state) if state.database else None,
        sites=sites.describe(request.path, state, login) if state.peer_port else None,
    )


def _options(state: SandboxState) -> ConnectionOptions:
    return ConnectionOptions(
        {
            "host": _HOST,
            "port": str(state.postgres.port),
            "user": "postgres",
            "password": state.postgres_password,
            "dbname": "postgres",
            "connect_timeout": "5",
        }
    )


def _store(state: SandboxState) -> t.Dict[str, t.Any]:
    return {
        "provider": "generic",
        "bucket": state.bucket,
        "endpoint_url": f"http://{_HOST}:{state.s3.port}",
        "access_key": state.access_key,
        "secret_key": state.secret_key,
    }


def _application(path: str, state: SandboxState) -> t.Dict[str, t.Any]:
    return {
        "url": f"http://{_HOST}:{state.application.port}",
        "files": {bucket: {**_store(state), "bucket": bucket} for bucket in application.BUCKETS},
        "publish": [*application.program_command(path), "publish"],
    }


def sandbox_store(path: str, bucket: str) -> ObjectStore:
    """A bucket on the S3 server of the sandbox in a folder. Raises RecoveryError(not_a_sandbox), and for no answer."""
    state = load_state(path)
    if state is None or not is_running(state.s3):
        raise RecoveryError(
            ErrorKind.NOT_A_SANDBOX,
            f"{path} is not the folder of a sandbox with a running S3 server.",
            left="No object was changed.",
            next_step="Set sandbox_path to the folder of the sandbox.",
        )
    return open_store(StoreOptions(**{**_store(state), "bucket": bucket}))


def _server_user() -> t.Optional[str]:
    """PostgreSQL refuses to run as root, so root runs it as another user."""
    return "nobody" if os.geteuid() == 0 else None


def _lent(user: t.Optional[str]) -> t.Dict[str, t.Any]:
    """Arguments of Popen for processes that must not keep a folder of the sandbox busy."""
    return {"cwd": "/", **as_user(user)}


def _can_reach(path: str, user: t.Optional[str]) -> bool:
    if user is None:
        return os.access(path, os.X_OK)
    probe = subprocess.run(["/usr/bin/test", "-x", path], check=False, **_lent(user))
    return probe.returncode == 0


def _socket_dir(folder: str, user: t.Optional[str]) -> str:
    if len(folder.encode()) <= _LONGEST_SOCKET_DIR:
        return folder
    short = tempfile.mkdtemp(prefix="lifeline-")
    give_to(user, short)
    return short
