# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A cluster on this host: its control file, its start and stop, and queries as its own user."""

from __future__ import annotations

import os
import re
import shlex
import stat
import subprocess
import time
import typing as t
from dataclasses import dataclass, field

from .._core.errors import ErrorKind, RecoveryError
from .._core.process import as_user, give_to
from .._core.program import Done, run

_BIN_DIRS = ("/usr/lib/postgresql/{major}/bin", "/usr/pgsql-{major}/bin", "/usr/local/pgsql-{major}/bin")
_PROGRAMS = ("postgres", "pg_ctl", "pg_controldata", "pg_waldump", "psql")
#: A standby needs at least the values of the server whose WAL it replays.
_LIMITS = {
    "max_connections": "max_connections setting",
    "max_worker_processes": "max_worker_processes setting",
    "max_wal_senders": "max_wal_senders setting",
    "max_prepared_transactions": "max_prepared_xacts setting",
    "max_locks_per_transaction": "max_locks_per_xact setting",
}


@dataclass(frozen=True)
class ControlFile:
    """can_rewind: whether the files record their changes, by checksums of pages or by wal_log_hints.

    replayed_lsn: the position up to which a standby has replayed WAL, on replayed_timeline; C(0/0) for a primary.
    """

    system_identifier: str
    timeline: int
    state: str
    checkpoint_lsn: str
    limits: t.Mapping[str, str]
    can_rewind: bool = False
    replayed_lsn: str = "0/0"
    replayed_timeline: int = 0


@dataclass(frozen=True)
class Login:
    """libpq's variables for the queries of psql; its values may hold the password."""

    environment: t.Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class Running:
    """The content of postmaster.pid. If socket_dir is empty, address is used."""

    pid: int
    port: int
    socket_dir: str
    address: str


class Cluster:
    """A data directory with the programs of its version. root runs the programs as user."""

    def __init__(self, data: str, bin_dir: str, user: t.Optional[str], login: Login) -> None:
        self.data, self.bin_dir, self.user, self._login = data, bin_dir, user, login

    def path(self, program: str) -> str:
        return os.path.join(self.bin_dir, program)

    def control(self) -> t.Optional[ControlFile]:
        """None if there is no readable control file."""
        done = self._run(["pg_controldata", "-D", self.data])
        if done.code != 0:
            return None
        facts = {}
        for line in done.output.decode("utf-8", "replace").splitlines():
            name, _colon, value = line.partition(":")
            facts[name.strip()] = value.strip()
        return ControlFile(
            system_identifier=facts.get("Database system identifier", ""),
            timeline=int(facts.get("Latest checkpoint's TimeLineID", "0")),
            state=facts.get("Database cluster state", ""),
            checkpoint_lsn=facts.get("Latest checkpoint location", ""),
            limits={name: facts[label] for name, label in _LIMITS.items() if label in facts},
            can_rewind=facts.get("wal_log_hints setting") == "on"
            or facts.get("Data page checksum version", "0") != "0",
            replayed_lsn=facts.get("Minimum recovery ending location", "0/0"),
            replayed_timeline=int(facts.get("Min recovery ending loc's timeline", "0")),
        )

    def running(self) -> t.Optional[Running]:
        """The running server of this data directory, or None."""
        try:
            with open(os.path.join(self.data, "postmaster.pid"), encoding="utf-8", errors="replace") as stream:
                lines = [line.strip() for line in stream.readlines()] + [""] * 8
            pid = int(lines[0])
            with open(f"/proc/{pid}/comm", encoding="utf-8") as stream:
                alive = "postgres" in stream.read()
        except (OSError, ValueError):
            return None
        # After a crash of the host, the process with the number of a former server may be of another cluster.
        try:
            alive = alive and os.path.samefile(f"/proc/{pid}/cwd", self.data)
        except FileNotFoundError:
            return None
        except PermissionError:
            # Root of a container may lack CAP_SYS_PTRACE; the name of the program has to do.
            pass
        return Running(pid, int(lines[3] or 5432), lines[4], lines[5]) if alive else None

    def query(self, sql: str, database: t.Optional[str] = None) -> str:
        """The output of psql without headers. Raises RecoveryError(unreachable or query_failed)."""
        server = self.running()
        if server is None:
            raise RecoveryError(ErrorKind.UNREACHABLE, f"No server runs on {self.data}.", next_step="Start the server.")
        arguments = [self.path("psql"), "-XAtq", "-v", "ON_ERROR_STOP=1"]
        environment = {
            **self._environment(),
            "PGDATABASE": "postgres",
            "PGCONNECT_TIMEOUT": "10",
            **self._login.environment,
            **({"PGDATABASE": database} if database else {}),
            "PGHOST": server.socket_dir or server.address or "127.0.0.1",
            "PGPORT": str(server.port),
            "PGAPPNAME": "lifeline.recovery pitr",
        }
        try:
            done = subprocess.run(
                arguments, input=sql.encode(), env=environment, capture_output=True, timeout=600, check=False,
                **as_user(self.user),
            )  # fmt: skip
        except (OSError, subprocess.SubprocessError) as error:
            raise RecoveryError(ErrorKind.UNREACHABLE, f"psql did not end: {type(error).__name__}.") from None
        if done.returncode != 0:
            stderr = " ".join(done.stderr.decode("utf-8", "replace").split())[-400:]
            kind = ErrorKind.UNREACHABLE if done.returncode == 2 else ErrorKind.QUERY_FAILED
            raise RecoveryError(
                kind, f"The server on {self.data} refused: {stderr}.", next_step="Check login_user and login_password."
            )
        return str(done.stdout, "utf-8", "replace").strip()

    def start(self, options: t.Sequence[str], log: str, environment: t.Mapping[str, str]) -> None:
        """Start it without waiting until it accepts sessions. environment is for its restore_command.

        Raises RecoveryError(service_failed).
        """
        _make_log(log, self.user)
        quoted = " ".join(shlex.quote(option) for option in options)
        done = run(
            [self.path("pg_ctl"), "start", "-W", "-s", "-D", self.data, "-l", log, *(["-o", quoted] if quoted else [])],
            {**self._environment(), **environment},
            self.user,
        )
        if done.code != 0:
            raise RecoveryError(
                ErrorKind.SERVICE_FAILED, f"PostgreSQL did not start: {' '.join(done.errors.split())[-400:]}."
            )

    def arguments(self) -> t.List[str]:
        """The options of the last start of the server, without the program and its data directory."""
        try:
            with open(os.path.join(self.data, "postmaster.opts"), encoding="utf-8") as stream:
                arguments = shlex.split(stream.read())[1:]
        except (OSError, ValueError):
            return []
        kept: t.List[str] = []
        skip = False
        for word in arguments:
            if skip or word == "-D":
                skip = not skip
            elif not word.startswith(("-D", "--data-directory")):
                kept.append(word)
        return kept

    def request_stop(self) -> None:
        """Begin a fast shutdown without waiting for its end; nothing for a server that has ended."""
        self._run(["pg_ctl", "stop", "-s", "-W", "-m", "fast", "-D", self.data])

    def stop(self, timeout: int) -> None:
        """Stop it with a fast shutdown. Raises RecoveryError(service_failed) if it does not end."""
        if self.running() is None:
            return
        done = self._run(["pg_ctl", "stop", "-s", "-w", "-m", "fast", "-t", str(timeout), "-D", self.data])
        if done.code != 0 or self.running() is not None:
            raise RecoveryError(
                ErrorKind.SERVICE_FAILED,
                f"The server on {self.data} does not stop: {' '.join(done.errors.split())[-400:]}.",
                left="Its data directory is unchanged.",
                next_step="End its sessions and stop it, then run this again.",
            )

    def _environment(self) -> t.Dict[str, str]:
        return {**inherited_environment(), "LC_ALL": "C", "TZ": "UTC"}

    def _run(self, arguments: t.Sequence[str]) -> Done:
        return run([self.path(arguments[0]), *arguments[1:]], self._environment(), self.user)


def _make_log(path: str, user: t.Optional[str]) -> None:
    """The server's user may not make files beside the data directory; if it may, root must not follow its links.

    Raises RecoveryError(target_exists).
    """
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(path, flags, 0o600)
    except OSError as error:
        raise RecoveryError(
            ErrorKind.TARGET_EXISTS,
            f"The log {path} cannot be written ({error.strerror}).",
            next_step="Remove the file or link of this name.",
        ) from None
    try:
        facts = os.fstat(descriptor)
        if not stat.S_ISREG(facts.st_mode) or facts.st_nlink != 1:
            raise RecoveryError(
                ErrorKind.TARGET_EXISTS,
                f"The log {path} is not a file of its own.",
                next_step="Remove the file or link of this name.",
            )
        os.fchmod(descriptor, 0o600)
        give_to(user, descriptor)
    finally:
        os.close(descriptor)


def find_server(major: int, bin_dir: t.Optional[str]) -> str:
    """The folder with the server's programs of a major version. Raises RecoveryError(client_missing)."""
    for folder in [bin_dir] if bin_dir else [place.format(major=major) for place in _BIN_DIRS]:
        if all(os.access(os.path.join(folder, name), os.X_OK) for name in _PROGRAMS):
            return folder
    raise RecoveryError(
        ErrorKind.CLIENT_MISSING,
        f"The programs of PostgreSQL {major} ({', '.join(_PROGRAMS)}) are missing on this host.",
        next_step=f"Install the package postgresql-{major}, or set client_bin_dir to their folder.",
    )


def as_options(settings: t.Mapping[str, str]) -> t.List[str]:
    """Settings as arguments of the server."""
    return [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]


def inherited_environment() -> t.Dict[str, str]:
    """The own environment without what would lead libpq elsewhere."""
    return {
        key: value for key, value in os.environ.items() if key.startswith("PGBACKREST_") or not key.startswith("PG")
    }


def archived_after_switch(cluster: Cluster, timeout: int) -> str:
    """Let everything up to now be archived: an empty transaction, then a switch of the segment. Returns its name.

    The transaction is what a recovery to any instant before it stops at. Raises RecoveryError(archiving_failed).
    """
    name = cluster.query(
        "SELECT pg_catalog.txid_current() \\g /dev/null\n"
        "SELECT pg_catalog.pg_walfile_name(pg_catalog.pg_switch_wal());\n"
    )
    deadline = time.monotonic() + timeout
    while True:
        # A segment of an older timeline has a smaller name, so names compare.
        last, failed = (
            cluster.query(
                "SELECT coalesce(last_archived_wal, '') || ' ' || coalesce(last_failed_wal, '') "
                "FROM pg_catalog.pg_stat_archiver"
            )
            + " "
        ).split(" ")[:2]
        if last[:24] >= name and re.fullmatch(r"[0-9A-F]{24}", last[:24]):
            return name
        if time.monotonic() > deadline:
            failing = f", and {failed} fails" if failed else ""
            raise RecoveryError(
                ErrorKind.ARCHIVING_FAILED,
                f"The segment {name} was not archived within {timeout} s{failing}.",
                left="The server runs as before.",
                next_step="Check archive_command and the server's log; or raise archive_timeout.",
            )
        time.sleep(0.2)
