# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The check of text and names rejects each phrase of its rules and accepts near text."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.tools import plain_english

# Of each rule: text that it rejects, and near text that it accepts.
EXAMPLES = {
    "actor": (
        ["Nobody listens on the port.", "a query that somebody wrote", "Needs anyone's key."],
        ["Runs as the user `nobody`.", "No process listens on the port."],
    ),
    "who": (
        ["who did what to a source", "Who confirms must read it.", "readable by whoever has the key"],
        ["The operator who confirms reads it.", "Who confirms a restore?"],
    ),
    "what": (
        ["What a listing showed may be stale.", "What the set holds\nis compared."],
        ["What does a drill prove?", "The operator decides what is restored."],
    ),
    "tell": (
        ["Tell the team.", "The channel is told.", "It tells whether the set is whole."],
        ["The tellers table is restored.", "Rows are distinguished by their key."],
    ),
    "say": (
        ["The manifest says how.", "It is not said where.", "What it said."],
        ["Use the option `say` with care.", "The report states the reason."],
    ),
    "speak": (
        ["The rule speaks of it.", "The client spoke TLS."],
        ["The speaker table is restored."],
    ),
    "go": (
        ["The run goes on.", "If that went well, continue.", "# go\n# on with the next source"],
        ["The objects go to the archive.", "Requests go on the second connection."],
    ),
    "carry_out": (
        ["Carry it out.", "is carried out by a role"],
        ["The message carries the outcome."],
    ),
    "hand_on": (
        ["The value is handed on.", "It hands them over."],
        ["Restore by hand on another host.", "The set at hand on this host is newer."],
    ),
    "without_it": (
        ["Without it, 30 days are used.", "Without them the run fails."],
        ["Without the checksum, the object is read again.", "without it"],
    ),
    "at_once": (
        ["Stops at once.", "Copies 8 tables at once."],
        ["Stops immediately.", "at the once chosen instant"],
    ),
    "anew": (
        ["The table is made anew."],
        ["The renewed lock lasts a day."],
    ),
    "meanwhile": (
        ["Meanwhile, the sessions end."],
        ["Sessions end during the restore."],
    ),
    "as_it_was": (
        ["Leaves the database as it was.", "The rows are as they were."],
        ["The database is unchanged.", "prints the expression as it was written"],
    ),
    "any_more": (
        ["The set is not needed any more.", "a channel that is no more"],
        ["There is no more than one manifest.", "If any more than 10 rows differ"],
    ),
    "there": (
        ["The object is there.", "Skips sets that are still there, and continues."],
        ["Is there a backup?", "There is no object.", "Where there are sessions, they end."],
    ),
    "image": (
        ["A doubted listing.", "The bucket is gone, nothing is lost.", "The write comes to nothing."],
        ["No row was deleted.", "Good for 30 days."],
    ),
    "chance": (
        ["a set of chance"],
        ["The chance of a collision is below 1 in a million."],
    ),
    "take_out": (
        ["takes sets out by age"],
        ["The sets take 30 GB."],
    ),
    "bring_back": (
        ["Bring it back.", "brings the deleted rows back"],
        ["Restore the deleted rows.", "The playbook brings up the sandbox."],
    ),
    "pronoun": (
        ["The lock is not ours.", "whether it is them or us"],
        ["It runs for two hours.", "the bucket us-east-1"],
    ),
    "release": (
        ["Rows are no longer read twice.", "Keys are now compared."],
        ["Rows are read once."],
    ),
}


def found(path: str, content: str) -> list[tuple[int, str]]:
    """Line and rule of each hit."""
    return [(hit.line, hit.rule) for hit in plain_english.hits(path, content)]


def rules_of(path: str, content: str) -> set[str]:
    """The rules that a file breaks."""
    return {rule for _line, rule in found(path, content)}


def page_of(rule: str) -> str:
    """A path whose text the rule applies to."""
    return "changelogs/fragments/a.yml" if rule == "release" else "docs/a.md"


def test_each_rule_has_examples() -> None:
    assert set(EXAMPLES) == {rule.name for rule in plain_english.RULES}


@pytest.mark.parametrize("rule", [rule.name for rule in plain_english.RULES])
def test_rule_rejects_its_phrases_and_accepts_near_text(rule: str) -> None:
    rejected, accepted = EXAMPLES[rule]
    assert [text for text in rejected if rule not in rules_of(page_of(rule), text)] == []
    assert [text for text in accepted if rule in rules_of(page_of(rule), text)] == []


def test_python_comments_docstrings_messages_and_test_names_are_checked() -> None:
    source = (
        '"""A module.\n\nIt is told."""\n\n'
        "# Stops at\n# once.\n"
        'VALUE = "told"\n'
        "def test_nobody_is_notified():\n"
        '    raise ValueError(f"{VALUE} was told.")\n'
    )
    assert found("plugins/a.py", source) == [(3, "tell"), (5, "at_once"), (8, "actor"), (9, "tell")]


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        ("def read_wish():\n    pass\n", [1]),
        ("class RoomLeft:\n    pass\n", [1]),
        ("def read(whole):\n    pass\n", [1]),
        ("import random\nliveTables = 1\nold = random.choice\n", [2]),
        ("delivery = places_of = wordsmith = 1\n", [1]),
        ("alive = foretold = 1\n", []),
    ],
)
def test_banned_parts_of_names_are_found_where_they_are_defined(source: str, lines: list[int]) -> None:
    assert found("plugins/a.py", source) == [(line, "identifier") for line in lines]


@pytest.mark.parametrize("path", ["plugins/_a/words.py", "tests/unit/test_room.py", "roles/a/tasks/beside.yml"])
def test_banned_file_names_are_found(path: str) -> None:
    assert found(path, "") == [(1, "identifier")]


@pytest.mark.parametrize(
    "name",
    [
        "Restore",
        "Install PostgreSQL",
        "Look at the primary server",
        "The rows are back",
        "Copy it to the host",
        "Show what was done",
        "Stop those that run",
        "Restore {{ database }}",
    ],
)
def test_task_name_without_verb_object_or_detail_is_rejected(name: str) -> None:
    play = f"- hosts: all\n  tasks:\n    - block:\n        - name: '{name}'\n          ansible.builtin.ping:\n"
    assert (4, "task_name") in found("playbooks/a.yml", play)
    assert (5, "task_name") in found("plugins/a.py", f'EXAMPLES = r"""\n{play}"""\n')


@pytest.mark.parametrize(
    "name", ["Copy the archive to {{ host }}", "Check that the server runs", "Read all recovery points"]
)
def test_task_name_with_verb_object_and_detail_is_accepted(name: str) -> None:
    play = f"- hosts: all\n  tasks:\n    - name: '{name}'\n      ansible.builtin.ping:\n"
    assert not found("playbooks/a.yml", play)


def test_names_of_data_are_no_task_names() -> None:
    assert not found("inventories/a.yml", "sources:\n  - name: media\n    kind: bucket\n- name: x\n")


def test_code_of_a_page_is_not_checked() -> None:
    assert not found("docs/a.md", "Run this:\n\n```\necho told\n```\n\nSet `told`.\n")
    assert found("docs/a.md", "```\nx\n```\n\nIt is told.\n") == [(5, "tell")]


def test_the_check_fails_on_a_hit_and_prints_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/a.md").write_text("Nobody is told.\n")
    (tmp_path / "docs/b.md").write_text("The operator is notified.\n")
    monkeypatch.setattr(plain_english, "ROOT", tmp_path)
    monkeypatch.setattr(plain_english, "tracked", lambda: ["docs/a.md", "docs/b.md"])
    assert plain_english.main([]) == 1
    assert "docs/a.md:1: tell" in capsys.readouterr().out
    assert plain_english.main(["docs/b.md"]) == 0
