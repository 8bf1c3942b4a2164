# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The steps of methods in a plan, valid and invalid ones."""

from __future__ import annotations

import typing as t

#: The rules describe the problem of each invalid step.
STEPS: t.Mapping[str, str] = {
    "dump": "a dump, export or set of the source is created",
    "upload": "it is uploaded to the store",
    "checksum": "its digest is computed and stored",
    "write_latest": "a pointer to the newest backup is written",
    "read_latest": "the newest backup is found by such a pointer",
    "no_privileges": "the dump excludes GRANTs (pg_dump --no-privileges)",
    "d1_native_export": "a D1 database is exported by Cloudflare's own export",
    "request_pitr_backup": "an API is asked to create a backup of a point in time",
    "quiesce": "writes are stopped before a restore",
    "keep_undo": "the data is kept before it is replaced, so that the step can be undone",
    "restore_managed": "the provider is asked to restore one of its backups in place",
    "restore_to_time": "the state of a point in time is restored",
    "restore_copy": "a backup is restored into a copy: staging, a sandbox, a temporary database",
    "restore_new": "a backup is restored into a new database that replaces the production database",
    "restore_over": "a backup is restored over the production database",
    "restore_rows": "tables or rows are merged into the production database, and others stay unchanged",
    "restore_files": "files of a bucket are restored",
    "restore_version": "an older version of a document is restored",
    "rebuild": "lost data is created again from other sources: migrations, seeds, files",
    "redeploy": "the application is deployed again",
    "neutralise": "cron jobs, webhooks and mail of a restored copy are disabled",
    "check_counts": "rows are counted after the restore",
    "check_content": "the content is compared with the source of the backup",
    "ignore_errors": "errors of the restore are ignored (psql without ON_ERROR_STOP, output discarded)",
    "pg_dump_where": "rows are selected by pg_dump --where",
    "plain_table_restore": "one table of a plain SQL dump is restored by pg_restore --table",
    "truncate_cascade": "a production table is emptied by TRUNCATE ... CASCADE and loaded again",
    "server_path": "COPY reads or writes a file of the server's own disk",
    "supabase_db_reset": "supabase db reset is run against the production project",
    "drop_unknown_ids": "unknown ids are removed from rows without a message",
    "paste_values": "values are pasted into the text of SQL",
    "insert_plain": "rows that may exist are inserted without ON CONFLICT",
    "d1_import_over": "an export is imported into a D1 database that has its tables already",
    "expect_commit": "an export counts as complete if it ends with COMMIT",
    "grep_dump": "the rows of a tenant are searched in a dump by grep",
    "grep_one_month": "the backups of every day are judged by the file names of one month",
    "fence": "writes to the old primary are blocked",
    "check_lag": "the lag of the replica is measured, and too much lag stops the failover",
    "activate_secondary": "the standby systems in the secondary region are started",
    "promote": "a replica becomes the primary",
    "wait_writable": "the new primary accepts a write before users are sent to it",
    "switch_dns": "names point to the new primary",
    "switch_config": "the application gets the new address",
    "roll_back": "a failed step undoes the steps before it",
}
