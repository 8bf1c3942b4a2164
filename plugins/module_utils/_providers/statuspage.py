# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads the summary of a status page: api/v2/summary.json of Statuspage (https://www.githubstatus.com/api/v2).

Fields that the judgement needs must have their type; descriptive fields of another type are ignored.
"""

from __future__ import annotations

import json
import re
import typing as t

from .._core.clock import format_instant, parse_instant
from .._core.errors import RecoveryError
from .model import INDICATORS, Component, Incident, NotAStatusPage, PageContent

_LONGEST_TEXT = 300

#: The start of a template, which the text of a provider must not become.
_TEMPLATE = re.compile(r"\{(?=[{%#])")

_Object = t.Mapping[str, t.Any]


def read_summary(body: bytes) -> PageContent:
    """The page from the body of an answer. Raises NotAStatusPage."""
    try:
        # No number is needed exactly, and Python parses long integers slowly.
        document = json.loads(body, parse_int=float)
    except (ValueError, RecursionError):
        raise NotAStatusPage("it does not answer in JSON") from None
    return parse_summary(document)


def parse_summary(document: t.Any) -> PageContent:
    """The page from a document. Raises NotAStatusPage."""
    page = _object(document, "its answer")
    status = _object(page.get("status"), "its status")
    indicator = status.get("indicator")
    if not isinstance(indicator, str) or indicator not in INDICATORS or indicator == "unknown":
        raise NotAStatusPage("its indicator is unknown")
    return PageContent(
        indicator=indicator,
        description=clean(status.get("description")),
        components=tuple(_component(one) for one in _list(page, "components")),
        incidents=tuple(_incident(one) for one in _list(page, "incidents")),
        maintenance=tuple(_incident(one) for one in _list(page, "scheduled_maintenances")),
    )


def clean(value: t.Any) -> str:
    """Text of the provider as one printable line that is no template; empty if it is no text."""
    if not isinstance(value, str):
        return ""
    plain = "".join(one if one.isprintable() else " " for one in value[: 4 * _LONGEST_TEXT])
    return _TEMPLATE.sub("{ ", " ".join(plain.split()))[:_LONGEST_TEXT]


def _component(given: t.Any) -> Component:
    one = _object(given, "a component")
    return Component(
        id=clean(one.get("id")),
        name=_text(one, "name", "a component"),
        status=_text(one, "status", "a component"),
        group=one.get("group") is True,
        group_id=clean(one.get("group_id")),
    )


def _incident(given: t.Any) -> Incident:
    one = _object(given, "an incident")
    touched = [_object(part, "a component of an incident") for part in _list(one, "components")]
    impact = _text(one, "impact", "an incident")
    return Incident(
        name=_text(one, "name", "an incident"),
        status=_text(one, "status", "an incident"),
        impact=impact if impact in INDICATORS else "unknown",
        url=_link(one.get("shortlink")),
        started_at=_instant(one.get("started_at")) or _instant(one.get("created_at")),
        updated_at=_instant(one.get("updated_at")),
        starts_at=_instant(one.get("scheduled_for")),
        ends_at=_instant(one.get("scheduled_until")),
        components=tuple((clean(part.get("id")), clean(part.get("name"))) for part in touched),
    )


def _object(value: t.Any, what: str) -> _Object:
    if not isinstance(value, dict):
        raise NotAStatusPage(f"{what} is not an object")
    return value


def _list(holder: _Object, name: str) -> t.Sequence[t.Any]:
    value = holder.get(name)
    if value is None:
        return ()
    if not isinstance(value, list):
        raise NotAStatusPage(f"its {name} are not a list")
    return value


def _text(holder: _Object, name: str, what: str) -> str:
    text = clean(holder.get(name))
    if not text:
        raise NotAStatusPage(f"the {name} of {what} is not a text")
    return text


def _link(value: t.Any) -> t.Optional[str]:
    text = clean(value)
    return text if text.startswith(("https://", "http://")) and " " not in text else None


def _instant(value: t.Any) -> t.Optional[str]:
    if not isinstance(value, str):
        return None
    try:
        return format_instant(parse_instant(value))
    except (RecoveryError, OverflowError, ValueError):
        return None
