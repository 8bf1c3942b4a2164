# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs pg_dump into a spool folder and reports each finished file while pg_dump writes others."""

from __future__ import annotations

import os
import re
import signal
import typing as t
from dataclasses import dataclass

from ...._core.errors import ErrorKind, RecoveryError
from ...._core.process import Child
from ..server.client import ClientPrograms
from ..server.connection import ConnectionOptions
from ..server.programs import start_program
from .selection import DumpScope
from .toc import Toc, TocEntry, parse_toc

TOC_NAME = "toc.dat"

_NO_SET = "No backup set was written; earlier sets are unchanged."


@dataclass(frozen=True)
class DumpedFile:
    """A finished file in the spool folder. role as in the manifest's objects."""

    path: str
    role: str
    schema: str = ""
    table: str = ""


def dump_arguments(
    client: ClientPrograms,
    scope: DumpScope,
    *,
    jobs: int,
    snapshot: str,
    lock_timeout: float,
    folder: str,
    encoding: str,
) -> t.List[str]:
    """The command line of pg_dump. It holds no secret: the connection is in the environment.

    encoding is the database's.
    """
    return [
        client.path("pg_dump"),
        "--format=directory",
        f"--jobs={jobs}",
        "--compress=0",
        "--verbose",
        "--no-password",
        # The spool is read immediately and deleted; only the store must survive a crash.
        "--no-sync",
        f"--snapshot={snapshot}",
        f"--lock-wait-timeout={int(lock_timeout * 1000)}",
        f"--encoding={client_encoding(encoding)}",
        f"--file={folder}",
        *scope.arguments(client.major),
    ]


def follow_dump(child: Child, folder: str, on_toc: t.Callable[[Toc], None]) -> t.Iterator[DumpedFile]:
    """Yield each file as soon as pg_dump has finished it, toc.dat last; call on_toc once, early.

    Raises RecoveryError (see dump_failure) when pg_dump fails.
    """
    # The entries with a file that were not yielded yet, by dump id in the order of the archive.
    pending: t.Optional[t.Dict[int, TocEntry]] = None
    current: t.Optional[int] = None
    complaints: t.List[str] = []

    def opened() -> t.Dict[int, TocEntry]:
        toc = read_toc(folder)
        on_toc(toc)
        return {entry.dump_id: entry for entry in toc.entries if entry.file_name}

    for line in child.lines():
        finished = re.match(r"pg_dump: finished item (\d+) ", line)
        began = re.match(r"pg_dump: (dumping contents of table|saving (?:BLOBs|large objects))", line)
        if not finished and not began:
            if re.match(r"pg_dump: (error|detail|hint|warning)|.*(FATAL|ERROR|PANIC):", line):
                complaints.append(line)
            continue
        if pending is None:
            pending = opened()
        if finished:
            done = pending.pop(int(finished.group(1)), None)
        else:
            # One job reports no end: what began before has ended when the next begins.
            done = pending.pop(current, None) if current is not None and _is_serial(child) else None
            current = next(iter(pending), None)
        if done is not None:
            yield from _files(done, folder)
    code = child.wait()
    if code != 0:
        raise dump_failure(code, complaints)
    for entry in (opened() if pending is None else pending).values():
        yield from _files(entry, folder)
    yield DumpedFile(TOC_NAME, "toc")


def read_toc(folder: str) -> Toc:
    with open(os.path.join(folder, TOC_NAME), "rb") as stream:
        return parse_toc(stream.read())


def start_dump(arguments: t.Sequence[str], options: ConnectionOptions) -> Child:
    return start_program([*arguments, f"--dbname={options.conninfo()}"], options, options.environment())


def client_encoding(encoding: str) -> str:
    """The encoding of the dump: bytes of SQL_ASCII have no known encoding and cannot become UTF-8."""
    return encoding if encoding == "SQL_ASCII" else "UTF8"


def dump_roles(client: ClientPrograms, options: ConnectionOptions, path: str, encoding: str) -> t.Optional[str]:
    """Write roles and memberships, without passwords, to path; the reason when the server does not let us."""
    arguments = [
        client.path("pg_dumpall"),
        "--globals-only",
        "--no-role-passwords",
        "--no-password",
        # A database name may be a connection string here, and only here.
        f"--database={options.conninfo()}",
        f"--encoding={client_encoding(encoding)}",
        f"--file={path}",
    ]
    with start_program(arguments, options, options.environment()) as child:
        lines = list(child.lines())
        if child.wait() == 0:
            return None
    return lines[-1] if lines else "pg_dumpall failed"


def _is_serial(child: Child) -> bool:
    return "--jobs=1" in child.arguments


def _files(entry: TocEntry, folder: str) -> t.Iterator[DumpedFile]:
    if entry.kind != "BLOBS":
        yield DumpedFile(entry.file_name, "data", entry.schema, entry.tag)
        return
    with open(os.path.join(folder, entry.file_name), encoding="ascii") as listing:
        names = [line.split()[1] for line in listing if line.strip()]
    for name in names:
        yield DumpedFile(name, "large_object")
    yield DumpedFile(entry.file_name, "large_objects")


def dump_failure(code: int, complaints: t.Sequence[str], left: str = _NO_SET) -> RecoveryError:
    """The error for a pg_dump that ended with a code other than 0, by what it complained of."""
    text = " ".join(" ".join(complaints[-4:]).split())
    if code < 0:
        name = signal.Signals(-code).name
        return RecoveryError(
            ErrorKind.DUMP_FAILED,
            f"pg_dump was killed by {name}.",
            left=left,
            next_step="Look for the out-of-memory killer in the kernel's log, then run the backup again.",
        )
    for pattern, kind, next_step in (
        (
            "No space left on device|Disk quota exceeded",
            ErrorKind.SPOOL_FULL,
            "Set spool_dir to a file system with more room.",
        ),
        ("row-level security", ErrorKind.RLS_BLIND, "Back up as a superuser or a role with BYPASSRLS."),
        ("version mismatch", ErrorKind.CLIENT_TOO_OLD, "Install the client of the server's major version."),
        (
            "lock timeout|could not obtain lock",
            ErrorKind.LOCKED,
            "Run it when no migration holds the table, or raise lock_timeout.",
        ),
        ("permission denied", ErrorKind.ACCESS_DENIED, "Grant the role the membership pg_read_all_data."),
    ):
        if re.search(pattern, text):
            return RecoveryError(kind, f"pg_dump failed: {text}.", left=left, next_step=next_step)
    return RecoveryError(ErrorKind.DUMP_FAILED, f"pg_dump failed with exit code {code}: {text}.", left=left)
