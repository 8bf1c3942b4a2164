# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The variables that a source of recovery_sources brings to a playbook."""

from __future__ import annotations

from ansible_collections.lifeline.recovery.plugins.filter.source_variables import source_variables


def test_options_of_a_source_are_variables_of_the_playbook() -> None:
    source = {"name": "a", "kind": "d1", "rpo_seconds": 5, "checks": [1], "vars": {"recovery_database": "a"}}
    assert source_variables(source, {}, []) == {
        "recovery_database": "a", "recovery_rpo_seconds": 5, "recovery_checks": [1], "recovery_engine": "sqlite",
    }  # fmt: skip
    assert source_variables({}, {}, []) == {}


def test_what_another_source_set_gets_the_value_of_the_inventory_or_none() -> None:
    loaded = ["recovery_engine", "recovery_retention", "recovery_database", "recovery_files", "recovery_rpo_seconds"]
    found = source_variables({"vars": {"recovery_database": "b"}}, {"recovery_retention": [1]}, loaded)
    assert found == {
        "recovery_database": "b", "recovery_engine": "postgresql", "recovery_retention": [1], "recovery_files": {},
        "recovery_rpo_seconds": 86400,
    }  # fmt: skip
