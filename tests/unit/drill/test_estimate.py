# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The estimate of a recovery: read, compared, proposed, reported, and drawn; it never changes the verdict."""

from __future__ import annotations

import math
import re
import xml.etree.ElementTree as ET
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.lifeline.recovery.plugins.module_utils._core.errors import ErrorKind, RecoveryError
from ansible_collections.lifeline.recovery.plugins.module_utils._drill.estimate import (
    nearest_rank,
    proposal,
    read_estimate,
)
from ansible_collections.lifeline.recovery.plugins.module_utils._drill.judge import judge
from ansible_collections.lifeline.recovery.plugins.module_utils._drill.junit import drill_junit
from ansible_collections.lifeline.recovery.plugins.module_utils._drill.model import Estimate
from ansible_collections.lifeline.recovery.plugins.module_utils._drill.openmetrics import drill_metrics
from ansible_collections.lifeline.recovery.plugins.module_utils._drill.publish import publish_report
from ansible_collections.lifeline.recovery.plugins.module_utils._drill.report import summarise
from ansible_collections.lifeline.recovery.plugins.module_utils._pages.objective_svg import draw_objective
from ansible_collections.lifeline.recovery.plugins.module_utils._pages.page import render_page
from ansible_collections.lifeline.recovery.plugins.module_utils._pages.phrases import plan_line
from tests.support.data.drill_reports import sample_evidence, sample_report
from tests.support.drills import drill

#: The sample recovers in 26.76 s.
SENTENCE = "Recovery took 26.8 s, more than the 20 s that were estimated."
PLAN = {
    "scenarios": [
        {"name": "rows_deleted", "estimate_seconds": {"max": "1min"}},
        {"name": "database_loss", "source": "school", "estimate_seconds": {"min": "20min", "max": "1h"}},
        {"name": "nothing_said", "estimate_seconds": None},
    ]
}


def estimated(low, high, **facts):
    return replace(sample_evidence(), estimate=Estimate(low, high), **facts)


def runs(*seconds, verdict="passed"):
    return [{"verdict": verdict, "rto": {"measured_seconds": value}} for value in seconds]


class TestReading:
    @pytest.mark.parametrize(
        ("given", "expected"),
        [
            ({"min": "5min", "max": "2h"}, Estimate(300, 7200)),
            ({"min": 30, "max": 45.5}, Estimate(30, 45.5)),
            ({"min": None, "max": "90"}, Estimate(None, 90)),
            ({"min": "1d"}, Estimate(86400, None)),
            ({"min": 5, "max": 5}, Estimate(5, 5)),
            ({"min": None, "max": None}, None),
            ({}, None),
            (None, None),
        ],
    )
    def test_lengths_are_read_as_the_plan_has_them(self, given, expected):
        assert read_estimate(given, None, "database_loss", "school") == expected

    @pytest.mark.parametrize(
        ("given", "why"),
        [
            ({"min": "soon"}, "min must be seconds"),
            ({"max": 0}, "max must be above 0"),
            ({"max": -1}, "max must be above 0"),
            ({"max": float("nan")}, "max must be seconds"),
            ({"max": True}, "max must be seconds"),
            ({"max": [1]}, "max must be seconds"),
            ({"min": "2h", "max": "1h"}, "min is longer than max"),
        ],
    )
    def test_invalid_duration_is_refused(self, given, why):
        with pytest.raises(RecoveryError, match=why) as caught:
            read_estimate(given, PLAN, "database_loss", "school")
        assert caught.value.kind == ErrorKind.INVALID_OPTIONS

    @pytest.mark.parametrize(
        ("scenario", "source", "expected"),
        [
            ("database_loss", "school", Estimate(1200, 3600)),
            ("database_loss", "studio", None),
            ("rows_deleted", "studio", Estimate(None, 60)),
            ("nothing_said", "school", None),
            ("tenant_deleted", "school", None),
        ],
    )
    def test_the_plan_has_it_by_scenario_and_source(self, scenario, source, expected):
        assert read_estimate({"min": None, "max": None}, PLAN, scenario, source) == expected

    def test_the_one_given_wins_over_the_plan(self):
        assert read_estimate({"max": 5}, PLAN, "database_loss", "school") == Estimate(None, 5)

    @pytest.mark.parametrize("plan", [None, {}, {"scenarios": None}, {"scenarios": "x"}, {"scenarios": ["x", None]}])
    def test_a_plan_without_scenarios_estimates_nothing(self, plan):
        assert read_estimate({}, plan, "database_loss", "school") is None

    def test_a_plan_whose_estimate_cannot_be_read_is_refused(self):
        plan = {"scenarios": [{"name": "database_loss", "estimate_seconds": "1h"}]}
        with pytest.raises(RecoveryError, match="dictionary with min and max"):
            read_estimate({}, plan, "database_loss", "school")


class TestJudging:
    def test_longer_than_estimated_is_a_warning_and_changes_no_verdict(self):
        judgement = judge(estimated(5, 20))

        assert (judgement.verdict, judgement.estimate_exceeded) == ("passed", True)
        assert judgement.notes[0] == SENTENCE
        assert judgement.reasons == judge(sample_evidence()).reasons

    @pytest.mark.parametrize(("low", "high"), [(5, 60), (30, 60), (None, 26.76)])
    def test_within_and_below_are_worth_no_word(self, low, high):
        judgement = judge(estimated(low, high))

        assert judgement.estimate_exceeded is False
        assert judgement.notes == judge(sample_evidence()).notes

    @pytest.mark.parametrize(
        "evidence",
        [
            sample_evidence(),
            estimated(5, None),
            estimated(5, 20, phases=()),
            estimated(5, 20, outcome="missed"),
        ],
        ids=["no estimate", "no end", "nothing measured", "missed"],
    )
    def test_estimate_without_measurement_is_unknown(self, evidence):
        judgement = judge(evidence)

        assert judgement.estimate_exceeded is None
        assert not [note for note in judgement.notes if "estimates" in note]


class TestTelling:
    def test_summary_mentions_only_an_exceeded_estimate(self):
        over, within = summarise(sample_report(estimated(5, 20))), summarise(sample_report(estimated(5, 60)))

        assert over[1] == "RTO: measured 26.8 s, objective 5 min; estimated 5 s to 20 s."
        assert within == summarise(sample_report())

    def test_the_page_shows_estimate_warning_and_proposal(self):
        report = sample_report(estimated(5, 20))
        report.update(proposal([*runs(9.25, 9, 8, 7.5), report]))
        text = re.sub(r"<[^>]*>", "", render_page(report))

        assert "5 s to 20 s" in text
        assert "△ It took longer than estimated." in text
        assert SENTENCE in text
        assert "estimate_seconds: {min: 7.5, max: 26.76}, the fastest of 5 passed drills" in text

    def test_page_of_a_drill_without_estimate_mentions_none(self):
        assert "estimate" not in re.sub(r"<style>.*?</style>", "", render_page(sample_report()), flags=re.DOTALL)

    @pytest.mark.parametrize(("count", "message"), [(0, "there is none"), (1, "there is 1"), (4, "there are 4")])
    def test_page_counts_drills_below_the_minimum(self, count, message):
        report = {**sample_report(), **proposal(runs(*range(1, count + 1)))}

        assert f"proposed from 5 passed drills on; {message}." in render_page(report)

    @pytest.mark.parametrize(("high", "message"), [(20, f"warning: {SENTENCE}"), (60, "estimate 5 s to 1 min")])
    def test_junit_has_a_case_that_never_fails(self, high, message):
        (case,) = ET.fromstring(drill_junit(sample_report(estimated(5, high))).encode()).iterfind(
            ".//testcase[@name='estimate']"
        )

        assert [child.tag for child in case] == ["system-out"]
        assert message in case[0].text

    def test_the_metrics_have_both_ends_and_whether_it_was_exceeded(self):
        def values(report):
            lines = drill_metrics(report, []).splitlines()
            return {
                line.split("{")[0].rsplit("drill_", 1)[1]: float(line.rsplit(" ", 1)[1])
                for line in lines
                if line.startswith("lifeline_drill_estimate")
            }

        assert values(sample_report(estimated(5, 20))) == {
            "estimate_min_seconds": 5, "estimate_max_seconds": 20, "estimate_exceeded": 1
        }  # fmt: skip
        assert values(sample_report(estimated(None, 60))) == {"estimate_max_seconds": 60, "estimate_exceeded": 0}
        assert values(sample_report()) == {}


class TestProposing:
    @pytest.mark.parametrize(
        ("values", "expected"),
        [([7], 7), (range(1, 6), 5), (range(1, 10), 9), (range(1, 11), 9), (range(1, 12), 10), (range(1, 31), 27)],
    )
    def test_the_percentile_is_by_nearest_rank(self, values, expected):
        assert nearest_rank(list(values), 90) == expected

    @given(st.lists(st.floats(0.001, 1e6), min_size=1, max_size=60), st.integers(1, 100))
    def test_it_is_the_smallest_value_that_enough_do_not_exceed(self, values, percent):
        ordered = sorted(values)
        found = nearest_rank(ordered, percent)
        enough = math.ceil(percent * len(ordered) / 100 - 1e-9)

        assert sum(value <= found for value in ordered) >= enough
        assert sum(value < found for value in ordered) < enough

    def test_only_drills_that_passed_and_were_timed_count(self):
        reports = [*runs(9, 7, 8, 5), *runs(1, 100, verdict="failed"), *runs(2, verdict="error"), *runs(None)]

        assert proposal(reports) == {"estimate_proposed_seconds": None, "estimate_drills": 4}
        assert proposal([*reports, *runs(6)]) == {
            "estimate_proposed_seconds": {"min": 5, "max": 9}, "estimate_drills": 5
        }  # fmt: skip

    @pytest.mark.parametrize(
        ("low", "high", "line"),
        [(7.0, 9.412, "{min: 7, max: 9.412}"), (0.01, 1234567.125, "{min: 0.01, max: 1234567.125}")],
    )
    def test_proposed_estimate_is_valid_in_the_plan(self, low, high, line):
        assert plan_line({"min": low, "max": high}) == f"estimate_seconds: {line}"
        assert read_estimate({"min": low, "max": high}, None, "", "") == Estimate(low, high)

    def test_it_rests_on_the_reports_of_the_same_drill(self, tmp_path):
        for source in ["studio", *["school"] * 4]:
            publish_report(drill(tmp_path, source=source))
        publish_report(drill(tmp_path, evidence={"sandbox_removed": False}))
        fifth = publish_report(drill(tmp_path, evidence={"estimate": Estimate(1, 2)}))

        assert (fifth.verdict, fifth.estimate_exceeded, fifth.estimate_drills) == ("passed", True, 5)
        assert fifth.estimate_seconds == {"min": 1, "max": 2}
        assert fifth.estimate_proposed_seconds == {"min": pytest.approx(20), "max": pytest.approx(20)}
        studio = publish_report(drill(tmp_path, source="studio", check_mode=True))
        assert (studio.estimate_proposed_seconds, studio.estimate_drills) == (None, 2)


class TestDrawing:
    @staticmethod
    def band(estimate, measured=26.76, objective=30.0):
        """Both ends of the band in percent of the width, and its label."""
        text = draw_objective("rto", "Recovery time", [("recovered", measured)], objective, estimate)
        (box,) = re.findall(r"<rect [^>]*class=\"estimate\"[^>]*>", text)
        left, width = (float(re.search(rf' {name}="([\d.]+)%"', box).group(1)) for name in ("x", "width"))
        return left, left + width, re.search(r">(estimate [^<]*)</text>", text).group(1)

    def test_the_band_reaches_from_end_to_end(self):
        left, right, label = self.band((10, 20))

        assert (left, right) == (pytest.approx(100 * 10 / 33.6, abs=0.01), pytest.approx(100 * 20 / 33.6, abs=0.01))
        assert label == "estimate 10 s to 20 s"

    def test_a_longer_estimate_widens_the_scale(self):
        assert self.band((40, 80)) == (
            pytest.approx(44.64, abs=0.01),
            pytest.approx(89.29, abs=0.01),
            "estimate 40 s to 1 min 20 s",
        )

    @pytest.mark.parametrize(
        ("ends", "edges", "message"),
        [
            ((None, 20), (0, 59.52), "estimate at most 20 s"),
            ((20, None), (59.52, 100), "estimate at least 20 s →"),
            ((20, 3600), (59.52, 100), "estimate 20 s to 1 h →"),
            ((1200, 3600), (100, 100), "estimate 20 min to 1 h →"),
        ],
    )
    def test_an_end_that_is_open_or_far_away_reaches_to_the_edge(self, ends, edges, message):
        left, right, label = self.band(ends)

        assert (left, right) == pytest.approx(edges, abs=0.01)
        assert label == message

    def test_without_an_estimate_nothing_is_drawn_and_no_room_is_kept(self):
        plain = draw_objective("rto", "Recovery time", [("recovered", 5)], 30)
        with_band = draw_objective("rto", "Recovery time", [("recovered", 5)], 30, (10, 20))

        assert "estimate" not in plain
        heights = [float(re.search(r' height="(\d+)"', text).group(1)) for text in (plain, with_band)]
        assert heights[0] < heights[1]
        assert "estimate 10 s to 20 s; objective 30 s." in with_band
