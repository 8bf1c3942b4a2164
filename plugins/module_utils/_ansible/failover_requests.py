# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The options of the modules that fence a primary, prove the fence, and attach it to the new primary."""

from __future__ import annotations

import os
import typing as t

from .._engines.postgresql.server.connection import ConnectionOptions
from .._store.directory import DirectoryStore
from .options import ArgumentSpec
from .postgres_requests import login_options, maintenance_options
from .requests import Params

_STATES_OF_ROOT = "/var/lib/lifeline-fence"
_STATES_OF_USER = "~/.local/state/lifeline-fence"


def fence_states_spec() -> ArgumentSpec:
    return ArgumentSpec({"state_dir": {"type": "path"}})


def fence_states(params: Params) -> DirectoryStore:
    """Where the fences of this host are stored."""
    default = _STATES_OF_ROOT if os.geteuid() == 0 else _STATES_OF_USER
    return DirectoryStore(os.path.expanduser(params["state_dir"] or default))


def logins_spec() -> ArgumentSpec:
    login = {"login_user": {"type": "str", "required": True}, "login_password": {"type": "str", "no_log": True}}
    return ArgumentSpec({"logins": {"type": "list", "elements": "dict", "options": login, "default": []}})


def probe_logins(params: Params) -> t.List[ConnectionOptions]:
    """The connections of the logins; that of the connection itself if there are none."""
    shared = {**params, "login_db": maintenance_options(params).database}
    return [login_options(shared, login) for login in params["logins"]] or [maintenance_options(params)]
