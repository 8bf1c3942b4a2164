# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The source model: options of sources, their precedence, their variables, and what is refused."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.lifeline.recovery.plugins.plugin_utils.sources import (
    KINDS,
    complete,
    faults,
    selected_names,
    selection_faults,
    single_source,
    variables,
)

SOURCES: list[dict[str, t.Any]] = [{"name": "school"}, {"name": "media", "files": {}}, {"name": "app", "kind": "d1"}]


def test_the_command_line_comes_before_the_source_and_the_source_before_the_inventory() -> None:
    source = {"name": "school", "database": "a", "rpo_seconds": 5}
    inventory = {"recovery_database": "b", "recovery_store": {"path": "/srv"}, "recovery_rpo_seconds": 9}
    assert complete(source, inventory, {"recovery_rpo_seconds": 1}) == {
        "name": "school", "kind": "postgresql", "store": {"path": "/srv"}, "rpo_seconds": 1, "database": "a",
    }  # fmt: skip


def test_a_source_gets_only_options_of_its_kind() -> None:
    inventory = {"recovery_database": "b", "recovery_files": {"bucket": "f"}, "recovery_sql_name": "x"}
    assert complete({"name": "media", "kind": "bucket"}, inventory, {}) == {
        "name": "media", "kind": "bucket", "files": {"bucket": "f"},
    }  # fmt: skip
    assert set(complete({"name": "app", "kind": "d1"}, inventory, {})) == {"name", "kind", "database", "sql_name"}


@pytest.mark.parametrize(
    ("inventory", "kind"),
    [
        ({}, "postgresql"),
        ({"recovery_files": {"bucket": "f"}, "recovery_database": "x"}, "bucket"),
        ({"recovery_files": {}}, "postgresql"),
        ({"recovery_files": {"bucket": "f"}, "recovery_kind": "d1"}, "d1"),
    ],
)
def test_the_variables_of_an_inventory_describe_one_source(inventory: dict[str, t.Any], kind: str) -> None:
    assert single_source("school", inventory) == {"name": "school", "kind": kind}


def test_the_variables_of_a_source_are_its_own_options_and_those_of_earlier_sources() -> None:
    source = {"name": "b", "kind": "postgresql", "database": "b", "retention": [1], "store": {"path": "/srv"}}
    loaded = ["recovery_kind", "recovery_retention", "recovery_database", "recovery_files", "recovery_rpo_seconds"]
    assert variables(source, ["name", "database"], loaded) == {
        "recovery_kind": "postgresql", "recovery_database": "b", "recovery_retention": [1], "recovery_files": {},
        "recovery_rpo_seconds": "",
    }  # fmt: skip
    assert variables(source, ["name", "database"], []) == {"recovery_kind": "postgresql", "recovery_database": "b"}


@pytest.mark.parametrize(
    ("given", "names"),
    [("", []), (None, []), ("a", ["a"]), ("a,b, c", ["a", "b", "c"]), (["a", "b"], ["a", "b"]), (" , ", [])],
)
def test_one_or_several_sources_are_selected(given: t.Any, names: list[str]) -> None:
    assert selected_names(given) == names


@pytest.mark.parametrize(
    ("source", "fault"),
    [
        ({"kind": "d1"}, "recovery_sources[2]: name is required."),
        ({"name": "school"}, "recovery_sources, school: two sources have this name."),
        ({"name": "a", "kind": "s3"}, "recovery_sources, a: kind must be postgresql, bucket, d1 or supabase, got s3."),
        ({"name": "a", "rpo_second": 1}, "rpo_second is not an option of a source. Is rpo_seconds meant?"),
        ({"name": "a", "recovery_database": 1}, "recovery_database is not an option of a source. Is database meant?"),
        ({"name": "a", "vars": {}}, "vars is not an option of a source."),
        ({"name": "a", "kind": "d1", "files": {}}, "files is an option of the kind bucket; this source is of the kind"),
        ({"name": "a", "kind": "bucket", "check_files": {}}, "check_files is an option of the kind postgresql or d1"),
    ],
)
def test_a_source_that_is_described_wrongly_is_refused(source: dict[str, t.Any], fault: str) -> None:
    (found,) = faults([{"name": "school"}, {"name": "media"}, source])
    assert fault in found


def select(names: list[str], kinds: t.Sequence[str] = KINDS, every: bool = False) -> str:
    return " ".join(selection_faults(SOURCES, names, kinds, every=every, playbook="restore"))


def test_sources_are_selected_by_name_and_kind() -> None:
    assert select(["school", "media"]) == ""
    assert select([], every=True) == ""
    assert select([]) == "recovery_source is required: school, media, app fits restore.yml."
    assert "app fits" in select([], ["d1"])
    assert "no source of recovery_sources fits" in " ".join(
        selection_faults(SOURCES[:1], [], ["d1"], every=False, playbook="x")
    )
    assert select(["media"], ["postgresql", "d1"]) == (
        "recovery_source media is of the kind bucket; restore.yml works on postgresql or d1."
    )
    assert select(["school", "medai"]) == "recovery_source must be one of recovery_sources, got medai. Is media meant?"


def test_without_recovery_sources_one_name_is_required() -> None:
    def of(names: list[str], every: bool = False) -> str:
        return " ".join(selection_faults([], names, KINDS, every=every, playbook="backup"))

    assert of(["school"]) == ""
    assert of([]) == "recovery_source is required: the name of the source."
    assert of([], every=True) == ""
    assert of(["a", "b"]) == "recovery_sources is required for more than one source."
