# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The end of a run that restores nothing: verify, prune, check and export. A title repeats if it has several lines."""

from __future__ import annotations

import typing as t

from ..module_utils._core.sizes import counted
from .commands import same_command

Result = t.Mapping[str, t.Any]


def line(title: str, text: t.Any) -> str:
    """A line of an outcome. Titles have one width, so that texts are below each other."""
    return f"{title + ':':6} {' '.join(str(text).split())}"


def verify(result: Result, check_mode: bool) -> list[str]:
    """result: level, sources, facts and warnings of the role verify."""
    # Check mode reads sets, and restores none.
    verb = "would verify" if check_mode and result["level"] == "monthly" else "verified"
    return [
        line("Done", f"{verb} {', '.join(result['sources'])} ({result['level']})"),
        *_lines("Proof", result["facts"], "nothing was compared"),
        *_lines("Next", result["warnings"], "no action is needed"),
    ]


def prune(result: Result, check_mode: bool) -> list[str]:
    """result of the role prune: summaries; removed, the number of removed sets; dropped, the dropped databases.
    copies: the deleted copies of documents.

    changed: whether anything is removed or dropped. confirmation: the recovery_confirm that dropping requires.
    """
    back = []
    if result["removed"]:
        back.append("move the manifest of a removed set from pruned/ to sets/ within the grace period")
    if result["dropped"]:
        back.append(f"dropped databases cannot be restored: {', '.join(result['dropped'])}")
    if result.get("copies"):
        back.append(f"deleted copies cannot be restored: {', '.join(result['copies'][:3])}")
    plans = check_mode and result["changed"]
    return [
        *_lines("Done", result["summaries"], "nothing to prune"),
        *_lines("Back", [] if check_mode else back, "nothing was changed" if check_mode else "nothing was removed"),
        line("Next", same_command(result["confirmation"]) if plans else "no action is needed"),
    ]


def check(result: Result, check_mode: bool) -> list[str]:
    """result: that of integrity_check."""
    return [
        line("Done", result["summary"]),
        *_lines("Proof", [one["message"] for one in result["checks"]], "no check ran"),
        line("Back", "checks change nothing"),
        line("Next", "no action is needed" if result["verdict"] == "passed" else "repair what the checks found"),
    ]


def export(result: Result, check_mode: bool) -> list[str]:
    """result: folder, sources and facts of the role export."""
    facts, verb = result["facts"], "would export" if check_mode else "exported"
    proof = [f"{one['source']}: {one.get('rows', 0)} rows in the set {one['set_id']}" for one in facts["databases"]]
    proof += [f"{name}: {number} files, {facts['bytes'][name]} bytes" for name, number in facts["files"].items()]
    return [
        line("Done", f"{verb} {', '.join(result['sources'])} to {result['folder']}"),
        *_lines(
            "Proof", [] if check_mode else [*proof, "each file was compared with its digest"], "nothing was written"
        ),
        *[
            line("Lost", f"{name}: the export does not hold {', '.join(parts)}")
            for name, parts in facts["not_exported"].items()
        ],
        line("Back", f"delete the folder {result['folder']}; an export changes no source"),
        line("Next", same_command() if check_mode else "check it: sha256sum --check SHA256SUMS"),
    ]


def validate_plan(result: Result, check_mode: bool) -> list[str]:
    """result: that of the module validate_plan."""
    grave = [one for one in result["findings"] if one["severity"] != "info"]
    steps = [f"{one['path']}: {one['next_step']}" for one in grave]
    due = [f"{one['due'] or 'no day'}: {one['name']}" for one in result["first_steps"] if not one["done"]]
    return [
        line("Done", result["summary"]),
        line("Proof", f"{counted(result['rules'], 'rule')} applied to the plan; no backup and no restore was tested"),
        *result["table"],
        *_lines("Due", due, "no first step is open"),
        *_lines("Next", list(dict.fromkeys(steps)), "no action is needed"),
    ]


REPORTS: dict[str, t.Callable[[Result, bool], list[str]]] = {
    "verify": verify,
    "prune": prune,
    "check": check,
    "export": export,
    "validate_plan": validate_plan,
}


def _lines(title: str, texts: t.Sequence[t.Any], if_none: str) -> list[str]:
    return [line(title, text) for text in texts or [if_none]]
