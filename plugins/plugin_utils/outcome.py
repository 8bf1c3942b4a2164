# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The end of a run in five lines: what was done, the proof, what is lost, the way back, the next step."""

from __future__ import annotations

import shlex
import typing as t

Result = t.Mapping[str, t.Any]
_TITLES = ("Done:", "Proof:", "Lost:", "Back:", "Next:")
_SHOWN = 3


def backup_outcome(result: Result, verification: t.Optional[Result], check_mode: bool) -> t.List[str]:
    """Of a backup of any kind. verification is the result of backup_verify, if the set was read back."""
    if check_mode:
        return _lines(result["summary"], "nothing was stored", "nothing", "nothing to take back", _same_command(""))
    read = (verification or {}).get("summary")
    coverage = result.get("coverage") or {}
    left_out = [*coverage.get("not_covered", ()), *result.get("not_covered", ())]
    return _lines(
        result["summary"],
        read or "the set was not read back (recovery_verify_depth is none)",
        f"the set does not hold {_some(left_out)}" if left_out else "nothing that the backup knows of",
        "a backup changes nothing in its source",
        f"rehearse a restore: {_command('restore', check=True)}"
        if "lsn" in result
        else "rehearse a restore with --check",
    )


def restore_outcome(result: Result, check_mode: bool) -> t.List[str]:
    """Of a restore of a whole PostgreSQL database."""
    if check_mode:
        confirm = result["plan_digest"] if result["mode"] != "new" else ""
        digest = f"nothing was changed; plan digest: {result['plan_digest']}"
        return _lines(result["summary"], digest, _lost(result), _way_back(result, planned=True), _same_command(confirm))
    return _lines(result["summary"], _proof(result), _lost(result), _way_back(result), _after(result))


def _proof(result: Result) -> str:
    found = result.get("fingerprint") or {}
    if result["mode"] == "undo":
        return "the database that the restore had kept has its name again; nothing was compared"
    if found.get("equal") is None:
        return "not compared: there is no fingerprint to compare with"
    if not found["equal"]:
        return f"NOT equal to the set: {found.get('difference_count', 0)} differences"
    compared = "row counts" if found.get("mode") == "counts" else "every row"
    return f"{compared} of {found.get('tables')} tables ({found.get('rows')} rows) equal to the set"


def _lost(result: Result) -> str:
    if result["mode"] == "undo":
        return f"changes since the restore stay in the database {(result.get('undo') or {}).get('undo_db', '')}".strip()
    parts = [f"changes after {result['recovery_point']}" if result.get("recovery_point") else "changes after the dump"]
    missing = [item["object"] for item in result.get("not_restored") or ()]
    parts += [f"{len(missing)} objects not or only in part restored: {_some(missing)}"] * bool(missing)
    parts += [f"not in the set: {_some(result['not_covered'])}"] * bool(result.get("not_covered"))
    return "; ".join(parts)


def _way_back(result: Result, *, planned: bool = False) -> str:
    undo, target = result.get("undo") or {}, result["target_db"]
    if planned:
        kept = {"new": "nothing is replaced", "in_place": "a set of the tier undo is taken first"}
        return kept.get(result["mode"], "the database that is replaced is kept under another name")
    if undo.get("undo_db"):
        return _command("restore", recovery_mode="undo", recovery_undo_db=undo["undo_db"], recovery_confirm=target)
    if undo.get("set"):
        return _command(
            "restore", recovery_mode="in_place", recovery_set=undo["set"], recovery_tier="undo", recovery_confirm=target
        )
    return f"nothing was replaced; to remove the copy, drop the database {target}"


def _after(result: Result) -> str:
    undo = result.get("undo") or {}
    if result["mode"] == "new":
        return f"check the database {result['target_db']}"
    kept = f"; drop {undo['undo_db']} when it is no longer needed" if undo.get("undo_db") else ""
    return f"check the application{kept}"


def _same_command(confirm: str) -> str:
    more = f" and with -e recovery_confirm={confirm}" if confirm else ""
    return f"run the same command without --check{more}"


def _command(playbook: str, *, check: bool = False, **variables: str) -> str:
    """A command to paste; values come from a database or a store."""
    given = "".join(f" -e {shlex.quote(f'{name}={value}')}" for name, value in variables.items())
    return f"ansible-playbook lifeline.recovery.{playbook}{' --check' * check}{given}"


def _some(items: t.Sequence[t.Any]) -> str:
    more = f" and {len(items) - _SHOWN} more" if len(items) > _SHOWN else ""
    return ", ".join(map(str, items[:_SHOWN])) + more


def _lines(*texts: str) -> t.List[str]:
    return [f"{title:6} {' '.join(str(text).split())}" for title, text in zip(_TITLES, texts)]
