# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The words that a plan describes its methods with: what is done, step by step, as its authors wrote it."""

from __future__ import annotations

import typing as t

#: Good and bad ones. What is wrong with the bad ones is said by the rules.
STEPS: t.Mapping[str, str] = {
    "dump": "a dump, export or set of the source is taken",
    "upload": "it is put into the store",
    "checksum": "its digest is computed and kept",
    "write_latest": "a pointer to the newest backup is written",
    "read_latest": "the newest backup is found by such a pointer",
    "no_privileges": "the dump leaves GRANTs out (pg_dump --no-privileges)",
    "d1_native_export": "a D1 database is exported by Cloudflare's own export",
    "request_pitr_backup": "an API is asked to create a backup of a point in time",
    "quiesce": "writes are stopped before a restore",
    "keep_undo": "what is about to be replaced is kept, so that the step can be taken back",
    "restore_managed": "the provider is asked to restore one of its backups in place",
    "restore_to_time": "the state of a point in time is restored",
    "restore_copy": "a backup is restored into a copy: staging, a sandbox, a temporary database",
    "restore_new": "a backup is restored into a new database that becomes the live one",
    "restore_over": "a backup is restored over the live database",
    "restore_rows": "tables or rows are merged into the live database, and others stay as they are",
    "restore_files": "files of a bucket are restored",
    "restore_version": "an older version of a document is restored",
    "rebuild": "what was lost is made again from what is left: migrations, seeds, files",
    "redeploy": "the application is deployed again",
    "neutralise": "cron jobs, webhooks and mail of a restored copy are switched off",
    "check_counts": "rows are counted after it",
    "check_content": "the content is compared with what was backed up",
    "ignore_errors": "errors of the restore are not looked at (psql without ON_ERROR_STOP, output thrown away)",
    "pg_dump_where": "rows are chosen by pg_dump --where",
    "plain_table_restore": "one table of a plain SQL dump is restored by pg_restore --table",
    "truncate_cascade": "a live table is emptied by TRUNCATE ... CASCADE and loaded again",
    "server_path": "COPY reads or writes a file of the server's own disk",
    "supabase_db_reset": "supabase db reset is run against the live project",
    "drop_unknown_ids": "ids that are not found are taken out of rows without being told",
    "paste_values": "values are pasted into the text of SQL",
    "insert_plain": "rows that may be there already are inserted without ON CONFLICT",
    "d1_import_over": "an export is imported into a D1 database that has its tables already",
    "expect_commit": "an export counts as whole when it ends with COMMIT",
    "grep_dump": "the rows of a tenant are looked for in a dump by grep",
    "grep_one_month": "that every day has its backup is judged by the names of one month",
    "fence": "the old primary can no longer be written to",
    "check_lag": "what the replica has not received yet is measured, and too much stops the failover",
    "activate_secondary": "what stands by in the secondary region is started",
    "promote": "a replica becomes the primary",
    "wait_writable": "the new primary took a write before anybody is sent to it",
    "switch_dns": "names point to the new primary",
    "switch_config": "the application gets the new address",
    "roll_back": "a step that fails takes those before it back",
}
