# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Module parameters turned into the typed requests of the domain packages."""

from __future__ import annotations

import typing as t
from dataclasses import replace
from datetime import datetime
from functools import partial

from .._core.clock import PhaseListener, parse_instant
from .._core.cloudflare import Account
from .._core.errors import ErrorKind, RecoveryError
from .._d1.api import D1Api
from .._d1.engine import D1Engine
from .._drill.journal import JournalEvent, append_event, moment_now
from .._objects.places import refuse_shared_place
from .._objects.transfer import TransferOptions
from .._objects.wish import TransferWish
from .._postgres.audit_table import insert_audit
from .._postgres.connection import ConnectionOptions, parse_dsn
from .._postgres.names import QualifiedName, parse_qualified_name
from .._postgres.proof import compare_with
from .._sets.catalogue import find_set, list_sets
from .._sets.recovery_points import Selection
from .._sets.retention import DEFAULTS, Policy
from .._sqlite.engine import Engine
from .._sqlite.file import FileEngine
from .._sqlite_rows.belonging import Tenant
from .._sqlite_rows.restore import RowsRequest
from .._status.live import Live, ask_files, ask_postgres, ask_sqlite
from .._status.model import Thresholds
from .._status.observe import Places
from .._status.status import StatusRequest
from .._store.base import Headers, ObjectStore
from .._store.open import StoreOptions, open_store
from .._store.r2_locks import LockWish, R2Bucket
from .._supabase.api import Access, SupabaseApi
from .._supabase.points import Patience, PointRequest
from .._supabase.recover import RecoverRequest
from .ansible_module import WARNINGS

_Params = t.Mapping[str, t.Any]

#: So many seconds a look waits for one answer.
_LONGEST_LOOK = 10

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


def peer_options(params: _Params) -> t.Optional[ConnectionOptions]:
    """The server that the option peer describes; what it leaves out is that of the first, but for the place."""
    peer = params["peer"]
    if not peer:
        return None
    if not (peer["dsn"] or peer["login_host"] or peer["login_unix_socket"]):
        raise RecoveryError(
            ErrorKind.INVALID_OPTIONS, "The option peer names no server.", next_step="Give it login_host or dsn."
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
            "client_bin_dir": None,
        }
    )
    return ConnectionOptions(keywords={**shared, **own.keywords})


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


def optional_files(params: _Params) -> t.Optional[ObjectStore]:
    """As opened_files, or None when no bucket is named."""
    return opened_files(params) if params["files"] else None


def opened_files(params: _Params) -> ObjectStore:
    """The bucket that the option files describes, with storage_class for modules that have it.

    Raises RecoveryError(invalid_options) when it is missing.
    """
    if not params["files"]:
        raise RecoveryError(
            ErrorKind.INVALID_OPTIONS,
            "The option files is missing.",
            next_step="Give a bucket and provider, or provider directory and a path.",
        )
    return open_store(StoreOptions(**params["files"], storage_class=params.get("storage_class")))


def files_name(params: _Params) -> str:
    """What to call that bucket where it must be named to be changed; empty when it is missing."""
    files = params["files"] or {}
    return str(files.get("bucket") or files.get("path") or "")


def checked_places(params: _Params) -> ObjectStore:
    """As opened_store, for backups of files: not where these are. Raises RecoveryError(invalid_options)."""
    store = opened_store(params)
    given = {name: value for name, value in params["store"].items() if name != "audit_log"}
    files = StoreOptions(**params["files"])
    refuse_shared_place(files, StoreOptions(**given), allow_same_bucket=params["allow_same_bucket"])
    return store


def transfer_options(params: _Params, *, check_mode: bool) -> TransferOptions:
    """Raises RecoveryError(invalid_options) for a header of several lines."""
    texts = [params[name] for name in ("content_type", "cache_control", "content_disposition", "content_encoding")]
    if any(
        "\n" in str(text) or "\r" in str(text) for text in (*texts, *params["metadata"], *params["metadata"].values())
    ):
        raise RecoveryError(
            ErrorKind.INVALID_OPTIONS, "A header or metadata has several lines.", next_step="Write it in one."
        )
    headers = Headers(
        content_type=params["content_type"],
        cache_control=params["cache_control"],
        content_disposition=params["content_disposition"],
        content_encoding=params["content_encoding"],
        metadata={str(name).lower(): str(value) for name, value in params["metadata"].items()},
    )
    return TransferOptions(
        headers=headers,
        if_none_match=params["if_none_match"],
        delete=params["delete"],
        parallel=params["parallel_files"],
        check_mode=check_mode,
    )


def transfer_wish(params: _Params) -> TransferWish:
    names = ("direction", "src", "content", "copy_from", "dest", "sync", "range_start", "range_length", "progress_file")
    return TransferWish(params["key"], params["state"] == "present", **{name: params[name] for name in names})


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
    _require_bounds({"keep_within_days": within, **params["audit_days"]}, 36500)
    _require_bounds({"grace_seconds": params["grace_seconds"]}, 10**9)
    if within is None and minimum is None and all(params[name] is None for name in names):
        return None
    policy = Policy(**{name: params[name] for name in names}, keep_within=None if within is None else within * 86400)
    if minimum is not None and within is None and all(params[name] is None for name in names) and params["tier"]:
        policy = DEFAULTS[params["tier"]]
    return policy if minimum is None else replace(policy, minimum=minimum)


def _require_bounds(numbers: _Params, most: int) -> None:
    """Raise RecoveryError(invalid_options) for what is no number of days or seconds."""
    for name, number in numbers.items():
        try:
            fits = number is None or 0 <= float(number) <= most
        except (TypeError, ValueError):
            fits = False
        if not fits:
            raise RecoveryError(
                ErrorKind.INVALID_OPTIONS,
                f"{name} is {number!r}.",
                left="Nothing was removed.",
                next_step=f"Give a number between 0 and {most}.",
            )


def audit_days(params: _Params) -> t.Dict[str, float]:
    """The option audit_days, whose values templates make texts of. Checked by retention_policy."""
    return {str(name): float(days) for name, days in params["audit_days"].items()}


def d1_account(params: _Params) -> Account:
    """Raises RecoveryError(invalid_options) when account or token is missing."""
    for name in ("account_id", "api_token"):
        if not params[name]:
            raise RecoveryError(
                ErrorKind.INVALID_OPTIONS,
                f"The option {name} is missing.",
                next_step=f"Give it, or set CLOUDFLARE_{name.upper()}.",
            )
    return Account(params["account_id"], params["api_token"], params["api_url"], params["api_timeout"])


def d1_database(params: _Params) -> str:
    if not params["database"]:
        raise RecoveryError(
            ErrorKind.INVALID_OPTIONS, "The option database is missing.", next_step="Give its name or its id."
        )
    return str(params["database"])


def supabase_api(params: _Params) -> SupabaseApi:
    """Raises RecoveryError(invalid_options) when the token is missing or the ref is none."""
    if not params["access_token"]:
        raise RecoveryError(
            ErrorKind.INVALID_OPTIONS,
            "The option access_token is missing.",
            next_step="Give it, or set SUPABASE_ACCESS_TOKEN.",
        )
    return SupabaseApi(Access(params["project_ref"], params["access_token"], params["api_url"], params["api_timeout"]))


def supabase_patience(params: _Params) -> Patience:
    """Raises RecoveryError(invalid_options) for times that cannot be waited."""
    found = Patience(params["timeout"], params["begin_timeout"], params["poll_seconds"])
    if found.poll <= 0 or found.begin < 0 or found.timeout < 0:
        raise RecoveryError(
            ErrorKind.INVALID_OPTIONS,
            "poll_seconds has to be above 0, and no timeout below.",
            next_step="Correct it.",
        )
    return found


def supabase_recover_request(params: _Params, *, check_mode: bool) -> RecoverRequest:
    """Raises RecoveryError(invalid_options) when what is wanted and the action do not belong together."""
    undo = params["action"] == "undo"
    wanted = [name for name in ("to", "backup_id", "name") if params[name] is not None]
    if wanted not in ([["name"]] if undo else [["to"], ["backup_id"]]):
        raise RecoveryError(
            ErrorKind.INVALID_OPTIONS,
            f"action {params['action']} was given {' and '.join(wanted) or 'no target'}.",
            next_step="Give it the name of a restore point." if undo else "Give it to, or backup_id.",
        )
    return RecoverRequest(
        to=optional_instant(params["to"]),
        backup_id=params["backup_id"],
        point=params["name"] if undo else None,
        project_name=params["project_name"],
        undo_first=params["undo_first"],
        patience=supabase_patience(params),
        environment=params["recovery_environment"],
        confirm=params["recovery_confirm"],
        check_mode=check_mode,
        progress_file=params["progress_file"],
        source=params["source"],
        listener=journal_listener(params["journal"]),
    )


def supabase_point_request(params: _Params, *, check_mode: bool) -> PointRequest:
    return PointRequest(params["name"], supabase_patience(params), check_mode, params["source"])


def audit_store(params: _Params) -> t.Optional[ObjectStore]:
    """Where to write records of a source, if it is named. Raises RecoveryError(invalid_options) without a store."""
    return opened_store(params) if params["source"] else None


def check_target(params: _Params) -> t.Any:
    """What the sessions of the engine's checks are opened with."""
    if params["engine"] == "sqlite":
        return lambda: sqlite_engine(params, read_only=True)
    return connection_options(params)


def status_request(params: _Params, *, check_mode: bool) -> StatusRequest:
    """What recovery_status looks at, and what it holds it against; 0 judges nothing."""
    params = _impatient(params)
    asked, ask = _asked(params)
    return StatusRequest(
        Places(
            source=required_source(params),
            store=opened_store(params) if params["store"] else None,
            asked=asked,
            ask=ask,
            volumes=params["volumes"],
            capacity=params["capacity_bytes"],
        ),
        Thresholds(
            rpo=params["rpo_seconds"],
            window=params["window_seconds"],
            unreachable=params["unreachable_seconds"],
            duration=params["duration_seconds"] or None,
            size_tolerance=params["size_tolerance"] or None,
            verified_within=params["verified_within_seconds"] or None,
            drilled_within=params["drilled_within_seconds"] or None,
            replication_lag=params["replication_lag_seconds"] or None,
            archive_lag=params["archive_lag_seconds"] or None,
            storage_used=params["storage_used"],
            storage_full=params["storage_full"],
            severities=params["severities"],
        ),
        state_dir=params["state_dir"],
        metrics_textfile=params["metrics_textfile"],
        check_mode=check_mode,
    )


def _asked(params: _Params) -> t.Tuple[str, t.Optional[t.Callable[[], Live]]]:
    """The place of the source, and what asks it whether it is there."""
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


def _impatient(params: _Params) -> t.Dict[str, t.Any]:
    """The options with a wait of seconds: what takes minutes to fail would be looked at too late, or never again."""
    wait = _LONGEST_LOOK

    def hurried(place: t.Mapping[str, t.Any]) -> t.Dict[str, t.Any]:
        copies = [hurried(one) for one in place.get("copies") or ()]
        timeout = min(place.get("timeout") or wait, wait)
        return {**place, "timeout": timeout, "attempts": 2, **({"copies": copies} if copies else {})}

    places = {name: hurried(params[name]) for name in ("store", "files") if params[name]}
    waits = {name: min(params[name], wait) for name in ("api_timeout", "connect_timeout")}
    return {**params, **places, **waits}


def _engine_of(params: _Params) -> str:
    if params["files"]:
        return "bucket"
    if params["path"] or params["database"]:
        return "sqlite"
    return "postgresql" if params["dsn"] or params["login_db"] else "none"


def sql_text(params: _Params) -> str:
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


def sqlite_engine(params: _Params, *, read_only: bool) -> Engine:
    """The file of path, or the database of D1. Raises RecoveryError when it cannot be opened."""
    if params["path"]:
        return FileEngine(params["path"], read_only=read_only)
    api = D1Api(d1_account(params))
    found = api.require(d1_database(params))
    return D1Engine(api, found.uuid, found.name, exclusive=bool(params.get("exclusive")))


def sqlite_rows_request(params: _Params, name: str, *, check_mode: bool, diff_mode: bool) -> RowsRequest:
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


def r2_bucket(params: _Params) -> R2Bucket:
    return R2Bucket(
        account_id=params["account_id"],
        bucket=params["bucket"],
        api_token=params["api_token"],
        jurisdiction=params["jurisdiction"],
        api_url=params["api_url"],
    )


def lock_wish(params: _Params) -> LockWish:
    until = optional_instant(params["until"])
    if params["days"] is not None and params["days"] < 1:
        raise RecoveryError(ErrorKind.INVALID_OPTIONS, "days must be at least 1.", next_step="Correct it.")
    return LockWish(
        rule=params["rule"],
        present=params["state"] == "present",
        prefix=params["prefix"],
        days=params["days"],
        until=until.strftime("%Y-%m-%dT%H:%M:%SZ") if until else None,
        enabled=params["enabled"],
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
        manifest = find_set(readable_store(params, params["source"]), params["source"], set_selection(params))
        if manifest.fingerprint is None:
            raise RecoveryError(ErrorKind.UNSUPPORTED, f"The set {manifest.set_id} has no fingerprint.")
        comparison = compare_with(options, manifest.fingerprint, manifest.fingerprint.mode, jobs=2)
        return [vars(difference) for difference in comparison.differences]

    return compare
