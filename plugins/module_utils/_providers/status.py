# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""All status pages in one result: each page, the most severe indicator, events for channels, and metrics."""

from __future__ import annotations

import re
import typing as t
import urllib.parse
from dataclasses import dataclass, field
from datetime import datetime

from .._core.clock import Timings
from .._core.errors import ErrorKind, RecoveryError
from .._core.http import is_url
from .._core.openmetrics import END, gauge, write_metrics
from .._core.options import INTERNAL, FilePath
from .._notify.messages import advice
from .ask import ask_pages, shown
from .judge import worst
from .model import EVENTS, INDICATORS, PageState, WantedPage

_NAME = re.compile(r"[A-Za-z0-9_-]{1,100}")
_LONGEST_TIMEOUT = 300

#: For metrics; an unknown page has no number.
_NUMBERS = {"none": 0, "maintenance": 1, "minor": 1, "major": 2, "critical": 3}


@dataclass(frozen=True)
class ProviderRequest:
    """timeout: seconds for one page. fail_on: one of INDICATORS but C(none), or C(never)."""

    pages: t.Sequence[WantedPage] = field(metadata=INTERNAL)
    timeout: float = 10
    fail_on: t.Literal["never", "unknown", "maintenance", "minor", "major", "critical"] = "never"
    metrics_textfile: t.Optional[FilePath] = None
    check_mode: bool = False


@dataclass(frozen=True)
class ProviderStatus:
    """breaches: events for channels, by key; lines: for the operator; level: the most severe indicator."""

    pages: t.Sequence[PageState]
    level: str
    breaches: t.Sequence[t.Mapping[str, str]]
    lines: t.Sequence[str]
    summary: str
    timings: t.Mapping[str, float]


def wanted_pages(given: t.Sequence[t.Mapping[str, t.Any]]) -> t.List[WantedPage]:
    """The pages of the option pages. Raises RecoveryError(invalid_options); no URL is shown."""
    pages: t.List[WantedPage] = []
    for one in given:
        name, url = str(one["name"]), str(one["url"])
        if not _NAME.fullmatch(name):
            raise _invalid(f"{name!r} is not a valid name of a page.", "Use letters, digits, - and _.")
        if name in {page.name for page in pages}:
            raise _invalid(f"Two pages are named {name}.", "Give each page a unique name.")
        if not is_url(url):
            raise _invalid(
                f"The url of {name} must be an http or https URL.", "Write it as https://www.githubstatus.com."
            )
        parts = urllib.parse.urlsplit(url)
        if "@" in parts.netloc or parts.query:
            raise _invalid(
                f"The url of {name} has a login or a query, which logs of modules would show.",
                "Set the address of a public page without login and query.",
            )
        pages.append(WantedPage(name, shown(url), tuple(str(part) for part in one.get("components") or ())))
    return pages


def provider_status(request: ProviderRequest, now: datetime) -> ProviderStatus:
    """Request and judge the pages, and write the metrics.

    Raises RecoveryError: invalid_options, report_failed if metrics cannot be written, check_failed by fail_on; the
    details of the last two have the result.
    """
    if not 0 < request.timeout <= _LONGEST_TIMEOUT:
        raise _invalid(
            f"timeout must be above 0 and at most {_LONGEST_TIMEOUT}, got {request.timeout:g}.", "Correct it."
        )
    timings = Timings()
    with timings.phase("ask"):
        pages = ask_pages(request.pages, request.timeout, now)
    breaches = [one for page in pages for one in _breaches(page)]
    summary = "; ".join(page.summary.rstrip(".") for page in pages)
    result = ProviderStatus(
        pages=pages,
        level=worst(page.indicator for page in pages),
        breaches=breaches,
        lines=list(_lines(pages)),
        summary=f"{summary}." if summary else "No status page is configured.",
        timings=timings.as_dict(),
    )
    details = {**vars(result), "changed": False}
    if request.metrics_textfile and not request.check_mode:
        try:
            write_metrics(request.metrics_textfile, provider_metrics(pages, now))
        except RecoveryError as error:
            raise error.restated(details=details) from None
    grave = [page for page in pages if _counts(page.indicator, request.fail_on)]
    if grave:
        raise RecoveryError(
            ErrorKind.CHECK_FAILED,
            " ".join(page.summary for page in grave),
            next_step=advice("provider."),
            details=details,
        )
    return result


def provider_metrics(pages: t.Sequence[PageState], now: datetime) -> str:
    """The pages as metrics; an unknown page has no level."""
    levels = [
        ({"provider": page.name}, float(_NUMBERS[page.indicator])) for page in pages if page.indicator in _NUMBERS
    ]
    known = [({"provider": page.name}, float(page.indicator in _NUMBERS)) for page in pages]
    lines = [
        *gauge("lifeline_provider_status_timestamp_seconds", "When the pages were requested.", [({}, now.timestamp())]),
        *gauge("lifeline_provider_known", "Whether the status page answered with a known state.", known),
        *gauge("lifeline_provider_level", "0 operational, 1 degraded or maintenance, 2 major, 3 critical.", levels),
    ]
    return "\n".join([*lines, END]) + "\n"


def _counts(indicator: str, fail_on: str) -> bool:
    return fail_on != "never" and INDICATORS.index(indicator) >= INDICATORS.index(fail_on)


def _breaches(page: PageState) -> t.Iterator[t.Dict[str, str]]:
    if page.indicator in EVENTS:
        event, severity = EVENTS[page.indicator]
        links = [str(one["url"]) for one in page.incidents if one["url"]] or [page.url]
        breach = {"event": event, "severity": severity, "source": page.name, "message": f"{page.summary} {links[0]}"}
        # The name of a source cannot start with @.
        yield {"key": f"@provider/{page.name}", **breach}


def _lines(pages: t.Sequence[PageState]) -> t.Iterator[str]:
    """A line for each page that is not operational, with the next step; or one line for all pages."""
    if pages and all(page.indicator == "none" for page in pages):
        yield "Providers: all operational"
    for page in pages:
        if page.indicator != "none":
            yield f"Provider {page.summary}"
        for breach in _breaches(page):
            yield f"  Next step: {advice(breach['event'])}"


def _invalid(what: str, next_step: str) -> RecoveryError:
    return RecoveryError(ErrorKind.INVALID_OPTIONS, what, left="No page was requested.", next_step=next_step)
