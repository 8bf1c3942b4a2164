# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The options of a PostgreSQL server, and what is done to its tables."""

from __future__ import annotations

import typing as t
from dataclasses import replace

from .._core.errors import ErrorKind, RecoveryError
from .._engines.postgresql.repair.rows_repair import RepairRequest
from .._engines.postgresql.server.connection import ConnectionOptions, parse_dsn
from .._engines.postgresql.server.names import QualifiedName, parse_qualified_name
from .options import request_of
from .requests import Params

_KEYWORDS = {
    "login_host": "host",
    "login_user": "user",
    "login_password": "password",
    "login_db": "dbname",
    "ca_cert": "sslrootcert",
    "ssl_cert": "sslcert",
    "ssl_key": "sslkey",
}


def connection_options(params: Params) -> ConnectionOptions:
    """The connection that the options of the postgres fragment describe; login_db wins over the dsn's."""
    if params["dsn"]:
        keywords = parse_dsn(params["dsn"])
        if params["login_db"]:
            keywords["dbname"] = params["login_db"]
        if params["login_password"]:
            keywords.setdefault("password", params["login_password"])
    else:
        keywords = {keyword: str(params[option]) for option, keyword in _KEYWORDS.items() if params[option]}
        if params["login_unix_socket"]:
            keywords["host"] = params["login_unix_socket"]
        keywords["port"] = str(params["login_port"])
        keywords["sslmode"] = params["ssl_mode"]
    keywords.setdefault("connect_timeout", str(params["connect_timeout"]))
    return ConnectionOptions(keywords, params["client_bin_dir"], stall_timeout=params["stall_timeout"])


def login_options(params: Params, login: Params) -> ConnectionOptions:
    """The connection of the options with another role."""
    options = connection_options(params)
    keywords = {name: value for name, value in options.keywords.items() if name not in ("user", "password")}
    keywords["user"] = login["login_user"]
    if login["login_password"]:
        keywords["password"] = login["login_password"]
    return replace(options, keywords=keywords)


def peer_options(params: Params, name: str = "peer") -> t.Optional[ConnectionOptions]:
    """The server that the option describes; what it leaves out is that of the first, but for the place."""
    peer = params[name]
    if not peer:
        return None
    if not (peer["dsn"] or peer["login_host"] or peer["login_unix_socket"]):
        raise RecoveryError(
            ErrorKind.INVALID_OPTIONS, f"The option {name} names no server.", next_step="Give it login_host or dsn."
        )
    shared = {
        keyword: value
        for keyword, value in maintenance_options(params).keywords.items()
        if keyword not in ("host", "hostaddr", "port", "service")
    }
    own = connection_options(
        {
            **peer,
            "ssl_mode": peer["ssl_mode"] or shared.get("sslmode", "prefer"),
            "connect_timeout": params["connect_timeout"],
            "stall_timeout": params["stall_timeout"],
            "client_bin_dir": None,
        }
    )
    return ConnectionOptions(keywords={**shared, **own.keywords}, stall_timeout=params["stall_timeout"])


def promoted_options(params: Params) -> t.Optional[ConnectionOptions]:
    """The server that the option peer describes, in a module that logs in to no other server."""
    unset = ("dsn", "login_host", "login_unix_socket", "login_user", "login_password", "ca_cert", "ssl_cert", "ssl_key")
    defaults = {
        "login_db": "postgres",
        "login_port": 5432,
        "ssl_mode": "prefer",
        "connect_timeout": 10,
        "stall_timeout": 300,
        "client_bin_dir": None,
    }
    return peer_options({**dict.fromkeys(unset), **defaults, "peer": params["peer"]})


def maintenance_options(params: Params) -> ConnectionOptions:
    """As connection_options, with the database postgres where none is named."""
    options = connection_options(params)
    return options if options.keywords.get("dbname") else options.with_database("postgres")


def repair_request(params: Params, *, check_mode: bool, diff_mode: bool, **composed: t.Any) -> RepairRequest:
    """The options that all repairs of rows have; composed are the fields that code sets."""
    return request_of(
        RepairRequest,
        params,
        check_mode=check_mode,
        connection=connection_options(params),
        reports=params["state"] == "reported",
        diff_mode=diff_mode,
        **composed,
    )


def column_maps(given: t.Mapping[str, t.Any]) -> t.Dict[QualifiedName, t.Dict[str, str]]:
    """The option column_map. Raises RecoveryError(invalid_options) unless it is a dictionary for each table."""
    found = {}
    for name, columns in given.items():
        if not isinstance(columns, t.Mapping):
            raise RecoveryError(
                ErrorKind.INVALID_OPTIONS,
                f"column_map of {name} is {columns!r}.",
                next_step="Give a dictionary from the set's column to the live one.",
            )
        found[parse_qualified_name(name)] = {str(old): str(new) for old, new in columns.items()}
    return found
