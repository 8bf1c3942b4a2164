# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The page is complete, safe, readable without colour, and needs no network."""

from __future__ import annotations

import copy
import json
import re
from html.parser import HTMLParser

import pytest

from ansible_collections.lifeline.recovery.plugins.module_utils._pages.markup import Markup, element, joined
from ansible_collections.lifeline.recovery.plugins.module_utils._pages.page import render_page
from ansible_collections.lifeline.recovery.plugins.module_utils._pages.phrases import span
from ansible_collections.lifeline.recovery.plugins.module_utils._pages.svg import Scale, ticks
from tests.support.data.drill_reports import sample_history, sample_report, variant

VARIANTS = ["passed", "first", "failed", "error", "crowded"]
VOID = {"meta", "br", "hr", "link", "img", "input"}


class Page(HTMLParser):
    """Fails on a tag that is not closed in order; collects text, tags and attributes."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.attributes, self.ids, self.message = [], [], [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        self.ids += [value for name, value in attrs if name == "id"]
        names = [name for name, _value in attrs]
        assert len(names) == len(set(names))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.message.append(data)

    @property
    def text(self):
        return " ".join(self.message)


def page(name):
    return Page(render_page(*variant(name)))


@pytest.mark.parametrize("name", VARIANTS)
def test_every_page_is_well_formed_and_self_contained(name):
    text = render_page(*variant(name))
    parsed = Page(text)

    assert text.startswith("<!DOCTYPE html>\n")
    assert len(parsed.ids) == len(set(parsed.ids))
    assert not {"script", "link", "img", "iframe", "object", "base"} & set(parsed.tags)
    assert not re.search(r"https?:|url\(|@import|//", re.sub(r"\b\d+//", "", text.replace("<!DOCTYPE", "")))
    assert not [
        value for key, value in parsed.attributes if key in ("src", "href", "xlink:href") or key.startswith("on")
    ]


@pytest.mark.parametrize("name", VARIANTS)
def test_every_number_in_a_figure_can_be_drawn(name):
    text = render_page(*variant(name))

    assert "nan" not in re.findall(r'="([^"]*nan[^"]*)%?"', text)
    for value in re.findall(r'(?:x|x1|x2|width|cx)="(-?[\d.]+)%"', text):
        assert 0 <= float(value) <= 100
    assert not re.search(r'(?:width|height|r)="-', text)


def poisoned(value, poison):
    """Every text in the report replaced, but for those that must keep a form."""
    if isinstance(value, dict):
        return {key: item if key in FORM else poisoned(item, poison) for key, item in value.items()}
    if isinstance(value, list):
        return [poisoned(item, poison) for item in value]
    return poison if isinstance(value, str) else value


FORM = {
    "schema", "verdict", "status", "started_at", "finished_at", "incident_at", "recovery_point", "at", "marker_at",
    "recovery_points", "from", "until",
}  # fmt: skip


@pytest.mark.parametrize(
    "poison",
    [
        "<script>alert(1)</script>",
        '"><img src=x onerror=alert(1)>',
        "' onmouseover='x",
        "</style></svg><b>",
        "&lt;script&gt;",
        "a\x00b\x1b[31m\u202etxt",
    ],
)
@pytest.mark.parametrize("name", ["failed", "error"])
def test_text_from_outside_stays_text(name, poison):
    report, earlier, _broken = variant(name)
    # A mark of another name than the incident is drawn, so that there would be more tags.
    report["marks"][0]["name"] = "page"
    clean = Page(render_page(report, earlier, ["x"]))

    dirty = Page(render_page(poisoned(report, poison), [poisoned(run, poison) for run in earlier], [poison]))

    assert dirty.tags == clean.tags
    assert [key for key, _value in dirty.attributes] == [key for key, _value in clean.attributes]
    assert poison.replace("\x00", "\ufffd").replace("\x1b", "\ufffd").replace("\u202e", "\ufffd") in dirty.text


@pytest.mark.parametrize(
    ("name", "message"), [("passed", "✓ Passed"), ("failed", "✕ Failed"), ("error", "! Could not be verified")]
)
def test_the_verdict_stands_first_in_words_and_sign(name, message):
    text = re.sub(r"\s+", " ", page(name).text.split("Recovery drill", 1)[1])
    if name == "error":
        report = sample_report()
        report["verdict"] = "error"
        text = re.sub(r"\s+", " ", Page(render_page(report)).text)
    assert message in text
    assert text.index(message) < text.index("Recovery time (RTO)")


def test_all_reasons_are_shown():
    report, earlier, broken = variant("failed")

    shown = Page(render_page(report, earlier, broken)).message

    assert set(report["reasons"]) <= set(shown)


def test_failed_checks_come_first():
    report, earlier, broken = variant("crowded")
    text = render_page(report, earlier, broken)
    table = text[text.index("<tbody>") : text.index("</tbody>")]

    message = re.findall(r'class="pill \w+">\S+ ([a-z ]+)<', table)
    order = ["failed", "not verified", "warning", "skipped", "passed"]
    assert len(message) == 40
    assert message == sorted(message, key=order.index)


@pytest.mark.parametrize("name", VARIANTS)
def test_every_figure_has_a_text_alternative(name):
    text = render_page(*variant(name))
    figures = re.findall(r'<svg class="chart[^>]*>', text)

    assert figures
    for figure in figures:
        assert 'role="img"' in figure
        for target in re.search(r'aria-labelledby="([^"]+)"', figure).group(1).split():
            assert f'id="{target}"' in text


def test_first_drill_states_that_it_has_no_history():
    assert "This is the first drill" in page("first").text


def test_broken_reports_are_counted_and_named():
    text = Page(render_page(sample_report(), sample_history(2), ["20260105T024400Z-x", "20260106T024400Z-x"])).text

    assert "2 earlier reports could not be read" in text
    assert "20260105T024400Z-x, 20260106T024400Z-x" in text


def test_an_objective_far_away_is_named_beside_the_figure():
    assert "RTO objective, 5 min →" in page("passed").text


def test_a_report_with_the_fewest_keys_can_be_drawn():
    report = sample_report()
    for key in ("reasons", "notes", "marks", "slowest_phase", "set_facts", "sandbox"):
        report.pop(key)
    for key in ("marker_at", "window_seconds", "recovery_points", "longest_gap"):
        report["rpo"].pop(key)
    report.update(phases=[], checks=[], self_tests=[], fingerprint=None, incident_at=None, backup_set=None)
    report["rto"].update(objective_seconds=None, measured_seconds=None, met=None)

    Page(render_page(report, [copy.deepcopy(report)]))


def test_the_page_can_be_made_again_from_the_file():
    report, earlier, broken = variant("failed")

    assert render_page(json.loads(json.dumps(report)), earlier, broken) == render_page(report, earlier, broken)


class TestMarkup:
    def test_text_is_escaped_and_markup_is_not(self):
        assert element("p", "a < b", Markup("<b>c</b>")) == "<p>a &lt; b<b>c</b></p>"

    def test_attributes_are_escaped_even_when_markup(self):
        assert element("p", title=Markup('"><script>')) == '<p title="&quot;&gt;&lt;script&gt;"></p>'

    def test_nothing_and_sequences(self):
        assert joined(None, ["a", ["b", None]], "&") == "ab&amp;"


class TestTexts:
    @pytest.mark.parametrize(
        ("seconds", "text"),
        [
            (0, "0 s"), (0.0001, "1 ms"), (0.06, "60 ms"), (0.42, "0.42 s"), (18.41, "18.4 s"),
            (60, "1 min"), (245, "4 min 05 s"), (900, "15 min"),
            (3600, "1 h"), (11400, "3 h 10 min"), (604800, "7 d"), (190000, "2 d 5 h"), (-12, "−12 s"),
        ],
    )  # fmt: skip
    def test_lengths(self, seconds, text):
        assert span(seconds) == text

    @pytest.mark.parametrize(
        ("low", "high"), [(0, 0), (-24.6, 26.8), (-86400, 5), (0, 0.01), (0, 10**8), (-1e-9, 1e-9)]
    )
    def test_ticks_are_few_and_within(self, low, high):
        values = ticks(low, high, 7)

        assert len(values) <= 9
        assert all(low <= value <= high for value in values)

    def test_a_scale_never_leaves_its_edges(self):
        assert [Scale(5, 5).at(5), Scale(0, 10).at(-4), Scale(0, 10).at(40)] == [0, 0, 100]
