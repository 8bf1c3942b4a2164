# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The audit record: one document an operation, in the store that the operation worked with.

Each record names the one before it and its digest, and the head names the newest record, so that a changed or
removed record is detected, also the newest. An attacker who may write to the store can rewrite all records, unless the
store has a name_key, which signs the head; and can restore an older head with its records. Only a lock of the store,
the table of audit_log, or a copy in another store prevents that.
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
from .._core.documents import read_document
from .._core.errors import ErrorKind, RecoveryError
from .._core.shapes import anything, either, instant, mapping_of, nothing, optional, record, text
from .._store.base import ObjectStore, read_all
from .authenticity import judge_authenticity, sign
from .layout import audit_head_key, audit_key, audit_prefix

SCHEMA = "lifeline.recovery/audit/1"
HEAD_SCHEMA = "lifeline.recovery/audit-head/1"

#: Operations whose records name the one before them and are named by none, for with them would go what they vouch for.
_SHORT_LIVED = ("check",)

#: Far more operations than the collection has. A store with as many invented names must not be read for hours.
_MOST_OPERATIONS = 50

_LINK = record({"key": text(longest=500), "sha256": text("[0-9a-f]{64}")})
_RECORD = record(
    {
        "schema": text(longest=100),
        "operation_type": text(longest=100),
        "performed_by": text(longest=500),
        "performed_at": instant,
        "host": text(longest=500),
        "source": text(longest=200),
        "status": text(longest=100),
        "details": mapping_of(anything),
        "previous": either(nothing, _LINK),
        "has_head": anything,
    },
    may_lack=("schema", "previous", "has_head"),
    others=anything,
)
_HEAD = record(
    {"schema": text(longest=100), "source": text(longest=200), "newest": _LINK, "mac": optional(text("[0-9a-f]{64}"))},
    may_lack=("mac",),
)


@dataclass(frozen=True)
class AuditRecord:
    """One operation on a source: operator, host, time, operation and outcome."""

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
    """records are newest first, of total that match. breaks: a sentence for each break of the chain."""

    records: t.Sequence[AuditRecord]
    total: int
    chain: str
    breaks: t.Sequence[str]


def write_audit(store: ObjectStore, source: str, operation: str, status: str, details: t.Mapping[str, t.Any]) -> str:
    """Write who did what, when, and how it ended; returns the key. details must hold no secrets."""
    now = utc_now()
    document = {
        "schema": SCHEMA,
        "operation_type": operation,
        "performed_by": _actor(),
        "performed_at": format_instant(now),
        "host": socket.gethostname(),
        "source": source,
        "status": status,
        "details": dict(details),
        "previous": _previous(store, source, now),
        "has_head": True,
    }
    # Keys sort as they were written, also within a second; what is random keeps two hosts apart.
    key = audit_key(source, now.strftime("%Y%m%dT%H%M%S.%fZ"), f"{operation}-{secrets.token_hex(3)}")
    data = json.dumps(document, sort_keys=True).encode() + b"\n"
    store.put(key, [data])
    _write_head(store, source, {"key": key, "sha256": hashlib.sha256(data).hexdigest()})
    for sink in store.audit_sinks:
        sink(source, document)
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
    """Write a record of the block; nothing in check mode, or if store or source is unset.

    Gives a dictionary for the outcome: the record has it, with the status succeeded; if it stays empty, no record is
    written, because nothing was done. After an exception, which is raised, the record has the status failed and the
    error_kind; it has details in both cases.
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
    headed = False
    for item in store.list(audit_prefix(source)):
        try:
            data = read_all(store, item.key)
            digests[item.key] = hashlib.sha256(data).hexdigest()
            document = _document(item.key, data, source)
        except RecoveryError as error:
            if error.kind not in (ErrorKind.DAMAGED, ErrorKind.OBJECT_MISSING):
                raise
            breaks.append(f"{item.key} is no audit record.")
            continue
        found = _parsed(item.key, document)
        instant_of = parse_instant(found.performed_at)
        headed = headed or document.get("has_head") is True
        links.append((item.key, document.get("previous")))
        removed = found.details.get("audit_removed_before")
        for operation, instant_text in (removed if isinstance(removed, dict) else {}).items():
            removed_before[operation] = max(removed_before.get(operation, ""), str(instant_text))
        if (
            query.operation in (None, found.operation_type)
            and query.status in (None, found.status)
            and (query.since is None or instant_of >= query.since)
        ):
            total += 1
            newest.append(found)
    breaks += _breaks(links, digests, removed_before)
    breaks += _head_breaks(store, source, digests, removed_before, headed=headed)
    records = sorted(newest, key=lambda record: record.performed_at, reverse=True)
    return AuditResult(records, total, "broken" if breaks else "intact", breaks)


def recent_audits(
    store: ObjectStore, source: str, operation: str, now: datetime, *, months: int
) -> t.Iterator[AuditRecord]:
    """The records of an operation in so many months back from now, the newest first, each read on demand.

    A record that is damaged, or was removed after the listing, is passed over. Raises RecoveryError as the store does.
    """
    for month in _months(now, months):
        for key in sorted((item.key for item in store.list(f"{audit_prefix(source)}{month}/")), reverse=True):
            if _operation_of(key) != operation:
                continue
            try:
                record = _parsed(key, _document(key, read_all(store, key), source))
            except RecoveryError as error:
                if error.kind not in (ErrorKind.DAMAGED, ErrorKind.OBJECT_MISSING):
                    raise
                continue
            yield record


def newest_audit(
    store: ObjectStore,
    source: str,
    operation: str,
    now: datetime,
    *,
    months: int,
    accept: t.Optional[t.Callable[[AuditRecord], bool]] = None,
) -> t.Optional[AuditRecord]:
    """The last record of an operation that accept takes, in so many months back from now, or None."""
    records = recent_audits(store, source, operation, now, months=months)
    return next((record for record in records if accept is None or accept(record)), None)


def newest_audits(
    store: ObjectStore,
    source: str,
    now: datetime,
    *,
    months: int,
    accept: t.Callable[[AuditRecord], bool],
) -> t.Dict[str, AuditRecord]:
    """The last record of each operation that accept takes, in so many months back from now, by operation.

    A record that cannot be read is passed over.
    """
    found: t.Dict[str, AuditRecord] = {}
    for month in _months(now, months):
        for key in sorted((item.key for item in store.list(f"{audit_prefix(source)}{month}/")), reverse=True):
            operation = _operation_of(key)
            if operation not in found and len(found) < _MOST_OPERATIONS:
                with contextlib.suppress(RecoveryError):
                    record = _parsed(key, _document(key, read_all(store, key), source))
                    if accept(record):
                        found[operation] = record
    return found


_FIELDS = ("operation_type", "performed_by", "performed_at", "host", "source", "status", "details")


def _document(key: str, data: bytes, source: str) -> t.Dict[str, t.Any]:
    """A record of the source. Raises RecoveryError(damaged)."""
    document = read_document(data, f"The audit record {key}")
    try:
        _RECORD(document, "")
        if document["source"] != source:
            raise ValueError(f"it is of the source {document['source']!r}")
    except ValueError as error:
        raise RecoveryError(ErrorKind.DAMAGED, f"The audit record {key} is damaged: {error}.") from None
    return document


def _parsed(key: str, document: t.Mapping[str, t.Any]) -> AuditRecord:
    return AuditRecord(key, **{name: document[name] for name in _FIELDS})


def _write_head(store: ObjectStore, source: str, newest: t.Mapping[str, str]) -> None:
    """Have the head name the newest record. Of two parallel writers the head names the last, and both are chained."""
    head = sign({"schema": HEAD_SCHEMA, "source": source, "newest": dict(newest)}, store.sealing.name_key)
    # A store that lets nothing be replaced, as under a lock rule, lets no record be removed either.
    with contextlib.suppress(RecoveryError):
        store.put(audit_head_key(source), [json.dumps(head, sort_keys=True).encode() + b"\n"])


def _head_breaks(
    store: ObjectStore,
    source: str,
    digests: t.Mapping[str, str],
    removed_before: t.Mapping[str, str],
    *,
    headed: bool,
) -> t.Iterator[str]:
    """False statements of the head. headed: a record has a mark that it was written together with a head."""
    key = audit_head_key(source)
    try:
        head = read_document(read_all(store, key), f"The audit head {key}")
        _HEAD(head, "")
        newest = head["newest"]
        if head["source"] != source or not newest["key"].startswith(audit_prefix(source)):
            raise ValueError("it is of another source")
        dated = newest["key"].rpartition("/")[2][:15] + "Z"
        judge_authenticity(head, key, dated, store.sealing)
    except ValueError as error:
        yield f"The audit head {key} is damaged: {error}."
    except RecoveryError as error:
        if error.kind == ErrorKind.OBJECT_MISSING:
            if headed:
                yield f"The audit head {key} is missing, and records were written with it."
        elif error.kind == ErrorKind.DAMAGED:
            yield error.what
        else:
            raise
    else:
        yield from _link_breaks(newest, f"the head {key} names", "the head was written", digests, removed_before)


def _operation_of(key: str) -> str:
    """C(backup) of C(<instant>-backup-<random>.json)."""
    return key.rpartition("/")[2].partition("-")[2].rpartition("-")[0]


def _months(now: datetime, count: int) -> t.Iterator[str]:
    """C(2026/03), C(2026/02), and so on: what keys of records begin with."""
    months = now.year * 12 + now.month - 1
    for number in range(months, months - count, -1):
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
        else:
            yield from _link_breaks(previous, f"{key} names", f"{key} was written", digests, removed_before)


def _link_breaks(
    link: t.Mapping[str, str],
    names: str,
    written: str,
    digests: t.Mapping[str, str],
    removed_before: t.Mapping[str, str],
) -> t.Iterator[str]:
    if link["key"] not in digests:
        # Retention notes how far it took records of each operation away; what it keeps longer is not excused.
        before = removed_before.get(_operation_of(link["key"]), removed_before.get("backup", ""))
        if link["key"].rpartition("/")[2] >= before:
            yield f"{link['key']} is missing, which {names}."
    elif digests[link["key"]] != link["sha256"]:
        yield f"{link['key']} was changed after {written}."


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
