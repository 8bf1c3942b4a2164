# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The report of a drill as one page that needs nothing else: no script, no font, no network."""

from __future__ import annotations

import typing as t

from .history_svg import MOST_DRILLS, draw_history
from .loss_svg import draw_loss
from .markup import Child, Markup, element, joined
from .objective_svg import draw_objective
from .page_parts import card, checks_table, facts_list, history_table, pill, self_test_list, set_facts
from .page_style import STYLE
from .phrases import (
    FINGERPRINT_REFERENCE,
    HEADLINES,
    SIGNS,
    estimate_range,
    instant,
    number,
    plan_line,
    plural,
    span,
    too_few_sentence,
)
from .report_format import DataOrigin, Report, headline, origin_of
from .timeline_svg import draw_timeline

#: A name, seconds or words, and a style.
_Figures = t.List[t.Tuple[str, t.Union[float, str, None], str]]

_TONES = {"passed": "good", "failed": "bad", "missed": "bad", "error": "doubt", "skipped": "doubt"}


def render_page(report: Report, earlier: t.Sequence[Report] = (), broken: t.Sequence[str] = ()) -> str:
    """The whole page. earlier: previous reports of the same drill, oldest first; broken: those that cannot be read."""
    title = headline(report)
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("meta", http_equiv="Content-Security-Policy", content="default-src 'none'; style-src 'unsafe-inline'"),
        element("title", title),
        element("style", Markup(STYLE)),
    )
    body = element(
        "main",
        _crumbs(report),
        _verdict(report),
        element("div", _recovery_time(report), _data_loss(report), class_="pair"),
        _timeline(report),
        _recovery_points(report),
        _checks(report),
        element("div", _fingerprint(report), _self_tests(report), class_="pair"),
        _history(report, earlier, broken),
        _facts(report),
        element("footer", f"{report['schema']}. Instants are UTC. Lengths come from a monotonic clock."),
    )
    return "<!DOCTYPE html>\n" + element("html", head, element("body", body), lang="en") + "\n"


def _crumbs(report: Report) -> Markup:
    items = [
        ("Recovery drill", report["scenario"]),
        ("Source", report["source"]),
        ("Data", "sample data" if _is_sample(report) else "of the source"),
        ("Environment", report["environment"]),
        ("Started", instant(report["started_at"])),
    ]
    return element("div", [element("span", name, " ", element("b", value)) for name, value in items], class_="crumbs")


def _verdict(report: Report) -> Markup:
    verdict = report["verdict"]
    title = HEADLINES[verdict] + (" with sample data" if _is_sample(report) else "")
    lost = "A sample database" if _is_sample(report) else "The source"
    about = {
        "passed": f"{lost} was lost, restored, and proved equal within its objectives.",
        "failed": "The recovery did not do what it must.",
        "error": "Nothing is proved, so this drill does not count as a success.",
        "skipped": "This drill did not run.",
        "missed": "This drill was due and did not run.",
    }[verdict]
    return element(
        "section",
        element("div", SIGNS[verdict][0], class_="seal", aria_hidden="true"),
        element("div", element("h1", title), element("p", about, class_="about")),
        element("ul", [element("li", reason) for reason in report.get("reasons", [])])
        if report.get("reasons")
        else None,
        class_=f"verdict {_TONES[verdict]}",
    )


def _is_sample(report: Report) -> bool:
    return origin_of(report) == DataOrigin.SAMPLE


def _recovery_time(report: Report) -> Markup:
    rto = report["rto"]
    measured, objective = rto["measured_seconds"], rto["objective_seconds"]
    figures: _Figures = [("measured", measured, ""), ("objective", objective, "small")]
    given, title = report.get("estimate_seconds"), "Recovery time against its objective"
    ends = (given["min"], given["max"]) if given else None
    if ends:
        figures.append(("estimate", estimate_range(*ends), "small"))
    drawn = draw_objective("rto", title, [("incident to recovered", measured)], objective, ends)
    warning = _lead("△ It took longer than estimated.") if report.get("estimate_exceeded") else None
    return card("Recovery time (RTO)", _figures(figures), drawn, warning, badge=_met(rto))


def _data_loss(report: Report) -> Markup:
    rpo = report["rpo"]
    observed, exposure, objective = rpo["observed_seconds"], rpo["exposure_seconds"], rpo["objective_seconds"]
    figures: _Figures = [
        ("lost this time", observed, ""),
        ("longest gap", exposure, ""),
        ("objective", objective, "small"),
    ]
    drawn = draw_objective(
        "rpo", "Data loss against its objective", [("lost this time", observed), ("longest gap", exposure)], objective
    )
    return card("Data loss (RPO)", _figures(figures), drawn, badge=_met(rpo))


def _figures(figures: _Figures) -> Markup:
    return element(
        "dl",
        [
            element(
                "div",
                element("dt", name),
                element("dd", value if isinstance(value, str) else _known(value), class_=style or None),
            )
            for name, value, style in figures
        ],
        class_="figures",
    )


def _known(seconds: t.Optional[float]) -> str:
    return "–" if seconds is None else span(seconds)


def _met(objective: Report) -> Markup:
    if objective["objective_seconds"] is None:
        return pill("skipped", "no objective")
    return {True: pill("passed", "met"), False: pill("failed", "not met"), None: pill("error", "not verified")}[
        objective["met"]
    ]


def _timeline(report: Report) -> t.Optional[Markup]:
    drawn = draw_timeline(report)
    if drawn is None:
        return None
    slowest = report.get("slowest_phase")
    lead = "To scale, from the incident. Grey phases came before it."
    if slowest:
        name = slowest["name"].replace("_", " ")
        lead += f" The slowest phase of the recovery was {name} with {span(slowest['seconds'])}."
    return card("Timeline", _lead(lead), drawn)


def _recovery_points(report: Report) -> t.Optional[Markup]:
    drawn = draw_loss(report)
    if drawn is None:
        return None
    rpo = report["rpo"]
    window = f" in the last {span(rpo['window_seconds'])}" if rpo.get("window_seconds") else ""
    lead = (
        f"{plural(len(rpo.get('recovery_points', [])), 'recovery point')}{window}. "
        "The loss depends on the moment of the incident, so the longest gap is judged too. "
        "The diamond is the newest marker row in the recovered data."
    )
    return card("Recovery points", _lead(lead), drawn)


def _checks(report: Report) -> Markup:
    checks = report["checks"]
    if not checks:
        return card("Checks", _lead("No check was given."))
    passed = sum(check["status"] == "passed" for check in checks)
    lead = f"{number(passed)} of {plural(len(checks), 'check')} passed."
    return card("Checks", _lead(lead), checks_table(checks), long=True)


def _fingerprint(report: Report) -> Markup:
    fingerprint = report["fingerprint"]
    if not fingerprint:
        lead = _lead("The recovered data were not compared with the backup set.")
        return card("Content", lead, _set(report), badge=pill("error", "not verified"))
    badge = {True: pill("passed", "equal"), False: pill("failed", "not equal"), None: pill("error", "not verified")}[
        fingerprint["equal"]
    ]
    how = "Row counts were compared" if fingerprint.get("mode") == "counts" else "Row counts and digests were compared"
    figures = element(
        "dl",
        [element("div", element("dt", name), element("dd", number(fingerprint[name]))) for name in ("tables", "rows")],
        class_="figures",
    )
    differences = [str(item) for item in fingerprint.get("differences") or []][:10]
    return card(
        "Content",
        figures,
        element("p", f"{how} with {fingerprint.get('reference', FINGERPRINT_REFERENCE)}.", class_="lead"),
        element("ul", [element("li", item) for item in differences], class_="notes") if differences else None,
        _set(report),
        badge=badge,
    )


def _set(report: Report) -> Markup:
    facts = [("Backup set", report["backup_set"] or "–"), ("Recovery point", instant(report["recovery_point"]))]
    return facts_list([*facts, *set_facts(report.get("set_facts", {}))])


def _self_tests(report: Report) -> Markup:
    tests = report["self_tests"]
    lead = (
        "Copies of the set were damaged to show that verification can fail." if tests else "No damaged copy was tried."
    )
    return card("Damage that must be caught", _lead(lead), self_test_list(tests) if tests else None)


def _history(report: Report, earlier: t.Sequence[Report], broken: t.Sequence[str]) -> Markup:
    runs = [*earlier, report]
    parts: t.List[Child] = []
    if earlier:
        passed = sum(run["verdict"] == "passed" for run in runs)
        lead = f"{number(passed)} of {plural(len(runs), 'drill')} passed."
        if len(runs) > MOST_DRILLS:
            lead += f" The newest {MOST_DRILLS} are drawn."
        parts = [_lead(lead), draw_history(runs), history_table(runs)]
    else:
        parts = [
            _lead("This is the first drill of this scenario for this source. The next one can be compared with it.")
        ]
    parts.append(_proposal(report))
    if broken:
        names = ", ".join(broken[:10]) + (" …" if len(broken) > 10 else "")
        parts.append(_lead(f"△ {plural(len(broken), 'earlier report')} could not be read and left out: {names}."))
    return card("History", *parts, long=True)


def _proposal(report: Report) -> t.Optional[Markup]:
    proposed, drills = report.get("estimate_proposed_seconds"), report.get("estimate_drills")
    if drills is None:
        return None
    if not proposed:
        return _lead(too_few_sentence(drills))
    why = f", the fastest of {plural(drills, 'passed drill')} and their 90th percentile."
    return element(
        "p", "Proposed for the scenario in the plan: ", element("code", plan_line(proposed)), why, class_="lead"
    )


def _facts(report: Report) -> Markup:
    sandbox = report.get("sandbox", {})
    gone = {True: "removed", False: "not removed", None: "not known"}[sandbox.get("removed")]
    facts = [
        ("Incident", instant(report["incident_at"])),
        ("Finished", instant(report["finished_at"])),
        ("Sandbox", gone if sandbox.get("used", True) else "not used"),
        *((f"Version of {name}", str(version)) for name, version in report["versions"].items()),
    ]
    notes = report.get("notes", [])
    return joined(
        card("Notes", element("ul", [element("li", note) for note in notes], class_="notes")) if notes else None,
        card("Facts", facts_list(facts)),
    )


def _lead(content: str) -> Markup:
    return element("p", content, class_="lead")
