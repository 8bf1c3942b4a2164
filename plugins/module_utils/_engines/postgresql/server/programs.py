# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Starts pg_dump, pg_restore and psql, and ends them if their connection stalls."""

from __future__ import annotations

import secrets
import typing as t

from ...._core.process import Child
from .connection import ConnectionOptions, stall_keywords
from .stall import ProgramWatch


def start_program(
    arguments: t.Sequence[str], options: ConnectionOptions, environment: t.Mapping[str, str], **streams: t.Any
) -> Child:
    """A client program with that environment. Its wait raises RecoveryError(timeout) when it has stalled.

    Its sessions bear a name of their own, by which they are found in pg_stat_activity.
    """
    name = f"lifeline.recovery {arguments[0].rpartition('/')[2]} {secrets.token_hex(4)}"
    watch = ProgramWatch(stall_keywords(options), options.place, options.stall_timeout, name)
    return Child(arguments, {**environment, "PGAPPNAME": name}, stalls=watch, **streams)
