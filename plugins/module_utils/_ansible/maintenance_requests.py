# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The options of the steps of a maintenance."""

from __future__ import annotations

import os
import typing as t

from .._maintenance.command import Command, CommandOptions
from .._maintenance.flag_file import FlagFile, FlagFileOptions
from .._maintenance.http_switch import HttpOptions, HttpSwitch
from .._maintenance.means import Means
from .._maintenance.pm2 import Pm2, Pm2Options
from .._maintenance.systemd import Systemd, SystemdOptions
from .._store.directory import DirectoryStore
from .options import ArgumentSpec, request_of, spec_of
from .requests import Params

_MEANS: t.Mapping[str, t.Tuple[t.Any, t.Callable[[t.Any, float], Means]]] = {
    "flag_file": (FlagFileOptions, FlagFile),
    "http": (HttpOptions, HttpSwitch),
    "systemd": (SystemdOptions, Systemd),
    "pm2": (Pm2Options, Pm2),
    "command": (CommandOptions, Command),
}

_STATES_OF_ROOT = "/var/lib/lifeline-maintenance"
_STATES_OF_USER = "~/.local/state/lifeline-maintenance"


def means_spec() -> ArgumentSpec:
    """An option for each means, of which one is given."""
    options: t.Dict[str, t.Any] = {
        name: {"type": "dict", "options": spec_of(request).options} for name, (request, _means) in _MEANS.items()
    }
    options["state_dir"] = {"type": "path"}
    return ArgumentSpec(options, mutually_exclusive=[list(_MEANS)], required_one_of=[list(_MEANS)])


def maintenance_means(params: Params) -> Means:
    """Raises RecoveryError(invalid_options)."""
    name = next(name for name in _MEANS if params[name] is not None)
    request, means = _MEANS[name]
    return means(request_of(request, params[name], check_mode=False), params["timeout"])


def maintenance_states(params: Params) -> DirectoryStore:
    """Where the states before are stored on this host."""
    default = _STATES_OF_ROOT if os.geteuid() == 0 else _STATES_OF_USER
    return DirectoryStore(os.path.expanduser(params["state_dir"] or default))
