# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The audit record: one document an operation, in the store that the operation worked with.

Each record names the one before it and its digest, so that one that was changed or taken away is missed. Who may
write everything can write all of them anew; only a lock of the store stands against that.
"""

from __future__ import annotations

import contextlib
import getpass
import hashlib
import json
import os
import secrets
import socket
import typing as t
from collections import deque
from dataclasses import dataclass
from datetime import datetime

from .._core.clock import compact_instant, format_instant, parse_instant, utc_now
from .._core.errors import ErrorKind, RecoveryError
from .._store.base import ObjectStore, read_all
from .layout import audit_key, audit_prefix

SCHEMA = "lifeline.recovery/audit/1"


#: Operations whose records name the one before them and are named by none, for with them would go what they vouch for.
_SHORT_LIVED = ("check",)

#: What a record that is none raises when it is read.
_UNREADABLE = (ValueError, KeyError, TypeError, RecursionError, RecoveryError)


@dataclass(frozen=True)
class AuditRecord:
    """Who did what to a source, when, from which host, and how it ended."""

    key: str
    operation_type: str
    performed_by: str
    performed_at: str
    host: str
    source: str
    status: str
    details: t.Mapping[str, t.Any]


@dataclass(frozen=True)
class AuditQuery:
    """Which records; limit counts the newest."""

    operation: t.Optional[str] = None
    status: t.Optional[str] = None
    since: t.Optional[datetime] = None
    limit: int = 50


@dataclass(frozen=True)
class AuditResult:
    """records are newest first, of total that match. breaks says in words where the chain is not whole."""

    records: t.Sequence[AuditRecord]
    total: int
    chain: str
    breaks: t.Sequence[str]


def write_audit(store: ObjectStore, source: str, operation: str, status: str, details: t.Mapping[str, t.Any]) -> str:
    """Write who did what, when, and how it ended; returns the key. details must hold no secrets."""
    now = utc_now()
    record = {
        "schema": SCHEMA,
        "operation_type": operation,
        "performed_by": _actor(),
        "performed_at": format_instant(now),
        "host": socket.gethostname(),
        "source": source,
        "status": status,
        "details": dict(details),
        "previous": _previous(store, source, now),
    }
    # Keys sort as they were written, also within a second; what is random keeps two hosts apart.
    key = audit_key(source, now.strftime("%Y%m%dT%H%M%S.%fZ"), f"{operation}-{secrets.token_hex(3)}")
    store.put(key, [json.dumps(record, sort_keys=True).encode() + b"\n"])
    for sink in store.audit_sinks:
        sink(source, record)
    return key


@contextlib.contextmanager
def audited(
    store: t.Optional[ObjectStore],
    source: t.Optional[str],
    operation: str,
    details: t.Mapping[str, t.Any],
    *,
    check_mode: bool,
) -> t.Iterator[t.Dict[str, t.Any]]:
    """Write a record of what happens inside; nothing in check mode, nor without a store or a source.

    Gives a dictionary for what is known at the end: with it the record says succeeded, and there is none when it stays
    empty, for then nothing was done. After an exception, which continues, the record says failed with its error_kind;
    details are in the record in either case.
    """
    outcome: t.Dict[str, t.Any] = {}
    if store is None or not source or check_mode:
        yield outcome
        return
    try:
        yield outcome
    except RecoveryError as error:
        # A set that is not in every copy is a set all the same.
        partial = operation == "backup" and error.kind == ErrorKind.COPY_FAILED
        with contextlib.suppress(RecoveryError):
            status = "partial" if partial else "failed"
            write_audit(store, source, operation, status, {**details, "error_kind": error.kind})
        raise
    except BaseException as error:
        kind = ErrorKind.UNEXPECTED if isinstance(error, Exception) else ErrorKind.INTERRUPTED
        with contextlib.suppress(RecoveryError):
            write_audit(store, source, operation, "failed", {**details, "error_kind": kind})
        raise
    if outcome:
        write_audit(store, source, operation, "succeeded", {**details, **outcome})


def read_audit(store: ObjectStore, source: str, query: AuditQuery) -> AuditResult:
    """The records of a source, and whether their chain is whole. Reads all of them, one at a time.

    Raises RecoveryError(invalid_options) for a limit below 1.
    """
    if query.limit < 1:
        raise RecoveryError(ErrorKind.INVALID_OPTIONS, f"limit is {query.limit}.", next_step="Give at least 1.")
    newest: t.Deque[AuditRecord] = deque(maxlen=query.limit)
    total = 0
    digests: t.Dict[str, str] = {}
    links: t.List[t.Tuple[str, t.Optional[t.Mapping[str, str]]]] = []
    removed_before: t.Dict[str, str] = {}
    breaks = []
    for item in store.list(audit_prefix(source)):
        data = read_all(store, item.key)
        digests[item.key] = hashlib.sha256(data).hexdigest()
        try:
            document = json.loads(data)
            record = _parsed(item.key, document)
            instant = parse_instant(record.performed_at)
        except _UNREADABLE:
            breaks.append(f"{item.key} is no audit record.")
            continue
        links.append((item.key, document.get("previous")))
        for operation, instant_text in dict(record.details.get("audit_removed_before") or {}).items():
            removed_before[operation] = max(removed_before.get(operation, ""), str(instant_text))
        if (
            query.operation in (None, record.operation_type)
            and query.status in (None, record.status)
            and (query.since is None or instant >= query.since)
        ):
            total += 1
            newest.append(record)
    breaks += _breaks(links, digests, removed_before)
    records = sorted(newest, key=lambda record: record.performed_at, reverse=True)
    return AuditResult(records, total, "broken" if breaks else "intact", breaks)


def newest_audit(
    store: ObjectStore, source: str, operation: str, now: datetime, *, months: int
) -> t.Optional[AuditRecord]:
    """The last record of an operation in so many months back from now, or None. Only keys and that record are read.

    One that cannot be read is passed over.
    """
    for month in _months(now, months):
        for key in sorted((item.key for item in store.list(f"{audit_prefix(source)}{month}/")), reverse=True):
            if _operation_of(key) == operation:
                data = read_all(store, key)
                with contextlib.suppress(*_UNREADABLE):
                    return _parsed(key, json.loads(data))
    return None


_FIELDS = ("operation_type", "performed_by", "performed_at", "host", "source", "status", "details")


def _parsed(key: str, document: t.Any) -> AuditRecord:
    """Raises one of _UNREADABLE."""
    record = AuditRecord(key, **{name: document[name] for name in _FIELDS})
    if not isinstance(record.details, dict) or not isinstance(record.performed_at, str):
        raise TypeError(key)
    parse_instant(record.performed_at)
    return record


def _operation_of(key: str) -> str:
    """C(backup) of C(<instant>-backup-<random>.json)."""
    return key.rpartition("/")[2].partition("-")[2].rpartition("-")[0]


def _months(now: datetime, count: int) -> t.Iterator[str]:
    """C(2026/03), C(2026/02), and so on: what keys of records begin with."""
    whole = now.year * 12 + now.month - 1
    for number in range(whole, whole - count, -1):
        yield f"{number // 12:04d}/{number % 12 + 1:02d}"


def _breaks(
    links: t.Sequence[t.Tuple[str, t.Optional[t.Mapping[str, str]]]],
    digests: t.Mapping[str, str],
    removed_before: t.Mapping[str, str],
) -> t.Iterator[str]:
    begins = 0
    for key, previous in links:
        if previous is None:
            begins += _operation_of(key) not in _SHORT_LIVED
            if begins > 1 and not removed_before:
                yield f"{key} names no record before it."
        elif previous["key"] not in digests:
            # Retention notes how far it took records of each operation away; what it keeps longer is not excused.
            before = removed_before.get(_operation_of(previous["key"]), removed_before.get("backup", ""))
            if previous["key"].rpartition("/")[2] >= before:
                yield f"{previous['key']} is missing, which {key} names."
        elif digests[previous["key"]] != previous["sha256"]:
            yield f"{previous['key']} was changed after {key} was written."


def _previous(store: ObjectStore, source: str, now: datetime) -> t.Optional[t.Dict[str, str]]:
    """The newest record of the chain and its digest, None for the first one or where nothing may be listed or read."""
    month = audit_key(source, compact_instant(now), "").rpartition("/")[0] + "/"
    try:
        last = None
        for prefix in (month, audit_prefix(source)):
            for item in store.list(prefix):
                last = last if _operation_of(item.key) in _SHORT_LIVED else item.key
            if last is not None:
                return {"key": last, "sha256": hashlib.sha256(read_all(store, last)).hexdigest()}
    except RecoveryError as error:
        # A gap in the chain, which audit_info shows, is better than an operation without a record.
        if error.kind not in (ErrorKind.ACCESS_DENIED, ErrorKind.OBJECT_MISSING):
            raise
    return None


def _actor() -> str:
    try:
        return os.environ.get("SUDO_USER") or getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"
