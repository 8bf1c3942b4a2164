# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Databases that swaps kept are shown by status, and dropped by a policy that is confirmed."""

from __future__ import annotations

import secrets
import typing as t
from datetime import timedelta

import pytest

from ansible_collections.lifeline.recovery.plugins.module_utils._core.clock import compact_instant, utc_now
from ansible_collections.lifeline.recovery.plugins.module_utils._engines.postgresql.restore.databases import (
    derived_name,
)
from tests.support.operator import Operator
from tests.support.runner.modules import ModuleFailed, run_module
from tests.support.servers.postgres import PostgresServer

Options = dict[str, t.Any]


@pytest.fixture
def keep(postgres: PostgresServer) -> t.Iterator[t.Callable[..., str]]:
    """Creates a database as a swap of so many days ago would have kept it."""
    made = []

    def create(database: str, days: float, word: str = "_before_") -> str:
        stamp = compact_instant(utc_now() - timedelta(days=days)).lower()
        name = derived_name(database, f"{word}{stamp}")
        with postgres.session("postgres") as cursor:
            cursor.execute(f'CREATE DATABASE "{name}"')
        made.append(name)
        return name

    yield create
    for name in made:
        postgres.drop_database(name)


def names(postgres: PostgresServer) -> set[str]:
    with postgres.session("postgres") as cursor:
        cursor.execute("SELECT datname FROM pg_database")
        return {row[0] for row in cursor.fetchall()}


def login(postgres: PostgresServer, database: str) -> Options:
    return {**postgres.module_options(), "login_db": database}


def test_a_policy_drops_old_databases_after_a_confirmation_and_no_other(
    postgres: PostgresServer, database: str, store: Options, keep: t.Callable[..., str]
) -> None:
    old, undone, young = keep(database, 40), keep(database, 30, "_undone_"), keep(database, 2)
    # The same words behind another name, and a name that only looks like one.
    bystanders = [keep(f"{database}_copy", 90), f"{database}_before_christmas"]
    with postgres.session("postgres") as cursor:
        cursor.execute(f'CREATE DATABASE "{bystanders[1]}"')
    requested = {**login(postgres, database), "keep_days": 14, "source": "school", "store": store}
    planned = run_module("pg_prune", requested, check_mode=True)
    assert planned["removed"] == [old, undone]
    assert planned["diff"]["after"].startswith(young)
    assert {old, undone, young} <= names(postgres)
    with pytest.raises(ModuleFailed) as caught:
        run_module("pg_prune", requested)
    assert caught.value.result["error_kind"] == "confirmation_required"
    assert f"This drops {old}, {undone}, which restores kept of '{database}' in production" in str(caught.value)
    assert {old, undone, young} <= names(postgres)
    # A database that appears after the plan was read is not confirmed by its digest.
    late = keep(database, 50)
    with pytest.raises(ModuleFailed):
        run_module("pg_prune", {**requested, "recovery_confirm": planned["plan_digest"]})
    with postgres.session(old):
        done = run_module("pg_prune", {**requested, "recovery_confirm": database})
    assert (sorted(done["removed"]), done["in_use"]) == (sorted([late, undone]), [old])
    assert {young, old, database, *bystanders} <= names(postgres)
    assert run_module("pg_prune", {**requested, "recovery_confirm": database})["removed"] == [old]
    assert run_module("pg_prune", {**requested, "keep_days": 0})["changed"] is False
    (record, *_rest) = run_module("audit_info", {"source": "school", "store": store, "operation": "prune"})["records"]
    assert record["details"]["dropped"] == [old]
    postgres.drop_database(bystanders[1])
    with pytest.raises(ModuleFailed, match="`keep_days` must be at least 0, got -1"):
        run_module("pg_prune", {**requested, "keep_days": -1})


def test_a_name_that_may_be_of_two_databases_is_left_alone(
    postgres: PostgresServer, keep: t.Callable[..., str]
) -> None:
    stem = f"long_{secrets.token_hex(20)}_"
    for end in ("a" * 12, "b" * 12):
        with postgres.session("postgres") as cursor:
            cursor.execute(f'CREATE DATABASE "{stem}{end}"')
    try:
        name = keep(f"{stem}{'a' * 12}", 40)
        requested = {**login(postgres, f"{stem}{'a' * 12}"), "minimum": 0, "recovery_environment": "sandbox"}
        assert run_module("pg_prune", requested)["removed"] == []
        postgres.drop_database(f"{stem}{'b' * 12}")
        assert run_module("pg_prune", requested)["removed"] == [name]
    finally:
        for end in ("a" * 12, "b" * 12):
            postgres.drop_database(f"{stem}{end}")


def test_status_shows_what_a_swap_kept(postgres: PostgresServer, database: str, folder_store: Options) -> None:
    with postgres.session(database) as cursor:
        cursor.execute("CREATE TABLE public.t (id int PRIMARY KEY); INSERT INTO public.t VALUES (1)")
    options = {**login(postgres, database), "source": "school", "store": folder_store}
    run_module("pg_backup", options)
    confirmed = {"target_db": database, "recovery_confirm": database}
    kept = run_module("pg_restore", {**options, "mode": "swap", **confirmed})["undo"]["undo_db"]
    try:
        (seen,) = run_module("recovery_status", options)["kept"]
        assert seen["name"] == kept
        assert seen["bytes"] > 1_000_000
        assert seen["age_seconds"] < 300
    finally:
        postgres.drop_database(kept)


def test_prune_drops_what_swaps_kept_after_a_confirmation(
    operator: Operator, postgres: PostgresServer, database: str, store: Options, keep: t.Callable[..., str]
) -> None:
    oldest, old, young = keep(database, 50), keep(database, 40), keep(database, 2)
    options = {**login(postgres, database), "source": "school", "store": store}
    run_module("pg_backup", options)
    # A scheduled run is confirmed by the policy of the source, and its audit record shows the confirmation.
    scheduled = {**options, "keep_days": 45, "confirmed_by_policy": True, "recovery_environment": "production"}
    assert run_module("pg_prune", scheduled)["removed"] == [oldest]
    (record, *_earlier) = run_module("audit_info", {"source": "school", "store": store})["records"]
    assert record["details"]["confirmed_by"] == "the policy of the source"
    inventory = {
        "recovery_sources": [{"name": "school", "database": database, "connection": login(postgres, database)}],
        "recovery_source": "school",
        "recovery_store": store,
        "recovery_kept_databases": {"keep_days": 14},
    }
    inventory["recovery_sources"][0]["connection"].pop("login_db")
    refused = operator.play("prune", inventory=inventory)
    assert refused.returncode != 0
    assert f"This drops {old}, which restores kept of '{database}' in production" in " ".join(refused.stdout.split())
    assert old in names(postgres)
    done = operator.cold.play("prune", "-e", f"recovery_confirm={database}", inventory=inventory)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"Dropped 1 of 2 databases that restores of '{database}' kept: {old}" in " ".join(done.stdout.split())
    assert old not in names(postgres)
    assert young in names(postgres)
    assert postgres.password not in done.stdout + refused.stdout
