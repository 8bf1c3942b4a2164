#!/usr/bin/python
# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_pitr_info
short_description: Show the recovery window of a cluster and the transactions around an incident
version_added: 1.0.0
description:
  - Reads a pgBackRest repository, and returns the window that M(lifeline.recovery.pg_pitr) can recover to, the backups, gaps
    of the archive, and whether the server archives.
  - If O(around) is set, it lists the transactions that ended around an instant, with the number of inserted, updated and
    deleted rows per table. They are read from the archived WAL, so that the list works without the server.
author:
  - lifeline.recovery contributors (@lifeline-recovery)
requirements:
  - pgBackRest 2.41 or newer
  - PostgreSQL 13 or newer, its server programs of the version of the backup
  - psycopg2
  - zstandard
extends_documentation_fragment:
  - lifeline.recovery._attributes
  - lifeline.recovery._attributes.info_module
  - lifeline.recovery._postgres
  - lifeline.recovery._postgres.client
  - lifeline.recovery._pgbackrest
options:
  live_data_directory:
    description:
      - Data directory of the running cluster; it may not exist. If it is unset, C(pg1-path) of the pgBackRest configuration is used.
    type: path
  timeline:
    description:
      - Timeline to read, as a number; V(latest) is the newest in the archive, V(auto) that of the running cluster
        if it can be read.
    type: str
    default: auto
  around:
    description:
      - Approximate instant of the incident. If it is unset, no transactions are listed.
    type: str
  window_seconds:
    description:
      - Seconds before and after O(around) to read.
    type: float
    default: 300
  limit:
    description:
      - Maximum number of listed transactions; the newest are listed.
    type: int
    default: 100
notes:
  - WAL that a server on this host has not archived yet is read from its data directory. If that fails, the server is asked,
    which knows the instants of transactions if C(track_commit_timestamp) is on, but not their changes.
  - A table that was dropped or truncated later has another file, or none; it is then listed by the numbers of its database and file.
seealso:
  - module: lifeline.recovery.pg_pitr
"""

EXAMPLES = r"""
- name: Read the recovery window and the backups
  lifeline.recovery.pg_pitr_info:
    stanza: main
  become: true
  become_user: postgres
  register: window

- name: Find the transaction that deleted the children
  lifeline.recovery.pg_pitr_info:
    stanza: main
    around: "2026-03-01T12:40:00Z"
    window_seconds: 600
  become: true
  become_user: postgres
  register: moment

- name: Read an encrypted repository without its server
  lifeline.recovery.pg_pitr_info:
    stanza: main
    config: /root/rescue/pgbackrest.conf
    environment:
      PGBACKREST_REPO1_CIPHER_PASS: "{{ vault_repository_passphrase }}"
    os_user: postgres
"""

RETURN = r"""
stanza:
  description: The stanza, as given.
  type: str
  returned: success
  sample: main
status:
  description: Status from pgBackRest.
  type: str
  returned: success
  sample: ok
system_identifier:
  description: Identifier of the cluster.
  type: str
  returned: success
  sample: "7441034912345678901"
postgres_version:
  description: The major version of the cluster.
  type: str
  returned: success
  sample: "15"
timeline:
  description: The timeline that was read.
  type: int
  returned: success
  sample: 1
oldest:
  description: The end of the oldest backup, the start of the recovery window - at and lsn; null without a backup.
  type: dict
  returned: success
  sample: {at: "2026-03-01T02:00:05.000+00:00", lsn: 0/9000100}
newest:
  description:
    - The last transaction that can be recovered without a gap - at and the end of its segment as lsn; null without a backup.
    - A running server archives its pending WAL before M(lifeline.recovery.pg_pitr) recovers to it.
  type: dict
  returned: success
  sample: {at: "2026-03-01T12:44:59.120345+00:00", lsn: 0/D000000}
recovery_points:
  description: The end of the oldest backup, and the archive time of each later segment, for drills and their exposure.
  type: list
  elements: str
  returned: success
  sample: ["2026-03-01T02:00:05.000+00:00"]
backups:
  description: The backups, newest first.
  type: list
  elements: dict
  returned: success
  contains:
    label:
      description: Name of the backup, for O(lifeline.recovery.pg_pitr#module:backup_set).
      type: str
      sample: 20260301-020005F
    type:
      description: full, diff or incr.
      type: str
      sample: full
    started_at:
      description: Start of the backup.
      type: str
      sample: "2026-03-01T02:00:01.000+00:00"
    stopped_at:
      description: End of the backup.
      type: str
      sample: "2026-03-01T02:00:05.000+00:00"
    age_seconds:
      description: Seconds since it ended.
      type: float
      sample: 3600.5
    lsn_start:
      description: LSN at which recovery from it starts.
      type: str
      sample: 0/9000028
    lsn_stop:
      description: LSN from which it is consistent.
      type: str
      sample: 0/9000100
    wal_start:
      description: The first segment that it needs.
      type: str
      sample: "000000010000000000000009"
    wal_stop:
      description: The last segment that it needs.
      type: str
      sample: "000000010000000000000009"
    bytes:
      description: Size of the cluster.
      type: int
      sample: 23312195
    bytes_stored:
      description: Stored size in the repository.
      type: int
      sample: 2831779
    prior:
      description: The backup that it depends on, or null.
      type: str
      sample: null
    faulty:
      description: Whether it contains pages with wrong checksums.
      type: bool
      sample: false
  sample: []
archive:
  description: The archive - min and max segment, number of segments on the path to the timeline, and the first missing segment.
  type: dict
  returned: success
  sample: {min: "000000010000000000000001", max: 00000001000000000000000D, segments: 13, missing: []}
archiver:
  description:
    - The archiver of the running server - last_archived, age_seconds, failed_count, last_failed, waiting (segments that are not archived
      yet), archive_mode and track_commit_timestamp; null if the server does not run or refuses the login.
  type: dict
  returned: success
  sample: {last_archived: 00000001000000000000000D, age_seconds: 12.1, failed_count: 0, last_failed: "", waiting: 0,
           archive_mode: "on", track_commit_timestamp: true}
transactions:
  description: The transactions that ended around the instant, oldest first.
  type: list
  elements: dict
  returned: success
  contains:
    xid:
      description: Transaction id, for O(lifeline.recovery.pg_pitr#module:target).
      type: int
      sample: 746
    ended_at:
      description: End of the transaction.
      type: str
      sample: "2026-03-01T12:40:00.311263+00:00"
    committed:
      description: Whether it was committed and not rolled back.
      type: bool
      sample: true
    seen_in:
      description: Origin of the entry - V(log), archived or not yet, or V(server).
      type: str
      sample: log
    lsn:
      description: Position of its end in the WAL; null if only the server knows it.
      type: str
      sample: 0/A063460
    relations:
      description: Its changes - name, inserts, updates and deletes of each table.
      type: list
      elements: dict
      sample: [{name: school/public.children, inserts: 0, updates: 0, deletes: 20000}]
    catalog_changes:
      description: Number of changed rows of system catalogs, for example by DDL.
      type: int
      sample: 0
    files_dropped:
      description: Files of tables and indexes that it removed, for example by DROP and TRUNCATE.
      type: int
      sample: 0
    harm:
      description: Rows updated and deleted and files dropped, 0 if it was rolled back.
      type: int
      sample: 20000
  sample: []
suspects:
  description: The five of RV(transactions) with the most harm, the worst first.
  type: list
  elements: dict
  returned: success
  sample: []
timings:
  description: Seconds per phase.
  type: dict
  returned: success
  sample: {window: 0.2, transactions: 1.4, total: 1.7}
error_kind:
  description: Stable name of the error.
  type: str
  returned: failure
  sample: unknown_source
"""

from ..module_utils._ansible.ansible_module import create_module, run_module
from ..module_utils._ansible.argument_specs import postgres_spec
from ..module_utils._ansible.options import ArgumentSpec, spec_of
from ..module_utils._ansible.pitr_requests import pgbackrest_spec, pitr_info_request
from ..module_utils._pitr.info import InfoRequest, describe

SERVER = ArgumentSpec({"live_data_directory": {"type": "path"}, "timeline": {"type": "str", "default": "auto"}})
SPEC = spec_of(InfoRequest).merge(SERVER, pgbackrest_spec(), postgres_spec())


def main() -> None:
    module = create_module(SPEC)
    run_module(module, lambda: describe(pitr_info_request(module.params)))


if __name__ == "__main__":
    main()
