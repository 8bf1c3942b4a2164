# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Module parameters turned into the typed requests of the domain packages."""

from __future__ import annotations

import typing as t
from dataclasses import replace
from datetime import datetime

from .._core.clock import PhaseListener, parse_instant
from .._core.errors import ErrorKind, RecoveryError
from .._drill.journal import JournalEvent, append_event, moment_now
from .._postgres.audit_table import insert_audit
from .._postgres.connection import ConnectionOptions, parse_dsn
from .._postgres.names import QualifiedName, parse_qualified_name
from .._postgres.proof import compare_with
from .._sets.catalogue import find_set, list_sets
from .._sets.recovery_points import Selection
from .._sets.retention import DEFAULTS, Policy
from .._store.base import ObjectStore
from .._store.open import StoreOptions, open_store
from .ansible_module import WARNINGS

_Params = t.Mapping[str, t.Any]

#: What one store may suffer from and another not.
_ANOTHER_MAY_SERVE = (
    ErrorKind.UNREACHABLE,
    ErrorKind.ACCESS_DENIED,
    ErrorKind.STORE_FAILED,
    ErrorKind.TIMEOUT,
    ErrorKind.OBJECT_MISSING,
)

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
    given = dict(options)
    audit_log = given.pop("audit_log", None)
    store = open_store(StoreOptions(**given))
    if audit_log:
        for one in (store, *store.copies):
            one.audit_sinks = [_audit_sink(audit_log)]
    return store


def readable_store(params: _Params, source: t.Optional[str] = None) -> ObjectStore:
    """As opened_store, for those who read sets: the first of store and copies that answers and has the source.

    Warns when that is a copy. Raises the first store's error when none has it.
    """
    first = opened_store(params)
    if not first.copies:
        return first
    problem: t.Optional[RecoveryError] = None
    for store in (first, *first.copies):
        try:
            if list_sets(store, source):
                if store is not first:
                    why = problem.what if problem else f"{first.location} has no sets of it."
                    WARNINGS.append(f"Reading from the copy {store.location}: {why}")
                return store
        except RecoveryError as error:
            if error.kind not in _ANOTHER_MAY_SERVE:
                raise
            problem = problem or error
    if problem is not None:
        raise problem
    return first


def _audit_sink(audit_log: _Params) -> t.Callable[[str, _Params], None]:
    def tell(source: str, record: _Params) -> None:
        try:
            insert_audit(ConnectionOptions(parse_dsn(audit_log["dsn"])), audit_log["table"], source, record)
        except RecoveryError as error:
            WARNINGS.append(
                f"The audit record is in the store, but not in the table {audit_log['table']}: {error.what}"
            )

    return tell


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


def retention_policy(params: _Params) -> t.Optional[Policy]:
    """The policy of the keep options, or None when none of them is given."""
    names = ("keep_hourly", "keep_daily", "keep_weekly", "keep_monthly", "keep_yearly")
    within, minimum = params["keep_within_days"], params["minimum"]
    if within is None and minimum is None and all(params[name] is None for name in names):
        return None
    policy = Policy(**{name: params[name] for name in names}, keep_within=None if within is None else within * 86400)
    if minimum is not None and within is None and all(params[name] is None for name in names) and params["tier"]:
        policy = DEFAULTS[params["tier"]]
    return policy if minimum is None else replace(policy, minimum=minimum)


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
        manifest = find_set(readable_store(params, params["source"]), params["source"], set_selection(params))
        if manifest.fingerprint is None:
            raise RecoveryError(ErrorKind.UNSUPPORTED, f"The set {manifest.set_id} has no fingerprint.")
        comparison = compare_with(options, manifest.fingerprint, manifest.fingerprint.mode, jobs=2)
        return [vars(difference) for difference in comparison.differences]

    return compare
