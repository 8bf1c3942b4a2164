#!/usr/bin/python
# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_pitr_backup
short_description: Back up a PostgreSQL cluster with pgBackRest
version_added: 1.0.0
description:
  - Creates a missing stanza, checks that the archiving of the server works, starts a backup, and verifies the repository, as
    asked.
  - The verification reads every file and every segment that the newest backup needs, and finds missing ones. C(pgbackrest verify)
    alone always exits with success, and reports no missing segment.
author:
  - lifeline.recovery contributors (@lifeline-recovery)
requirements:
  - pgBackRest 2.41 or newer
  - psycopg2
  - zstandard (for O(verify))
extends_documentation_fragment:
  - lifeline.recovery._attributes
  - lifeline.recovery._postgres.client
  - lifeline.recovery._pgbackrest
attributes:
  check_mode:
    support: full
    details:
      - In check mode the repository is read, and the planned actions are returned.
  diff_mode:
    support: none
  idempotent:
    support: partial
    details:
      - Each run starts a new backup. With O(type=none), only a missing stanza is created.
options:
  type:
    description:
      - V(full) copies everything, V(diff) changes since the last full backup, V(incr) changes since the last backup.
      - V(none) starts no backup.
    type: str
    choices: [full, diff, incr, none]
    default: incr
  create_stanza:
    description:
      - Create the stanza if the repository has none of this name.
    type: bool
    default: false
  check:
    description:
      - Switch a WAL segment, and wait until it is in the repository, before the backup.
    type: bool
    default: true
  verify:
    description:
      - Verify the complete repository after the backup. This reads every file of it.
    type: bool
    default: false
  live_data_directory:
    description:
      - Data directory of the cluster. If it is unset, C(pg1-path) of the pgBackRest configuration is used.
    type: path
  jobs:
    description:
      - Number of processes that copy files.
    type: int
    default: 2
  journal:
    description:
      - File in which the start and the end of each phase are recorded.
    type: path
seealso:
  - module: lifeline.recovery.pg_pitr
  - module: lifeline.recovery.pg_pitr_info
"""

EXAMPLES = r"""
- name: Create the stanza and start the first backup
  lifeline.recovery.pg_pitr_backup:
    stanza: main
    type: full
    create_stanza: true
  become: true
  become_user: postgres

- name: Check that WAL archiving works
  lifeline.recovery.pg_pitr_backup:
    stanza: main
    type: none
  become: true
  become_user: postgres

- name: Verify the complete repository
  lifeline.recovery.pg_pitr_backup:
    stanza: main
    type: none
    check: false
    verify: true
  become: true
  become_user: postgres
"""

RETURN = r"""
stanza:
  description: The stanza, as given.
  type: str
  returned: success
  sample: main
stanza_created:
  description: Whether the stanza was created.
  type: bool
  returned: success
  sample: false
label:
  description: Name of the backup, or null without a backup.
  type: str
  returned: success
  sample: 20260301-020005F
type:
  description: Type of the backup; the first backup of a repository is always full.
  type: str
  returned: success
  sample: full
stopped_at:
  description: End of the backup. Every later instant can be recovered to.
  type: str
  returned: success
  sample: "2026-03-01T02:00:05.000+00:00"
lsn:
  description: WAL position of its end.
  type: str
  returned: success
  sample: 0/9000100
bytes:
  description: Size of the cluster.
  type: int
  returned: success
  sample: 23312195
bytes_stored:
  description: Size of the backup in the repository.
  type: int
  returned: success
  sample: 2831779
verified:
  description: Number of verified backups and segments, and the problems; null if no verification was requested.
  type: dict
  returned: success, and when problems were found
  sample: {backups: 3, segments: 12, problems: []}
timings:
  description: Seconds per phase.
  type: dict
  returned: success
  sample: {check: 1.1, backup: 14.2, verify: 3.9, total: 19.4}
summary:
  description: The result in one sentence.
  type: str
  returned: success
  sample: "Took the full backup 20260301-020005F of 'main' in 14.2 s."
error_kind:
  description: Stable name of the error.
  type: str
  returned: failure
  sample: archiving_failed
"""

from ..module_utils._ansible.ansible_module import create_module, run_module
from ..module_utils._ansible.options import ArgumentSpec, spec_of
from ..module_utils._ansible.pitr_requests import pgbackrest_spec, stanza_backup_request
from ..module_utils._pitr.backup import BackupRequest, take_backup

RUNNING = ArgumentSpec({"live_data_directory": {"type": "path"}})
SPEC = spec_of(BackupRequest).merge(RUNNING, pgbackrest_spec())


def main() -> None:
    module = create_module(SPEC)
    run_module(module, lambda: take_backup(stanza_backup_request(module.params, check_mode=module.check_mode)))


if __name__ == "__main__":
    main()
