# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Objects that a dump of a managed platform leaves out, because the platform creates them."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from .selection import Selection

#: Source: the data and schema dumps of https://github.com/supabase/cli (1d1e7191). Other than these, a set holds the
#: definitions of auth, storage and supabase_functions, which tables, policies and triggers of the application refer
#: to; the migration history of the application (supabase_migrations); and queues (pgmq).
_SUPABASE_SCHEMAS = (
    "_analytics",
    "_realtime",
    "_supavisor",
    "etl",
    "extensions",
    "graphql",
    "graphql_public",
    "information_schema",
    "net",
    "pgbouncer",
    "pgsodium",
    "pgsodium_masks",
    "pgtle",
    "realtime",
    "repack",
    "tiger",
    "tiger_data",
    "timescaledb_*",
    "_timescaledb_*",
    "topology",
    "vault",
)

#: A log that grows with every run of a job, and that only describes runs of the old server.
_SUPABASE_TABLE_DATA = ("cron.job_run_details",)

#: Tables in which the platform records how far its own schemas are upgraded.
_SUPABASE_LEDGERS = ("auth.schema_migrations", "storage.migrations", "supabase_functions.migrations")


@dataclass(frozen=True)
class Profile:
    """selection: what a dump leaves out. not_covered: what the manifest names, so that a restore brings no surprise.

    ledgers: tables whose rows stay as they are when a restore keeps the schema of the platform around them.
    """

    selection: Selection
    not_covered: t.Tuple[str, ...]
    ledgers: t.Tuple[str, ...] = ()


PROFILES = {
    "none": Profile(
        Selection(), ("passwords of roles", "tablespaces", "rows of foreign tables", "settings of the server")
    ),
    "supabase": Profile(
        Selection(exclude_schemas=_SUPABASE_SCHEMAS, exclude_table_data=_SUPABASE_TABLE_DATA),
        (
            "passwords of roles",
            "secrets in vault and keys of pgsodium",
            "schemas that the platform makes: extensions, graphql, realtime and others, with policies on their tables",
            "the log of cron jobs",
            "bytes of storage objects (back up the buckets with bucket_backup)",
            "edge functions, their secrets and the settings of the project",
        ),
        _SUPABASE_LEDGERS,
    ),
}


def with_profile(selection: Selection, profile: str) -> Selection:
    """The selection with what the profile leaves out added."""
    base = PROFILES[profile].selection
    return Selection(
        include_schemas=selection.include_schemas,
        exclude_schemas=selection.exclude_schemas + base.exclude_schemas,
        exclude_tables=selection.exclude_tables + base.exclude_tables,
        exclude_table_data=selection.exclude_table_data + base.exclude_table_data,
    )
