# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The recovery from an attack: mistakes in its hooks, the sets from before it, the checklist, and the end of a run."""

from __future__ import annotations

import typing as t

from ..module_utils._core.clock import parse_instant
from ..module_utils._core.errors import RecoveryError
from ..module_utils._core.sizes import counted, first_of
from .commands import command, same_command
from .reports import line

Result = t.Mapping[str, t.Any]
_SHOWN = 3
_MEANS, _PHASES = ("command", "http"), ("revoke", "rotate")

#: The subjects that a hook can cover, and the sentence of the checklist.
CHECKLIST = {
    "database_password": "Change the passwords of the roles of the database, also in every application and job.",
    "access_tokens": "Revoke the personal access tokens and keys of operators and of the provider's console.",
    "store_keys": "Change the keys of buckets, also of the store of backup sets.",
    "function_secrets": "Change the secrets of functions and of the application. Keep the root key of pgsodium.",
    "webhook_secrets": "Change the secrets of webhooks and of services that call the application.",
    "sessions": "End the sessions of all users.",
    "user_passwords": "Reset the passwords of all users.",
}
_BY_HAND = (
    "Store the logs of the provider, of the database and of the hosts from before the attack.",
    "Find the way of the attack and close it, before the application is open again.",
    "Check that backup sets are locked, and that the attacker has changed no schedule and no retention.",
    "Check roles, policies, functions and triggers for additions of the attacker; the set may hold an earlier one.",
    "Notify the data protection authority within 72 hours if personal data was concerned.",
)


def mistakes(hooks: t.Sequence[Result], required: t.Mapping[str, t.Any]) -> list[str]:
    """A sentence for each mistake. required: variables that must have a value, by their names."""
    found = [f"{name} is required." for name, value in required.items() if not value]
    attack = str(required.get("recovery_attack") or "")
    if attack:
        try:
            parse_instant(attack)
        except RecoveryError:
            found.append(f"recovery_attack must be an instant such as 2026-03-01T12:40:00Z, got {attack}.")
    for hook in hooks:
        name = hook.get("name") or "without a name"
        given = [one for one in _MEANS if hook.get(one)]
        if len(given) != 1:
            found.append(f"The hook {name} must have one of command and http, got {' and '.join(given) or 'none'}.")
        if hook.get("phase", _PHASES[0]) not in _PHASES:
            found.append(f"`phase` of the hook {name} must be {' or '.join(_PHASES)}, got {hook['phase']}.")
        unknown = [one for one in hook.get("covers") or () if one not in CHECKLIST]
        if unknown:
            found.append(f"`covers` of the hook {name} must be of {', '.join(CHECKLIST)}, got {unknown[0]}.")
    return found


def candidates(sets: t.Sequence[Result], attack: str, named: str = "latest") -> list[dict[str, t.Any]]:
    """The usable sets of a whole database from before the attack, the newest first."""
    instant = parse_instant(str(attack))
    usable = [
        one
        for one in sets
        if one["engine"] == "postgresql" and not one.get("problem") and one["tier"] != "undo"
        and named in ("latest", one["set_id"]) and parse_instant(one["recovery_point"]) < instant
    ]  # fmt: skip
    usable.sort(key=lambda one: parse_instant(one["recovery_point"]), reverse=True)
    return [{name: one[name] for name in ("set_id", "tier", "recovery_point")} for one in usable]


def refused(sets: t.Sequence[Result], attack: str) -> list[str]:
    """The ids of the sets from the instant of the attack on."""
    instant = parse_instant(str(attack))
    return [one["set_id"] for one in sets if not one.get("problem") and parse_instant(one["recovery_point"]) >= instant]


def checklist(result: Result) -> list[dict[str, t.Any]]:
    """The items to do after an attack, each with item and done."""
    ran = {subject for hook in result["hooks"] if hook["state"] == "done" for subject in hook["covers"]}
    if result["statements"]:
        ran |= {name for name in ("sessions", "user_passwords") if name in result["statements"]}
    items = [{"item": text, "done": subject in ran} for subject, text in CHECKLIST.items()]
    return [*items, *({"item": text, "done": False} for text in _BY_HAND)]


def outcome_lines(result: Result, check_mode: bool, source: str) -> list[str]:
    """result: the fact ransomware_result."""
    hooks = [f"{one['name']} ({one['phase']}, {one['state']})" for one in result["hooks"]]
    lost = f"changes after {result['recovery_point']}"
    if result["after_attack"]:
        lost += f"; {counted(len(result['after_attack']), 'set')} from after the attack refused: "
        lost += first_of(result["after_attack"], _SHOWN)
    back, evidence = "nothing was replaced", "the attacked database is compared and kept"
    if result["evidence"]:
        back = command("restore", recovery_source=source, recovery_mode="undo", recovery_undo_db=result["evidence"])
        back += " --check, then with the recovery_confirm that it prints"
        evidence = f"the attacked database is kept as {result['evidence']}; {result['attacked']}"
    open_items = [line("Open", one["item"]) for one in checklist(result) if not one["done"]]
    rejected = [line("Reject", one["text"]) for one in result["rejected"]]
    return [
        line("Done", result["summary"]),
        line("Hooks", ", ".join(hooks) or "none is declared: recovery_attack_hooks"),
        *rejected,
        line("Proof", result["proof"]),
        line("Lost", lost),
        line("Keep", evidence),
        line("Back", back),
        *([] if check_mode else open_items),
        line("Next", same_command(result["database"], "") if check_mode else "work through the open items"),
    ]
