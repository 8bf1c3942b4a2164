# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The pipeline of a change, with a change in memory: what runs, what is recorded, and what is left."""

from __future__ import annotations

import tempfile
import typing as t
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.lifeline.recovery.plugins.module_utils._core.confirmation import plan_digest
from ansible_collections.lifeline.recovery.plugins.module_utils._core.errors import ErrorKind, RecoveryError
from ansible_collections.lifeline.recovery.plugins.module_utils._core.notices import notices
from ansible_collections.lifeline.recovery.plugins.module_utils._operations.change import perform
from ansible_collections.lifeline.recovery.plugins.module_utils._repository.audit import (
    AuditQuery,
    AuditRecord,
    read_audit,
)
from ansible_collections.lifeline.recovery.plugins.module_utils._repository.change import (
    Change,
    ChangePlan,
    Limits,
    Outcome,
    Safeguards,
)
from ansible_collections.lifeline.recovery.plugins.module_utils._repository.manifest import Manifest
from ansible_collections.lifeline.recovery.plugins.module_utils._repository.restores import restore_outcomes
from ansible_collections.lifeline.recovery.plugins.module_utils._store.directory import DirectoryStore

MADE = "2026-03-01T12:00:00.000+00:00"
SET = Manifest(
    "20260301T120000Z", "notes", "daily", "notes", MADE, None, MADE, MADE, "1.0.0", {}, {}, (), None, {},
    {"plain": 0, "stored": 0}, {},
)  # fmt: skip
STEPS = ("plan", "prepare", "keep_undo", "act", "verify", "settle")
WAYS = {
    "refused": RecoveryError(ErrorKind.ACCESS_DENIED, "No."),
    "broken set": RecoveryError(ErrorKind.DAMAGED, "Damaged.", damaged=["an-object"]),
    "bug": ValueError("a secret"),
    "signal": KeyboardInterrupt(),
}


@dataclass(frozen=True)
class Case:
    """A change of the text of one note. fails: the step that fails, and in which way."""

    before: str = "old"
    wanted: str = "new"
    fails: t.Optional[str] = None
    way: str = "refused"
    equal: t.Optional[bool] = True
    records_unchanged: bool = True
    environment: str = "production"
    confirm: t.Optional[str] = "notes"
    check_mode: bool = False
    plan_only: bool = False
    max_deletes: t.Optional[int] = None
    elsewhere: t.Optional[str] = None

    @property
    def facts(self) -> t.Dict[str, str]:
        return {"from": self.before, "to": self.wanted}


class Note(Change[Outcome]):
    """Writes the text of a note."""

    def __init__(self, case: Case, store: DirectoryStore) -> None:
        limits = Limits(max_deletes=case.max_deletes)
        guards = Safeguards(case.environment, case.confirm, case.check_mode, case.plan_only, limits)
        super().__init__(guards, store, "notes")
        self.case, self.text = case, case.before
        self.ran: t.List[str] = []
        self.is_open = True
        self.records_unchanged = case.records_unchanged
        self.details = {"set_id": SET.set_id}
        self.restores = SET
        self.resources.callback(self._close)

    def _close(self) -> None:
        self.is_open = False

    def _step(self, name: str) -> None:
        self.ran.append(name)
        if self.case.fails == name:
            raise WAYS[self.case.way]

    def plan(self) -> ChangePlan:
        self._step("plan")
        case = self.case
        return ChangePlan(
            case.facts, "notes", destroys=bool(case.before), changes=case.before != case.wanted, deletes=1,
            elsewhere=case.elsewhere,
        )  # fmt: skip

    def prepare(self) -> None:
        self._step("prepare")

    def keep_undo(self) -> t.Mapping[str, str]:
        self._step("keep_undo")
        return {"text": self.text}

    def act(self) -> None:
        self._step("act")
        self.text = self.case.wanted

    def verify(self) -> None:
        self._step("verify")
        self.equal, self.unequal = self.case.equal, ["a line"]

    def settle(self) -> t.Mapping[str, str]:
        self._step("settle")
        return {"name": "kept"}

    def put_back(self, error: RecoveryError) -> RecoveryError:
        self.ran.append("put_back")
        self.text = self.case.before
        return error

    def result(self, outcome: Outcome) -> Outcome:
        assert not self.is_open
        return outcome


def stops_before_acting(case: Case) -> t.Optional[str]:
    """The kind of the error that limits or confirmation raise, by the rules as text, not by the code."""
    if case.before == case.wanted:
        return None
    if case.max_deletes == 0:
        return "limit_exceeded"
    if case.check_mode:
        return None
    by_name = case.confirm == "notes" and not (case.elsewhere and case.environment == "production" and case.before)
    if by_name or case.confirm == plan_digest(case.facts):
        return None
    if case.confirm is None and (case.environment == "sandbox" or not case.before):
        return None
    return "confirmation_required"


def audit_of(store: DirectoryStore) -> t.Sequence[AuditRecord]:
    return read_audit(store, "notes", AuditQuery()).records


CASES = st.builds(
    Case,
    before=st.sampled_from(["", "old", "new"]),
    fails=st.sampled_from([None, *STEPS]),
    way=st.sampled_from(sorted(WAYS)),
    equal=st.sampled_from([None, True, False]),
    records_unchanged=st.booleans(),
    environment=st.sampled_from(["production", "sandbox"]),
    confirm=st.sampled_from([None, "notes", "other", plan_digest(Case().facts)]),
    check_mode=st.booleans(),
    plan_only=st.booleans(),
    max_deletes=st.sampled_from([None, 0, 1]),
    elsewhere=st.sampled_from([None, "The set is of another place"]),
)


@settings(max_examples=400, deadline=None)
@given(CASES)
def test_no_step_runs_after_a_failure_and_every_end_is_recorded(case: Case) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = DirectoryStore(folder)
        note = Note(case, store)
        caught: t.Optional[BaseException] = None
        outcome: t.Optional[Outcome] = None
        try:
            outcome = perform(note)
        except (RecoveryError, ValueError, KeyboardInterrupt) as error:
            caught = error
        records, restored = audit_of(store), restore_outcomes(store, "notes", "daily")
    acts = not (case.check_mode or case.plan_only)
    changes = case.before != case.wanted
    stopped = None if case.fails == "plan" else stops_before_acting(case)
    planned = ["plan"]
    expected = planned + (list(STEPS[1:]) if acts and changes and not stopped else [])
    failed = case.fails in expected
    if failed:
        expected = expected[: expected.index(case.fails or "") + 1]
        assert caught is WAYS[case.way]
        if isinstance(caught, RecoveryError) and case.fails != "plan":
            expected.append("put_back")
    assert note.ran == expected
    assert not note.is_open
    if stopped:
        assert isinstance(caught, RecoveryError) and caught.kind == stopped
    if "act" not in note.ran or "put_back" in note.ran:
        assert note.text == case.before
    _require_records(case, records, failed=failed, stopped=stopped, acts=acts, kept="keep_undo" in note.ran)
    if outcome is not None:
        assert (outcome.changed, outcome.unchanged is None) == (changes, changes)
        assert outcome.plan_digest == plan_digest(case.facts)
        assert dict(outcome.undo) == ({"text": case.before, "name": "kept"} if "settle" in note.ran else {})
    if not acts or stopped or (failed and case.way in ("refused", "signal")):
        assert restored == {}
    elif failed:
        assert restored[SET.set_id].error_kind == ("damaged" if case.way == "broken set" else "unexpected")
        assert restored[SET.set_id].objects == (("an-object",) if case.way == "broken set" else ())
    elif case.equal is None or not changes:
        assert restored == {}
    else:
        one = restored[SET.set_id]
        assert (one.status, one.error_kind) == (("passed", None) if case.equal else ("failed", "not_equal"))


def _require_records(
    case: Case, records: t.Sequence[AuditRecord], *, failed: bool, stopped: t.Optional[str], acts: bool, kept: bool
) -> None:
    """Exactly one record of every end of a change that would have acted."""
    kinds = {"refused": "access_denied", "broken set": "damaged", "bug": "unexpected", "signal": "interrupted"}
    if not acts:
        assert records == []
    elif failed or stopped:
        (record,) = records
        assert (record.status, record.details["error_kind"]) == ("failed", stopped or kinds[case.way])
        assert record.details["set_id"] == SET.set_id
        assert ("undo" in record.details) == (kept and case.fails not in ("prepare", "keep_undo"))
        assert "a secret" not in str(record)
    elif case.before == case.wanted and not case.records_unchanged:
        assert records == []
    else:
        (record,) = records
        assert (record.status, record.details["changed"]) == ("succeeded", case.before != case.wanted)
        assert ("undo" in record.details) == kept


def test_a_store_that_takes_no_record_does_not_fail_a_change_that_was_made(tmp_path: t.Any) -> None:
    class Full(DirectoryStore):
        def put(self, *_arguments: t.Any, **_options: t.Any) -> t.Any:
            raise RecoveryError(ErrorKind.STORE_FULL, "The store is full.")

    note = Note(Case(), Full(str(tmp_path)))
    assert perform(note).changed
    assert note.text == "new"
    assert "No audit record of this operation was written: The store is full." in notices()


@pytest.mark.parametrize(("option", "limits"), [("max_rows", Limits(max_rows=2)), ("max_deletes", Limits(None, 2))])
def test_a_limit_names_the_option_the_number_and_the_value(option: str, limits: Limits) -> None:
    limits.require(2, 2)
    with pytest.raises(RecoveryError) as caught:
        limits.require(3, 3)
    assert f"3 rows, `{option}` allows 2." in str(caught.value)
    assert f"set `{option}` to 3" in str(caught.value)
