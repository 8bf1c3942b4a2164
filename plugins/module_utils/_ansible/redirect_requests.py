# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The options of ways that lead clients to the writer."""

from __future__ import annotations

import typing as t

from .._redirect.cloudflare import Cloudflare, CloudflareOptions
from .._redirect.command import Command, CommandOptions
from .._redirect.env_file import EnvFile, EnvFileOptions
from .._redirect.kubernetes_secret import KubernetesSecret, KubernetesSecretOptions
from .._redirect.pgbouncer import Pgbouncer, PgbouncerOptions
from .._redirect.rfc2136 import Rfc2136, Rfc2136Options
from .._redirect.route53 import Route53, Route53Options
from .._redirect.ssm import Ssm, SsmOptions
from .._redirect.way import Way
from .options import ArgumentSpec, request_of, spec_of
from .requests import Params

_WAYS: t.Mapping[str, t.Tuple[t.Any, t.Callable[[t.Any, float], Way]]] = {
    "rfc2136": (Rfc2136Options, Rfc2136),
    "route53": (Route53Options, Route53),
    "cloudflare": (CloudflareOptions, Cloudflare),
    "ssm": (SsmOptions, Ssm),
    "kubernetes_secret": (KubernetesSecretOptions, KubernetesSecret),
    "pgbouncer": (PgbouncerOptions, Pgbouncer),
    "env_file": (EnvFileOptions, EnvFile),
    "command": (CommandOptions, Command),
}


def ways_spec() -> ArgumentSpec:
    """An option for each way, of which one is given."""
    options: t.Dict[str, t.Any] = {
        name: {"type": "dict", "options": spec_of(request).options} for name, (request, _way) in _WAYS.items()
    }
    # Its name looks like that of a secret, and its secrets are suboptions.
    options["kubernetes_secret"]["no_log"] = False
    options["timeout"] = {"type": "float", "default": 30}
    return ArgumentSpec(options, mutually_exclusive=[list(_WAYS)], required_one_of=[list(_WAYS)])


def redirect_way(params: Params) -> Way:
    """Raises RecoveryError(invalid_options)."""
    name = next(name for name in _WAYS if params[name] is not None)
    request, way = _WAYS[name]
    return way(request_of(request, params[name], check_mode=False), params["timeout"])


def show_values(module: t.Any, way: Way) -> None:
    """Let results show the values of a way without secrets; the log of the host never has them."""
    for name in ("expected", "value"):
        if way.shown(module.params[name]) == module.params[name]:
            module.no_log_values.discard(module.params[name])
