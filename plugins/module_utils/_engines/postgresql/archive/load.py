# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Loads an archive of pg_dump into a database that exists."""

from __future__ import annotations

import os
import re
import subprocess
import threading
import typing as t

from ...._core.errors import ErrorKind, RecoveryError
from ...._core.process import Child
from ..server.client import ClientPrograms
from ..server.connection import ConnectionOptions
from ..server.programs import start_program
from .archive_files import require_own_files
from .object_errors import ObjectFailure, parse_object_failures

#: Building indexes with more memory is what makes a restore quick; nothing here weakens the result,
#: because a load that is cut off is thrown away whole.
_SETTINGS = (
    "-c maintenance_work_mem=256MB -c synchronous_commit=off -c jit=off -c statement_timeout=0 -c lock_timeout=0"
)


#: How libpq and the server report that a session has ended.
_LOST = re.compile(r"server closed the connection|terminating connection|connection to server .* failed|SSL SYSCALL")


def load_archive(
    client: ClientPrograms,
    options: ConnectionOptions,
    archive: str,
    *,
    jobs: int,
    owner: bool = True,
    privileges: bool = True,
    tablespaces: bool = True,
    only: t.Sequence[str] = (),
    titles: t.Optional[t.Mapping[int, str]] = None,
) -> t.List[ObjectFailure]:
    """pg_restore, in parallel; only narrows it down by further options, titles names entries by their numbers.

    Returns the objects that the server refused; all others are loaded.
    Raises RecoveryError(restore_failed, client_too_old, damaged) when pg_restore itself failed.
    """
    require_own_files(archive)
    arguments = [
        client.path("pg_restore"),
        "--no-password",
        f"--dbname={options.conninfo()}",
        *_scope(owner, privileges, tablespaces),
        f"--jobs={jobs}",
        *only,
        archive,
    ]
    with start_program(arguments, options, _environment(options)) as child:
        complaints = list(child.lines())
        code = child.wait()
    failures = parse_object_failures(complaints, titles or {})
    if not any("errors ignored on restore" in line for line in complaints) or _LOST.search("\n".join(complaints)):
        _raise_unless_good("pg_restore", code, complaints)
    return failures


def archive_script(
    client: ClientPrograms,
    archive: str,
    *,
    owner: bool = True,
    privileges: bool = True,
    tablespaces: bool = True,
    only: t.Sequence[str] = (),
) -> t.Iterator[bytes]:
    """The script that pg_restore makes of an archive, in chunks; only narrows it down by further options.

    Raises RecoveryError behind the last chunk when pg_restore failed: damaged, client_too_old.
    """
    require_own_files(archive)
    arguments = [
        client.path("pg_restore"),
        "--exit-on-error",
        "--file=-",
        *_scope(owner, privileges, tablespaces),
        *only,
        archive,
    ]
    with Child(arguments, {**os.environ, "LC_ALL": "C"}, stdout=subprocess.PIPE) as child:
        complaints: t.List[str] = []
        reader = threading.Thread(target=lambda: complaints.extend(child.lines()), daemon=True)
        reader.start()
        while True:
            chunk = child.stdout.read(1024 * 1024)
            if not chunk:
                break
            yield chunk
        code = child.wait()
        reader.join()
        if code != 0 and not any("unsupported version" in line for line in complaints):
            raise RecoveryError(
                ErrorKind.DAMAGED,
                f"pg_restore cannot read the archive {archive}: {' '.join(complaints[-3:])}.",
                next_step="Use another dump, or create the dump again.",
            )
        _raise_unless_good("pg_restore", code, complaints)


def _scope(owner: bool, privileges: bool, tablespaces: bool) -> t.List[str]:
    return [
        *([] if owner else ["--no-owner"]),
        *([] if privileges else ["--no-privileges"]),
        *([] if tablespaces else ["--no-tablespaces"]),
    ]


def _environment(options: ConnectionOptions) -> t.Dict[str, str]:
    environment = options.environment()
    given = environment.get("PGOPTIONS", "")
    return {**environment, "PGOPTIONS": f"{_SETTINGS} {given}".strip()}


def _raise_unless_good(program: str, code: int, complaints: t.Sequence[str]) -> None:
    if code == 0:
        return
    causes = [line for line in complaints if re.search(r"error|fatal|detail|hint", line, re.IGNORECASE)] or list(
        complaints
    )
    text = " ".join(" ".join(causes[:4]).split())
    kind, next_step = ErrorKind.RESTORE_FAILED, "Mend the cause that PostgreSQL names, then run the restore again."
    if re.search(r'role ".*" does not exist', text):
        kind, next_step = ErrorKind.ROLES_MISSING, "Set create_roles to true, or owner and privileges to false."
    elif "unsupported version" in text:
        kind, next_step = (
            ErrorKind.CLIENT_TOO_OLD,
            "Install the client of the server that made the dump, or a newer one.",
        )
    elif "lock timeout" in text:
        kind, next_step = ErrorKind.LOCKED, "End the sessions that hold the tables, then run the restore again."
    elif "permission denied" in text or "must be owner" in text:
        kind, next_step = (
            ErrorKind.ACCESS_DENIED,
            "Connect as a role that may create these objects, or set owner to false.",
        )
    raise RecoveryError(
        kind, f"{program} stopped at an error (exit code {code}): {text}.", left="", next_step=next_step
    )
