# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Configures the PostgreSQL of a sandbox to archive with pgBackRest into a folder of the sandbox."""

from __future__ import annotations

import os
import typing as t

from .._core.errors import RecoveryError
from .._pitr.program import PgBackRest, Place, newest_supported
from .state import SandboxState

STANZA = "sandbox"
_FOLDERS = ("repository", "log", "lock", "spool")
_CONFIG = """[global]
log-path={folder}/log
lock-path={folder}/lock
spool-path={folder}/spool
repo1-path={folder}/repository
repo1-retention-full=2
compress-type=zst
start-fast=y
log-level-file=off
[{stanza}]
pg1-path={data}
pg1-port={port}
pg1-socket-path={socket}
pg1-user=postgres
"""

_Give = t.Callable[[str], None]


def newest_version() -> int:
    """The newest major version of PostgreSQL that the installed pgBackRest supports.

    Raises RecoveryError(client_missing) without pgBackRest.
    """
    try:
        return newest_supported(PgBackRest(Place(STANZA)).version())
    except RecoveryError as error:
        raise error.restated(next_step="Install the package pgbackrest.") from None


def archive_folder(path: str) -> str:
    return os.path.join(path, "postgres", "archive")


def prepare(path: str, state: SandboxState, give: _Give) -> t.Dict[str, str]:
    """Write the configuration for the server that is about to start; returns its settings."""
    folder = archive_folder(path)
    for name in ("", *_FOLDERS):
        os.makedirs(os.path.join(folder, name), mode=0o700, exist_ok=True)
        give(os.path.join(folder, name))
    text = _CONFIG.format(
        folder=folder,
        stanza=STANZA,
        data=os.path.join(path, "postgres", "data"),
        port=state.postgres.port,
        socket=state.socket_dir,
    )
    _write(os.path.join(folder, "pgbackrest.conf"), text, give)
    _write(os.path.join(folder, "pgpass"), f"*:*:*:postgres:{state.postgres_password}\n", give)
    push = f"{PgBackRest(Place(STANZA)).path} --config={folder}/pgbackrest.conf --stanza={STANZA} archive-push %p"
    return {
        "archive_mode": "on",
        "archive_command": push,
        "archive_timeout": "60",
        "wal_level": "replica",
        "track_commit_timestamp": "on",
    }


def archive_options(path: str) -> t.Dict[str, t.Any]:
    """Options of our modules to reach the archive."""
    folder = archive_folder(path)
    return {
        "stanza": STANZA,
        "config": f"{folder}/pgbackrest.conf",
        "environment": {"PGPASSFILE": f"{folder}/pgpass"},
    }


def _write(path: str, text: str, give: _Give) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as stream:
        stream.write(text)
    give(path)
