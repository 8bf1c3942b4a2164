# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""JUnit for build servers and metrics for Prometheus."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import pytest

from ansible_collections.lifeline.recovery.plugins.module_utils._drill.junit import drill_junit
from ansible_collections.lifeline.recovery.plugins.module_utils._drill.openmetrics import drill_metrics
from tests.support.data.drill_reports import sample_history, sample_report, variant

SAMPLE_LINE = re.compile(r'^([a-z_]+)\{((?:[a-z_]+="(?:[^"\\\n]|\\["\\n])*",?)+)\} (\d+(?:\.\d+)?)$')


def cases(report):
    return {(case.get("classname").rsplit(".", 1)[1], case.get("name")): case for case in suite(report)}


def suite(report):
    return ET.fromstring(drill_junit(report).encode())[0]


def outcome(case):
    return next((child.tag for child in case if child.tag in ("failure", "error", "skipped")), "passed")


def samples(text):
    found = {}
    for line in text.splitlines():
        if not line.startswith("#"):
            name, labels, value = SAMPLE_LINE.match(line).groups()
            key = (name, labels)
            assert key not in found
            found[key] = float(value)
    return found


def value(text, name, **labels):
    wanted = [f'{label}="{content}"' for label, content in labels.items()]
    (found,) = [
        number
        for (metric, pairs), number in samples(text).items()
        if metric == f"lifeline_drill_{name}" and all(pair in pairs for pair in wanted)
    ]
    return found


class TestJunit:
    def test_verdict_objectives_checks_content_and_damage_are_cases(self):
        found = cases(sample_report())

        assert len(found) == 1 + 2 + 8 + 1 + 5
        assert {outcome(case) for case in found.values()} == {"passed"}
        assert found["objective", "rto"].get("time") == "26.760"

    def test_failures_and_errors_are_distinguished(self):
        found = cases(variant("failed")[0])

        assert outcome(found["verdict", "verdict"]) == "failure"
        assert outcome(found["objective", "rto"]) == "failure"
        assert outcome(found["check", "All foreign keys hold"]) == "failure"
        assert outcome(found["check", "A booking arrived in the last day"]) == "passed"
        assert outcome(found["self_test", "dropped_rows"]) == "failure"
        assert outcome(found["fingerprint", "fingerprint"]) == "failure"

    def test_an_objective_that_was_not_measured_is_an_error(self):
        report = sample_report()
        report["rpo"].update(observed_seconds=None, met=None)

        assert outcome(cases(report)["objective", "rpo"]) == "error"

    def test_an_objective_that_is_not_set_is_skipped(self):
        report = sample_report()
        report["rto"].update(objective_seconds=None, met=None)

        assert outcome(cases(report)["objective", "rto"]) == "skipped"

    @pytest.mark.parametrize(("status", "tag"), [("error", "error"), ("skipped", "skipped"), ("failed", "failure")])
    def test_statuses_of_checks(self, status, tag):
        report = sample_report()
        report["checks"][0]["status"] = status

        assert outcome(cases(report)["check", "All foreign keys hold"]) == tag

    @pytest.mark.parametrize(("verdict", "tag"), [("error", "error"), ("missed", "failure"), ("skipped", "skipped")])
    def test_verdicts(self, verdict, tag):
        report = sample_report()
        report["verdict"] = verdict

        assert outcome(cases(report)["verdict", "verdict"]) == tag

    def test_the_counts_are_those_of_the_cases(self):
        root = suite(variant("crowded")[0])

        outcomes = [outcome(case) for case in root]
        assert int(root.get("tests")) == len(outcomes)
        assert int(root.get("failures")) == outcomes.count("failure")
        assert int(root.get("errors")) == outcomes.count("error")
        assert int(root.get("skipped")) == outcomes.count("skipped")

    def test_any_text_makes_a_document_that_parses(self):
        report = sample_report()
        report["source"] = 'a<b>&"\x00\x1b\ud800'
        report["checks"][0].update(name="]]>\x08", actual="\x00<&", status="failed", message="\x01")

        assert len(suite(report)) == 17


class TestMetrics:
    def test_every_line_is_what_the_collector_takes(self):
        text = drill_metrics(sample_report(), sample_history())

        assert text.endswith("# EOF\n")
        assert samples(text)
        described = re.findall(r"^# HELP (\S+) \S", text, re.M)
        typed = re.findall(r"^# TYPE (\S+) gauge$", text, re.M)
        assert described == typed
        assert len(typed) == len(set(typed))
        assert {name for name, _labels in samples(text)} == set(typed)
        assert all(name.startswith("lifeline_") for name in typed)

    def test_the_samples_of_a_metric_stand_together(self):
        names = [line.split("{")[0] for line in drill_metrics(sample_report(), []).splitlines() if line[0] != "#"]
        assert [name for index, name in enumerate(names) if index == 0 or names[index - 1] != name] == list(
            dict.fromkeys(names)
        )

    def test_the_numbers_are_those_of_the_report(self):
        text = drill_metrics(sample_report(), [])

        assert value(text, "verdict", verdict="passed") == 1
        assert value(text, "verdict", verdict="failed") == 0
        assert value(text, "rto_measured_seconds") == 26.76
        assert value(text, "rto_objective_seconds") == 300
        assert value(text, "rpo_exposure_seconds") == 3412
        assert value(text, "phase_seconds", phase="restore") == 14.2
        assert value(text, "checks", status="passed") == 8
        assert value(text, "self_test_caught", damage="truncated") == 1
        assert value(text, "last_run_timestamp_seconds") == value(text, "last_success_timestamp_seconds")

    def test_a_failure_does_not_advance_the_last_success(self):
        earlier = sample_history()
        text = drill_metrics(variant("failed")[0], earlier)

        last = value(drill_metrics(earlier[-1], []), "last_run_timestamp_seconds")
        assert value(text, "last_success_timestamp_seconds") == last
        assert value(text, "last_run_timestamp_seconds") > last

    def test_without_any_success_the_last_one_is_zero(self):
        assert value(drill_metrics(variant("failed")[0], []), "last_success_timestamp_seconds") == 0

    def test_unknown_values_have_no_sample(self):
        text = drill_metrics(variant("error")[0], [])

        assert "rto_measured_seconds" not in text
        assert "fingerprint_equal" not in text
        assert value(text, "rto_met") == 0

    def test_labels_are_escaped(self):
        report = sample_report()
        report["checks"][0]["name"] = 'a"b\\c\nd'

        text = drill_metrics(report, [])

        assert 'check="a\\"b\\\\c\\nd"' in text
        assert samples(text)

    def test_checks_and_phases_of_one_name_make_one_sample(self):
        report = sample_report()
        report["checks"] += [{**report["checks"][0], "status": "failed"}]
        report["phases"] += [dict(report["phases"][-1])]

        text = drill_metrics(report, [])

        assert value(text, "check_passed", check="All foreign keys hold") == 0
        assert value(text, "phase_seconds", phase="first_access") == 0.72
