# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Argument specs shared by the modules; each has its documentation fragment of the same name."""

from __future__ import annotations

import typing as t

from ansible.module_utils.basic import env_fallback

from .._core.cloudflare import API
from .._repository.recovery_points import Selection
from .._supabase.api import API as SUPABASE_API
from .options import ArgumentSpec, spec_of


def postgres_spec() -> ArgumentSpec:
    return ArgumentSpec(
        dict(_POSTGRES_OPTIONS), mutually_exclusive=[["dsn", "login_host"], ["dsn", "login_unix_socket"]]
    )


_POSTGRES_OPTIONS: t.Dict[str, t.Any] = {
    "dsn": {"type": "str", "no_log": True},
    "login_host": {"type": "str", "fallback": (env_fallback, ["PGHOST"])},
    "login_port": {"type": "int", "default": 5432, "fallback": (env_fallback, ["PGPORT"])},
    "login_user": {"type": "str", "fallback": (env_fallback, ["PGUSER"])},
    "login_password": {"type": "str", "no_log": True, "fallback": (env_fallback, ["PGPASSWORD"])},
    "login_unix_socket": {"type": "str"},
    "login_db": {"type": "str", "fallback": (env_fallback, ["PGDATABASE"])},
    "ssl_mode": {
        "type": "str",
        "default": "prefer",
        "choices": ["allow", "disable", "prefer", "require", "verify-ca", "verify-full"],
    },
    "ca_cert": {"type": "path"},
    "ssl_cert": {"type": "path"},
    "ssl_key": {"type": "path"},
    "connect_timeout": {"type": "int", "default": 10},
    "stall_timeout": {"type": "int", "default": 300},
    "client_bin_dir": {"type": "path"},
}


def peer_spec(name: str = "peer") -> ArgumentSpec:
    """A second server, whose connection is that of the first but for what is given."""
    names = ("login_user", "login_password", "login_db", "ca_cert", "ssl_cert", "ssl_key")
    own = {name: {key: value for key, value in _POSTGRES_OPTIONS[name].items() if key != "fallback"} for name in names}
    place: t.Dict[str, t.Any] = {
        "dsn": {"type": "str", "no_log": True},
        "login_host": {"type": "str"},
        "login_port": {"type": "int", "default": 5432},
        "login_unix_socket": {"type": "str"},
        "ssl_mode": {"type": "str", "choices": _POSTGRES_OPTIONS["ssl_mode"]["choices"]},
    }
    return ArgumentSpec({name: {"type": "dict", "options": {**place, **own}}})


def d1_spec() -> ArgumentSpec:
    """A database of D1 and the credentials for it."""
    return ArgumentSpec(
        {
            "account_id": {"type": "str", "fallback": (env_fallback, ["CLOUDFLARE_ACCOUNT_ID"])},
            "api_token": {"type": "str", "no_log": True, "fallback": (env_fallback, ["CLOUDFLARE_API_TOKEN"])},
            "api_url": {"type": "str", "default": API},
            "api_timeout": {"type": "int", "default": 60},
            "database": {"type": "str"},
        }
    )


def supabase_spec() -> ArgumentSpec:
    """A project of Supabase, who asks for it, and the source that records are about."""
    return ArgumentSpec(
        {
            "project_ref": {"type": "str", "required": True},
            "access_token": {"type": "str", "no_log": True, "fallback": (env_fallback, ["SUPABASE_ACCESS_TOKEN"])},
            "api_url": {"type": "str", "default": SUPABASE_API},
            "api_timeout": {"type": "int", "default": 60},
        }
    )


def selection_spec() -> ArgumentSpec:
    """The source of sets, and which of its sets."""
    return ArgumentSpec({"source": {"type": "str"}}).merge(spec_of(Selection))


def rows_spec() -> ArgumentSpec:
    """The selected rows, and references that no foreign key declares."""
    reference: t.Dict[str, t.Any] = {
        "table": {"type": "str", "required": True},
        "columns": {"type": "list", "elements": "str", "required": True},
        "parent": {"type": "str", "required": True},
        "parent_columns": {"type": "list", "elements": "str", "required": True},
    }
    return ArgumentSpec(
        {
            "tables": {"type": "list", "elements": "str", "default": []},
            "keys": {"type": "dict", "default": {}, "no_log": False},
            "references": {"type": "list", "elements": "dict", "default": [], "options": reference},
        }
    )
