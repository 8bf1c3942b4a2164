# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The options of deployments of a frontend."""

from __future__ import annotations

import typing as t

from .._release.hook import Hook, HookOptions
from .._release.hosting import Hosting
from .._release.netlify import Netlify, NetlifyOptions
from .._release.vercel import Vercel, VercelOptions
from .options import ArgumentSpec, request_of, spec_of
from .requests import Params

_HOSTINGS: t.Mapping[str, t.Tuple[t.Any, t.Callable[[t.Any, float], Hosting]]] = {
    "vercel": (VercelOptions, Vercel),
    "netlify": (NetlifyOptions, Netlify),
    "hook": (HookOptions, Hook),
}


def hosting_spec() -> ArgumentSpec:
    """An option for each provider, of which one is given."""
    options: t.Dict[str, t.Any] = {
        name: {"type": "dict", "options": spec_of(request).options} for name, (request, _hosting) in _HOSTINGS.items()
    }
    options["api_timeout"] = {"type": "int", "default": 60}
    return ArgumentSpec(options, mutually_exclusive=[list(_HOSTINGS)], required_one_of=[list(_HOSTINGS)])


def hosting(params: Params) -> Hosting:
    """Raises RecoveryError(invalid_options)."""
    name = next(name for name in _HOSTINGS if params[name] is not None)
    request, kind = _HOSTINGS[name]
    return kind(request_of(request, params[name], check_mode=False), params["api_timeout"])
