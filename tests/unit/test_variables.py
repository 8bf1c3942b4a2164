# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Variables that the collection reads, and the messages about others."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ansible_collections.lifeline.recovery.plugins.plugin_utils.sources import SOURCE_KEYS
from ansible_collections.lifeline.recovery.plugins.plugin_utils.variables import (
    Files,
    ignored_requests,
    misspelt_extra,
    requests_of_one_source,
    unknown_names,
)
from tests.support.roles import options_of

ROOT = Path(__file__).resolve().parents[2]
FILES = Files(ROOT)
PLAYBOOKS = sorted(path.stem for path in (ROOT / "playbooks").glob("*.yml"))


def test_every_common_variable_is_documented_and_every_documented_one_is_read() -> None:
    defaults = "".join(path.read_text() for path in ROOT.glob("roles/*/defaults/main.yml"))
    playbooks = "".join(path.read_text() for path in ROOT.glob("playbooks/*.yml"))
    read = set(re.findall(r"\b(?<!_)recovery_[a-z0-9_]+", defaults)) | set(
        re.findall(r"\b(?<!_)(recovery_[a-z0-9_]+) \| (?:default|mandatory)", playbooks)
    )
    page = (ROOT / "docs/variables.md").read_text()
    documented = set(re.findall(r"`(recovery_[a-z0-9_]+)[`=]", page))
    options = page.split("| option |")[1].split("\n\n")[0]
    of_sources = {name for row in options.splitlines() for name in re.findall(r"`(\w+)`", row.split("|")[1])}
    assert of_sources == set(SOURCE_KEYS)
    assert read - documented - {f"recovery_{option}" for option in of_sources} == set()
    assert documented - FILES.known == set()


@pytest.mark.parametrize("role", [role for role in FILES.roles if role != "common"])
def test_a_role_knows_its_own_variables(role: str) -> None:
    assert unknown_names(options_of(role), FILES, [role]) == []


@pytest.mark.parametrize("playbook", PLAYBOOKS)
def test_every_playbook_refuses_unknown_variables_under_its_own_name(playbook: str) -> None:
    text = (ROOT / f"playbooks/{playbook}.yml").read_text()
    assert re.findall(r"_playbook: (\w+)", text) == [playbook] * text.count("hosts:")
    assert re.search(r"import_tasks: tasks/(sources|variables)\.yml", text)


def test_an_unknown_variable_is_named_with_the_nearest() -> None:
    assert unknown_names(["recovery_sources", "recovery_sourcs", "ansible_host", "mine"], FILES, []) == [
        "There is no variable recovery_sourcs. Is recovery_sources meant?"
    ]
    # Variables of a role are judged where the role runs; backup_host_usr is not of the role backup.
    assert unknown_names(["backup_dir", "backup_host_usr"], FILES, ["backup"]) == [
        "There is no variable backup_dir. Is backup_tier meant?"
    ]
    assert unknown_names(["backup_dir", "monitoring_mine"], FILES, ["restore"]) == []


def test_the_command_line_may_hold_variables_of_the_user() -> None:
    assert misspelt_extra(["ansible_user", "vault_backup_password", "region", "recovery_set"], FILES) == []
    (said,) = misspelt_extra(["recover_confirm"], FILES)
    assert "recovery_confirm" in said


def test_results_of_earlier_steps_are_no_input() -> None:
    said = " ".join(misspelt_extra(["recovery_point", "recovery_database_id", "recovery_findings"], FILES))
    for name in ("recovery_point", "recovery_database_id", "recovery_findings"):
        assert f"There is no variable {name}." in said
    # They are variables of a later playbook of the same run.
    assert unknown_names(["recovery_point", "recovery_database_id"], FILES, []) == []


def test_a_request_is_refused_by_a_playbook_that_does_not_read_it() -> None:
    assert ignored_requests(["recovery_tier", "recovery_store", "recovery_confirm"], "status", FILES) == [
        "recovery_tier has no effect in status.yml."
    ]
    assert ignored_requests(["restore_rows_keys"], "restore", FILES) == [
        "restore_rows_keys has no effect in restore.yml."
    ]
    assert ignored_requests(["recovery_tier", "recovery_before", "recovery_set"], "restore", FILES) == []


def test_a_playbook_of_one_entry_point_refuses_requests_of_the_others() -> None:
    given = ["recovery_documents", "recovery_set", "recovery_reason", "recovery_max_documents"]
    assert ignored_requests(given, "recover_courses", FILES) == ["recovery_set has no effect in recover_courses.yml."]
    assert ignored_requests(given, "recover_course_versions", FILES) == [
        "recovery_documents has no effect in recover_course_versions.yml.",
        "recovery_max_documents has no effect in recover_course_versions.yml.",
    ]


def test_a_request_of_one_source_is_refused_for_several() -> None:
    sources = [{"name": "a", "database": None}, {"name": "b"}]
    given = ["recovery_target", "recovery_database", "recovery_connection", "recovery_tier"]
    assert requests_of_one_source(given, sources) == [
        "recovery_database fits one source, and 2 are selected.",
        "recovery_target fits one source, and 2 are selected.",
    ]
    assert requests_of_one_source(given, sources[1:]) == []
