#!/usr/bin/python
# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_rejoin
short_description: Make a fenced PostgreSQL primary a standby of the new primary, by attachment or pg_rewind
version_added: 1.0.0
description:
  - Runs on the host of the old primary, which M(lifeline.recovery.pg_fence) has stopped, after another server was promoted. Control file and
    history of timelines decide the way.
  - A cluster that stopped cleanly, and whose last record the new primary has, is attached - it gets C(standby.signal) and the settings, and starts.
  - A cluster that has more than the new primary, or that crashed, is rewound with C(pg_rewind). Before that, the old cluster is started without a
    network, all its tables are compared with those of the new primary, and the rows that differ are saved in O(rows_dir) as text of COPY with a
    manifest. Rows that were changed or removed on the new primary since the promotion are among them.
  - A cluster that can be neither attached nor rewound is refused with the error C(not_ready), for example if it has neither data checksums nor
    C(wal_log_hints), or if a server has removed WAL since the last checkpoint before the promotion. The setting C(wal_keep_size) of both servers
    keeps that WAL; set it, and checksums or C(wal_log_hints), when the standby is built. Build it again with the role P(lifeline.recovery.standby#role).
  - The slot is created on the new primary first. C(pg_rewind) runs after the first checkpoint since the promotion. Configuration files in the data directory
    are saved and restored. C(primary_conninfo) is written to C(postgresql.auto.conf) only.
  - A run that is cut off leaves no server that accepts writes of clients. If C(pg_rewind) was cut off, each later run is refused, because only a
    new copy of the primary repairs the directory.
  - At the end, the server streams, and has replayed a commit that the module made on the new primary.
author:
  - lifeline.recovery contributors (@lifeline-recovery)
requirements:
  - psycopg2
  - the programs of the version of the cluster
extends_documentation_fragment:
  - lifeline.recovery._attributes
  - lifeline.recovery._confirmation
  - lifeline.recovery._cluster
  - lifeline.recovery._cluster.server
  - lifeline.recovery._postgres
attributes:
  check_mode:
    support: full
    details:
      - Check mode prints the way and its reason. It does not start the old cluster, so that the number of rows to save is unknown.
  diff_mode:
    support: none
  idempotent:
    support: full
options:
  slot:
    description:
      - Physical replication slot of the new primary through which this server streams. It is created if it does not exist.
    type: str
    required: true
  replication:
    description:
      - The new primary as this server reaches it, and the role that streams.
    type: dict
    required: true
    suboptions:
      host:
        description:
          - Host of the new primary.
        type: str
        required: true
      port:
        description:
          - Port of the new primary.
        type: int
        default: 5432
      user:
        description:
          - Role with the attribute REPLICATION.
        type: str
        required: true
      password:
        description:
          - Password of the role, which is stored in O(replication.passfile). If it is unset, no password file is written.
        type: str
      sslmode:
        description:
          - C(sslmode) of the stream.
        type: str
        default: prefer
      passfile:
        description:
          - Password file of libpq for the stream, outside of the data directory. If it is unset, it is O(data_dir) with the suffix C(.pgpass).
        type: path
  mode:
    description:
      - V(auto) attaches the cluster if that is possible, and otherwise rewinds it. V(attach) never rewinds. V(rewind) fails if the cluster
        can be attached.
    type: str
    choices: [auto, attach, rewind]
    default: auto
  rows_dir:
    description:
      - Folder on this host for rows that only the old primary has. Each run makes a folder of its own there. It is required for a rewind.
    type: path
  timeout:
    description:
      - Timeout in seconds of each start, and of the proof that the server streams.
    type: float
    default: 120
seealso:
  - module: lifeline.recovery.pg_fence
  - module: lifeline.recovery.pg_promote
"""

EXAMPLES = r"""
- name: Show the way back of the old primary
  lifeline.recovery.pg_rejoin:
    data_dir: /var/lib/postgresql/15/main
    service: postgresql@15-main.service
    login_host: db2.example.com
    login_user: postgres
    login_password: "{{ vault_postgres_password }}"
    slot: db1
    replication:
      host: db2.example.com
      user: replicator
      password: "{{ vault_replicator_password }}"
    rows_dir: /var/lib/lifeline-lost-rows
  check_mode: true
  become: true

- name: Attach or rewind the old primary
  lifeline.recovery.pg_rejoin:
    data_dir: /var/lib/postgresql/15/main
    service: postgresql@15-main.service
    login_host: db2.example.com
    login_user: postgres
    login_password: "{{ vault_postgres_password }}"
    slot: db1
    replication:
      host: db2.example.com
      user: replicator
      password: "{{ vault_replicator_password }}"
    rows_dir: /var/lib/lifeline-lost-rows
    recovery_confirm: /var/lib/postgresql/15/main
  become: true

- name: Attach the old primary after a planned switchover, and never rewind it
  lifeline.recovery.pg_rejoin:
    data_dir: /srv/pgdata
    login_host: db2.example.com
    login_user: postgres
    slot: db1
    replication:
      host: db2.example.com
      user: replicator
    mode: attach
"""

RETURN = r"""
way:
  description: V(attach) or V(rewind).
  type: str
  returned: success, and if the cluster has to be built again
  sample: rewind
reason:
  description: Why this way was chosen.
  type: str
  returned: success
  sample: it has records that the new primary lacks
system_identifier:
  description: System identifier of both servers.
  type: str
  returned: success
  sample: "7300000000000000001"
timeline_before:
  description: Timeline of the old primary.
  type: int
  returned: success
  sample: 1
timeline:
  description: Timeline of the new primary, which the server follows now.
  type: int
  returned: success
  sample: 2
fork_lsn:
  description: End of the timeline that both servers had. Null if the server is a standby of the same timeline already.
  type: str
  returned: success
  sample: 0/4028F00
rows_saved:
  description: Number of rows that were saved. Null if nothing was rewound, and in check mode.
  type: int
  returned: success
  sample: 9
rows_folder:
  description: Folder with the saved rows and C(manifest.json). Null if nothing was rewound, and in check mode.
  type: str
  returned: success
  sample: /var/lib/lifeline-lost-rows/main-20260301T124000.104711Z
tables:
  description: The tables with saved rows.
  type: list
  elements: dict
  returned: success
  contains:
    database:
      description: Database of the table.
      type: str
      sample: school
    table:
      description: Schema and name of the table.
      type: str
      sample: public.notes
    columns:
      description: Columns of the file, in order.
      type: list
      elements: str
      sample: [id, text]
    file:
      description: Name of the file in the folder, with text of COPY.
      type: str
      sample: 00001.copy
    missing:
      description: Rows whose key is not on the new primary; all rows of a table without a primary key.
      type: int
      sample: 9
    differing:
      description: Rows of which the new primary has another version.
      type: int
      sample: 0
  sample:
    - database: school
      table: public.notes
      columns: [id, text]
      file: 00001.copy
      missing: 9
      differing: 0
findings:
  description: Findings that do not prevent the rejoin, one sentence each.
  type: list
  elements: str
  returned: success
  sample: ["school: large objects differ and were not saved."]
timings:
  description: Seconds per phase, with the total last.
  type: dict
  returned: success
  sample: {assess: 0.1, prepare: 0.2, save: 1.4, rewind: 0.9, start: 0.3, verify: 0.4, total: 3.3}
undo:
  description: Always empty, because a rewind cannot be taken back.
  type: dict
  returned: success
  sample: {}
unchanged:
  description: Why nothing was changed, as C(reason) and C(next_step); null if something was.
  type: dict
  returned: success
  sample: null
plan_digest:
  description: The digest that confirms exactly this rejoin.
  type: str
  returned: success
  sample: 96348ae91561bf1b
confirmation:
  description: The value that O(recovery_confirm) must have in a run with the same options; empty if the run needs no other value.
  type: str
  returned: success
  sample: ""
summary:
  description: The result in a sentence.
  type: str
  returned: success
  sample: >-
    Rewound /var/lib/postgresql/15/main; it streams on timeline 2. 9 rows that only the old primary had are in
    /var/lib/lifeline-lost-rows/main-20260301T124000Z.
error_kind:
  description: Stable name of the error.
  type: str
  returned: failure
  sample: not_ready
"""

from ..module_utils._ansible.ansible_module import create_module, run_module
from ..module_utils._ansible.argument_specs import postgres_spec
from ..module_utils._ansible.failover_requests import fence_states, fence_states_spec
from ..module_utils._ansible.options import request_of, spec_of
from ..module_utils._ansible.postgres_requests import maintenance_options
from ..module_utils._failover.rejoin import Rejoin, RejoinRequest, RejoinResult
from ..module_utils._operations.change import perform

SPEC = spec_of(RejoinRequest).merge(fence_states_spec(), postgres_spec())


def main() -> None:
    module = create_module(SPEC)
    params = module.params

    def work() -> RejoinResult:
        request = request_of(
            RejoinRequest,
            params,
            check_mode=module.check_mode,
            server=maintenance_options(params),
            client_bin_dir=params["client_bin_dir"],
        )
        return perform(Rejoin(request, fence_states(params)))

    run_module(module, work)


if __name__ == "__main__":
    main()
