# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Pending migrations are applied and recorded once, after an emergency set of the database."""

from __future__ import annotations

from testinfra.host import Host

from tests.support.containers import nothing_left, sets_of, sql


def test_every_migration_is_applied_and_recorded(host: Host) -> None:
    query = "SELECT string_agg(version, ' ' ORDER BY version) FROM supabase_migrations.schema_migrations"
    assert sql(host, "migrated", query) == "20260301000001 20260301000002"
    assert sql(host, "migrated", "SELECT string_agg(title, ', ' ORDER BY id) FROM tracks") == "Intro, It's over"
    assert sql(host, "migrated", "SELECT count(*) FROM tracks WHERE length IS NULL") == "2"


def test_each_run_that_changes_the_database_has_an_emergency_set(host: Host) -> None:
    assert len(sets_of(host, "migrate", "studio", "emergency")) == 2
    assert nothing_left(host)
