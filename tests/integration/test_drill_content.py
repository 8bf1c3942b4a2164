# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Drills of the application compare its content with the content before the fault, and detect each fault."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest
import yaml

from tests.support.runner.modules import ModuleFailed, run_module
from tests.support.runner.server import ROOT
from tests.support.servers.application import DATABASE, ApplicationSandbox, application_sandbox

VARIABLES = yaml.safe_load((ROOT / "roles/drill/vars/main.yml").read_text())
#: The comparisons that differ after each fault.
DAMAGE = {
    "courses_damaged": {"play/course-2", "play/course-3", "play/course-5", "play/course-8"},
    "course_versions_lost": {
        "Current content of each course",
        "Published versions",
        "Columns and constraints",
        "Triggers and row security",
        *(page for page in VARIABLES["drill_application_pages"] if page.startswith("play/")),
    },
    "tags_lost": {"Tag types", "Tags", "Tag approval queue", "catalog/tag-9", "catalog/own-tag-1"},
    "organization_lost": {
        "Organizations", "Roles of users", "Tags", "organization/learnplay", "organization/o-brien",
        "login/editor@example.org", "login/user1@example.org", "catalog/own-tag-1",
    },
    "bad_migration": {
        "Current content of each course", "Published versions", "Columns and constraints", "Schemas and functions",
        "Triggers and row security",
        "catalog/tag-9", "catalog/own-tag-1",
    },
    "ransomware": {
        "Current content of each course", "Published versions", "Users", "Organizations", "Columns and constraints",
        "Triggers and row security", "organization/learnplay", "organization/o-brien",
        "login/editor@example.org", "login/user1@example.org",
    },
    "everything_lost": {
        *(query["name"] for query in VARIABLES["drill_application_queries"]), *VARIABLES["drill_application_pages"],
    },
    "media_lost": {
        "buckets/media", "media/Lesson%202.mp4", "media/audio/Lesson%201.mp3", "media/images/Lesson%203.png",
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def sandbox() -> t.Iterator[ApplicationSandbox]:
    with application_sandbox() as started:
        yield started


@pytest.fixture
def sample(sandbox: ApplicationSandbox) -> ApplicationSandbox:
    sandbox.reset()
    return sandbox


def content(sandbox: ApplicationSandbox, folder: Path, state: str, **options: t.Any) -> dict[str, t.Any]:
    arguments = {"state": state, "record": str(folder / "content.json"), "login_db": DATABASE, **sandbox.login}
    return run_module("drill_content", {**arguments, **options})


@pytest.mark.parametrize("scenario", VARIABLES["drill_application_scenarios"])
def test_the_comparison_detects_the_fault_of_each_scenario(
    sample: ApplicationSandbox, tmp_path: Path, scenario: str
) -> None:
    compared = {
        "queries": VARIABLES["drill_application_queries"],
        "urls": [f"{sample.url}/{page}" for page in VARIABLES["drill_application_pages"]],
    }
    content(sample, tmp_path, "recorded", **compared)
    undamaged = content(sample, tmp_path, "compared", **compared)
    assert (undamaged["equal"], undamaged["fingerprint"]["equal"]) == (True, True)
    assert sample.inject(scenario)["changed"] is True
    damaged = content(sample, tmp_path, "compared", **compared)
    assert (damaged["equal"], damaged["fingerprint"]["equal"]) == (False, False)
    failed = {
        check["name"].removeprefix(f"{sample.url}/") for check in damaged["checks"] if check["status"] != "passed"
    }
    assert failed == DAMAGE[scenario]


ROWS = {"name": "Tags", "query": "SELECT type_id FROM tags;"}


@pytest.mark.parametrize(
    ("change", "equal", "kept"),
    [
        ("SELECT", True, True),
        ("INSERT INTO tags SELECT md5('new')::uuid, NULL, type_id, 'New', 'new' FROM tags LIMIT 1", False, True),
        ("UPDATE tags SET type_id = md5('grade')::uuid WHERE slug = 'tag-2'", False, False),
        # As many rows as before, and of each kind at least one.
        ("DELETE FROM tags WHERE slug = 'tag-1'; INSERT INTO tags SELECT md5('new')::uuid, NULL, type_id, 'New', 'new' "
         "FROM tags WHERE slug = 'tag-2'", False, False),
        ("DROP TABLE tags CASCADE", False, False),
    ],
)  # fmt: skip
def test_rows_are_counted_one_by_one(
    sample: ApplicationSandbox, tmp_path: Path, change: str, equal: bool, kept: bool
) -> None:
    rows = {**ROWS, "compare": "kept"}
    content(sample, tmp_path, "recorded", queries=[rows])
    sample.run(change)
    assert content(sample, tmp_path, "compared", queries=[rows])["equal"] is kept
    assert content(sample, tmp_path, "compared", queries=[ROWS])["equal"] is equal


def test_a_lost_database_and_a_silent_service_differ_and_are_no_error(
    sample: ApplicationSandbox, tmp_path: Path
) -> None:
    compared = {"queries": [ROWS], "urls": [f"{sample.url}/health"]}
    content(sample, tmp_path, "recorded", **compared)
    sample.inject("database_loss")
    lost = content(sample, tmp_path, "compared", **compared)
    assert [check["status"] for check in lost["checks"]] == ["failed", "failed"]
    assert (lost["fingerprint"]["rows"], lost["fingerprint"]["equal"]) == (0, False)


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        ({"queries": [{"name": "Nothing", "query": "SELECT * FROM no_such_table"}]}, "query_failed"),
        ({"queries": [{"name": "Rows", "query": "SELECT * FROM generate_series(1, 100001)"}]}, "limit_exceeded"),
        ({"queries": [{"name": "Gone", "query": "SELECT nextval('recovery_marker_id_seq')"}]}, "query_failed"),
        ({"queries": [ROWS, ROWS]}, "invalid_options"),
        ({"urls": ["file:///etc/passwd"]}, "invalid_options"),
        ({}, "invalid_options"),
    ],
)
def test_incomplete_content_is_not_recorded(
    sample: ApplicationSandbox, tmp_path: Path, options: dict[str, t.Any], kind: str
) -> None:
    with pytest.raises(ModuleFailed) as caught:
        content(sample, tmp_path, "recorded", **options)
    assert caught.value.result["error_kind"] == kind
    assert not (tmp_path / "content.json").exists()


def test_a_page_that_fails_before_the_fault_is_not_recorded(sandbox: ApplicationSandbox, tmp_path: Path) -> None:
    with pytest.raises(ModuleFailed, match=r"play/no-course \(404 "):
        content(sandbox, tmp_path, "recorded", urls=[f"{sandbox.url}/play/no-course"])


@pytest.mark.parametrize(
    "record", ["", "{", "[]", '{"rows": {"Tags": 3}, "answers": {}}', '{"rows": {}, "answers": {}}']
)
def test_a_record_that_is_not_complete_is_refused(sandbox: ApplicationSandbox, tmp_path: Path, record: str) -> None:
    (tmp_path / "content.json").write_text(record)
    with pytest.raises(ModuleFailed) as caught:
        content(sandbox, tmp_path, "compared", queries=[ROWS])
    assert caught.value.result["error_kind"] == "invalid_options"


def test_objects_are_damaged_only_in_the_folder_of_a_sandbox(sandbox: ApplicationSandbox, tmp_path: Path) -> None:
    for options in ({"sandbox_path": str(tmp_path)}, {"sandbox_path": None}, {"recovery_environment": "production"}):
        with pytest.raises(ModuleFailed) as caught:
            sandbox.inject("media_lost", **options)
        assert caught.value.result["error_kind"] == "not_a_sandbox"


@pytest.mark.parametrize(
    "page", ["media/../backups/learnplay", "media/..%2f..%2fsandbox.json", "buckets/backups", "media/%00"]
)
def test_the_application_serves_no_file_outside_its_buckets(
    sandbox: ApplicationSandbox, tmp_path: Path, page: str
) -> None:
    with pytest.raises(ModuleFailed, match=r"\(404 "):
        content(sandbox, tmp_path, "recorded", urls=[f"{sandbox.url}/{page}"])
