# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The options of databases of D1 and of files of SQLite."""

from __future__ import annotations

import typing as t

from .._core.cloudflare import Account
from .._core.errors import ErrorKind, RecoveryError
from .._engines.d1.api import D1Api
from .._engines.d1.engine import D1Engine
from .._engines.sqlite.engine import Engine
from .._engines.sqlite.file import FileEngine
from .._engines.sqlite.restore_rows.restore import RowsRequest
from .._engines.sqlite.restore_rows.selection import TableKeys
from .options import request_of
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
    """The rows of a set that go into the live database of this name."""
    return request_of(
        RowsRequest,
        params,
        check_mode=check_mode,
        name=name,
        selected=_selected_rows(params.get("tables") or (), params.get("keys") or {}),
        parallel=store_parallel(params),
        diff_mode=diff_mode,
    )


def _selected_rows(tables: t.Sequence[str], keys: t.Mapping[str, t.Any]) -> t.List[TableKeys]:
    """The options tables and keys together. Raises RecoveryError(invalid_options)."""
    selected = []
    for table, given in keys.items():
        columns: t.Tuple[str, ...] = ()
        values = given
        if isinstance(given, t.Mapping):
            if set(given) != {"columns", "values"}:
                raise RecoveryError(
                    ErrorKind.INVALID_OPTIONS,
                    f"`keys` of {table} must have `columns` and `values`, got {', '.join(map(str, given))}.",
                    next_step="Correct `keys`.",
                )
            columns, values = tuple(given["columns"]), given["values"]
        if not isinstance(values, list) or not values:
            raise RecoveryError(
                ErrorKind.INVALID_OPTIONS,
                f"`keys` of {table} must be a list with at least one key, got {values!r}.",
                next_step="Correct `keys`.",
            )
        selected.append(TableKeys(str(table), values, columns))
    return [*(TableKeys(table) for table in dict.fromkeys(tables) if table not in keys), *selected]
