# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What to leave out of a dump of a managed platform, because the platform makes it itself."""

from __future__ import annotations

from .dump import Selection

#: Source: the data and schema dumps of Supabase's own command line tool. Its internal schemas are rebuilt
#: by every project; the contents of auth and storage are the users' and stay in.
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
    "pgmq",
    "pgsodium",
    "pgsodium_masks",
    "pgtle",
    "realtime",
    "repack",
    "supabase_functions",
    "supabase_migrations",
    "tiger",
    "tiger_data",
    "timescaledb_*",
    "_timescaledb_*",
    "topology",
    "vault",
)

_SUPABASE_TABLE_DATA = (
    "auth.schema_migrations",
    "storage.migrations",
    "supabase_functions.migrations",
)

PROFILES = {
    "none": Selection(),
    "supabase": Selection(exclude_schemas=_SUPABASE_SCHEMAS, exclude_table_data=_SUPABASE_TABLE_DATA),
}

#: Named in the manifest so that nobody learns it during a restore.
NOT_COVERED = {
    "none": ("passwords of roles", "tablespaces", "rows of foreign tables", "settings of the server"),
    "supabase": (
        "passwords of roles",
        "secrets in vault",
        "schemas that the platform rebuilds",
        "bytes of storage objects",
        "edge functions and project settings",
    ),
}


def with_profile(selection: Selection, profile: str) -> Selection:
    """The selection with what the profile leaves out added."""
    base = PROFILES[profile]
    return Selection(
        include_schemas=selection.include_schemas,
        exclude_schemas=selection.exclude_schemas + base.exclude_schemas,
        exclude_tables=selection.exclude_tables + base.exclude_tables,
        exclude_table_data=selection.exclude_table_data + base.exclude_table_data,
    )
