# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The options that the backup of every kind of source has."""

from __future__ import annotations

import typing as t

from .argument_specs import progress_spec
from .options import ArgumentSpec
from .requests import Params, journal_listener


def backup_spec(*, tiers: t.Sequence[str] = ("hourly", "daily", "weekly", "monthly", "emergency")) -> ArgumentSpec:
    """The options of the source, of the stored objects and of the progress."""
    return ArgumentSpec(
        {
            "source": {"type": "str", "required": True},
            "tier": {"type": "str", "default": "daily", "choices": list(tiers)},
            "compression": {"type": "str", "default": "zstd", "choices": ["zstd", "gzip", "none"]},
            "spool_dir": {"type": "path"},
            "journal": {"type": "path"},
        }
    ).merge(progress_spec())


def backup_options(params: Params, *, check_mode: bool) -> t.Dict[str, t.Any]:
    """The fields of BackupRequest that backup_spec declares."""
    return {
        "source": params["source"],
        "tier": params["tier"],
        "codec": params["compression"],
        "spool_dir": params["spool_dir"],
        "progress_file": params["progress_file"],
        "listener": journal_listener(params["journal"]),
        "check_mode": check_mode,
    }
