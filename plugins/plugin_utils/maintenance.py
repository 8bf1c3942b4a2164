# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The steps of a maintenance: what each host runs, their states and results, and the end of a run."""

from __future__ import annotations

import re
import typing as t

from ..module_utils._core.sizes import counted, first_of
from .commands import command, same_command
from .reports import line

Result = t.Mapping[str, t.Any]

WRITES = "writes"
#: The means of a step, in the order in which messages name them.
MEANS = ("flag_file", "http", "systemd", "pm2", "command", WRITES)
#: Options of pg_writes that also concern the end of a step.
_OF_END = ("lock_timeout", "abandon")
_SHOWN = 5


def mistakes(steps: t.Any) -> list[str]:
    """A sentence for each fault of the steps that the argument specification of the role does not find."""
    if not steps:
        return ["recovery_maintenance_steps is required."]
    found = []
    for step in steps:
        given = [name for name in MEANS if step.get(name)]
        if len(given) != 1:
            found.append(
                f"The step {step.get('name')} must have one of {', '.join(MEANS)}, got {' and '.join(given) or 'none'}."
            )
        if given == [WRITES] and step.get("hosts"):
            found.append(f"The step {step.get('name')} stops writes of the database, and must not have hosts.")
    names = [step.get("name") for step in steps]
    twice = sorted({str(name) for name in names if names.count(name) > 1})
    found += [f"The names of steps must be unique, got {', '.join(twice)} twice."] * bool(twice)
    # pg_writes stores one state before for each source.
    if sum(bool(step.get(WRITES)) for step in steps) > 1:
        found.append(f"One step can have {WRITES}, got {sum(bool(step.get(WRITES)) for step in steps)}.")
    return found


def plan(steps: t.Sequence[Result], groups: t.Mapping[str, t.Sequence[str]]) -> list[dict[str, t.Any]]:
    """Each step for each of its hosts, in order. means: the name of its means; host: empty for the host of the play."""
    return [_planned(step, host) for step in steps for host in hosts_of(step, groups)]


def hosts_of(step: Result, groups: t.Mapping[str, t.Sequence[str]]) -> list[str]:
    """The hosts of a step and of its groups, each once; an empty name for the host of the play."""
    named = [host for name in step.get("hosts") or () for host in groups.get(name, [name])]
    return list(dict.fromkeys(named)) or [""]


def _planned(step: Result, host: str) -> dict[str, t.Any]:
    means = next(name for name in MEANS if step.get(name))
    label = f"{step['name']} on {host}" if host else str(step["name"])
    found = {**step, "host": host, "means": means, "label": label}
    if means == WRITES:
        # The probe is an option of its own: not every call has it.
        found[WRITES] = {name: value for name, value in step[WRITES].items() if name != "probe"}
        found["writes_end"] = {name: value for name, value in step[WRITES].items() if name in _OF_END}
        found["probe"] = step[WRITES].get("probe") or {}
    return found


def states(done: t.Sequence[Result]) -> dict[str, t.Any]:
    """The states of the steps, from two dry runs of each: one that would begin the step, and one that would end it.

    A dry run of the role is never changed; unchanged is null in the result of a module that would change something.
    in_effect: whether all steps are in effect. A step that is in effect without a stored state was not begun by us.
    """
    found: dict[str, dict[str, bool]] = {}
    for one in done:
        result = one["result"]
        if one["state"] == "begun":
            # A new session alone does not allow writes again.
            changes = result["statements"] if "statements" in result else result["unchanged"] is None
            found.setdefault(one["label"], {})["in_effect"] = not changes
        else:
            found.setdefault(one["label"], {})["stored"] = result["unchanged"] is None
    steps = [{"label": label, **state} for label, state in found.items()]
    in_effect = [step["in_effect"] for step in steps]
    return {
        "action": "status",
        "steps": steps,
        "in_effect": bool(steps) and all(in_effect),
        "begun": any(step["in_effect"] or step["stored"] for step in steps),
        "changed": False,
        "summary": _status(steps, in_effect),
    }


def _status(steps: t.Sequence[Result], in_effect: t.Sequence[bool]) -> str:
    if steps and all(in_effect):
        return f"The maintenance is in effect: {counted(len(steps), 'step')}."
    if any(step["in_effect"] or step["stored"] for step in steps):
        return f"The maintenance is in effect in part: {sum(in_effect)} of {counted(len(steps), 'step')}."
    return "The maintenance is not in effect."


def result_of(done: t.Sequence[Result], begins: bool) -> dict[str, t.Any]:
    """The result of steps that ran: changed, summary, the steps, probes, and writers that are not stopped."""
    changed = [one["label"] for one in done if one["result"]["changed"]]
    would = any(str(one["result"].get("summary", "")).startswith("Would") for one in done)
    verb = "begin" if begins else "end"
    named = f"{counted(len(changed), 'step')}: {first_of(changed, _SHOWN)}"
    done_verb = f"Would {verb}" if would else "Began" if begins else "Ended"
    unchanged = "The maintenance is in effect already." if begins else "The maintenance is not in effect."
    return {
        "action": "on" if begins else "off",
        "changed": bool(changed),
        "summary": f"{done_verb} {named}." if changed else unchanged,
        "steps": [
            {"label": one["label"], "changed": one["result"]["changed"], "summary": one["result"].get("summary", "")}
            for one in done
        ],
        "probes": [probe for one in done for probe in one["result"].get("probes") or ()],
        "not_stopped": [text for one in done for text in one["result"].get("not_stopped") or ()],
        "differences": [text for one in done for text in one["result"].get("differences") or ()],
    }


def failure(lines: t.Sequence[str], ended: t.Any, source: str) -> list[str]:
    """The lines of a step that did not begin. ended: whether its steps were ended; the lines of the error otherwise."""
    if ended is False:
        return list(lines)
    # The advice of the module concerns one step, which the role has ended.
    kept = [re.sub(r" ?To (?:end the step|allow writes again), set `state` to \w+\.", "", text) for text in lines]
    error = [text for text in kept if not text.startswith(("State:", "Next:"))]
    advice = [text for text in kept if text.startswith("Next:") and text.removeprefix("Next:").strip()]
    if ended is True:
        state = line("State", "each step that this run began was ended again; the application is in its state before")
        return [*error, state, *(advice or [line("Next", "correct the cause, then run the same command")])]
    why = " ".join(str(text).partition(":")[2].strip() for text in list(ended)[:1])
    return [
        *error,
        line("State", f"the maintenance is in effect in part, because its steps cannot be ended: {why}"),
        line("Next", f"correct the cause, then run {command('maintenance', **_of(source), maintenance_action='off')}"),
    ]


def outcome_lines(result: Result, check_mode: bool, source: str) -> list[str]:
    """The end of a run of the role. result: that of states() or result_of(), with keep and was_on of the role."""
    off = command("maintenance", **_of(source), maintenance_action="off")
    action = result["action"]
    if action == "status":
        return [
            line("Done", result["summary"]),
            *(line("Step", f"{step['label']}: {_state(step)}") for step in result["steps"]),
            line("Back", "nothing was changed"),
            line("Next", f"to end it: {off}" if result["begun"] else "no action is needed"),
        ]
    steps = [line("Step", f"{step['label']}: {step['summary']}") for step in result["steps"] if step["summary"]]
    if check_mode:
        after = same_command() if result["changed"] else "no action is needed"
        return [line("Done", result["summary"]), *steps, line("Back", "nothing was changed"), line("Next", after)]
    refused = "refused" if action == "on" else "allowed"
    probes = [f"writes of {one['role']} are {refused}: {one['reason']} ({one['proof']})" for one in result["probes"]]
    proof = "; ".join(probes[:_SHOWN]) or "each step was proved by its means"
    open_writers = [f"not stopped: {text}" for text in result["not_stopped"]]
    differing = [f"differs from before: {text}" for text in result["differences"]]
    left = [line("Left", text) for text in (*open_writers, *differing)]
    on = command("maintenance", **_of(source), maintenance_action="on")
    stays = action == "on" and (result.get("keep") or result.get("was_on"))
    after = "check the application" if action == "off" else f"do the work; then end it: {off}"
    if stays and result.get("was_on"):
        after = f"it was in effect before this run, and stays in effect; to end it: {off}"
    return [
        line("Done", result["summary"]), *steps, line("Proof", proof), *left,
        line("Back", off if action == "on" else on), line("Next", after),
    ]  # fmt: skip


def _state(step: Result) -> str:
    if step["in_effect"]:
        return "in effect" if step["stored"] else "in effect, not begun by this collection"
    return "begun, but not in effect" if step["stored"] else "not in effect"


def _of(source: str) -> dict[str, str]:
    return {"recovery_source": source}
