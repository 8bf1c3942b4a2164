# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The five lines that a run ends with."""

from __future__ import annotations

import shlex
import typing as t

import pytest
import yaml
from ansible.parsing.splitter import parse_kv

from ansible_collections.lifeline.recovery.plugins.plugin_utils.outcome import outcome

EQUAL = {"equal": True, "mode": "full", "tables": 2, "rows": 7}
RESTORED: dict[str, t.Any] = {
    "changed": True, "summary": "Restored.", "mode": "swap", "target_db": "school", "plan_digest": "0123",
    "confirmation": "0123",
    "fingerprint": EQUAL,
    "recovery_point": "2026-03-01T02:00:00Z", "undo": {"mode": "undo", "undo_db": "school_before"}, "not_restored": [],
    "not_covered": [], "set_id": "20260301T020000Z",
}  # fmt: skip


def of(verb: str, check_mode: bool = False, /, kind: str = "postgresql", **changes: t.Any) -> list[str]:
    lines = outcome({**RESTORED, **changes}, verb, check_mode, kind=kind, target="school", source="media")
    assert [line.split(":")[0] for line in lines] == ["Done", "Proof", "Lost", "Back", "Next"]
    return lines


@pytest.mark.parametrize(
    ("fingerprint", "text"),
    [
        (EQUAL, "every row of 2 tables (7 rows) equal to the set"),
        ({**EQUAL, "mode": "counts"}, "row counts of 2 tables"),
        ({**EQUAL, "equal": False, "difference_count": 3}, "NOT equal to the set: 3 differences"),
        ({"equal": None}, "not compared"),
        ({}, "not compared"),
    ],
)
def test_proof_prints_equal_only_for_compared_data(fingerprint: dict[str, t.Any], text: str) -> None:
    assert text in of("restore", fingerprint=fingerprint)[1]
    assert ("every row" in of("restore", fingerprint=fingerprint)[1]) is (text.startswith("every"))


def pasted(line: str) -> dict[str, t.Any]:
    """The variables of a command as a shell and Ansible read them."""
    parts = shlex.split(line.removeprefix("Back:"))
    assert parts[0] == "ansible-playbook"
    given: dict[str, t.Any] = {}
    for option, value in zip(parts[2::2], parts[3::2]):
        assert option == "-e"
        given.update(yaml.safe_load(value) if value.startswith("{") else parse_kv(value))
    return given


@pytest.mark.parametrize(
    "name", ["school_before_2", "my db", "x; rm -rf ~ {{ lookup('pipe', 'id') }} '\"", "a=b", "null", "1.5 x", "%s"]
)
def test_the_way_back_can_be_pasted_whatever_the_names_are(name: str) -> None:
    given = pasted(of("restore", undo={"undo_db": name}, target_db=name)[3])
    assert given == {
        "recovery_source": "media", "recovery_mode": "undo", "recovery_undo_db": name, "recovery_confirm": name,
    }  # fmt: skip
    given = pasted(of("restore", undo={"set": "20260301T020000Z"})[3])
    assert (given["recovery_mode"], given["recovery_tier"]) == ("in_place", "undo")


def test_the_way_back_of_a_copy_names_the_copy_and_is_planned_first() -> None:
    for undo in ({"undo_db": "staging_before"}, {"set": "20260301T020000Z"}):
        result = {**RESTORED, "target_db": "staging", "undo": undo}
        back = outcome(result, "restore", False, source="school", database="school")[3]
        command, _check, rest = back.partition(" --check")
        assert "then with the recovery_confirm that it prints" in rest
        assert pasted(command)["recovery_target"] == "staging"
        assert "recovery_confirm" not in pasted(command)


def test_the_way_back_of_rows_allows_as_many_deletions_as_it_needs() -> None:
    undo = {"set": "20260301T020000Z"}
    for inserts, expected in ((1000, None), (1500, "1500")):
        given = pasted(of("restore_rows", undo=undo, tables=[{"table": "a", "inserts": inserts}])[3])
        assert given.get("recovery_max_deletes") == expected
        assert given["recovery_reason"] == "Undo of the restore"
        assert given["recovery_source"] == "media"


def test_files_that_were_not_compared_are_not_called_equal() -> None:
    unchanged = {
        "reason": "2 files of the set are there and were not compared",
        "next_step": "Set recovery_mode to all to restore files that differ.",
    }
    lines = of(
        "restore", kind="bucket", changed=False, left=2, restored=0, replaced=0, undo={}, unchanged=unchanged
    )  # fmt: skip
    assert lines[1] == "Proof: 2 files of the set are there and were not compared"
    assert "recovery_mode to all" in lines[4]


def test_missing_items_are_counted_and_the_first_are_named() -> None:
    missing = [{"object": f"view {number}"} for number in range(5)]
    lost = of("restore", not_restored=missing, not_covered=["roles"])[2]
    assert "changes after 2026-03-01T02:00:00Z" in lost
    assert "5 objects not or only in part restored: view 0, view 1, view 2 and 2 more" in lost
    assert "not in the set: roles" in lost


def test_lost_names_a_gap_only_where_one_was_found_or_can_be() -> None:
    point = "changes after 2026-03-01T02:00:00Z"
    assert of("restore")[2] == f"Lost:  {point}, if there were any; the database school_before holds them"
    undo = {"set": "20260301T020000Z"}
    for equal, lost in ((True, "nothing; the replaced content was equal to the set"), (False, point)):
        assert of("restore", mode="in_place", undo=undo, replaced_equal=equal)[2] == f"Lost:  {lost}"
    restored = {**RESTORED, "mode": "new", "undo": {}}
    copied = outcome({**restored, "target_db": "copy"}, "restore", False, source="school", database="school")
    assert copied[2] == f"Lost:  nothing; the copy copy lacks {point}"
    assert outcome(restored, "restore", False, source="school", database="school")[2] == (
        f"Lost:  {point}, if there were any"
    )
    rows = {"tables": [{"inserts": 2, "updates": 3, "deletes": 1}], "undo": undo}
    assert of("restore_rows", **rows)[2] == (
        "Lost:  changes of these rows after 2026-03-01T02:00:00Z, if there were any; "
        "the former values of 4 rows, which the undo set holds"
    )
    assert "former" not in of("restore_rows", tables=[{"inserts": 2}], undo={})[2]
    assert of_cluster(mode="side_by_side", undo=None, port=None, socket_directory=None)[2] == (
        "Lost:  nothing; the copy does not hold changes after the target: just before transaction 746"
    )


@pytest.mark.parametrize(
    ("rebuilt", "damaged", "lost"),
    [
        ({}, 0, "nothing; the newest version of each course agrees with the table of courses"),
        ({}, 2, "versions that neither the set nor the bucket has"),
        ({"rebuilt": 9}, 0, "the earlier versions of 9 rebuilt courses, if there were any"),
        ({"rebuilt": 9, "behind": 3}, 0, "the earlier versions of 3 rebuilt courses"),
    ],
)
def test_recovered_versions_name_the_courses_that_lack_versions(rebuilt: t.Any, damaged: int, lost: str) -> None:
    documents = {"damaged_count": damaged, "summary": "compared"}
    result = {"changed": True, "summary": "Restored.", "rows": {}, "rebuilt": rebuilt, "documents": documents}
    assert outcome(result, "recover_course_versions", False, source="learnplay")[2] == f"Lost:  {lost}"


def test_a_dry_run_proves_nothing_and_prints_how_to_run() -> None:
    lines = of("restore", True, fingerprint={})
    assert "nothing was changed; plan digest: 0123" in lines[1]
    assert "without --check and with -e recovery_confirm=0123" in lines[4]
    assert "recovery_confirm" not in of("restore", True, mode="new", confirmation="")[4]


@pytest.mark.parametrize("mode", ["swap", "undo", "in_place"])
def test_a_plan_that_sessions_would_stop_prints_the_option_that_ends_them(mode: str) -> None:
    plan = {"sessions": 2}
    after = of("restore", True, mode=mode, plan=plan)[4]
    assert "stop the application, or add -e recovery_terminate_sessions=true" in after and "2 sessions" in after
    planned = {**RESTORED, "mode": mode, "plan": plan}
    for result, options in (({**planned, "plan": {"sessions": 0}}, {}), (planned, {"terminate_sessions": True})):
        assert "stop the application" not in outcome(result, "restore", True, **options)[4]


def test_a_plan_names_one_confirmation() -> None:
    assert "-e recovery_confirm=0123 in place of school" in outcome(RESTORED, "restore", True, confirm="school")[4]
    accepted = {**RESTORED, "confirmation": ""}
    assert outcome(accepted, "restore", True, confirm="0123")[4] == "Next:  run the same command without --check"


def test_the_way_back_ends_sessions_as_the_restore_did() -> None:
    back = outcome(RESTORED, "restore", False, source="school", database="school", terminate_sessions=True)[3]
    assert pasted(back)["recovery_terminate_sessions"] == "true"


def test_no_way_back_drops_the_restored_database_of_the_source() -> None:
    restored = {**RESTORED, "mode": "new", "undo": {}}
    lines = outcome(restored, "restore", False, source="school", database="school")
    assert lines[3:] == ["Back:  nothing was replaced", "Next:  check the application"]
    copied = outcome({**restored, "target_db": "copy"}, "restore", False, source="school", database="school")
    assert copied[3] == "Back:  nothing was replaced; to remove the copy, drop the database copy"


def test_rows_that_differ_and_keys_that_are_not_in_the_set_are_part_of_the_result() -> None:
    tables = [{"table": "a", "differing": 4999}, {"table": "b"}]
    lines = of("restore_rows", tables=tables, missing_keys={"a": {"missing": 1}}, undo={"set": "20260301T020000Z"})
    assert "4999 rows that differ were left; recovery_mode=merge restores them" in lines[2]
    assert "1 key of a not in the set" in lines[2]
    assert "restore_rows" in lines[3]
    made = of("restore_rows", undo={}, created_tables=["public.a"])[3]
    assert "drop the tables that were created: public.a" in made
    # Rows that went into a schema of their own.
    assert of("restore_rows", undo={})[3] == "Back:  no row that was there was changed"


@pytest.mark.parametrize(("verb", "kind"), [("restore_rows", "postgresql"), ("restore_rows", "d1"), ("restore", "d1")])
def test_run_without_changes_gives_the_reason(verb: str, kind: str) -> None:
    lines = of(
        verb, kind=kind, changed=False, unchanged={"reason": "the set equals", "next_step": "choose another"}, undo={}
    )
    assert lines[1:] == [
        "Proof: the set equals",
        "Lost:  nothing",
        "Back:  nothing was changed",
        "Next:  choose another",
    ]


@pytest.mark.parametrize("check_mode", [False, True])
def test_a_run_without_changes_prints_the_set_to_try_and_no_confirmation(check_mode: bool) -> None:
    unchanged = {"reason": "a", "next_step": "b.", "earlier_set": "20260228T020000Z", "earlier_tier": "daily"}
    after = of("restore_rows", check_mode, changed=False, unchanged=unchanged, undo={}, confirmation="")[4]
    assert after.endswith("run the same command with -e recovery_set=20260228T020000Z -e recovery_tier=daily")
    assert "recovery_confirm" not in after and "--check" not in after


def prune(check_mode: bool, **result: t.Any) -> list[str]:
    empty = {"summaries": ["Would prune."], "removed": 0, "dropped": [], "changed": False, "confirmation": ""}
    return outcome({**empty, **result}, "prune", check_mode)


def test_a_prune_without_expired_sets_needs_no_run() -> None:
    assert prune(True)[-2:] == ["Back:  nothing was changed", "Next:  no action is needed"]
    dropped = {"dropped": ["school_before"], "changed": True, "confirmation": "0123"}
    assert prune(True, **dropped)[-1].endswith("without --check and with -e recovery_confirm=0123")
    assert prune(False, **dropped)[-2] == "Back:  dropped databases cannot be restored: school_before"


def test_a_backup_that_was_not_read_back_does_not_claim_it() -> None:
    assert "was not read back" in of("backup", source="school")[1]
    lines = outcome(
        {**RESTORED, "source": "school", "coverage": {"not_covered": ["roles"]}},
        "backup",
        False,
        verification={"summary": "Read."},
    )
    assert lines[1] == "Proof: Read."
    assert "does not hold roles" in lines[2]


def test_files_of_a_bucket_go_back_by_their_undo_set() -> None:
    lines = of("restore", kind="bucket", restored=1, replaced=2, undo={"set": "20260301T020000Z"}, refused=3)
    assert "3 files that the target cannot hold" in lines[2]
    assert "-e recovery_source=media -e recovery_set=20260301T020000Z -e recovery_tier=undo" in lines[3]


CLUSTER: dict[str, t.Any] = {
    "changed": True, "summary": "Restored.", "mode": "in_place", "stanza": "main", "data_directory": "/srv/pg",
    "target": "just before transaction 746", "reached": {"state": "promoted", "lsn": "0/A06"}, "plan_digest": "0123",
    "confirmation": "0123",
    "undo": {"mode": "undo", "data_directory": "/srv/pg", "kept": "/srv/pg.before"}, "backup_due": True,
}  # fmt: skip


def of_cluster(check_mode: bool = False, /, **changes: t.Any) -> list[str]:
    return outcome(
        {**CLUSTER, **changes}, "restore_point_in_time", check_mode, source="school", target="main", confirm=""
    )


def test_a_recovered_cluster_goes_back_to_its_former_directory_and_is_backed_up() -> None:
    _done, proof, lost, back, after = of_cluster()
    assert "0/A06" in proof and "no rows were compared" in proof
    assert "just before transaction 746" in lost
    assert pasted(back.partition(". The former")[0]) == {
        "recovery_source": "school", "recovery_mode": "undo", "recovery_data_directory": "/srv/pg",
        "recovery_confirm": "main",
    }  # fmt: skip
    assert "pitr -e recovery_source=school -e pitr_action=backup" in after


def test_a_cluster_that_is_restored_side_by_side_needs_no_confirmation() -> None:
    copy = {
        "mode": "side_by_side",
        "confirmation": "",
        "data_directory": "/srv/copy",
        "undo": None,
        "backup_due": False,
    }
    assert of_cluster(True, **copy, reached=None)[4].endswith("run the same command without --check")
    assert "recovery_confirm=0123" in of_cluster(True, reached=None)[4]
    assert "psql -h /srv/copy -p 5433" in of_cluster(**copy, port=5433, socket_directory="/srv/copy")[4]
    assert "start the cluster in /srv/copy" in of_cluster(**copy, port=None, socket_directory=None)[4]


@pytest.mark.parametrize(
    ("document", "kept", "version"),
    [
        ("it's", {}, 4), ("a, b", {"kept_version": 5}, 5), ("{{ x }}", {"kept_copy": "x.json.before-1"}, "before"),
    ],
)  # fmt: skip
def test_the_way_back_of_a_restored_course_is_a_command(document: str, kept: dict[str, t.Any], version: t.Any) -> None:
    where = {"former_version": 4, "kept_version": None, "kept_copy": None, "restored_copy": None}
    result = {"unchanged": None, "summary": "Restored.", "documents": [{"document": document, **where, **kept}]}
    assert pasted(outcome(result, "recover_courses", False, source="learnplay")[3]) == {
        "recovery_source": "learnplay",
        "recovery_documents": [document] if "," in document else document,
        "recovery_version": str(version),
    }


def test_an_unconfirmed_removal_of_ids_is_not_reported_as_done() -> None:
    found = {"rows": [{"key": {"id": "algebra"}, "dropped": ["7c9e"]}], "plan_digest": "0123", "undo": {}, "count": 1}
    rows = {"undo": {"set": "20260301T020000Z"}, "tables": [{"inserts": 1500}]}
    result = {"changed": True, "summary": "Restored.", "rows": rows, "migrated": {}, "references": found, "waits": True}
    lines = outcome(result, "recover_tags", False, source="app", target="school")
    assert lines[2] == "Lost:  nothing; courses keep ids without a tag: algebra (7c9e)"
    assert lines[4] == "Next:  to remove these ids, run the same command with -e recovery_confirm=0123"
    given = pasted(lines[3])
    assert (given["recovery_max_deletes"], given["recovery_confirm"], given["recovery_mode"]) == (
        "1500",
        "school",
        "exact",
    )
    removed = outcome({**result, "waits": False}, "recover_tags", False, source="app", target="school")
    assert removed[2] == "Lost:  ids without a tag: algebra (7c9e)"
    assert outcome(result, "recover_tags", True, source="app", target="school")[1] == "Proof: nothing was changed"
