# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The content of an application before an incident, and its comparison with the content after the recovery.

Rows of queries and answers of HTTP, read without the code that recovers them. The record holds digests, not content.
"""

from __future__ import annotations

import hashlib
import json
import typing as t
import urllib.request
from collections import Counter
from dataclasses import dataclass, field

from .._core.errors import ErrorKind, RecoveryError
from .._core.files import replace_file
from .._core.http import Answer, NoAnswer, exchange, is_url
from .._core.options import SUBOPTIONS, FilePath, option
from .._core.severity import FAILED, PASSED
from .._engines.postgresql.server.confined import Session
from .._engines.postgresql.server.connection import Connection, ConnectionOptions, connection
from .._engines.postgresql.server.driver import psycopg2
from .._engines.postgresql.server.refusals import server_message
from .._integrity.session import read_only_transaction

RECORDED, COMPARED = "recorded", "compared"
EQUAL, KEPT = "equal", "kept"

#: The record is held in memory.
MOST_ROWS = 100_000

_LARGEST_ANSWER = 64 * 1024 * 1024
_BATCH = 1000
_QUERY_SECONDS = 600
_PATH = "pg_catalog, pg_temp, public"


@dataclass(frozen=True)
class Query:
    """Rows to compare. compare: C(equal), or C(kept) if further rows may be added."""

    name: str
    query: str
    compare: str = field(default=EQUAL, metadata=option(choices=(EQUAL, KEPT)))


@dataclass(frozen=True)
class ContentRequest:
    """record: the file of the content before the incident."""

    connection: ConnectionOptions
    record: FilePath
    state: str = field(metadata=option(choices=(RECORDED, COMPARED)))
    queries: t.Sequence[Query] = field(default=(), metadata=SUBOPTIONS)
    urls: t.Sequence[str] = ()
    timeout: float = 30
    check_mode: bool = False


@dataclass(frozen=True)
class ContentResult:
    """checks, fingerprint: as drill_report takes them; for a record they are empty and None."""

    changed: bool
    equal: t.Optional[bool]
    checks: t.Sequence[t.Mapping[str, t.Any]]
    fingerprint: t.Optional[t.Mapping[str, t.Any]]
    summary: str


@dataclass(frozen=True)
class _Content:
    """By name of the query the digests of its rows, by URL the digest of its answer; an error instead of either."""

    rows: t.Mapping[str, t.Union[t.Counter[str], RecoveryError]]
    answers: t.Mapping[str, str]


def record_content(request: ContentRequest) -> ContentResult:
    """Write the digests of the content to the record.

    Raises RecoveryError: query_failed, service_failed if the content cannot be read completely, limit_exceeded.
    """
    content = _read(request)
    for found in content.rows.values():
        if isinstance(found, RecoveryError):
            raise found
    broken = [f"{url} ({answer})" for url, answer in content.answers.items() if not answer.startswith("200 ")]
    if broken:
        raise RecoveryError(
            ErrorKind.SERVICE_FAILED,
            f"The content cannot be recorded, because the application does not serve {', '.join(broken)}.",
            left="Nothing was recorded.",
            next_step="Record the content before the fault, while the application works.",
        )
    document = {"rows": content.rows, "answers": content.answers}
    if not request.check_mode:
        try:
            replace_file(request.record, json.dumps(document), 0o600)
        except OSError as error:
            raise RecoveryError(
                ErrorKind.REPORT_FAILED, f"The record {request.record} cannot be written: {error.strerror}."
            ) from None
    rows = sum(sum(counted.values()) for counted in t.cast("t.Dict[str, t.Counter[str]]", content.rows).values())
    return ContentResult(
        True, None, [], None, f"Recorded {rows} rows of {len(content.rows)} queries and {len(content.answers)} answers."
    )


def compare_content(request: ContentRequest) -> ContentResult:
    """Compare the content with the record. Content that cannot be read is different, not an error.

    Raises RecoveryError: invalid_options for a record that cannot be read or that lacks a query or URL, limit_exceeded.
    """
    before = _load(request)
    after = _read(request)
    checks = [_query_check(query, before.rows[query.name], after.rows[query.name]) for query in request.queries]
    checks += [_url_check(url, before.answers[url], after.answers[url]) for url in request.urls]
    different = [str(check["name"]) for check in checks if check["status"] != PASSED]
    counted = [found for found in after.rows.values() if not isinstance(found, RecoveryError)]
    fingerprint = {
        "tables": len(request.queries),
        "rows": sum(sum(rows.values()) for rows in counted),
        "equal": not different,
        "reference": "the content before the incident",
    }
    summary = (
        f"{len(different)} of {len(checks)} comparisons differ: {', '.join(different)}."
        if different
        else f"All {len(checks)} comparisons are equal."
    )
    return ContentResult(False, not different, checks, fingerprint, summary)


def _load(request: ContentRequest) -> _Content:
    try:
        with open(request.record, encoding="utf-8") as stream:
            document = json.load(stream)
        rows = {query.name: Counter(document["rows"][query.name]) for query in request.queries}
        return _Content(rows, {url: str(document["answers"][url]) for url in request.urls})
    except (OSError, ValueError, TypeError, AttributeError, KeyError) as error:
        raise RecoveryError(
            ErrorKind.INVALID_OPTIONS,
            f"The record {request.record} has no complete content of these queries and URLs: {type(error).__name__}.",
            left="Nothing was compared.",
            next_step="Record the same queries and URLs before the fault.",
        ) from None


def _read(request: ContentRequest) -> _Content:
    names = [query.name for query in request.queries]
    invalid = [name for name in names if names.count(name) > 1] or [url for url in request.urls if not is_url(url)]
    if invalid or not (names or request.urls):
        raise RecoveryError(
            ErrorKind.INVALID_OPTIONS,
            f"`queries` and `urls` must name different queries and valid URLs, got {invalid}.",
            left="Nothing was read.",
        )
    return _Content(_all_rows(request), {url: _answer(url, request.timeout) for url in request.urls})


def _all_rows(request: ContentRequest) -> t.Dict[str, t.Union[t.Counter[str], RecoveryError]]:
    """Each query in a transaction of its own, because an error ends a transaction."""
    if not request.queries:
        return {}
    try:
        with connection(request.connection, application="lifeline.recovery drill") as conn:
            return {query.name: _rows(conn, query) for query in request.queries}
    except RecoveryError as error:
        if error.kind == ErrorKind.LIMIT_EXCEEDED:
            raise
        return dict.fromkeys((query.name for query in request.queries), error)


def _rows(conn: Connection, query: Query) -> t.Union[t.Counter[str], RecoveryError]:
    try:
        with read_only_transaction(conn, _QUERY_SECONDS) as session:
            return _counted(session, query)
    except psycopg2.Error as error:
        return RecoveryError(
            ErrorKind.QUERY_FAILED,
            f"The query {query.name!r} failed: {server_message(error)}.",
            left="Nothing was recorded.",
        )


def _counted(session: Session, query: Query) -> t.Counter[str]:
    counted: t.Counter[str] = Counter()
    session.open(f"SELECT pg_catalog.to_jsonb(q)::text FROM ({query.query.strip().rstrip(';')}) AS q", path=_PATH)
    while True:
        batch = session.take(_BATCH, path=_PATH)
        counted.update(_digest(str(row[0]).encode()) for row in batch)
        if sum(counted.values()) > MOST_ROWS:
            raise RecoveryError(
                ErrorKind.LIMIT_EXCEEDED,
                f"The query {query.name!r} returns more than {MOST_ROWS} rows.",
                next_step="Return one row per group, with a digest of its rows.",
            )
        if len(batch) < _BATCH:
            return counted


def _answer(url: str, timeout: float) -> str:
    """The status, the type and the digest of an answer; the reason if there is none."""
    try:
        answer: Answer = exchange(urllib.request.Request(url), timeout=timeout, largest=_LARGEST_ANSWER)
    except NoAnswer as error:
        return f"no answer: {error}"
    return f"{answer.status} {answer.headers.get('content-type', '')} {_digest(answer.body)}"


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:32]


def _query_check(
    query: Query, before: t.Union[t.Counter[str], RecoveryError], after: t.Union[t.Counter[str], RecoveryError]
) -> t.Dict[str, t.Any]:
    expected = t.cast("t.Counter[str]", before)
    total = sum(expected.values())
    if isinstance(after, RecoveryError):
        return _result(query.name, False, total, 0, after.what)
    lost, added = sum((expected - after).values()), sum((after - expected).values())
    same = lost == 0 and (added == 0 or query.compare == KEPT)
    message = f"{lost} of {total} rows are lost or changed, {added} are new or changed."
    return _result(query.name, same, total, sum(after.values()), message)


def _url_check(url: str, before: str, after: str) -> t.Dict[str, t.Any]:
    same = before == after
    return _result(url, same, before, after, f"The answer {'equals' if same else 'differs from'} the recorded one.")


def _result(name: str, same: bool, expected: t.Any, actual: t.Any, message: str) -> t.Dict[str, t.Any]:
    """A check as integrity_check returns it."""
    return {
        "name": name,
        "type": "content",
        "status": PASSED if same else FAILED,
        "expected": expected,
        "actual": actual,
        "message": message,
        "proves_data": True,
    }
