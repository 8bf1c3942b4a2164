# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The options of edge functions of Supabase."""

from __future__ import annotations

import typing as t

from .._store.base import ObjectStore
from .._supabase.functions.api import FunctionsApi
from .._supabase.functions.change import FunctionsChange
from .._supabase.functions.deploy import DeployRequest, FunctionsDeploy
from .._supabase.functions.remove import FunctionsRemove, RemoveRequest
from .._supabase.functions.restore import FunctionsRestore, RestoreRequest
from .options import ArgumentSpec, request_of, spec_of
from .requests import Params
from .supabase_requests import supabase_access

_CHANGES: t.Mapping[str, t.Tuple[t.Any, t.Callable[..., FunctionsChange]]] = {
    "deployed": (DeployRequest, FunctionsDeploy),
    "absent": (RemoveRequest, FunctionsRemove),
    "restored": (RestoreRequest, FunctionsRestore),
}


def functions_spec() -> ArgumentSpec:
    """The options of all states; each state requires its own."""
    states = ArgumentSpec(
        {"state": {"type": "str", "default": "deployed", "choices": list(_CHANGES)}, "remote": {"type": "str"}},
        required_if=[
            ("state", "deployed", ["functions", "remote", "ref"]),
            ("state", "absent", ["functions"]),
            ("state", "restored", ["kept"]),
        ],
    )
    return spec_of(DeployRequest).merge(spec_of(RemoveRequest), spec_of(RestoreRequest), states)


def functions_change(params: Params, store: t.Optional[ObjectStore], *, check_mode: bool) -> FunctionsChange:
    """Raises RecoveryError(invalid_options)."""
    api = FunctionsApi(supabase_access(params))
    request, change = _CHANGES[params["state"]]
    return change(api, request_of(request, params, check_mode=check_mode), store)
