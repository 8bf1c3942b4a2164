# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Variables of playbooks and roles: one name for one meaning, and no name that does nothing."""

from __future__ import annotations

import typing as t

import pytest

from tests.support.data.school import load_school
from tests.support.operator import Operator
from tests.support.servers.postgres import PostgresServer

SOURCES = [
    {"name": "school", "database": "school"},
    {"name": "media", "kind": "bucket", "files": {"provider": "directory", "path": "/nowhere"}},
]
NOWHERE = {"provider": "directory", "path": "/nowhere"}


@pytest.mark.parametrize(
    ("playbook", "arguments", "inventory", "expected"),
    [
        ("restore", ["-e", "restore_arhcive=old.sql.gz"], {}, "restore_arhcive. Is restore_archive meant?"),
        ("restore", ["-e", "recovry_set=x"], {}, "There is no variable recovry_set. Is recovery_set meant?"),
        ("restore", ["-e", "restore_rows_kees=x"], {}, "Is restore_rows_keys meant?"),
        ("restore", ["-e", "recovery_keys={}"], {}, "recovery_keys has no effect in restore.yml."),
        ("backup", ["-e", "recovery_before=2026-01-01"], {}, "recovery_before has no effect in backup.yml."),
        ("status", ["-e", "recovery_tier=daily"], {}, "recovery_tier has no effect in status.yml."),
        ("restore_rows", [], {"recovery_confrim": "x"}, "Is recovery_confirm meant?"),
        ("backup", [], {"backup_teir": "daily"}, "Is backup_tier meant?"),
        ("backup", [], {"recovery_sources": SOURCES, "recovery_source": "shcool"}, "got shcool. Is school meant?"),
        ("restore_rows", ["-e", "recovery_source=media"], {"recovery_sources": SOURCES}, "media is of the kind bucket"),
        ("restore", [], {"recovery_sources": SOURCES}, "recovery_source is required: school, media fits restore.yml."),
        ("restore", [], {}, "recovery_source is required: the name of the source."),
        ("restore", ["-e", "recovery_source=school,media", "-e", "recovery_target=a"], {"recovery_sources": SOURCES},
         "recovery_target fits one source, and 2 are selected."),
        ("verify", ["-e", "recovery_source=skool"], {"recovery_sources": SOURCES}, "Is school meant?"),
        ("pitr", ["-e", "recovery_source=media"], {"recovery_sources": SOURCES}, "pitr.yml works on postgresql."),
        ("pitr", ["-e", "recovery_source=school"], {"recovery_sources": SOURCES},
         "recovery_source school has no option stanza, which pitr.yml requires."),
        ("restore_point_in_time", [], {"recovery_sources": [*SOURCES, {"name": "app", "stanza": "main"}]},
         "recovery_source is required: app fits restore_point_in_time.yml."),
        ("restore_point_in_time", ["-e", "recovery_source=app"], {"recovery_sources": [{"name": "app", "stanza": ""}]},
         "recovery_source app has no option stanza, which restore_point_in_time.yml requires."),
        ("prune", [], {"recovery_sources": [{"name": "app", "kind": "supabase"}]},
         "prune.yml works on sources of the kind postgresql, bucket or d1; recovery_sources has none."),
        ("status", [], {"recovery_sources": [{"name": "a", "rpo_second": 5}]}, "Is rpo_seconds meant?"),
        ("status", [], {"recovery_sources": [{"name": "a"}, {"name": "a"}]}, "two sources have this name"),
        ("prune", [], {"recovery_sources": [{"name": "a", "kind": "postgres"}]}, "kind must be postgresql, bucket"),
        ("prune", [], {"recovery_sources": [{"name": "a", "databse": "x"}]}, "Is database meant?"),
    ],
)  # fmt: skip
def test_a_variable_without_effect_is_refused_before_anything_is_done(
    operator: Operator, playbook: str, arguments: list[str], inventory: dict[str, t.Any], expected: str
) -> None:
    done = operator.play(playbook, *arguments, inventory={"recovery_store": NOWHERE, **inventory})
    assert done.returncode == 2, done.stdout + done.stderr
    assert expected in " ".join(done.stdout.split()), done.stdout
    assert "Nothing was done." in done.stdout
    assert "changed=0" in done.stdout


def test_variables_of_other_sources_may_be_undefined(operator: Operator) -> None:
    sources = [
        {"name": "school", "database": "{{ database_of_the_school }}"},
        {"name": "{{ 'oth' ~ 'er' }}", "kind": "bucket", "files": "{{ vault_that_is_not_loaded }}"},
    ]
    done = operator.play(
        "restore", "-e", "recovery_source=school",
        inventory={"recovery_store": NOWHERE, "recovery_sources": sources, "database_of_the_school": "school"},
    )  # fmt: skip
    # The first thing that is missing here is the connection.
    assert "vault_that_is_not_loaded" not in done.stdout
    assert "cannot be reached" in done.stdout or "login" in done.stdout, done.stdout
    refused = operator.play("restore_rows", "-e", "recovery_source=other", inventory={"recovery_sources": sources})
    assert "recovery_source other is of the kind bucket" in " ".join(refused.stdout.split())


def test_no_variable_of_a_source_reaches_the_next_one(operator: Operator, folder_store: dict[str, t.Any]) -> None:
    """A playbook of the user imports the playbook of the collection for one source after the other."""
    bucket = operator.home / "files-of-three"
    bucket.mkdir()
    (bucket / "a").write_text("a")
    store = {**folder_store, "path": str(operator.home / "store-of-three")}
    files = {"files": {"provider": "directory", "path": str(bucket)}}
    sources = [
        {
            "name": "strict",
            "kind": "bucket",
            "retention": [{"tier": "daily", "keep_daily": 1, "minimum": 1}],
            **files,
        },
        {"name": "kept", "kind": "bucket", **files},
    ]
    inventory = {
        "recovery_store": store, "recovery_sources": sources, "recovery_verify_depth": "none",
        "recovery_retention": [{"tier": "daily", "keep_daily": 30, "minimum": 7}],
    }  # fmt: skip
    plays = [
        {"import_playbook": "lifeline.recovery.backup", "vars": {"recovery_source": name}}
        for name in ("strict", "kept") * 3
    ]
    plays += [
        {"import_playbook": "lifeline.recovery.prune", "vars": {"recovery_source": name}} for name in ("strict", "kept")
    ]
    done = operator.play(str(operator.write("site.yml", plays)), inventory=inventory)
    assert done.returncode == 0, done.stdout
    kept = {
        name: len(list((operator.home / f"store-of-three/{name}/daily/sets").iterdir())) for name in ("strict", "kept")
    }
    assert kept == {"strict": 1, "kept": 3}


def test_a_role_in_a_playbook_of_the_user_refuses_unknown_variables(operator: Operator) -> None:
    plays = [
        {"hosts": "localhost", "gather_facts": False, "vars": {"backup_dir": "/srv", "restore_mod": "new"},
         "roles": ["lifeline.recovery.restore"]},
    ]  # fmt: skip
    done = operator.play(str(operator.write("site.yml", plays)), "-e", "mine=1", inventory={"monitoring_mine": True})
    assert done.returncode == 2, done.stdout
    assert "There is no variable restore_mod. Is restore_mode meant?" in " ".join(done.stdout.split())
    assert "backup_dir" not in done.stdout


def test_the_common_names_select_set_tier_mode_and_target(
    operator: Operator, postgres: PostgresServer, database: str, store: dict[str, t.Any]
) -> None:
    load_school(postgres, database)
    login = postgres.module_options()
    login.pop("login_db")
    inventory = {
        "recovery_source": "school",
        "recovery_database": database,
        "recovery_connection": login,
        "recovery_store": store,
        "recovery_verify_depth": "presence",
    }
    for tier in ("weekly", "daily"):
        done = operator.play("backup", "-e", f"recovery_tier={tier}", inventory=inventory)
        assert done.returncode == 0, done.stdout + done.stderr
        assert f"/{tier}/" in done.stdout or tier in done.stdout
    target = f"{database}_copy"
    planned = operator.play(
        "restore", "--check", "-e", "recovery_tier=weekly", "-e", f"recovery_target={target}", inventory=inventory
    )
    assert planned.returncode == 0, planned.stdout
    assert target in planned.stdout
    swap = operator.play("restore", "--check", "-e", "recovery_mode=swap", inventory=inventory)
    assert swap.returncode == 0, swap.stdout
    assert "swap" in swap.stdout
    early = operator.play("restore", "--check", "-e", "recovery_before=2020-01-01T00:00:00Z", inventory=inventory)
    assert early.returncode == 2, early.stdout
    assert "2020-01-01" in early.stdout
    other = operator.play("restore", "--check", "-e", "recovery_set=20200101T000000Z", inventory=inventory)
    assert other.returncode == 2, other.stdout
    assert "20200101T000000Z" in other.stdout
