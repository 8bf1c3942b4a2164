# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The options of the modules that work on the data directory of a primary."""

from __future__ import annotations

import os

from .._store.directory import DirectoryStore
from .options import ArgumentSpec
from .requests import Params

_STATES_OF_ROOT = "/var/lib/lifeline-fence"
_STATES_OF_USER = "~/.local/state/lifeline-fence"


def fence_states_spec() -> ArgumentSpec:
    return ArgumentSpec({"state_dir": {"type": "path"}})


def fence_states(params: Params) -> DirectoryStore:
    """Where the fences of this host are stored."""
    default = _STATES_OF_ROOT if os.geteuid() == 0 else _STATES_OF_USER
    return DirectoryStore(os.path.expanduser(params["state_dir"] or default))
