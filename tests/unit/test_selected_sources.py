# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.lifeline.recovery.plugins.filter.selected_sources import selected_sources
from ansible_collections.lifeline.recovery.plugins.module_utils._sandbox.programs import PostgresPrograms, nearest_first

SOURCES = [{"name": "school"}, {"name": "media", "kind": "bucket"}]


def test_a_name_selects_one_source_and_no_name_selects_all() -> None:
    assert selected_sources(SOURCES, "media") == [SOURCES[1]]
    assert selected_sources(SOURCES) == SOURCES
    assert selected_sources([], "school") == [{"name": "school"}]
    assert selected_sources([], "") == []


@pytest.mark.parametrize(("name", "hint"), [("shcool", "did you mean 'school'?"), ("x", "known are media, school")])
def test_an_unknown_name_is_refused_with_the_known_names(name: str, hint: str) -> None:
    with pytest.raises(AnsibleFilterError, match=f"recovery_source is '{name}'") as caught:
        selected_sources(SOURCES, name)
    assert hint in str(caught.value)


@pytest.mark.parametrize(
    ("source", "order"),
    [("15.4", ["15", "16", "18", "14"]), ("17.1", ["18", "16", "15", "14"]), ("odd", ["18", "16", "15", "14"])],
)
def test_a_sandbox_prefers_the_major_version_of_the_source_then_newer_ones(source: str, order: list[str]) -> None:
    found = [PostgresPrograms(version, f"/{version}") for version in ("18", "16", "15", "14")]
    assert [item.version for item in nearest_first(found, source)] == order
    twice = [PostgresPrograms("15", "/wheel", "/wheel.libs"), PostgresPrograms("15", "/system")]
    assert nearest_first(twice, "15.2")[0].bin_dir == "/system"
