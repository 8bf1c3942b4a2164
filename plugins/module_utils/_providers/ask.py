# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Requests status pages in parallel; the failure of one page is a fact about it."""

from __future__ import annotations

import typing as t
import urllib.parse
import urllib.request
from datetime import datetime

from .._core.deadline import within
from .._core.errors import RecoveryError
from .._core.http import Answer, NoAnswer, exchange
from .._core.parallel import in_order
from .._core.sizes import readable_size
from .judge import judge_page, unknown_page
from .model import NotAStatusPage, PageState, WantedPage
from .statuspage import clean, read_summary

#: The largest known summaries are below 1 MiB.
LARGEST_ANSWER = 8 * 1024 * 1024

SUMMARY = "/api/v2/summary.json"

_AT_ONCE = 32

_REASONS = {"TimeoutError": "timeout", "timeout": "timeout", "gaierror": "no such host"}


def ask_pages(pages: t.Sequence[WantedPage], timeout: float, now: datetime) -> t.List[PageState]:
    """The state of each page in order. timeout: seconds for one page, including its complete answer."""
    return in_order(pages, lambda page: _ask(page, timeout, now), parallel=_AT_ONCE)


def shown(url: str) -> str:
    """A URL without the parts that may be secret: name and password, query, fragment."""
    parts = urllib.parse.urlsplit(url)
    return urllib.parse.urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def secrets_of(url: str) -> t.List[str]:
    """The secret parts of a URL, as written and decoded; the complete text if it is no URL."""
    try:
        parts = urllib.parse.urlsplit(url)
    except ValueError:
        return [url]
    user = parts.netloc.rpartition("@")[0]
    given = [user, user.partition(":")[2], parts.query]
    return [text for one in given if one for text in (one, urllib.parse.unquote(one))]


def _ask(page: WantedPage, timeout: float, now: datetime) -> PageState:
    try:
        # The timeout of a socket applies to each piece of an answer, and a server may send slowly.
        return within(timeout, page.url, lambda: _judged(page, timeout, now))
    except RecoveryError:
        return unknown_page(page, f"it did not answer within {timeout:g} seconds", now)


def _judged(page: WantedPage, timeout: float, now: datetime) -> PageState:
    try:
        answer = exchange(_request(page.url), timeout=timeout, largest=LARGEST_ANSWER + 1)
    except NoAnswer as error:
        return unknown_page(page, f"it does not answer ({_REASONS.get(error.reason, error.reason)})", now)
    try:
        return judge_page(page, read_summary(_body(answer)), now)
    except NotAStatusPage as problem:
        return unknown_page(page, str(problem), now)


def _request(url: str) -> urllib.request.Request:
    place = url.rstrip("/")
    place = place if place.endswith(SUMMARY) else place + SUMMARY
    headers = {"Accept": "application/json"}
    return urllib.request.Request(place, headers=headers)


def _body(answer: Answer) -> bytes:
    if 300 <= answer.status < 400:
        raise NotAStatusPage(f"it answers with a redirect{_where(answer)}, which is not followed")
    if answer.status != 200:
        raise NotAStatusPage(f"it answers with {answer.outcome}")
    if len(answer.body) > LARGEST_ANSWER:
        raise NotAStatusPage(f"its answer is larger than {readable_size(LARGEST_ANSWER)}")
    return answer.body


def _where(answer: Answer) -> str:
    """The target of a redirect, so that the operator can correct the url."""
    try:
        place = clean(shown(answer.headers.get("location", "")))
    except ValueError:
        return ""
    place = place[: -len(SUMMARY)] if place.endswith(SUMMARY) else place
    return f" to {place}" if place.startswith(("https://", "http://")) else ""
