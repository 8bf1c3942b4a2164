# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The options of databases of D1 and of files of SQLite."""

from __future__ import annotations

from .._core.cloudflare import Account
from .._core.errors import ErrorKind, RecoveryError
from .._d1.api import D1Api
from .._d1.engine import D1Engine
from .._sqlite.engine import Engine
from .._sqlite.file import FileEngine
from .._sqlite_rows.belonging import Tenant
from .._sqlite_rows.restore import RowsRequest
from .requests import Params
from .store_requests import store_parallel


def d1_account(params: Params) -> Account:
    """Raises RecoveryError(invalid_options) when account or token is missing."""
    for name in ("account_id", "api_token"):
        if not params[name]:
            raise RecoveryError(
                ErrorKind.INVALID_OPTIONS,
                f"The option {name} is missing.",
                next_step=f"Give it, or set CLOUDFLARE_{name.upper()}.",
            )
    return Account(params["account_id"], params["api_token"], params["api_url"], params["api_timeout"])


def d1_database(params: Params) -> str:
    if not params["database"]:
        raise RecoveryError(
            ErrorKind.INVALID_OPTIONS, "The option database is missing.", next_step="Give its name or its id."
        )
    return str(params["database"])


def sql_text(params: Params) -> str:
    """The option sql, or what the file src holds."""
    if params["src"] is None:
        return str(params["sql"] or "")
    try:
        with open(params["src"], encoding="utf-8-sig", newline="") as stream:
            return stream.read()
    except (OSError, UnicodeDecodeError) as error:
        raise RecoveryError(
            ErrorKind.INVALID_OPTIONS,
            f"{params['src']} cannot be read ({error.strerror if isinstance(error, OSError) else 'it is no UTF-8'}).",
            left="Nothing was executed.",
            next_step="Check src.",
        ) from None


def sqlite_engine(params: Params, *, read_only: bool) -> Engine:
    """The file of path, or the database of D1. Raises RecoveryError when it cannot be opened."""
    if params["path"]:
        return FileEngine(params["path"], read_only=read_only)
    api = D1Api(d1_account(params))
    found = api.require(d1_database(params))
    return D1Engine(api, found.uuid, found.name, exclusive=bool(params.get("exclusive")))


def sqlite_rows_request(params: Params, name: str, *, check_mode: bool, diff_mode: bool) -> RowsRequest:
    """Which rows of a set go into the live database of this name."""
    given = params["tenant"]
    tenant = Tenant(given["table"], given["keys"], given["columns"], given["references"]) if given else None
    return RowsRequest(
        name=name,
        tenant=tenant,
        mode=given["mode"] if given else "exact",
        triggers=params["triggers"],
        max_rows=params["max_rows"],
        max_deletes=params["max_deletes"],
        reason=params["reason"],
        environment=params["recovery_environment"],
        confirm=params["recovery_confirm"],
        spool_dir=params["spool_dir"],
        parallel=store_parallel(params),
        check_mode=check_mode,
        diff_mode=diff_mode,
    )
