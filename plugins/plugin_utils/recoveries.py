# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The end of a run that recovers a part of an application: its courses and their versions."""

from __future__ import annotations

import typing as t

from ..module_utils._core.sizes import counted
from .commands import command
from .reports import line

Result = t.Mapping[str, t.Any]
_SHOWN = 3
_AGAIN = "run the same command without --check"


def courses(result: Result, check_mode: bool, source: str) -> list[str]:
    """result: that of course_version_restore with state restored."""
    if result["unchanged"]:
        return _unchanged(result["unchanged"])
    if check_mode:
        proof = f"nothing was changed; plan digest: {result['plan_digest']}"
        return _lines(result["summary"], proof, "nothing", "the former content stays a version or a copy", _AGAIN)
    restored = result["documents"]
    proof = f"tables and published copy of {counted(len(restored), 'course')} read again and equal to the version"
    return _lines(result["summary"], proof, "nothing", _former(restored), "load a restored course in the application")


def _former(restored: t.Sequence[Result]) -> str:
    """Where the former content of restored courses is."""
    kept = [
        f"{one['document']} as version {one['kept_version']}"
        if one["kept_version"]
        else f"{one['document']} as {one['kept_copy']}"
        for one in restored
        if one["kept_version"] or one["kept_copy"]
    ]
    if not kept:
        return "the former content of each course is its version before the new one"
    more = f" and {len(kept) - _SHOWN} more" if len(kept) > _SHOWN else ""
    return f"the former published content is kept: {', '.join(kept[:_SHOWN])}{more}"


def course_versions(result: Result, check_mode: bool, source: str) -> list[str]:
    """result: rows, rebuilt and documents of the entry point course_versions; each is empty if it did not run."""
    rows, rebuilt, documents = result["rows"], result["rebuilt"], result["documents"]
    undo = (rows.get("undo") or {}).get("set")
    back = f"rows that were inserted: {_undo(source, undo)}" if undo else "existing versions were not changed"
    if check_mode:
        back = "existing versions are not changed"
        return _lines(result["summary"], "nothing was changed", "nothing", back, _AGAIN)
    damaged = documents.get("damaged_count") or 0
    repair = command("recover_courses", recovery_source=source, recovery_documents="damaged")
    lost = "versions that neither the set nor the bucket has"
    if rebuilt.get("rebuilt"):
        lost = f"the earlier versions of {counted(rebuilt['rebuilt'], 'rebuilt course')}; {lost}"
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


RECOVERIES: dict[str, t.Callable[[Result, bool, str], list[str]]] = {
    "recover_courses": courses,
    "recover_course_versions": course_versions,
}
