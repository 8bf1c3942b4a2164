# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The end of a run that repairs a part of an application in several steps: tags, organizations, media."""

from __future__ import annotations

import typing as t

from ..module_utils._core.sizes import counted, first_of
from .commands import command, same_command
from .reports import line

Result = t.Mapping[str, t.Any]
_SHOWN = 3
#: The default of recovery_max_deletes.
_MAX_DELETES = 1000


def tags(result: Result, check_mode: bool, source: str, database: str, confirm: str) -> list[str]:
    """result: rows, migrated and references, each empty if it did not run; waits: a removal was not confirmed."""
    rows, references = result["rows"], result["references"]
    found = references.get("rows") or ()
    dropped = [f"{_key(row)} ({', '.join(map(str, row['dropped']))})" for row in found if row["dropped"]]
    ids = f"ids without a tag: {first_of(dropped, _SHOWN)}" if dropped else "nothing"
    after = ""
    if result["waits"]:
        ids = f"nothing; courses keep {ids}"
        after = f"to remove these ids, {_confirmed(references)}"
    back = [] if result["waits"] else _undo(source, database, references)
    back += _undo(source, database, rows) + _created(rows, result["migrated"])
    return _lines(result, check_mode, confirm, lost=ids, back=back, after=after, planned=references)


def organization(result: Result, check_mode: bool, source: str, database: str, confirm: str) -> list[str]:
    """result: rows, organization and roles, each empty if it did not run."""
    roles, lost = result["roles"], "nothing"
    if roles.get("count") and roles.get("changed"):
        values = roles.get("plan") or {}
        lost = f"the former roles of {counted(roles['count'], 'user')}, who have the default role in {values['table']}"
    back = [undo for part in ("roles", "organization", "rows") for undo in _undo(source, database, result[part])]
    back += _created(result["rows"], {})
    return _lines(result, check_mode, confirm, lost=lost, back=back, after="", planned={})


def media(result: Result, check_mode: bool, source: str, database: str, confirm: str) -> list[str]:
    """result: rows, files and rebuilt, each empty if it did not run; media_source, bucket_name, regenerate_file."""
    files = result["files"]
    count = (files.get("counts") or {}).get("lost", 0)
    lost, after = "nothing", ""
    if count:
        keys = [one["key"] for one in files["lost"]]
        lost = f"{counted(count, 'file')} that no backup set has: {first_of(keys, _SHOWN)}"
        listed = result["regenerate_file"]
        after = "upload or generate the lost files again" + (f"; {listed} lists them" if listed else "")
    back = _undo(source, database, result["rebuilt"])
    undo = files.get("undo") or {}
    if undo:
        options = {"recovery_mode": "all", "recovery_confirm": result["bucket_name"]}
        back.append(
            command(
                "restore",
                recovery_source=result["media_source"],
                recovery_set=undo["set"],
                recovery_tier="undo",
                **options,
            )
        )
    back += _undo(source, database, result["rows"]) + _created(result["rows"], {})
    return _lines(result, check_mode, confirm, lost=lost, back=back, after=after, planned=files)


def _undo(source: str, database: str, part: Result) -> list[str]:
    """The command that takes the rows of a part back, or nothing if the part has no undo set."""
    undo = (part.get("undo") or {}).get("set")
    if not undo:
        return []
    inserted = sum(table.get("inserts", 0) for table in part.get("tables") or ()) or part.get("count", 0)
    options = {"recovery_mode": "exact", "recovery_confirm": database, "recovery_reason": "Undo of the recovery"}
    limit = inserted if inserted > _MAX_DELETES else None
    return [
        command(
            "restore_rows",
            recovery_source=source,
            recovery_set=undo,
            recovery_tier="undo",
            recovery_max_deletes=limit,
            **options,
        )
    ]


def _created(rows: Result, migrated: Result) -> list[str]:
    created = list(rows.get("created_tables") or ())
    found = [f"drop the tables that were created: {first_of(created, _SHOWN)}"] if created else []
    applied = migrated.get("applied") or ()
    return found + [f"drop what the migrations created: {first_of(applied, _SHOWN)}"] * bool(applied)


def _confirmed(part: Result) -> str:
    return f"run the same command with -e recovery_confirm={part['plan_digest']}"


def _key(row: Result) -> str:
    return ", ".join(str(value) for value in row["key"].values())


def _lines(
    result: Result, check_mode: bool, confirm: str, *, lost: str, back: t.Sequence[str], after: str, planned: Result
) -> list[str]:
    """back: the commands in the order in which they run. planned: the part of the plan that may need a confirmation."""
    if check_mode:
        proof = "nothing was changed"
        back = ["a set of the tier undo is stored before rows or files change"]
        after = same_command(planned.get("confirmation") or "", confirm)
        lost = lost if lost == "nothing" else f"would be {lost}"
    else:
        proof = "; ".join(filter(None, ["each step read its result again" * result["changed"], result.get("verdict")]))
    texts = (
        result["summary"],
        proof or "recovery_checks is empty, and nothing was compared",
        lost,
        "; then ".join(back) or "no row and no file that existed was changed",
        after or ("check the application" if result["changed"] else "no action is needed"),
    )
    return [line(title, text) for title, text in zip(("Done", "Proof", "Lost", "Back", "Next"), texts)]


REPAIRS: dict[str, t.Callable[[Result, bool, str, str, str], list[str]]] = {
    "recover_tags": tags,
    "recover_organization": organization,
    "recover_media": media,
}
