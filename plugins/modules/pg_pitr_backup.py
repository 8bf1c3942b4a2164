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
  - Makes the stanza when it is missing, checks that the server's archiving works, takes a backup, and verifies the repository, as
    asked.
  - The verification reads every file and every segment that the newest backup needs, and finds missing ones. C(pgbackrest verify)
    alone ends with success whatever it finds, and says nothing of a segment that is missing.
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
      - In check mode the repository is read, and it is told what would be made.
  diff_mode:
    support: none
  idempotent:
    support: partial
    details:
      - A backup is a new one each time. With O(type=none), the stanza is only made when it is missing.
options:
  type:
    description:
      - V(full) copies everything, V(diff) what changed since the last full one, V(incr) what changed since the last.
      - V(none) takes no backup.
    type: str
    choices: [full, diff, incr, none]
    default: incr
  create_stanza:
    description:
      - Make the stanza when the repository has none of this name.
    type: bool
    default: false
  check:
    description:
      - Let the server switch its segment, and wait until it is in the repository, before the backup.
    type: bool
    default: true
  verify:
    description:
      - Verify the whole repository after the backup. That reads all of it.
    type: bool
    default: false
  live_data_directory:
    description:
      - The directory of the cluster. Without it, C(pg1-path) of pgBackRest's configuration.
    type: path
  jobs:
    description:
      - How many processes copy files.
    type: int
    default: 2
  journal:
    description:
      - A file that each phase is noted in as it begins and ends.
    type: path
seealso:
  - module: lifeline.recovery.pg_pitr
  - module: lifeline.recovery.pg_pitr_info
"""

EXAMPLES = r"""
- name: Make the stanza and take the first backup
  lifeline.recovery.pg_pitr_backup:
    stanza: main
    type: full
    create_stanza: true
  become: true
  become_user: postgres

- name: Only check that archiving works
  lifeline.recovery.pg_pitr_backup:
    stanza: main
    type: none
  become: true
  become_user: postgres

- name: Verify the whole repository
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
  description: Whether it was made.
  type: bool
  returned: success
  sample: false
label:
  description: The name of the backup, or null without one.
  type: str
  returned: success
  sample: 20260301-020005F
type:
  description: Its type; a first backup is a full one whatever was asked for.
  type: str
  returned: success
  sample: full
stopped_at:
  description: When it ended. Any instant from then on can be recovered to.
  type: str
  returned: success
  sample: "2026-03-01T02:00:05.000+00:00"
lsn:
  description: Where it ended in the log.
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
  description: How many backups and segments were verified, and the problems; null when that was not asked for.
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
  description: A stable name of what went wrong.
  type: str
  returned: failure
  sample: archiving_failed
"""

from ansible_collections.lifeline.recovery.plugins.module_utils._ansible.ansible_module import create_module, run_module
from ansible_collections.lifeline.recovery.plugins.module_utils._ansible.argument_specs import (
    ArgumentSpec,
    client_spec,
    pgbackrest_spec,
)
from ansible_collections.lifeline.recovery.plugins.module_utils._ansible.options import spec_of
from ansible_collections.lifeline.recovery.plugins.module_utils._ansible.pitr_requests import stanza_backup_request
from ansible_collections.lifeline.recovery.plugins.module_utils._pitr.backup import BackupRequest, take_backup

SPEC = ArgumentSpec(
    {
        "live_data_directory": {"type": "path"},
        "journal": {"type": "path"},
    }
)


def main() -> None:
    module = create_module(SPEC.merge(spec_of(BackupRequest)).merge(pgbackrest_spec()).merge(client_spec()))
    run_module(module, lambda: take_backup(stanza_backup_request(module.params, check_mode=module.check_mode)))


if __name__ == "__main__":
    main()
