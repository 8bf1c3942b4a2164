# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Status pages of providers, and their judgement."""

from __future__ import annotations

import copy
import json
import typing as t
from datetime import datetime, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.lifeline.recovery.plugins.module_utils._ansible.ansible_module import as_plain
from ansible_collections.lifeline.recovery.plugins.module_utils._core.errors import RecoveryError
from ansible_collections.lifeline.recovery.plugins.module_utils._providers.ask import secrets_of, shown
from ansible_collections.lifeline.recovery.plugins.module_utils._providers.judge import judge_page, unknown_page, worst
from ansible_collections.lifeline.recovery.plugins.module_utils._providers.model import (
    INDICATORS,
    NotAStatusPage,
    PageState,
    WantedPage,
)
from ansible_collections.lifeline.recovery.plugins.module_utils._providers.status import provider_metrics, wanted_pages
from ansible_collections.lifeline.recovery.plugins.module_utils._providers.statuspage import (
    clean,
    parse_summary,
    read_summary,
)
from tests.support.runner.server import ROOT

NOW = datetime(2026, 3, 1, 2, 40, tzinfo=timezone.utc)
BEGAN = "2026-03-01T02:04:00.000+00:00"


def recorded(name: str) -> dict[str, t.Any]:
    return t.cast("dict[str, t.Any]", json.loads((ROOT / f"tests/data/status_pages/{name}.json").read_text()))


def judged(document: t.Any, *components: str, name: str = "p") -> PageState:
    return judge_page(WantedPage(name, "https://p.example", components), parse_summary(document), NOW)


def small(indicator: str = "none", **components: str) -> dict[str, t.Any]:
    listed = [{"id": f"id-{name}", "name": name, "status": status} for name, status in components.items()]
    return {"status": {"indicator": indicator, "description": "As it is"}, "components": listed}


def test_a_page_is_judged_by_its_own_indicator() -> None:
    page = judged(recorded("supabase"), name="supabase")
    assert (page.indicator, page.why, page.missing, page.left_out) == ("major", "", [], 0)
    assert page.summary == (
        "supabase: major - API Gateway is down (major_outage), eu-central-1 is partly down (partial_outage), "
        f"Auth is degraded (degraded_performance) since {BEGAN}."
    )
    # The group contains no more information than its components.
    assert [(one["name"], one["group"], one["status"]) for one in page.components] == [
        ("API Gateway", None, "major_outage"),
        ("Auth", None, "degraded_performance"),
        ("eu-central-1", "Compute Capacity", "partial_outage"),
    ]
    assert page.incidents == [
        {
            "name": "Requests to the API fail",
            "impact": "major",
            "status": "identified",
            "url": "https://stspg.io/inc1",
            "started_at": BEGAN,
            "updated_at": "2026-03-01T02:31:00.000+00:00",
            "components": ["API Gateway"],
        }
    ]
    well = judged(recorded("github"), name="github")
    assert (well.indicator, well.summary, well.components) == ("none", "github: all operational.", [])


@pytest.mark.parametrize(
    ("chosen", "indicator"),
    [
        (["Database"], "none"),
        (["Auth"], "minor"),
        (["eu-*"], "major"),
        (["us-east-1"], "none"),
        (["api gateway"], "critical"),
        (["Compute Capacity"], "major"),
        (["*"], "critical"),
        (["Database", "Storage"], "unknown"),
        (["Auth", "Storage"], "minor"),
    ],
)
def test_chosen_components_alone_judge_it(chosen: list[str], indicator: str) -> None:
    page = judged(recorded("supabase"), *chosen)
    assert page.indicator == indicator
    assert len(page.incidents) == 1
    assert page.missing == (["Storage"] if "Storage" in chosen else [])
    assert ("It has no component 'Storage'." in page.summary) is bool(page.missing)


def test_a_name_with_the_signs_of_a_pattern_is_found_as_it_is() -> None:
    document = small(**{"Compute [EU]": "major_outage", "Compute E": "operational"})
    assert judged(document, "Compute [EU]").indicator == "critical"


def test_an_open_incident_counts_for_the_component_that_it_touches() -> None:
    document = recorded("supabase")
    for one in document["components"]:
        one["status"] = "operational"
    assert judged(document, "API Gateway").indicator == "major"
    assert judged(document, "API Gateway").summary == f"p: major - Requests to the API fail (identified) since {BEGAN}."
    assert judged(document, "Database").indicator == "none"
    document["incidents"][0]["status"] = "resolved"
    over = judged(document, "API Gateway")
    assert (over.indicator, over.incidents) == ("none", [])


def test_two_components_of_one_name_are_distinguished() -> None:
    document = recorded("supabase")
    document["components"] += [{"id": "other", "name": "API Gateway", "status": "operational", "group_id": "asia"}]
    document["components"] += [{"id": "asia", "name": "Asia", "status": "operational", "group": True}]
    assert judged(document, "Asia").indicator == "none"


def test_running_maintenance_counts_and_announced_does_not() -> None:
    document = recorded("cloudflare")
    page = judged(document, name="cloudflare")
    assert page.indicator == "maintenance"
    assert page.summary == (
        "cloudflare: maintenance - Amsterdam, Netherlands - (AMS) is under maintenance (under_maintenance) "
        "since 2026-03-01T02:00:00.000+00:00."
    )
    assert [(one["name"], one["starts_at"], one["ends_at"]) for one in page.maintenance] == [
        ("AMS (Amsterdam)", "2026-03-01T02:00:00.000+00:00", "2026-03-01T06:00:00.000+00:00"),
        ("FRA (Frankfurt)", "2026-03-02T02:00:00.000+00:00", "2026-03-02T06:00:00.000+00:00"),
    ]
    assert judged(document, "R2").indicator == "none"
    assert judged(document, "Amsterdam*").indicator == "maintenance"
    document["components"] = []
    assert judged(document).summary == (
        "p: maintenance - AMS (Amsterdam) (in_progress) until 2026-03-01T06:00:00.000+00:00."
    )
    document["scheduled_maintenances"][0]["status"] = "completed"
    assert judged(document).indicator == "none"


def test_degraded_component_overrides_an_operational_page() -> None:
    assert judged(small(x="major_outage")).indicator == "minor"
    assert judged(small(x="under_maintenance")).indicator == "maintenance"
    strange = judged(small(x="on_fire"))
    assert (strange.indicator, strange.why) == ("unknown", "The status of x is unknown to this collection.")
    assert judged(small("critical", x="on_fire")).indicator == "critical"
    assert judged(small(x="on_fire", y="operational"), "y").indicator == "none"


def test_long_lists_are_cut_and_judged_whole() -> None:
    names = {f"c{number}": "degraded_performance" for number in range(70)}
    page = judged(small("minor", **names, last="major_outage"), "*")
    assert (page.indicator, len(page.components), page.left_out) == ("critical", 50, 21)
    assert page.summary.startswith("p: critical - last is down (major_outage), c0 is degraded")
    assert " and 68 more." in page.summary


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda page: page.pop("status"), "its status is not an object"),
        (lambda page: page.update(status="none"), "its status is not an object"),
        (lambda page: page["status"].update(indicator="unknown"), "its indicator"),
        (lambda page: page["status"].update(indicator=["none"]), "its indicator"),
        (lambda page: page.update(components={}), "its components are not a list"),
        (lambda page: page["components"].append(None), "a component is not an object"),
        (lambda page: page["components"][0].update(name=7), "the name of a component is not a text"),
        (lambda page: page["components"][0].pop("status"), "the status of a component is not a text"),
        (lambda page: page.update(incidents="none"), "its incidents are not a list"),
        (lambda page: page["incidents"][0].update(impact=None), "the impact of an incident is not a text"),
        (lambda page: page["incidents"][0].update(components="all"), "its components are not a list"),
        (lambda page: page.update(scheduled_maintenances=3), "its scheduled_maintenances are not a list"),
    ],
)
def test_fields_of_the_judgement_must_have_their_type(change: t.Callable[[t.Any], t.Any], why: str) -> None:
    document = recorded("supabase")
    change(document)
    with pytest.raises(NotAStatusPage) as caught:
        parse_summary(document)
    assert why in str(caught.value)


def test_invalid_descriptive_fields_are_ignored() -> None:
    document = recorded("supabase")
    document["incidents"][0].update(
        shortlink="javascript:alert(1)", started_at="0001-01-01T00:00:00+14:00", created_at=5, updated_at="soon"
    )
    document["status"]["description"] = {}
    (one,) = judged(document).incidents
    assert (one["url"], one["started_at"], one["updated_at"]) == (None, None, None)
    del document["incidents"], document["scheduled_maintenances"], document["page"]
    assert judged(document).indicator == "major"


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b"null", b'"x"', b"[" * 200_000, b"\xff\xfe{", b'{"status":', b"9" * 1_000_000]
)
def test_a_body_that_is_no_page_is_none(body: bytes) -> None:
    with pytest.raises(NotAStatusPage):
        read_summary(body)


def test_texts_of_others_are_one_line_and_no_template() -> None:
    assert clean("a\x1b[31m b\n\nc\u202ed\x00") == "a [31m b c d"
    assert clean("{{ x }} {% y %} {# z #} {{{") == "{ { x }} { % y %} { # z #} { { {"
    assert clean("half \ud800 a sign") == "half a sign"
    assert len(clean("x" * 5000)) == 300
    assert clean(3) == ""


LEAVES = (
    st.none()
    | st.booleans()
    | st.floats()
    | st.text(max_size=8)
    | st.just("{{ 1\x1b }}")
    | st.sampled_from([*INDICATORS, "operational"])
)
ANYTHING = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=150, deadline=None)
@given(data=st.data(), chosen=st.lists(st.sampled_from(["API*", "Auth", "nothing"]), max_size=2))
def test_odd_answers_are_judged_or_refused_and_can_be_written(data: st.DataObject, chosen: list[str]) -> None:
    document = copy.deepcopy(recorded(data.draw(st.sampled_from(["supabase", "cloudflare"]))))
    for _change in range(data.draw(st.integers(1, 3))):
        place: t.Any = document
        while True:
            keys = list(place) if isinstance(place, dict) else list(range(len(place)))
            if not keys:
                break
            key = data.draw(st.sampled_from(keys))
            if not isinstance(place[key], (dict, list)) or data.draw(st.integers(0, 2)) == 0:
                place[key] = data.draw(ANYTHING)
                break
            place = place[key]
    try:
        page = judged(document, *chosen)
    except NotAStatusPage:
        return
    assert page.indicator in INDICATORS
    assert json.dumps(as_plain(page), allow_nan=False, ensure_ascii=False).encode()
    said = [page.summary, *(one["name"] for one in [*page.components, *page.incidents, *page.maintenance])]
    assert all(
        text.isprintable() and not {"{{", "{%", "{#"} & {text[at : at + 2] for at in range(len(text))} for text in said
    )
    # The page is operational only if every judged component is.
    if page.indicator == "none":
        assert page.components == []
        assert page.missing == []


@given(st.lists(st.sampled_from(INDICATORS)))
def test_the_gravest_is_the_level(indicators: list[str]) -> None:
    assert all(INDICATORS.index(one) <= INDICATORS.index(worst(indicators)) for one in indicators)
    assert worst([]) == "none"
    assert worst(["none", "unknown"]) == "unknown"


@pytest.mark.parametrize(
    ("pages", "what"),
    [
        ([{"name": "a b", "url": "https://x.example"}], "not a valid name of a page"),
        ([{"name": "a", "url": "https://x.example"}, {"name": "a", "url": "https://y.example"}], "Two pages"),
        ([{"name": "a", "url": "status.example?token=hidden-token"}], "must be an http or https URL"),
        ([{"name": "a", "url": "file:///etc/passwd"}], "must be an http or https URL"),
        ([{"name": "a", "url": "https://[x?token=hidden-token"}], "must be an http or https URL"),
    ],
)
def test_pages_that_cannot_be_asked_are_refused(pages: list[dict[str, t.Any]], what: str) -> None:
    with pytest.raises(RecoveryError, match=what) as caught:
        wanted_pages(pages)
    assert "hidden-token" not in str(caught.value)


def test_secrets_of_a_url_are_detected_and_not_shown() -> None:
    address = "https://me:p%40ss@status.example:8443/team?token=abc#part"
    assert shown(address) == "https://status.example:8443/team"
    assert {"p%40ss", "p@ss", "me:p@ss", "token=abc"} <= set(secrets_of(address))
    assert secrets_of("https://status.example") == []


def test_metrics_have_no_level_of_what_is_not_known() -> None:
    pages = [
        judged(recorded("supabase"), name="supabase"),
        judged(recorded("cloudflare"), name="cloudflare"),
        unknown_page(WantedPage("github", ""), "it does not answer (timeout)", NOW),
    ]
    assert provider_metrics(pages, NOW).splitlines()[2:] == [
        "lifeline_provider_status_timestamp_seconds 1772332800",
        "# HELP lifeline_provider_known Whether the status page answered with a known state.",
        "# TYPE lifeline_provider_known gauge",
        'lifeline_provider_known{provider="supabase"} 1',
        'lifeline_provider_known{provider="cloudflare"} 1',
        'lifeline_provider_known{provider="github"} 0',
        "# HELP lifeline_provider_level 0 operational, 1 degraded or maintenance, 2 major, 3 critical.",
        "# TYPE lifeline_provider_level gauge",
        'lifeline_provider_level{provider="supabase"} 2',
        'lifeline_provider_level{provider="cloudflare"} 1',
        "# EOF",
    ]
