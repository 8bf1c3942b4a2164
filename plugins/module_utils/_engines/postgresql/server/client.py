# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Finds the PostgreSQL client programs that can work with a given server."""

from __future__ import annotations

import glob
import os
import re
import shutil
import subprocess
import typing as t
from dataclasses import dataclass

from ...._core.errors import ErrorKind, RecoveryError

_PROGRAMS = ("pg_dump", "pg_dumpall", "pg_restore", "psql")

_FOLDERS = (
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/usr/local/pgsql*/bin",
    "/opt/homebrew/opt/postgresql@*/bin",
)


@dataclass(frozen=True)
class ClientPrograms:
    """A folder that holds pg_dump, pg_dumpall, pg_restore and psql of one version."""

    bin_dir: str
    version: str

    @property
    def major(self) -> int:
        return int(self.version.split(".")[0])

    def path(self, program: str) -> str:
        return os.path.join(self.bin_dir, program)


def find_client(minimum_major: int, bin_dir: t.Optional[str] = None) -> ClientPrograms:
    """The client of the server's major version, else the newest that can talk to it.

    A dump by a newer pg_dump may hold settings that the older server refuses, so equal comes first.
    Raises RecoveryError(client_missing) when there is none, client_too_old when all are older.
    """
    found = [client for folder in _folders(bin_dir) for client in [_inspect(folder)] if client is not None]
    where = f"in {bin_dir}" if bin_dir else "on this host"
    install = f"Install the package postgresql-client-{minimum_major}, or set client_bin_dir."
    if not found:
        raise RecoveryError(
            ErrorKind.CLIENT_MISSING,
            f"pg_dump, pg_dumpall, pg_restore and psql are missing {where}.",
            next_step=install,
        )
    able = [client for client in found if client.major >= minimum_major]
    if not able:
        versions = ", ".join(sorted({client.version for client in found}))
        raise RecoveryError(
            ErrorKind.CLIENT_TOO_OLD,
            f"The PostgreSQL client {where} is {versions}, older than the server's version {minimum_major}.",
            next_step=install,
        )
    return min(able, key=lambda client: (client.major != minimum_major, -client.major))


def _folders(bin_dir: t.Optional[str]) -> t.Iterator[str]:
    if bin_dir:
        yield bin_dir
        return
    on_path = shutil.which("pg_dump")
    if on_path:
        # Debian's wrapper on the path chooses a version by itself; the real folders follow below.
        yield os.path.dirname(on_path)
    for pattern in _FOLDERS:
        yield from sorted(glob.glob(pattern))


def _inspect(folder: str) -> t.Optional[ClientPrograms]:
    if not all(os.access(os.path.join(folder, program), os.X_OK) for program in _PROGRAMS):
        return None
    try:
        answer = subprocess.run(
            [os.path.join(folder, "pg_dump"), "--version"], capture_output=True, check=True, timeout=30, text=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    match = re.search(r"(\d+(?:\.\d+)?)", answer.stdout)
    return ClientPrograms(folder, match.group(1)) if match else None
