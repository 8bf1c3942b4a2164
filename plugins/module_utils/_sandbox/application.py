# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The files and the command line of the application that a sandbox runs."""

from __future__ import annotations

import inspect
import json
import os
import socket
import sys
import typing as t

from .._core.files import replace_file
from . import application_service
from .state import SandboxState

#: The buckets that the application serves.
BUCKETS = ("courses", "media")

_PROGRAM, _SETTINGS = "service.py", "settings.json"


def application_folder(path: str) -> str:
    return os.path.join(path, "application")


def prepare(path: str, state: SandboxState, host: str) -> t.List[str]:
    """Write the program and its settings into the sandbox; returns the command that serves."""
    folder = application_folder(path)
    os.makedirs(folder, mode=0o700, exist_ok=True)
    psql = os.path.join(state.bin_dir, "psql")
    settings = {
        "psql": [psql, f"--host={host}", f"--port={state.postgres.port}", "--username=postgres", state.database],
        "environment": {"PGPASSWORD": state.postgres_password, "PGCONNECT_TIMEOUT": "5"},
        "buckets": os.path.join(path, "s3"),
    }
    # The module runs from an archive that is removed at its end, and the service runs longer.
    replace_file(os.path.join(folder, _PROGRAM), inspect.getsource(application_service), 0o600)
    replace_file(os.path.join(folder, _SETTINGS), json.dumps(settings), 0o600)
    return [*program_command(path), "serve", str(state.application.port)]


def program_command(path: str) -> t.List[str]:
    """The command of the program without its verb."""
    folder = application_folder(path)
    return [sys.executable, "-I", os.path.join(folder, _PROGRAM), os.path.join(folder, _SETTINGS)]


def is_listening(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), timeout=5):
            return True
    except OSError:
        return False
