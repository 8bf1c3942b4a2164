# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Module parameters turned into the typed requests of the domain packages."""

from __future__ import annotations

import typing as t
from datetime import datetime

from .._core.clock import PhaseListener, parse_instant
from .._core.errors import ErrorKind, RecoveryError
from .._drill.journal import JournalEvent, append_event, moment_now
from .._postgres.connection import ConnectionOptions, parse_dsn
from .._postgres.names import QualifiedName, parse_qualified_name
from .._postgres.proof import compare_with
from .._sets.catalogue import find_set
from .._sets.recovery_points import Selection
from .._store.base import ObjectStore
from .._store.open import StoreOptions, open_store

_Params = t.Mapping[str, t.Any]

_KEYWORDS = {
    "login_host": "host",
    "login_user": "user",
    "login_password": "password",
    "login_db": "dbname",
    "ca_cert": "sslrootcert",
    "ssl_cert": "sslcert",
    "ssl_key": "sslkey",
}


def connection_options(params: _Params) -> ConnectionOptions:
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
    return ConnectionOptions(keywords=keywords, client_bin_dir=params["client_bin_dir"])


def maintenance_options(params: _Params) -> ConnectionOptions:
    """As connection_options, with the database postgres where none is named."""
    options = connection_options(params)
    return options if options.keywords.get("dbname") else options.with_database("postgres")


def opened_store(params: _Params) -> ObjectStore:
    """The store that the option store describes. Raises RecoveryError when it cannot be opened."""
    options = params["store"]
    if not options:
        raise RecoveryError(
            ErrorKind.INVALID_OPTIONS,
            "The option store is missing.",
            next_step="Give a bucket and provider, or provider directory and a path.",
        )
    return open_store(StoreOptions(**options))


def store_parallel(params: _Params) -> int:
    """How many objects are transferred at once."""
    return int(params["store"]["parallel"]) if params["store"] else 1


def set_selection(params: _Params) -> Selection:
    """Which set the options set, before, tier and seed ask for; the latest when none is named."""
    return Selection(
        which=params["set"] or "latest",
        before=optional_instant(params["before"]),
        tier=params["tier"],
        seed=params["seed"],
    )


def optional_instant(text: t.Optional[str]) -> t.Optional[datetime]:
    return parse_instant(text) if text else None


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


def required_source(params: _Params) -> str:
    if not params["source"]:
        raise RecoveryError(
            ErrorKind.INVALID_OPTIONS, "The option source is missing.", next_step="Name the source of the backup set."
        )
    return str(params["source"])


def journal_listener(path: t.Optional[str]) -> t.Optional[PhaseListener]:
    """Notes each phase in the journal at path, if there is one."""
    if not path:
        return None

    def note(name: str, event: str) -> None:
        if event == "start":
            append_event(path, JournalEvent(name, "start", moment_now()))
        else:
            append_event(path, JournalEvent(name, "end", moment_now(), status=event))

    return note


def set_comparison(params: _Params) -> t.Optional[t.Callable[[t.Any], t.List[t.Dict[str, str]]]]:
    """Compares the database of the connection with the set that store, source and set name, if they do."""
    if not params["store"] or not params["source"]:
        return None
    options = connection_options(params)

    def compare(_connection: t.Any) -> t.List[t.Dict[str, str]]:
        manifest = find_set(opened_store(params), params["source"], set_selection(params))
        if manifest.fingerprint is None:
            raise RecoveryError(ErrorKind.UNSUPPORTED, f"The set {manifest.set_id} has no fingerprint.")
        comparison = compare_with(options, manifest.fingerprint, manifest.fingerprint.mode, jobs=2)
        return [vars(difference) for difference in comparison.differences]

    return compare
