# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The end of a run that concerns an application: its courses, their versions, and its maintenance."""

from __future__ import annotations

import typing as t

from ..module_utils._core.sizes import counted, first_of
from .commands import command, same_command
from .maintenance import outcome_lines
from .ransomware import outcome_lines as ransomware
from .reports import line

Result = t.Mapping[str, t.Any]
_SHOWN = 3


def courses(result: Result, check_mode: bool, source: str) -> list[str]:
    """result: that of course_version_restore with state restored."""
    if result["unchanged"]:
        return _unchanged(result["unchanged"])
    if check_mode:
        proof = f"nothing was changed; plan digest: {result['plan_digest']}"
        back = "the former content stays a version or a copy"
        return _lines(result["summary"], proof, "nothing", back, same_command(result["confirmation"]))
    restored = result["documents"]
    proof = f"tables and published copy of {counted(len(restored), 'course')} read again and equal to the version"
    if any(one["restored_copy"] for one in restored):
        proof = f"published copy of {counted(len(restored), 'course')} read again and equal to the former copy"
    back = _back(restored, source)
    return _lines(result["summary"], proof, "nothing", back, "load a restored course in the application")


def _back(restored: t.Sequence[Result], source: str) -> str:
    """The command that takes back the restore of a course, or the place of the former content of several."""
    if len(restored) == 1:
        document, version = restored[0]["document"], _former(restored[0])
        # A text would be split at its commas.
        ids = [document] if "," in document else document
        return command("recover_courses", recovery_source=source, recovery_documents=ids, recovery_version=version)
    named = [f"{one['document']} to {_former(one)}" for one in restored]
    return f"restore with recovery_version {first_of(named, _SHOWN)}"


def _former(one: Result) -> t.Any:
    """The version with the former content of a course; before if it is in a kept copy."""
    return "before" if one["kept_copy"] else one["kept_version"] or one["former_version"]


def course_versions(result: Result, check_mode: bool, source: str) -> list[str]:
    """result: rows, rebuilt and documents of the entry point course_versions; each is empty if it did not run."""
    rows, rebuilt, documents = result["rows"], result["rebuilt"], result["documents"]
    undo = (rows.get("undo") or {}).get("set")
    back = f"rows that were inserted: {_undo(source, undo)}" if undo else "existing versions were not changed"
    if check_mode:
        back = "existing versions are not changed"
        return _lines(result["summary"], "nothing was changed", "nothing", back, same_command())
    damaged = documents.get("damaged_count") or 0
    repair = command("recover_courses", recovery_source=source, recovery_documents="damaged")
    lost = "versions that neither the set nor the bucket has"
    if rebuilt.get("rebuilt"):
        behind = rebuilt.get("behind")
        lost = f"the earlier versions of {counted(behind or rebuilt['rebuilt'], 'rebuilt course')}"
        lost += "" if behind else ", if there were any"
    elif documents.get("damaged_count") == 0:
        lost = "nothing; the newest version of each course agrees with the table of courses"
    return _lines(
        result["summary"] if result["changed"] else "every published course has a version already",
        documents.get("summary") or "nothing was compared",
        lost if result["changed"] else "nothing",
        back,
        f"repair what differs: {repair}" if damaged else "no action is needed",
    )


def _undo(source: str, undo_set: str) -> str:
    return command(
        "restore_rows", recovery_source=source, recovery_set=undo_set, recovery_tier="undo", recovery_mode="exact"
    )


def _unchanged(why: Result) -> list[str]:
    return _lines(why["reason"], "nothing was changed", "nothing", "nothing was changed", why["next_step"])


def _lines(*texts: str) -> list[str]:
    return [line(title, text) for title, text in zip(("Done", "Proof", "Lost", "Back", "Next"), texts)]


def safeguards(result: Result, check_mode: bool, source: str) -> list[str]:
    """result: that of course_version_safeguards."""
    if result["unchanged"]:
        return _unchanged(result["unchanged"])
    if check_mode:
        return _lines(result["summary"], "nothing was changed", "nothing", "nothing was changed", same_command())
    refused = [f"{one['statement']} as {one['role']} was refused" for one in result["probes"]]
    proof = first_of(refused, 2 * _SHOWN) or "the catalogs were read again; the table has no version to try to change"
    absent = result["state"] == "absent"
    state = "present" if absent else "absent"
    back = command("protect_course_versions", recovery_source=source, recovery_state=state)
    after = "no action is needed"
    if result["not_held"]:
        after = f"give {', '.join(result['not_held'])} no right to act as the owner of the table"
    return _lines(result["summary"], "the catalogs were read again" if absent else proof, "nothing", back, after)


RECOVERIES: dict[str, t.Callable[[Result, bool, str], list[str]]] = {
    "recover_courses": courses,
    "recover_course_versions": course_versions,
    "protect_course_versions": safeguards,
    "maintenance": outcome_lines,
    "ransomware": ransomware,
}
