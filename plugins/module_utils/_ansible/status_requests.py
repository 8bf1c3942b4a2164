# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The options of recovery_status."""

from __future__ import annotations

import typing as t
from functools import partial

from .._core.deadline import within
from .._status.observe import Scope
from .._status.server import ServerState, ask_files, ask_postgres, ask_sqlite
from .._status.status import StatusRequest
from .options import request_of
from .postgres_requests import connection_options
from .requests import Params, required_source
from .sqlite_requests import sqlite_engine
from .store_requests import opened_files, opened_store

#: The timeout of one request, in seconds.
_LONGEST_LOOK = 10


def status_request(params: Params, *, check_mode: bool) -> StatusRequest:
    """The objects that recovery_status observes, and their thresholds; 0 is no threshold."""
    params = _impatient(params)
    asked, ask = _asked(params)
    scope = request_of(
        Scope,
        params,
        check_mode=check_mode,
        source=required_source(params),
        store=opened_store(params) if params["store"] else None,
        asked=asked,
        # A server may let one in and then hang; each of the requests that a look takes has its own limit besides.
        ask=partial(within, 3 * _LONGEST_LOOK, asked, ask) if ask else None,
    )
    return request_of(StatusRequest, params, check_mode=check_mode, scope=scope)


def _asked(params: Params) -> t.Tuple[str, t.Optional[t.Callable[[], ServerState]]]:
    """The place of the source, and the function that returns its state."""
    engine = params["engine"] or _engine_of(params)
    if engine == "postgresql":
        options = connection_options(params)
        return options.place, partial(ask_postgres, options)
    if engine == "sqlite":
        return str(params["path"] or params["database"]), partial(
            ask_sqlite, partial(sqlite_engine, params, read_only=True)
        )
    if engine == "bucket":
        files = opened_files(params)
        return files.location, partial(ask_files, files)
    return "", None


def _impatient(params: Params) -> t.Dict[str, t.Any]:
    """The options with a wait of seconds: what takes minutes to fail would be looked at too late, or never again."""
    wait = _LONGEST_LOOK

    def hurried(place: t.Mapping[str, t.Any]) -> t.Dict[str, t.Any]:
        copies = [hurried(one) for one in place.get("copies") or ()]
        timeout = min(place.get("timeout") or wait, wait)
        return {**place, "timeout": timeout, "attempts": 2, **({"copies": copies} if copies else {})}

    stores = {name: hurried(params[name]) for name in ("store", "files") if params[name]}
    waits = {name: min(params[name], wait) for name in ("api_timeout", "connect_timeout")}
    return {**params, **stores, **waits}


def _engine_of(params: Params) -> str:
    if params["files"]:
        return "bucket"
    if params["path"] or params["database"]:
        return "sqlite"
    return "postgresql" if params["dsn"] or params["login_db"] else "none"
