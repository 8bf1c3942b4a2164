#!/usr/bin/python
# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_pitr
short_description: Restore a PostgreSQL cluster to a point in time with pgBackRest
version_added: 1.0.0
description:
  - Restores a whole cluster from a backup and the archived write-ahead log to an instant, an LSN, a restore point, or just before a
    transaction; beside the live cluster, or in place of it.
  - Before anything stops, the target is found in the archive itself, the backup to start from is chosen, and every segment that
    recovery will read is proved to be there and undamaged. A target that the archive does not hold is refused while the
    server goes on running; when the server still runs, what is not archived yet is archived first.
  - A restored cluster beside the live one runs with archiving, subscriptions and jobs of pg_cron off, so that it cannot write into
    the archive of the live one or act on the world.
  - In place, the live data directory is kept under another name, and gets its name back when the restore fails.
  - Runs on the host that holds the data directory. pgBackRest and PostgreSQL run as its owner, also when this runs as root.
author:
  - lifeline.recovery contributors (@lifeline-recovery)
requirements:
  - pgBackRest 2.41 or newer
  - PostgreSQL 13 or newer, its server programs of the version of the backup
  - psycopg2
  - zstandard
extends_documentation_fragment:
  - lifeline.recovery._attributes
  - lifeline.recovery._postgres
  - lifeline.recovery._store
  - lifeline.recovery._pgbackrest
  - lifeline.recovery._confirmation
attributes:
  check_mode:
    support: full
    details:
      - In check mode the target is found, and the plan with its digest is returned; no segment is switched, nothing is restored.
  diff_mode:
    support: none
  idempotent:
    support: none
    details:
      - Every restore is a new one; V(beside) fails when the directory is not empty.
options:
  mode:
    description:
      - V(beside) restores into another, empty directory, and starts it on another port.
      - V(in_place) replaces the live cluster, whose directory is kept as RV(undo) tells.
      - V(undo) gives the directory that V(in_place) kept its name back, also after a recovery that was interrupted.
      - V(remove) stops and deletes what V(beside) made.
    type: str
    choices: [beside, in_place, undo, remove]
    default: beside
  data_directory:
    description:
      - The directory to restore into. For V(in_place) and V(undo) it is that of the live cluster.
      - The folder above it must exist, and the server's user must be able to enter it.
    type: path
    required: true
  live_data_directory:
    description:
      - For V(beside), the directory of the live cluster, which may be gone. Without it, C(pg1-path) of pgBackRest's configuration.
    type: path
  target_type:
    description:
      - What O(target) is. V(immediate) stops as soon as the backup is consistent, V(latest) at the end of the archive.
    type: str
    choices: [time, lsn, name, xid, immediate, latest]
    default: latest
  target:
    description:
      - An instant such as V(2026-03-01T12:40:00Z), an LSN such as V(0/A0687E8), the name of a restore point, or the number
        of a transaction.
      - M(lifeline.recovery.pg_pitr_info) shows what there is around an instant.
    type: str
  inclusive:
    description:
      - Whether what ended exactly at the instant, begins at the LSN, or is the transaction, is still there afterwards.
      - The default stops just before it, as one wants for the transaction that did the damage.
    type: bool
    default: false
  backup_set:
    description:
      - The label of the backup to start from. Without it, the newest that ended before the target.
    type: str
  timeline:
    description:
      - The timeline to follow, as a number; V(latest) is the newest in the archive.
      - V(auto) is that of the live cluster where it can be read, else the newest. They differ after a recovery was taken back.
    type: str
    default: auto
  action:
    description:
      - What the server does at the target. V(pause) lets it be read but not written, and recovery can still go on; V(promote)
        opens it on a new timeline; V(shutdown) stops it.
      - With O(target_type=latest) there is no target, and the server is always promoted.
    type: str
    choices: [pause, promote, shutdown]
    default: pause
  start:
    description:
      - Start the restored cluster and wait for the target. Otherwise only the files are restored.
    type: bool
    default: true
  port:
    description:
      - The port of the cluster beside. Without it, a free one is taken.
    type: int
  listen_addresses:
    description:
      - Where the cluster beside listens.
    type: str
    default: 127.0.0.1
  socket_directory:
    description:
      - The folder of the socket of the cluster beside. Without it, its data directory.
    type: path
  config_file:
    description:
      - The C(postgresql.conf) of the cluster beside, for servers that keep it outside of the data directory. Without it, that
        of the live cluster.
    type: path
  service:
    description:
      - The unit of systemd that V(in_place) and V(undo) stop and start, for example V(postgresql@15-main). That needs root.
      - Without it, C(pg_ctl) does, with the arguments that the server was started with.
    type: str
  check_archive:
    description:
      - Fetch every segment that recovery needs and compare its digest before anything is restored or stopped. Otherwise only
        a missing one is noticed before.
    type: bool
    default: true
  archive_timeout:
    description:
      - Seconds to wait until what the server wrote last is archived.
    type: int
    default: 120
  recovery_timeout:
    description:
      - Seconds to wait for the target after the files are restored.
    type: int
    default: 3600
  jobs:
    description:
      - How many processes restore files.
    type: int
    default: 2
  source:
    description:
      - With O(store), the source that the audit record is written for.
    type: str
  journal:
    description:
      - A file that each phase is noted in as it begins and ends, to watch long work and to draw a drill's timeline.
    type: path
notes:
  - Only O(login_user), O(login_password) and C(dsn)'s are used of the connection; where the servers are, their data
    directories tell.
  - Tablespaces are restored below C(<data_directory>.tablespaces), never to where those of the live cluster are.
  - By hand, an in-place recovery is taken back by stopping the server, moving the data directory away, giving
    C(<data_directory>.before-...) its name back, and starting the server.
seealso:
  - module: lifeline.recovery.pg_pitr_info
  - module: lifeline.recovery.pg_restore
"""

EXAMPLES = r"""
- name: See the state just before the bad migration, beside the live cluster
  lifeline.recovery.pg_pitr:
    stanza: main
    target_type: xid
    target: "746"
    data_directory: /var/lib/postgresql/15/before-migration
    port: 5433
  become: true
  become_user: postgres
  register: recovery

- name: Put the cluster back to one second before the incident
  lifeline.recovery.pg_pitr:
    stanza: main
    mode: in_place
    target_type: time
    target: "2026-03-01T12:39:59Z"
    data_directory: /var/lib/postgresql/15/main
    service: postgresql@15-main
    action: promote
    recovery_confirm: main
  become: true

- name: Remove the cluster beside
  lifeline.recovery.pg_pitr:
    stanza: main
    mode: remove
    data_directory: /var/lib/postgresql/15/before-migration
  become: true
  become_user: postgres
"""

RETURN = r"""
mode:
  description: The mode, as given.
  type: str
  returned: success
  sample: beside
stanza:
  description: The stanza, as given.
  type: str
  returned: success
  sample: main
data_directory:
  description: The directory, as given.
  type: str
  returned: success
  sample: /var/lib/postgresql/15/before-migration
target:
  description: The target in words.
  type: str
  returned: success
  sample: just before transaction 746
backup:
  description: The backup that recovery started from.
  type: str
  returned: success
  sample: 20260301-020005F
stops_at:
  description: The record that recovery stops at, with the transaction that ends there; null when there is none.
  type: dict
  returned: success
  sample: {lsn: 0/A063460, xid: 746, ended_at: "2026-03-01T12:40:00.311263+00:00"}
reached:
  description:
    - Where recovery stands - state (paused, promoted, shut down or restored), lsn that was replayed, at (the end of the
      last transaction that was replayed), and timeline.
    - Null in check mode.
  type: dict
  returned: success
  sample: {state: paused, lsn: 0/A063460, at: "2026-03-01T12:39:59.309627+00:00", timeline: 1}
port:
  description: The port of the cluster beside.
  type: int
  returned: success
  sample: 5433
socket_directory:
  description: The folder of its socket, or null when its path would be too long for one.
  type: str
  returned: success
  sample: /var/lib/postgresql/15/before-migration
undo:
  description: The options that take a recovery in place back, and where the old directory is kept.
  type: dict
  returned: success
  sample: {mode: undo, data_directory: /var/lib/postgresql/15/main, kept: /var/lib/postgresql/15/main.before-20260301t124500z}
backup_due:
  description: Whether a new full backup is due, because the cluster in place has another past than the archive's newest.
  type: bool
  returned: success
  sample: false
plan:
  description: What check mode shows and a confirmation is about.
  type: dict
  returned: success
  sample: {mode: beside, stanza: main, target: just before transaction 746, backup: 20260301-020005F, timeline: 1, segments: 12}
plan_digest:
  description: Sixteen digits that O(recovery_confirm) may be; they change with the plan.
  type: str
  returned: success
  sample: 3f1c9a0b5d7e2468
timings:
  description: Seconds per phase.
  type: dict
  returned: success
  sample: {preflight: 0.4, archive: 0.3, check: 1.1, provision: 0.1, restore: 14.2, recover: 3.9, total: 20.1}
summary:
  description: The result in one sentence.
  type: str
  returned: success
  sample: "Restored 'main' to just before transaction 746 in /var/lib/postgresql/15/before-migration (paused, port 5433)."
error_kind:
  description: A stable name of what went wrong.
  type: str
  returned: failure
  sample: outside_archive
"""

from ansible_collections.lifeline.recovery.plugins.module_utils._ansible.ansible_module import create_module, run_module
from ansible_collections.lifeline.recovery.plugins.module_utils._ansible.argument_specs import (
    ArgumentSpec,
    confirmation_spec,
    pgbackrest_spec,
    postgres_spec,
    store_spec,
)
from ansible_collections.lifeline.recovery.plugins.module_utils._ansible.options import spec_of
from ansible_collections.lifeline.recovery.plugins.module_utils._ansible.pitr_requests import pitr_request
from ansible_collections.lifeline.recovery.plugins.module_utils._ansible.store_requests import opened_store
from ansible_collections.lifeline.recovery.plugins.module_utils._pitr.pitr import PitrResult, recover
from ansible_collections.lifeline.recovery.plugins.module_utils._pitr.plan import RecoverySpec
from ansible_collections.lifeline.recovery.plugins.module_utils._pitr.side_by_side import Start
from ansible_collections.lifeline.recovery.plugins.module_utils._pitr.target import TARGET_TYPES

SPEC = ArgumentSpec(
    {
        "mode": {"type": "str", "default": "beside", "choices": ["beside", "in_place", "undo", "remove"]},
        "data_directory": {"type": "path", "required": True},
        "live_data_directory": {"type": "path"},
        "target_type": {"type": "str", "default": "latest", "choices": list(TARGET_TYPES)},
        "target": {"type": "str"},
        "inclusive": {"type": "bool", "default": False},
        "service": {"type": "str"},
        "source": {"type": "str"},
        "journal": {"type": "path"},
    }
)


def main() -> None:
    spec = SPEC.merge(spec_of(RecoverySpec)).merge(spec_of(Start)).merge(pgbackrest_spec())
    module = create_module(spec.merge(confirmation_spec()).merge(postgres_spec()).merge(store_spec()))
    params = module.params

    def work() -> PitrResult:
        request = pitr_request(params, check_mode=module.check_mode)
        return recover(request, opened_store(params) if params["store"] else None)

    run_module(module, work)


if __name__ == "__main__":
    main()
