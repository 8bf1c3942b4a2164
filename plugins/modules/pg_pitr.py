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
  - Restores a complete cluster from a backup and the archived WAL to an instant, an LSN, a restore point, or just before a
    transaction; side by side with the running cluster, or in place of it.
  - Before the server is stopped, the target is found in the archive, the backup to start from is chosen, and every segment that
    recovery will read is checked to exist and to be undamaged. A target that the archive does not hold is refused while the
    server continues to run. If the server runs, pending WAL is archived first.
  - A cluster that is restored side by side runs with archiving, subscriptions and jobs of pg_cron disabled, so that it cannot write into
    the archive of the running cluster or affect other systems.
  - In place, the data directory is kept under another name, and is renamed back if the restore fails.
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
  - lifeline.recovery._postgres.client
  - lifeline.recovery._store
  - lifeline.recovery._pgbackrest
  - lifeline.recovery._confirmation
  - lifeline.recovery._journal
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
      - Every restore is a new one; V(side_by_side) fails if the directory is not empty.
options:
  mode:
    description:
      - V(side_by_side) restores into another, empty directory, and starts it on another port.
      - V(in_place) replaces the running cluster and keeps its directory; see RV(undo).
      - V(undo) renames the directory that V(in_place) kept to its original name, also after an interrupted recovery.
      - V(remove) stops and deletes a cluster of V(side_by_side).
    type: str
    choices: [side_by_side, in_place, undo, remove]
    default: side_by_side
  data_directory:
    description:
      - Directory to restore into. For V(in_place) and V(undo) it is that of the running cluster.
      - Its parent folder must exist, and the user of the server must be able to enter it.
    type: path
    required: true
  live_data_directory:
    description:
      - Data directory of the running cluster, for V(side_by_side); it may not exist. If it is unset, C(pg1-path) of the pgBackRest configuration is used.
    type: path
  target_type:
    description:
      - Type of O(target). V(immediate) stops as soon as the backup is consistent, V(latest) at the end of the archive.
    type: str
    choices: [time, lsn, name, xid, immediate, latest]
    default: latest
  target:
    description:
      - Instant such as V(2026-03-01T12:40:00Z), LSN such as V(0/A0687E8), name of a restore point, or id of a transaction to recover to.
      - M(lifeline.recovery.pg_pitr_info) lists the transactions around an instant.
    type: str
  inclusive:
    description:
      - Whether the recovered state includes the target itself - the commit at the instant, the record at the LSN, or the transaction.
      - The default stops just before it, which excludes the damaging transaction.
    type: bool
    default: false
  backup_set:
    description:
      - Label of the backup to start from. If it is unset, the newest that ended before the target is used.
    type: str
  timeline:
    description:
      - Timeline to follow, as a number; V(latest) is the newest in the archive.
      - V(auto) is that of the running cluster if it can be read, else the newest. They differ after a recovery was undone.
    type: str
    default: auto
  action:
    description:
      - Action of the server at the target. V(pause) allows reads but no writes, and recovery can continue; V(promote)
        opens it on a new timeline; V(shutdown) stops it.
      - With O(target_type=latest) there is no target, and the server is always promoted.
    type: str
    choices: [pause, promote, shutdown]
    default: pause
  start:
    description:
      - Start the restored cluster and wait for the target. If it is V(false), only the files are restored.
    type: bool
    default: true
  port:
    description:
      - Port of the cluster of V(side_by_side). If it is unset, a free port is used.
    type: int
  listen_addresses:
    description:
      - Addresses that the cluster of V(side_by_side) listens on.
    type: str
    default: 127.0.0.1
  socket_directory:
    description:
      - Folder of the socket of the cluster of V(side_by_side). If it is unset, its data directory is used.
    type: path
  config_file:
    description:
      - Path of C(postgresql.conf) for the cluster of V(side_by_side), for servers that keep it outside of the data directory. If it is unset, that
        of the running cluster is used.
    type: path
  service:
    description:
      - Systemd unit that V(in_place) and V(undo) stop and start, for example V(postgresql@15-main). This needs root.
      - If it is unset, C(pg_ctl) is used, with the arguments of the last start of the server.
    type: str
  check_archive:
    description:
      - Fetch every needed segment and compare its digest before anything is restored or stopped. If it is V(false), only
        missing segments are detected before the restore.
    type: bool
    default: true
  archive_timeout:
    description:
      - Seconds to wait until the newest WAL of the server is archived.
    type: int
    default: 120
  recovery_timeout:
    description:
      - Seconds to wait for the target after the files are restored.
    type: int
    default: 3600
  jobs:
    description:
      - Number of processes that restore files.
    type: int
    default: 2
  source:
    description:
      - Source of the audit record. Needs O(store).
    type: str
notes:
  - Of the connection options, only O(login_user), O(login_password) and those in C(dsn) are used; the data directories
    locate the servers.
  - Tablespaces are restored below C(<data_directory>.tablespaces), never to the paths of the running cluster.
  - To undo an in-place recovery by hand, stop the server, move the data directory away, rename
    C(<data_directory>.before-...) to the original name, and start the server.
seealso:
  - module: lifeline.recovery.pg_pitr_info
  - module: lifeline.recovery.pg_restore
"""

EXAMPLES = r"""
- name: Restore the state before the bad migration side by side
  lifeline.recovery.pg_pitr:
    stanza: main
    target_type: xid
    target: "746"
    data_directory: /var/lib/postgresql/15/before-migration
    port: 5433
  become: true
  become_user: postgres
  register: recovery

- name: Restore the cluster to one second before the incident
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

- name: Remove the cluster that was restored side by side
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
  sample: side_by_side
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
  description: Description of the target.
  type: str
  returned: success
  sample: just before transaction 746
backup:
  description: The backup that recovery started from.
  type: str
  returned: success
  sample: 20260301-020005F
stops_at:
  description: The record that recovery stops at, with the transaction that ends at it; null if there is none.
  type: dict
  returned: success
  sample: {lsn: 0/A063460, xid: 746, ended_at: "2026-03-01T12:40:00.311263+00:00"}
reached:
  description:
    - State of the recovery - state (paused, promoted, shut down or restored), lsn of the replayed WAL, at (the end of the
      last replayed transaction), and timeline.
    - Null in check mode.
  type: dict
  returned: success
  sample: {state: paused, lsn: 0/A063460, at: "2026-03-01T12:39:59.309627+00:00", timeline: 1}
port:
  description: The port of the cluster of V(side_by_side).
  type: int
  returned: success
  sample: 5433
socket_directory:
  description: The folder of its socket, or null if its path would be too long for a socket.
  type: str
  returned: success
  sample: /var/lib/postgresql/15/before-migration
undo:
  description: The options that undo a recovery in place, and the path of the kept directory.
  type: dict
  returned: success
  sample: {mode: undo, data_directory: /var/lib/postgresql/15/main, kept: /var/lib/postgresql/15/main.before-20260301t124500z}
backup_due:
  description: Whether a new full backup is due, because the history of the cluster differs from the newest in the archive.
  type: bool
  returned: success
  sample: false
plan:
  description: The plan that check mode shows and a confirmation refers to.
  type: dict
  returned: success
  sample: {mode: side_by_side, stanza: main, target: just before transaction 746, backup: 20260301-020005F, timeline: 1, segments: 12}
plan_digest:
  description: Sixteen digits that O(recovery_confirm) may be; they change with the plan.
  type: str
  returned: success
  sample: 3f1c9a0b5d7e2468
confirmation:
  description: The value that O(recovery_confirm) must have in a run with the same options; empty if the run needs no other value.
  type: str
  returned: success
  sample: ""
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
  description: Stable name of the error.
  type: str
  returned: failure
  sample: outside_archive
"""

from ..module_utils._ansible.ansible_module import create_module, run_module
from ..module_utils._ansible.argument_specs import postgres_spec
from ..module_utils._ansible.options import ArgumentSpec, spec_of
from ..module_utils._ansible.pitr_requests import pgbackrest_spec, pitr_request
from ..module_utils._ansible.store_requests import opened_store, store_spec
from ..module_utils._pitr.pitr import PitrRequest, PitrResult, recover
from ..module_utils._pitr.plan import RecoverySpec
from ..module_utils._pitr.side_by_side import Start
from ..module_utils._pitr.target import TARGET_TYPES

TARGET = ArgumentSpec(
    {
        "mode": {"type": "str", "default": "side_by_side", "choices": ["side_by_side", "in_place", "undo", "remove"]},
        "data_directory": {"type": "path", "required": True},
        "live_data_directory": {"type": "path"},
        "target_type": {"type": "str", "default": "latest", "choices": list(TARGET_TYPES)},
        "target": {"type": "str"},
        "inclusive": {"type": "bool", "default": False},
    }
)
SPEC = spec_of(PitrRequest).merge(
    spec_of(RecoverySpec), spec_of(Start), TARGET, pgbackrest_spec(), postgres_spec(), store_spec()
)


def main() -> None:
    module = create_module(SPEC)
    params = module.params

    def work() -> PitrResult:
        request = pitr_request(params, check_mode=module.check_mode)
        return recover(request, opened_store(params) if params["store"] else None)

    run_module(module, work)


if __name__ == "__main__":
    main()
