#!/usr/bin/python
# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_backup
short_description: Back up a PostgreSQL database as a verified, content-addressed set
version_added: 1.0.0
description:
  - Dumps one database in one snapshot with C(pg_dump), and stores each table as an object named by its content.
    A table that did not change since the last set of the tier is neither compressed nor uploaded again.
  - Takes a fingerprint (row counts and order-independent digests) in the same snapshot, so that a later restore can be
    proved equal to its source.
  - The set exists from the moment its manifest is written, which happens last and only after the store showed every
    object. A backup that is killed leaves no set, no lock and no running child.
  - Refuses, before a byte is dumped, what would give a bad backup - a role that row-level security blinds, a transaction
    pooler, too little spool space, an unreachable store, or a backup of the same source that is running.
author:
  - lifeline.recovery contributors (@lifeline-recovery)
requirements:
  - psycopg2
  - boto3 (for S3 stores)
  - zstandard (for O(compression=zstd))
  - pg_dump, pg_dumpall, pg_restore and psql of the server's major version or newer
extends_documentation_fragment:
  - lifeline.recovery._attributes
  - lifeline.recovery._postgres
  - lifeline.recovery._postgres.client
  - lifeline.recovery._store
  - lifeline.recovery._files.progress
  - lifeline.recovery._journal
attributes:
  check_mode:
    support: full
    details:
      - In check mode all refusals are tested, and the size of the tables is reported; nothing is dumped or stored.
  diff_mode:
    support: none
  idempotent:
    support: none
    details:
      - Every run is a new recovery point, and so a new set.
options:
  source:
    description:
      - The stable name of what is backed up. It is a folder in the store.
    type: str
    required: true
  tier:
    description:
      - The tier that the set belongs to. Each tier has its own retention and shares no objects with another.
    type: str
    choices: [hourly, daily, weekly, monthly, emergency, undo]
    default: daily
  jobs:
    description:
      - Number of tables that C(pg_dump) reads in parallel, and number that the fingerprint reads in parallel.
      - More jobs end sooner and load the server more.
    type: int
    default: 2
  compression:
    description:
      - The codec of stored objects.
      - V(gzip) is slower and larger; use it if operators restore by hand without zstd.
    type: str
    choices: [zstd, gzip, none]
    default: zstd
  compression_level:
    description:
      - Level of the codec. If it is unset, it is 1 for zstd and 6 for gzip.
      - Higher levels take much more time for little less storage.
    type: int
  include_schemas:
    description:
      - Back up only schemas that match these patterns of C(pg_dump).
    type: list
    elements: str
    default: []
  exclude_schemas:
    description:
      - Leave out schemas that match these patterns.
    type: list
    elements: str
    default: []
  exclude_tables:
    description:
      - Leave out tables that match these patterns, definition and rows, with their partitions and inheritance children.
      - A name without a schema applies to the schemas of the search path. A name that matches no table is refused; a
        pattern that matches no table is reported in the notes of RV(coverage).
    type: list
    elements: str
    default: []
  exclude_table_data:
    description:
      - Leave out the rows of tables that match these patterns, for example of logs, with the rows of their partitions and
        inheritance children. Names are read as those of O(exclude_tables).
    type: list
    elements: str
    default: []
  profile:
    description:
      - Profile of objects to exclude because the platform creates them itself.
      - V(supabase) leaves out the internal schemas of a Supabase project. It keeps definitions and rows of auth and storage,
        cron jobs, queues, and the migration history of the application.
      - Set it for every database of a Supabase project. A backup as the role C(postgres) fails without it, and the restore
        within a project follows it.
    type: str
    choices: [none, supabase]
    default: none
  fingerprint:
    description:
      - V(full) records row counts and digests of all tables and materialized views, V(counts) only counts, V(none) nothing.
      - Only a set with V(full) can prove that a restore equals its source. Definitions are compared with every set that
        has a fingerprint, by what C(pg_dump) writes of them.
    type: str
    choices: [full, counts, none]
    default: full
  spool_dir:
    description:
      - Folder for the dump on its way to the store. If it is unset, the folder of the system for temporary files is used.
      - It needs room for the largest tables, not for the whole database, while uploads keep up.
    type: path
  lock_timeout:
    description:
      - Seconds to wait for tables that other sessions have locked, in total, before the backup fails with the error
        C(locked). The snapshot is taken after the wait, so that a table that is truncated and reloaded is saved with its
        new rows. Tables that are left out are not waited for.
      - V(0) waits without a limit. Raise it if reloads take longer.
    type: int
    default: 30
  accept_identity:
    description:
      - The identity of the database, as the error C(identity_changed) prints it, C(<system identifier>/<database>).
      - A source is tied to the system identifier of its server and to the name of its database. A backup of another
        database under the same source is refused, unless this option names that database. The change is recorded in the
        audit record and in the manifest. If the source has not changed, this option has no effect.
      - On a server whose system identifier the role may not read, C(host:port) as given takes its place.
      - Set it for the first backup after a planned move, for example an upgrade or a restore on a new server. A failover
        to a physical standby keeps the identity.
    type: str
seealso:
  - module: lifeline.recovery.pg_restore
  - module: lifeline.recovery.backup_verify
  - module: lifeline.recovery.backup_info
"""

EXAMPLES = r"""
- name: Back up the school's database to an S3 bucket
  lifeline.recovery.pg_backup:
    source: school
    login_host: db.example.org
    login_user: backup
    login_password: "{{ vault_backup_password }}"
    login_db: school
    store:
      bucket: school-backups
      region: eu-central-1

- name: Take an emergency set before a migration, on Cloudflare R2
  lifeline.recovery.pg_backup:
    source: school
    tier: emergency
    dsn: "{{ vault_school_dsn }}"
    store:
      provider: r2
      endpoint_url: "https://{{ account_id }}.r2.cloudflarestorage.com"
      bucket: school-backups
  register: emergency

- name: Back up a Supabase project without the rows of a log, to a local folder
  lifeline.recovery.pg_backup:
    source: lessons
    profile: supabase
    exclude_table_data:
      - public.request_log
    login_unix_socket: /run/postgresql
    login_db: lessons
    store:
      provider: directory
      path: /var/backups/lifeline
"""

RETURN = r"""
set_id:
  description: The id of the set, which is its recovery point in compact form.
  type: str
  returned: success
  sample: 20260301T020005Z
source:
  description: The source, as given.
  type: str
  returned: success
  sample: school
tier:
  description: The tier, as given.
  type: str
  returned: success
  sample: daily
recovery_point:
  description: The instant that the set shows the source at, by the server's clock.
  type: str
  returned: success
  sample: "2026-03-01T02:00:05.123+00:00"
lsn:
  description: The position in the write-ahead log at the recovery point.
  type: str
  returned: success
  sample: 0/16B3748
objects:
  description: How many files the set has.
  type: int
  returned: success
  sample: 42
tables:
  description: How many tables have rows in the set.
  type: int
  returned: success
  sample: 38
rows:
  description: How many rows all tables had, or null when there is no fingerprint.
  type: int
  returned: success
  sample: 1250000
bytes_plain:
  description: Size of the dump in bytes before compression.
  type: int
  returned: success
  sample: 734003200
bytes_stored:
  description: Size of the set's objects in the store.
  type: int
  returned: success
  sample: 183500800
bytes_uploaded:
  description: Bytes that this run sent to the store.
  type: int
  returned: success
  sample: 5242880
bytes_reused:
  description: Bytes of the set that the tier already held.
  type: int
  returned: success
  sample: 178257920
throughput:
  description: Plain bytes per second over the whole run.
  type: float
  returned: success
  sample: 146800640.0
timings:
  description: Seconds per phase. Phases overlap, so they add up to more than C(total).
  type: dict
  returned: success
  sample: {preflight: 0.05, dump: 4.1, fingerprint: 3.2, "wait for uploads": 0.4, commit: 0.02, total: 5.0}
coverage:
  description: Content of the set by kind, excluded objects, and objects that no set of this kind can hold.
  type: dict
  returned: success
  sample: {schemas: [public], tables: 38, policies: 12, grants: 40, roles: true, not_covered: [passwords of roles]}
summary:
  description: The result in one sentence.
  type: str
  returned: success
  sample: "Set 20260301T020005Z of school (daily): 38 tables, 1250000 rows, 700.0 MiB in 5.0 s; 5.0 MiB uploaded, 170.0 MiB reused."
error_kind:
  description: A stable name of what went wrong.
  type: str
  returned: failure
  sample: backup_running
"""

from ..module_utils._ansible.ansible_module import create_module, run_module
from ..module_utils._ansible.argument_specs import postgres_spec
from ..module_utils._ansible.options import request_of, spec_of
from ..module_utils._ansible.postgres_requests import connection_options
from ..module_utils._ansible.store_requests import opened_store, store_parallel, store_spec
from ..module_utils._engines.postgresql.backup.backup import (
    PostgresBackup,
    PostgresBackupRequest,
    PostgresBackupResult,
)
from ..module_utils._operations.backup import back_up

SPEC = spec_of(PostgresBackupRequest).merge(postgres_spec(), store_spec())


def main() -> None:
    module = create_module(SPEC)
    params = module.params

    def work() -> PostgresBackupResult:
        parallel = store_parallel(params)
        request = request_of(PostgresBackupRequest, params, check_mode=module.check_mode, parallel=parallel)
        return back_up(PostgresBackup(connection_options(params), request), opened_store(params))

    run_module(module, work)


if __name__ == "__main__":
    main()
