#!/usr/bin/python
# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: d1_backup
short_description: Back up a Cloudflare D1 database or a SQLite file as a set
version_added: 1.0.0
description:
  - Reads everything through the query API, page by page, and does not hold the database up as the export of D1 does.
  - Values are exact - integers beyond 2^53, infinities, texts with NUL or without UTF-8, values of 2 MB. Tables and unique
    keys come first, then rows, then other indexes, views and triggers, so that the dump loads, whatever refers to what.
  - The set is committed only after the dump was loaded into SQLite on this host, as D1 loads it with foreign keys on, and found equal. If the
    bookmark of a D1 database changed during the reading, the database is read again. A file is read from a copy that shows one moment.
  - D1 runs a newer SQLite than most hosts. A definition that this host refuses is kept as text and named in RV(not_proved).
  - A full-text table is read with its rows and its settings, or built again from its content table. Parts that cannot be covered are named.
author:
  - lifeline.recovery contributors (@lifeline-recovery)
requirements:
  - SQLite 3.37 or newer in Python, with FTS5 for databases that use it
extends_documentation_fragment:
  - lifeline.recovery._attributes
  - lifeline.recovery._d1
  - lifeline.recovery._cloudflare
  - lifeline.recovery._files.progress
  - lifeline.recovery._journal
  - lifeline.recovery._store
  - lifeline.recovery._d1.file
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  idempotent:
    support: N/A
    details:
      - Each run stores a set. Unchanged content is not stored twice.
options:
  source:
    description:
      - The stable name of what is backed up.
    type: str
    required: true
  tier:
    description:
      - The tier of the set. Take an V(emergency) one before risky work.
    type: str
    choices: [hourly, daily, weekly, monthly, emergency]
    default: daily
  sql_name:
    description:
      - The name of a readable file with the whole dump, with the marks of C(strftime) in UTC, for example
        C(backups/backup-%Y-%m-%d.sql). If O(sql_name) is unset, no such file is written.
      - The file lies below C(<source>/<tier>/sql/) in the store. A later set of the same tier replaces a file of the same
        name. M(lifeline.recovery.backup_prune) removes the file with the last set that names it.
    type: str
  attempts:
    description:
      - How often to read when the database changes while it is read.
    type: int
    default: 3
  allow_inconsistent:
    description:
      - Take what was read last, although the database changed at every attempt. The set is marked so.
    type: bool
    default: false
  accept_identity:
    description:
      - The identity of the database of D1, as the error C(identity_changed) prints it, C(<id>/<name>).
      - A source is tied to the id of its database. A backup of another database under the same source is refused, unless
        this option names that database. The change is recorded in the audit record. If the source has not changed, this
        option has no effect.
      - Set it for the first backup after a planned move, for example a restore into a new database.
      - A file has no identity but its path, which is not compared.
    type: str
  compression:
    description:
      - How objects are compressed.
    type: str
    choices: [zstd, gzip, none]
    default: zstd
  spool_dir:
    description:
      - Folder with space for the dump twice. If it is unset, the folder of the system for temporary files is used.
    type: path
seealso:
  - module: lifeline.recovery.d1_restore
  - module: lifeline.recovery.backup_verify
"""

EXAMPLES = r"""
- name: Back up every night, with the file that the plan names
  lifeline.recovery.d1_backup:
    account_id: 0123456789abcdef0123456789abcdef
    database: studio-platform-db
    source: studio
    sql_name: backups/backup-%Y-%m-%d.sql
    store:
      provider: r2
      endpoint_url: https://0123456789abcdef.r2.cloudflarestorage.com
      bucket: studio-platform-backups

- name: Take a set before a migration
  lifeline.recovery.d1_backup:
    account_id: 0123456789abcdef0123456789abcdef
    database: studio-platform-db
    source: studio
    tier: emergency
    store:
      bucket: studio-platform-backups

- name: Back up a file
  lifeline.recovery.d1_backup:
    path: /srv/app/app.sqlite
    source: app
    store:
      provider: directory
      path: /var/backups/lifeline
"""

RETURN = r"""
set_id:
  description: The id of the set.
  type: str
  returned: success
  sample: 20260301T020005Z
source:
  description: The source.
  type: str
  returned: success
  sample: studio
tier:
  description: The tier.
  type: str
  returned: success
  sample: daily
recovery_point:
  description: The instant that the set shows.
  type: str
  returned: success
  sample: "2026-03-01T02:00:05.123+00:00"
bookmark:
  description: The bookmark of that state, or null for a file.
  type: str
  returned: success
  sample: 00000085-0000024c-00004c6d-8e61117bf38d7adb71b934ebbf891683
consistent:
  description: Whether nothing was written while everything was read.
  type: bool
  returned: success
  sample: true
tables:
  description: How many tables.
  type: int
  returned: success
  sample: 72
rows:
  description: How many rows, those of full-text tables among them.
  type: int
  returned: success
  sample: 125000
not_covered:
  description: Virtual tables that stay empty after a restore.
  type: list
  elements: str
  returned: success
  sample: []
not_proved:
  description:
    - Definitions that SQLite of the backup host refuses, each with the reason, because D1 runs a newer version.
    - The set holds them as text. The rows of such a table are loaded and compared nonetheless. A restore into D1 makes and
      compares all of them, a restore into a file on such a host leaves them out.
  type: list
  elements: str
  returned: success
  sample: ['view totals (near "ORDER": syntax error)']
bytes_plain:
  description: Size of the dump.
  type: int
  returned: success
  sample: 41943040
bytes_uploaded:
  description: Bytes sent to the store.
  type: int
  returned: success
  sample: 1048576
sql_key:
  description: The key of the dump as one file, or null.
  type: str
  returned: success
  sample: studio/daily/sql/backups/backup-2026-03-01.sql
timings:
  description: Seconds per phase, with the total last.
  type: dict
  returned: success
  sample: {preflight: 0.1, read: 9.1, prove: 2.2, store: 1.0, commit: 0.1, total: 12.5}
summary:
  description: One sentence.
  type: str
  returned: success
  sample: "Set 20260301T020005Z of studio (daily): 72 tables, 125000 rows, 40.0 MiB, loaded and found equal; 1.0 MiB uploaded."
error_kind:
  description: A stable name of what went wrong.
  type: str
  returned: failure
  sample: inconsistent
"""

from ..module_utils._ansible.ansible_module import create_module, run_module
from ..module_utils._ansible.argument_specs import d1_spec
from ..module_utils._ansible.options import ArgumentSpec, request_of, spec_of
from ..module_utils._ansible.sqlite_requests import sqlite_engine
from ..module_utils._ansible.store_requests import opened_store, store_parallel, store_spec
from ..module_utils._engines.sqlite.backup import (
    SqliteBackup,
    SqliteBackupRequest,
    SqliteBackupResult,
)
from ..module_utils._operations.backup import back_up

FILE = ArgumentSpec({"path": {"type": "path"}}, mutually_exclusive=[["path", "database"]])
SPEC = spec_of(SqliteBackupRequest).merge(FILE, d1_spec(), store_spec())


def main() -> None:
    module = create_module(SPEC)
    params = module.params

    def work() -> SqliteBackupResult:
        parallel = store_parallel(params)
        request = request_of(SqliteBackupRequest, params, check_mode=module.check_mode, parallel=parallel)
        return back_up(SqliteBackup(sqlite_engine(params, read_only=True), request), opened_store(params))

    run_module(module, work)


if __name__ == "__main__":
    main()
