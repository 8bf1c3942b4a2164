# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The end of a run that releases a version of an application."""

from __future__ import annotations

import typing as t

from ..module_utils._core.sizes import counted, first_of
from .commands import command, same_command
from .reports import line

Result = t.Mapping[str, t.Any]


def migrate(result: Result, check_mode: bool, source: str, confirm: str) -> list[str]:
    """result: that of pg_migrate, with set, the emergency set, and verdict, the summary of the checks."""
    undo = result["undo"]
    if result["unchanged"]:
        proof, back, after = "the ledger was read", "nothing was changed", result["unchanged"]["next_step"]
    elif check_mode:
        proof = f"nothing was changed; plan digest: {result['plan_digest']}"
        back = "an emergency set is taken first, unless recovery_emergency is false"
        after = same_command(result["confirmation"], confirm)
    else:
        proof = "; ".join(filter(None, ["the ledger was read again and is equal to the files", result["verdict"]]))
        back, after = "no emergency set was taken", "check the application"
        if result["set"]:
            options = {"recovery_mode": "swap", "recovery_tier": "emergency", "recovery_set": result["set"]}
            back = f"{command('restore', recovery_source=source, **options)} --check"
        elif undo:
            versions = {"recovery_state": undo["state"], "recovery_migrations": ",".join(undo["migrations"])}
            back = command("migrate", recovery_source=source, **versions)
    return [line("Done", result["summary"]), line("Proof", proof), line("Back", back), line("Next", after)]


def roll_back(result: Result, check_mode: bool, source: str, confirm: str) -> list[str]:
    """result: changed, summary, verdict, and the results of the modules, of function, deletion, frontend and revert."""
    parts = {name: result[name] for name in ("function", "deletion", "frontend", "revert") if result.get(name)}
    if check_mode:
        confirms = next((part["confirmation"] for part in parts.values() if part["confirmation"]), "")
        digests = [part["plan_digest"] for part in parts.values() if part["changed"]]
        proof = f"nothing was changed; plan digest: {', '.join(digests)}" if digests else "nothing was changed"
        back = "the former functions, deployment and commits are kept"
        after = same_command(confirms, confirm) if result["changed"] else "no action is needed"
    else:
        proof = "; ".join(filter(None, [*_proofs(parts), result.get("verdict")])) or "nothing was compared"
        back = "; then ".join(_ways_back(parts, source)) or "nothing was changed"
        after = "check the application" if result["changed"] else "no action is needed"
    return [line("Done", result["summary"]), line("Proof", proof), line("Back", back), line("Next", after)]


def _proofs(parts: t.Mapping[str, Result]) -> t.Iterator[str]:
    functions = parts.get("function", {}).get("functions") or ()
    equal = sum(bool(one["equal"]) for one in functions)
    if functions:
        yield f"{equal} of {counted(len(functions), 'function')} with the digest of the planned bundle"
    if any(part.get("proved") for part in parts.values()):
        yield "health_url answered as expected"
    if parts.get("revert", {}).get("equal_to"):
        yield f"the files are those of {parts['revert']['equal_to'][:12]}"


def _ways_back(parts: t.Mapping[str, Result], source: str) -> t.Iterator[str]:
    """The commands that undo the parts, the last part first."""
    for name, part in reversed(list(parts.items())):
        undo = part.get("undo") or {}
        kind = "function" if name in ("function", "deletion") else "frontend"
        if undo.get("kept"):
            yield command("roll_back", recovery_source=source, recovery_roll_back=kind, recovery_kept=undo["kept"])
        elif undo.get("functions"):
            yield f"delete the functions {first_of(undo['functions'], 3)} with supabase_function"
        elif undo.get("commits"):
            commits = list(undo["commits"])
            yield command("roll_back", recovery_source=source, recovery_roll_back=kind, recovery_commits=commits)
        else:
            for provider, options in undo.items():
                named = ", ".join(f"{option} {value}" for option, value in options.items())
                yield f"run frontend_deployment with {provider}: {named}"


RELEASES: dict[str, t.Callable[[Result, bool, str, str], list[str]]] = {
    "migrate": migrate,
    "roll_back": roll_back,
}
