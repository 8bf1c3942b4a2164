# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The end of a recovery in stages: what each stage did, which were skipped, and where a failed run stopped."""

from __future__ import annotations

import typing as t

from .commands import command, same_command
from .reports import line

Result = t.Mapping[str, t.Any]
_SKIPPED = "skipped"
_STATES = {"done": "done", "found": "found done", "kept": "kept"}


def outcome_lines(result: Result, check_mode: bool, source: str, confirm: str) -> list[str]:
    """result: changed, stages (name, state, changed, summary, back), kept (maintenance), confirmation."""
    ran = [stage for stage in result["stages"] if stage["state"] != _SKIPPED]
    skipped = [stage["name"] for stage in result["stages"] if stage["state"] == _SKIPPED]
    checked = [stage["summary"] for stage in ran if stage["name"] == "checks"]
    back = [stage["back"] for stage in reversed(ran) if stage["back"]]
    off = command("maintenance", recovery_source=source, maintenance_action="off")
    if check_mode:
        after = same_command(result["confirmation"], confirm)
    else:
        after = f"the maintenance stays in effect; to end it: {off}" if result["kept"] else "check the application"
    changed = ", ".join(stage["name"] for stage in ran if stage["changed"])
    verb = "would recover" if check_mode else "recovered"
    proof = "nothing was changed" if check_mode else " ".join(checked) or "no check was declared"
    return [
        line("Done", f"{verb} {changed}" if changed else "every stage was found done"),
        *(line("Stage", f"{stage['name']}: {_STATES[stage['state']]}. {stage['summary']}") for stage in ran),
        line("Skip", f"not declared: {', '.join(skipped)}" if skipped else "no stage was skipped"),
        line("Proof", proof),
        line("Back", "; then ".join(back) or "nothing was replaced"),
        line("Next", after),
    ]


def failure(result: Result, lines: t.Sequence[str], failed: str, declared: t.Sequence[str]) -> list[str]:
    """The lines of the failed stage, and what the run did. declared: the names of the stages, in their order."""
    done = [stage["name"] for stage in result["stages"] if stage["state"] != _SKIPPED]
    waiting = [name for name in declared if name not in (*done, failed)]
    state = f"done: {', '.join(done) or 'nothing'}; failed: {failed}; not run: {', '.join(waiting) or 'nothing'}"
    after = "correct the cause, then run the same command; stages that are done are found done"
    return [*lines, line("Stages", state), line("Then", after)]
