# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The end of a run that releases a version of an application."""

from __future__ import annotations

import typing as t

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


RELEASES: dict[str, t.Callable[[Result, bool, str, str], list[str]]] = {"migrate": migrate}
