#!/usr/bin/python
# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_replication_info
short_description: Report the lag of a PostgreSQL standby and whether it can be promoted
version_added: 1.0.0
description:
  - Reads the replication state of one server, or compares two servers. The module detects which server is the primary.
  - If O(peer) is set, lag is measured against the position of the primary, and settings, timeline, system identifier, versions and slots
    are compared. A peer that does not answer is a finding and not a failure, because a lost primary is a common reason to run this module.
  - Lag is returned in bytes and in seconds. On an idle primary the newest commit grows old while the standby misses no data;
    that is no lag. An unknown value is null, and never 0.
  - A streaming standby may need a moment for WAL in transfer. It gets up to a second to replay the WAL that the primary
    had written when it was read.
  - The role to log in as needs only C(pg_monitor). SQL cannot show the free space on the disk of the standby, so it is not
    judged. Extensions are compared in the connected database only.
author:
  - lifeline.recovery contributors (@lifeline-recovery)
requirements:
  - psycopg2
extends_documentation_fragment:
  - lifeline.recovery._attributes
  - lifeline.recovery._attributes.info_module
  - lifeline.recovery._postgres
  - lifeline.recovery._postgres.client
  - lifeline.recovery._postgres.peer
options:
  max_lag_bytes:
    description:
      - Limit of the lag in bytes. More lag, or an unknown lag, is a finding. If it is unset, the lag in bytes is no finding.
    type: int
  max_lag_seconds:
    description:
      - Limit of the lag in seconds. More lag, or an unknown lag, is a finding. If it is unset, the lag in seconds is no finding.
    type: float
seealso:
  - module: lifeline.recovery.backup_info
"""

EXAMPLES = r"""
- name: Read the lag of the standby
  lifeline.recovery.pg_replication_info:
    login_host: db2.example.com
    login_user: monitor
    login_db: postgres
  register: replication

- name: Compare both servers, whichever is the primary
  lifeline.recovery.pg_replication_info:
    login_host: db1.example.com
    login_user: monitor
    login_db: postgres
    peer:
      login_host: db2.example.com
    max_lag_bytes: 16777216
    max_lag_seconds: 30
  register: replication
  failed_when: replication is failed or replication.findings | length > 0

- name: Fail unless the standby can be promoted immediately
  lifeline.recovery.pg_replication_info:
    login_unix_socket: /var/run/postgresql
    login_db: postgres
    peer:
      login_host: db1.example.com
      login_user: monitor
  register: replication
  failed_when: replication is failed or not replication.ready
"""

RETURN = r"""
role:
  description: Role of the first server, V(primary) or V(standby).
  type: str
  returned: success
  sample: standby
ready:
  description:
    - Whether the standby can be promoted - it streams or has all available WAL, replay is not paused, and cluster, timeline,
      settings and extensions equal those of the primary as far as they are known. False if no standby was read.
    - Lag above a limit does not count, because the acceptable data loss is the operator's decision.
  type: bool
  returned: success
  sample: true
blockers:
  description: The findings that prevent a promotion.
  type: list
  elements: str
  returned: success
  sample: []
findings:
  description: The findings, one sentence each.
  type: list
  elements: str
  returned: success
  sample: ["The slot 'old' is inactive and retains 1.5 GiB of WAL."]
msg:
  description: The findings in one text, which Ansible shows if C(failed_when) makes them a failure.
  type: str
  returned: always
  sample: "The slot 'old' is inactive and retains 1.5 GiB of WAL."
streaming:
  description:
    - Whether the standby is connected and receives. For a primary alone, whether any standby does.
    - Null if the role cannot see it. A network outage shows after C(wal_receiver_timeout), by default a minute.
  type: bool
  returned: success
  sample: true
lag_bytes:
  description:
    - Bytes of WAL that the primary has written and the standby has not replayed. For a standby alone, up to the position that the primary announced.
      For a primary alone, the lag of its slowest standby.
    - Null for a standby that does not stream if no primary was read, and for a primary without standbys.
  type: int
  returned: success
  sample: 0
lag_seconds:
  description:
    - Upper limit of the age of the last equal state of both servers; V(0) if they are equal now.
    - Missing data was committed after the newest replayed commit, so its age limits the lag if no better value is known,
      also for a standby that does not stream. It is measured with the clock of the primary if the primary was read, else with that of the standby.
  type: float
  returned: success
  sample: 0.0
replay_age_seconds:
  description: Seconds since the newest replayed commit, which also grows while the primary is idle. Null if there was none.
  type: float
  returned: success
  sample: 311.4
replayed_at:
  description: Time of the newest replayed commit.
  type: str
  returned: success
  sample: "2026-03-01T12:40:00.120+00:00"
heard_at:
  description: Time of the last message from the primary. Null if the standby does not receive.
  type: str
  returned: success
  sample: "2026-03-01T12:45:01.002+00:00"
received_lsn:
  description: Received position of the standby. Null for a primary, and for a standby that never streamed since its start.
  type: str
  returned: success
  sample: 0/5000148
replayed_lsn:
  description: Replayed position of the standby. Null for a primary.
  type: str
  returned: success
  sample: 0/5000148
paused:
  description: Whether replay is paused. Null for a primary.
  type: bool
  returned: success
  sample: false
timeline:
  description: Timeline of the standby, or of the primary if no standby was read.
  type: int
  returned: success
  sample: 1
system_identifier:
  description: Identifier that a cluster and all its standbys share. Null if the role cannot read it.
  type: str
  returned: success
  sample: "7300000000000000001"
slot_name:
  description: Slot that the standby uses. Null if it uses none.
  type: str
  returned: success
  sample: standby
slots:
  description: Slots of the primary, or of the standby if no primary was read.
  type: list
  elements: dict
  returned: success
  contains:
    name:
      description: Name of the slot.
      type: str
      sample: standby
    kind:
      description: V(physical) or V(logical).
      type: str
      sample: physical
    active:
      description: Whether a client uses it.
      type: bool
      sample: true
    wal_status:
      description: State of the retained WAL - V(reserved), V(extended), V(unreserved) or V(lost). Null if the slot was never used.
      type: str
      sample: reserved
    retained_bytes:
      description: Bytes of WAL from the position of the slot to that of the server. Null if the slot was never used.
      type: int
      sample: 0
    invalidated:
      description: Whether the server removed WAL that it needs, so that its standby has to be built again.
      type: bool
      sample: false
  sample: []
standbys:
  description: Standbys of the primary, or of the standby if no primary was read. Null if the role cannot see them.
  type: list
  elements: dict
  returned: success
  contains:
    name:
      description: Application name of its connection.
      type: str
      sample: standby
    address:
      description: Address of the standby. Null for a local socket.
      type: str
      sample: 192.0.2.7
    state:
      description: V(streaming), V(catchup) or V(startup).
      type: str
      sample: streaming
    sync_state:
      description: V(async), V(sync), V(potential) or V(quorum).
      type: str
      sample: async
    slot_name:
      description: Slot of the standby. Null if it uses none.
      type: str
      sample: standby
    lag_bytes:
      description: Bytes that it has not replayed. Null if it is unknown.
      type: int
      sample: 0
    lag_seconds:
      description: Lag that the server measured. Null while it is idle.
      type: float
      sample: 0.0
  sample: []
settings_low:
  description: Settings that must not be lower on the standby than on the primary and are, each with name, primary and standby.
  type: list
  elements: dict
  returned: success
  sample: []
primary:
  description: The primary - place, server_version, system_identifier, timeline, lsn, settings. Null if none was read.
  type: dict
  returned: success
  sample: null
standby:
  description: The standby, as RV(primary). Null if none was read.
  type: dict
  returned: success
  sample:
    place: db2.example.com:5432/postgres
    server_version: "15.8"
    system_identifier: "7300000000000000001"
    timeline: 1
    lsn: 0/5000148
    settings:
      max_connections: 100
      max_locks_per_transaction: 64
      max_prepared_transactions: 0
      max_wal_senders: 10
      max_worker_processes: 8
timings:
  description: Seconds per phase, with the total last.
  type: dict
  returned: success
  sample: {connect: 0.012, read: 0.031, total: 0.043}
error_kind:
  description: Stable name of the error.
  type: str
  returned: failure
  sample: unreachable
"""

from ..module_utils._ansible.ansible_module import create_module, run_module
from ..module_utils._ansible.argument_specs import peer_spec, postgres_spec
from ..module_utils._ansible.options import request_of, spec_of
from ..module_utils._ansible.postgres_requests import (
    maintenance_options,
    peer_options,
)
from ..module_utils._replication.info import (
    ReplicationRequest,
    ReplicationResult,
    describe_replication,
)
from ..module_utils._replication.judge import Limits

SPEC = spec_of(Limits).merge(peer_spec(), postgres_spec())


def main() -> None:
    module = create_module(SPEC)
    params = module.params

    def work() -> ReplicationResult:
        limits = request_of(Limits, params, check_mode=module.check_mode)
        return describe_replication(ReplicationRequest(maintenance_options(params), peer_options(params), limits))

    run_module(module, work)


if __name__ == "__main__":
    main()
