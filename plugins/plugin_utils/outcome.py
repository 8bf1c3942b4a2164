# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The end of a run in five lines: what was done, the proof, what is lost, the way back, the next step."""

from __future__ import annotations

import functools
import typing as t

from ..module_utils._core.sizes import counted, first_of
from . import failover
from .commands import command, same_command
from .recoveries import RECOVERIES
from .releases import RELEASES
from .repairs import REPAIRS
from .reports import REPORTS, line
from .stages import outcome_lines as stages

Result = t.Mapping[str, t.Any]
_TITLES = ("Done", "Proof", "Lost", "Back", "Next")
_SHOWN = 3
#: The default of recovery_max_deletes.
_MAX_DELETES = 1000


def outcome(
    result: Result,
    verb: str,
    check_mode: bool,
    kind: str = "postgresql",
    target: str = "",
    source: str = "",
    verification: t.Optional[Result] = None,
    database: str = "",
    confirm: str = "",
    terminate_sessions: bool = False,
) -> t.List[str]:
    """Five lines. verb is backup, a restore, or one of REPORTS, RECOVERIES, REPAIRS and RELEASES.

    kind is that of the source. target is what a confirmation names. source and database: recovery_source and the
    database of that source, which decide what a pasted command works on. verification is the result of backup_verify,
    if a set was read back. confirm and terminate_sessions: the options of this run. Raises KeyError for another verb
    or kind.
    """
    if verb in REPORTS:
        return REPORTS[verb](result, check_mode)
    if verb in RECOVERIES:
        return RECOVERIES[verb](result, check_mode, source)
    if verb == "recover_everything":
        return stages(result, check_mode, source, confirm)
    if verb == "failover":
        return failover.outcome_lines(result, check_mode, source, confirm)
    if verb == "prepare_failover":
        return failover.readiness(result, check_mode, source)
    if verb in REPAIRS:
        return REPAIRS[verb](result, check_mode, source, target, confirm)
    if verb in RELEASES:
        return RELEASES[verb](result, check_mode, source, confirm)
    if kind == "supabase":
        return (
            _point(result, check_mode, source)
            if verb == "backup"
            else _project(result, check_mode, target, source, confirm)
        )
    if verb == "backup":
        return _backup(result, verification, check_mode)
    if verb == "restore" and "previous_bookmark" in result and "set_id" not in result:
        return _time_travel(result, check_mode, target, source, confirm)
    if verb == "restore" and kind == "postgresql":
        return _restore(result, check_mode, source, database, confirm, terminate_sessions)
    writers = {
        ("restore", "bucket"): _bucket,
        ("restore", "d1"): _d1,
        ("restore_rows", "postgresql"): _rows,
        ("restore_rows", "d1"): _d1,
        ("restore_point_in_time", "postgresql"): _cluster,
    }
    return writers[(verb, kind)](result, check_mode, target, source, confirm)


def _backup(result: Result, verification: t.Optional[Result], check_mode: bool) -> t.List[str]:
    if check_mode:
        return _lines(result["summary"], "nothing was stored", "nothing", "nothing to take back", same_command())
    read = (verification or {}).get("summary")
    coverage = result.get("coverage") or {}
    left_out = [*coverage.get("not_covered", ()), *result.get("not_covered", ())]
    unproved = result.get("not_proved") or ()
    return _lines(
        result["summary"],
        (read or "the set was not read back (recovery_verify_depth is none)")
        + (f"; kept as text and not proved: {_some(unproved)}" if unproved else ""),
        f"the set does not hold {_some(left_out)}" if left_out else "nothing that the backup knows of",
        "a backup changes nothing in its source",
        f"rehearse a restore: {command('verify', recovery_source=result['source'], recovery_level='monthly')}",
    )


def _restore(
    result: Result, check_mode: bool, source: str, database: str, confirm: str, terminate_sessions: bool
) -> t.List[str]:
    if check_mode:
        sessions = 0 if terminate_sessions else (result.get("plan") or {}).get("sessions") or 0
        return _planned(result, _lost(result, database), _planned_way_back(result), confirm, sessions)
    back = _way_back(result, source, database, terminate_sessions)
    return _lines(result["summary"], _proof(result), _lost(result, database), back, _after(result, database))


def _rows(result: Result, check_mode: bool, target: str, source: str, confirm: str) -> t.List[str]:
    if not result["changed"]:
        return _unchanged(result)
    if check_mode:
        return _planned(result, _lost_rows(result), "a set of the tier undo is taken first", confirm)
    compared = (result.get("fingerprint") or {}).get("tables")
    tested = (result.get("foreign_keys") or {}).get("checked", 0)
    proof = f"{counted(tested, 'foreign key')} tested, each row compared with the set"
    proof += f", {counted(compared, 'whole table')} equal to the set" if compared else ""
    undo, created = (result.get("undo") or {}).get("set"), result.get("created_tables") or ()
    if undo:
        inserted = sum(table.get("inserts", 0) for table in result.get("tables") or ())
        back = command(
            "restore_rows", recovery_source=source, recovery_set=undo, recovery_tier="undo", recovery_mode="exact",
            recovery_confirm=target, recovery_reason="Undo of the restore",
            recovery_max_deletes=inserted if inserted > _MAX_DELETES else None,
        )  # fmt: skip
    else:
        back = "no row that was there was changed"
    back += f"; drop the tables that were created: {_some(created)}" if created else ""
    return _lines(result["summary"], proof, _lost_rows(result), back, "check the application")


def _lost_rows(result: Result) -> str:
    parts = [f"changes of these rows after {result['recovery_point']}, if there were any"]
    replaced = sum(table.get("updates", 0) + table.get("deletes", 0) for table in result.get("tables") or ())
    parts += [f"the former values of {counted(replaced, 'row')}, which the undo set holds"] * bool(replaced)
    differing = sum(table.get("differing", 0) for table in result.get("tables") or ())
    parts += [f"{differing} rows that differ were left; recovery_mode=merge restores them"] * bool(differing)
    missing = {
        table: found["missing"] for table, found in (result.get("missing_keys") or {}).items() if found["missing"]
    }
    parts += [f"{counted(number, 'key')} of {table} not in the set" for table, number in sorted(missing.items())]
    return "; ".join(parts)


def _bucket(result: Result, check_mode: bool, target: str, source: str, confirm: str) -> t.List[str]:
    lost = f"changes after the set {result['set_id']}, if there were any"
    lost += f"; the former content of {counted(result['replaced'], 'file')}" * bool(result.get("replaced"))
    lost += f"; {counted(result['refused'], 'file')} that the target cannot hold" if result.get("refused") else ""
    if not result["changed"]:
        return _unchanged(result)
    if check_mode:
        return _planned(result, lost, "files that are replaced are kept in a set of the tier undo", confirm)
    written = f"{counted(result['restored'] + result['replaced'], 'file')} confirmed after writing"
    back = "nothing was replaced; files that were missing were added"
    if result.get("undo"):
        back = command(
            "restore", recovery_source=source, recovery_set=result["undo"]["set"], recovery_tier="undo",
            recovery_mode="all", recovery_confirm=target,
        )  # fmt: skip
        back += ". Files that were missing and are there now stay"
    return _lines(result["summary"], written, lost, back, "check the application")


def _d1(result: Result, check_mode: bool, target: str, source: str, confirm: str) -> t.List[str]:
    point = result.get("recovery_point") or (f"the set {result['set_id']}" if result.get("set_id") else "the dump")
    lost = f"changes after {point}, if there were any"
    if not result["changed"]:
        return _unchanged(result)
    if check_mode:
        first = (
            "the way back is recorded before anything is changed"
            if result.get("plan_digest")
            else "nothing is replaced"
        )
        return _planned(result, lost, first, confirm)
    undo = (result.get("undo") or {}).get("set")
    proof, after = "the database was compared with the set", "check the application"
    if undo:
        back = command(
            "restore_rows", recovery_source=source, recovery_set=undo, recovery_tier="undo",
            recovery_confirm=target, recovery_reason="Undo of the restore",
        )  # fmt: skip
        proof = "the rows of the set are in the database, and its foreign keys hold"
    elif result.get("previous_bookmark"):
        back = command(
            "restore", recovery_source=source, recovery_target=target, recovery_to=result["previous_bookmark"],
            recovery_confirm=target,
        )  # fmt: skip
    elif result.get("previous_path"):
        back = f"the former file is {result['previous_path']}"
    else:
        back = "nothing was replaced"
        after = f"bind the Worker to the database with the id {result['uuid']}" if result.get("uuid") else after
    return _lines(result["summary"], proof, lost, back, after)


def _time_travel(result: Result, check_mode: bool, target: str, source: str, confirm: str) -> t.List[str]:
    bookmark, previous = result["bookmark"], result.get("previous_bookmark")
    lost = f"changes after the bookmark {bookmark}"
    if not result["changed"]:
        done = f"The database {target} is at the bookmark {bookmark}."
        return _lines(done, "D1 returned this bookmark", "nothing", "nothing was changed", "choose an earlier instant")
    if check_mode:
        done = f"Would send {target} back from the bookmark {previous} to {bookmark}."
        back = "the bookmark of before is recorded first"
        return _planned({**result, "summary": done}, lost, back, confirm)
    back = command(
        "restore", recovery_source=source, recovery_target=target, recovery_to=previous, recovery_confirm=target
    )
    done = f"Sent the database {target} back in time, in place."
    return _lines(
        done, f"D1 returned the bookmark {bookmark}; nothing was compared", lost, back, "check the application"
    )


def _project(result: Result, check_mode: bool, target: str, source: str, confirm: str) -> t.List[str]:
    if "plan_digest" not in result:
        return _lines(
            result["summary"], "Supabase reported this state", "unknown", "nothing was changed", "check the application"
        )
    lost = f"changes after {result['target']}; Supabase keeps no bytes of storage objects"
    undo = (result.get("undo") or {}).get("name")
    if check_mode:
        first = result["plan"]["undo_first"]
        back = "nothing takes the restore back" if first == "none" else f"a restore point is created first ({first})"
        return _planned(result, lost, back, confirm)
    back = result.get("without_undo") or "nothing takes the restore back"
    if undo:
        back = command(
            "restore", recovery_source=source, recovery_mode="undo", recovery_set=undo, recovery_confirm=target
        )
    proof = f"Supabase reports the project {result['status']}; nothing was compared"
    return _lines(result["summary"], proof, lost, back, "check the content with check.yml before users write")


def _point(result: Result, check_mode: bool, source: str) -> t.List[str]:
    if check_mode:
        return _lines(result["summary"], "nothing was stored", "nothing", "nothing to take back", same_command())
    restore = command("restore", recovery_source=source, recovery_mode="undo", recovery_set=result["name"])
    proof = "Supabase reports the restore point; nothing was read back"
    lost = "Supabase keeps the restore point, and no bytes of storage objects"
    return _lines(result["summary"], proof, lost, "a backup changes nothing in its source", f"to go back: {restore}")


def _cluster(result: Result, check_mode: bool, target: str, source: str, confirm: str) -> t.List[str]:
    """target is the stanza."""
    mode, directory = result["mode"], result["data_directory"]
    if mode == "remove":
        back = "nothing was changed" if check_mode else "restore side by side again"
        after = same_command() if check_mode else "no action is needed"
        return _lines(result["summary"], "the directory is that of a side-by-side restore", "nothing", back, after)
    lost = f"changes after the target: {result['target']}" if result["target"] else "changes since the recovery"
    lost = f"nothing; the copy does not hold {lost}" if mode == "side_by_side" else f"{lost}, if there were any"
    if check_mode:
        first = "the data directory is kept under another name"
        back = "the running cluster is not changed" if mode == "side_by_side" else first
        return _planned(result, lost, back, confirm)
    play = functools.partial(command, "restore_point_in_time", recovery_source=source)
    if mode == "side_by_side":
        remove = play(recovery_mode="remove", pitr_restore_directory=directory)
        back = f"the running cluster was not changed; to remove the copy: {remove}"
        where = f"psql -h {result['socket_directory'] or 'localhost'} -p {result['port']}"
        after = f"check the content with {where}" if result.get("port") else f"start the cluster in {directory}"
        return _lines(result["summary"], _reached(result), lost, back, f"{after}; then restore in place or copy rows")
    backup = command("pitr", recovery_source=source, pitr_action="backup", pitr_type="full")
    after = "check the application" + f"; then take a full backup: {backup}" * bool(result.get("backup_due"))
    undo, back = result.get("undo"), "nothing was changed"
    if undo:
        undoing = play(recovery_mode="undo", recovery_data_directory=undo["data_directory"], recovery_confirm=target)
        back = f"{undoing}. The former data directory {undo['kept']} stays until you remove it"
    return _lines(result["summary"], _reached(result), lost, back, after)


def _reached(result: Result) -> str:
    """The WAL that recovery replayed. The content of the cluster is not compared."""
    reached = result.get("reached")
    if not reached:
        return "the former data directory has its name again; nothing was compared"
    return f"recovery replayed the WAL up to {reached['lsn']} ({reached['state']}); no rows were compared"


def _planned(result: Result, lost: str, back: str, given: str, sessions: int = 0) -> t.List[str]:
    """given: the recovery_confirm of this dry run. sessions: those that would stop a run."""
    digest = f"; plan digest: {result['plan_digest']}" if result.get("plan_digest") else ""
    after = same_command(result["confirmation"], given)
    if sessions:
        after = (
            "stop the application, or add -e recovery_terminate_sessions=true, because the database has "
            f"{counted(sessions, 'session')}; then {after}"
        )
    return _lines(result["summary"], f"nothing was changed{digest}", lost, back, after)


def _unchanged(result: Result) -> t.List[str]:
    why = result["unchanged"]
    done = result["summary"]
    for part in (why["reason"], why["next_step"]):
        done = done.replace(part, "").strip()
    lost = f"{counted(result['refused'], 'file')} that the target cannot hold" if result.get("refused") else "nothing"
    after = why["next_step"]
    if why.get("earlier_set"):
        again = f"-e recovery_set={why['earlier_set']} -e recovery_tier={why['earlier_tier']}"
        after += f" To try that set, run the same command with {again}"
    return _lines(done, why["reason"], lost, "nothing was changed", after)


def _proof(result: Result) -> str:
    found = result.get("fingerprint") or {}
    if result["mode"] == "undo":
        return "the database that the restore had kept has its name again; nothing was compared"
    if found.get("equal") is None:
        return "not compared: there is no fingerprint to compare with"
    if not found["equal"]:
        return f"NOT equal to the set: {counted(found.get('difference_count', 0), 'difference')}"
    compared = "row counts" if found.get("mode") == "counts" else "every row"
    return f"{compared} of {found.get('tables')} tables ({found.get('rows')} rows) equal to the set"


def _lost(result: Result, database: str) -> str:
    undo, target = result.get("undo") or {}, result["target_db"]
    if result["mode"] == "undo":
        return f"changes since the restore stay in the database {undo.get('undo_db', '')}".strip()
    after = f"changes after {result.get('recovery_point') or 'the dump'}"
    if result["mode"] == "new" and database and database != target:
        parts = [f"nothing; the copy {target} lacks {after}"]
    elif result.get("replaced_equal"):
        parts = ["nothing; the replaced content was equal to the set"]
    elif result.get("replaced_equal") is False:
        parts = [after]
    else:
        # The replaced content was not compared.
        parts = [f"{after}, if there were any"]
        parts += [f"the database {undo.get('undo_db')} holds them"] * bool(undo.get("undo_db"))
    missing = [item["object"] for item in result.get("not_restored") or ()]
    parts += [f"{counted(len(missing), 'object')} not or only in part restored: {_some(missing)}"] * bool(missing)
    parts += [f"not in the set: {_some(result['not_covered'])}"] * bool(result.get("not_covered"))
    return "; ".join(parts)


def _planned_way_back(result: Result) -> str:
    kept = {"new": "nothing is replaced", "in_place": "a set of the tier undo is taken first"}
    return kept.get(result["mode"], "the database that is replaced is kept under another name")


def _way_back(result: Result, source: str, database: str, terminate_sessions: bool) -> str:
    undo, target = result.get("undo") or {}, result["target_db"]
    is_copy = bool(database) and database != target
    # Where the target is not the database of the source, the name does not confirm: the digest of the plan does.
    common = {
        "recovery_source": source,
        "recovery_target": target if is_copy else "",
        "recovery_confirm": "" if is_copy else target,
        "recovery_terminate_sessions": "true" if terminate_sessions else "",
    }
    if undo.get("undo_db"):
        back = command("restore", recovery_mode="undo", recovery_undo_db=undo["undo_db"], **common)
    elif undo.get("set"):
        back = command(
            "restore", recovery_mode="in_place", recovery_set=undo["set"], recovery_tier="undo", **common
        )  # fmt: skip
    else:
        # The database of the source, which was dropped and restored, is no copy.
        return "nothing was replaced" + (f"; to remove the copy, drop the database {target}" * (database != target))
    return back + (" --check, then with the recovery_confirm that it prints" if is_copy else "")


def _after(result: Result, database: str) -> str:
    undo = result.get("undo") or {}
    if result["mode"] == "new" and result["target_db"] != database:
        return f"check the database {result['target_db']}"
    kept = f"; drop {undo['undo_db']} when it is no longer needed" if undo.get("undo_db") else ""
    return f"check the application{kept}"


def _some(items: t.Sequence[t.Any]) -> str:
    return first_of([str(item) for item in items], _SHOWN)


def _lines(*texts: str) -> t.List[str]:
    return [line(title, text) for title, text in zip(_TITLES, texts)]
