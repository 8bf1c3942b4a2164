#!/usr/bin/python
# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_replication_info
short_description: How far a standby of PostgreSQL is behind, and whether it could be promoted
version_added: 1.0.0
description:
  - Asks one server how replication goes, or two and compares them. Which is the primary and which the standby is found out.
  - Lag is given in bytes and in seconds. On an idle primary the newest commit grows old while the standby misses nothing;
    that is no lag. What cannot be known is null, and never 0.
  - A standby that streams may need a moment for what is on its way. It is given up to a second to replay what the primary
    had written when it was asked.
  - The role to log in as needs no right but C(pg_monitor). Free space on the standby's disk cannot be seen in SQL and is not
    judged. Of extensions, those of the database that is connected to are.
author:
  - lifeline.recovery contributors (@lifeline-recovery)
requirements:
  - psycopg2
extends_documentation_fragment:
  - lifeline.recovery._attributes
  - lifeline.recovery._attributes.info_module
  - lifeline.recovery._postgres
options:
  peer:
    description:
      - The other server of the pair. With it, lag is measured against what the primary has written, and settings, timeline,
        system identifier, versions and slots are compared.
      - Options that are left out are those of the first server, but for the place.
      - When it does not answer, that is a finding and not a failure, for a lost primary is when one asks.
    type: dict
    suboptions:
      dsn:
        description:
          - A connection string of libpq, instead of O(peer.login_host) and its like.
        type: str
      login_host:
        description:
          - The host of the server.
        type: str
      login_port:
        description:
          - The port of the server.
        type: int
        default: 5432
      login_unix_socket:
        description:
          - The folder of a local socket, instead of O(peer.login_host).
        type: str
      login_user:
        description:
          - The role to log in as. Without it, that of the first server, for both have the same roles.
        type: str
      login_password:
        description:
          - The password of that role. Without it, that of the first server.
        type: str
      login_db:
        description:
          - The database to connect to. Without it, that of the first server.
        type: str
      ssl_mode:
        description:
          - How the connection is secured. Without it, as that to the first server.
        type: str
        choices: [allow, disable, prefer, require, verify-ca, verify-full]
      ca_cert:
        description:
          - A file of certificate authorities that the server's certificate must come from.
        type: path
      ssl_cert:
        description:
          - The client's certificate.
        type: path
      ssl_key:
        description:
          - The key of O(peer.ssl_cert).
        type: path
  max_lag_bytes:
    description:
      - More lag than so many bytes is a finding, and so is lag that is not known. Without it, lag is none.
    type: int
  max_lag_seconds:
    description:
      - More lag than so many seconds is a finding, and so is lag that is not known. Without it, lag is none.
    type: float
seealso:
  - module: lifeline.recovery.backup_info
"""

EXAMPLES = r"""
- name: How far is the standby behind?
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

- name: Fail unless the standby could be promoted now
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
  description: What the first server is, V(primary) or V(standby).
  type: str
  returned: success
  sample: standby
ready:
  description:
    - Whether the standby could be promoted - it streams or has all that is to be had, replay is not paused, and cluster, timeline,
      settings and extensions are the primary's as far as that is known. False when no standby was asked.
    - Lag that is above a limit does not count, for how much may be lost is a decision of its own.
  type: bool
  returned: success
  sample: true
blockers:
  description: Those of RV(findings) that stand against a promotion.
  type: list
  elements: str
  returned: success
  sample: []
findings:
  description: What is not as it should be, a sentence each.
  type: list
  elements: str
  returned: success
  sample: ["The slot 'old' is inactive and retains 1.5 GiB of WAL."]
msg:
  description: The findings in one text, which Ansible shows when C(failed_when) makes them a failure.
  type: str
  returned: always
  sample: "The slot 'old' is inactive and retains 1.5 GiB of WAL."
streaming:
  description:
    - Whether the standby is connected and receives. Of a primary alone, whether any standby does.
    - Null when the role may not see it. A cut network shows after C(wal_receiver_timeout), by default a minute.
  type: bool
  returned: success
  sample: true
lag_bytes:
  description:
    - Bytes of WAL that the primary has written and the standby has not replayed. Of a standby alone, what the primary announced to it.
      Of a primary alone, that of the standby that is farthest behind.
    - Null for a standby that does not stream while no primary was asked, and for a primary without standbys.
  type: int
  returned: success
  sample: 0
lag_seconds:
  description:
    - At most so many seconds ago the standby was equal to the primary; V(0) when it is equal now.
    - What is missing was committed after the newest commit that was replayed, so its age bounds the lag where nothing better is known,
      also for a standby that does not stream. It is measured by the primary's clock where that was asked, else by the standby's.
  type: float
  returned: success
  sample: 0.0
replay_age_seconds:
  description: Seconds since the newest commit that was replayed, which grows while nothing is committed. Null when there was none.
  type: float
  returned: success
  sample: 311.4
replayed_at:
  description: When the newest replayed commit was made.
  type: str
  returned: success
  sample: "2026-03-01T12:40:00.120+00:00"
heard_at:
  description: When the standby last heard from the primary. Null when it does not receive.
  type: str
  returned: success
  sample: "2026-03-01T12:45:01.002+00:00"
received_lsn:
  description: How far the standby has received. Null for a primary, and when it never streamed since its start.
  type: str
  returned: success
  sample: 0/5000148
replayed_lsn:
  description: How far the standby has replayed. Null for a primary.
  type: str
  returned: success
  sample: 0/5000148
paused:
  description: Whether replay is paused. Null for a primary.
  type: bool
  returned: success
  sample: false
timeline:
  description: The timeline of the standby, of the primary when no standby was asked.
  type: int
  returned: success
  sample: 1
system_identifier:
  description: What a cluster and all its standbys have in common. Null where the role may not read it.
  type: str
  returned: success
  sample: "7300000000000000001"
slot_name:
  description: The slot that the standby uses. Null when it uses none.
  type: str
  returned: success
  sample: standby
slots:
  description: The slots of the primary, of the standby when no primary was asked.
  type: list
  elements: dict
  returned: success
  contains:
    name:
      description: The name of the slot.
      type: str
      sample: standby
    kind:
      description: V(physical) or V(logical).
      type: str
      sample: physical
    active:
      description: Whether somebody uses it now.
      type: bool
      sample: true
    wal_status:
      description: What the server says of the WAL it keeps - V(reserved), V(extended), V(unreserved) or V(lost). Null when unused so far.
      type: str
      sample: reserved
    retained_bytes:
      description: Bytes of WAL from where the slot stands to where the server is. Null when unused so far.
      type: int
      sample: 0
    invalidated:
      description: Whether WAL that it needs is gone, so that its standby has to be made anew.
      type: bool
      sample: false
  sample: []
standbys:
  description: Who is attached to the primary, or to the standby when no primary was asked. Null when the role may not see it.
  type: list
  elements: dict
  returned: success
  contains:
    name:
      description: The name under which it connected.
      type: str
      sample: standby
    address:
      description: Its address. Null for a local socket.
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
      description: The slot that it uses. Null without one.
      type: str
      sample: standby
    lag_bytes:
      description: Bytes that it has not replayed. Null when it did not tell.
      type: int
      sample: 0
    lag_seconds:
      description: What the server measured. Null when there was nothing to measure.
      type: float
      sample: 0.0
  sample: []
settings_low:
  description: Settings that are lower on the standby than on the primary and must not be, each with name, primary and standby.
  type: list
  elements: dict
  returned: success
  sample: []
primary:
  description: The primary - place, server_version, system_identifier, timeline, lsn, settings. Null when none was asked.
  type: dict
  returned: success
  sample: null
standby:
  description: The standby, as RV(primary). Null when none was asked.
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
  description: A stable name of what went wrong.
  type: str
  returned: failure
  sample: unreachable
"""

from ansible_collections.lifeline.recovery.plugins.module_utils._ansible.ansible_module import create_module, run_module
from ansible_collections.lifeline.recovery.plugins.module_utils._ansible.argument_specs import peer_spec, postgres_spec
from ansible_collections.lifeline.recovery.plugins.module_utils._ansible.options import request_of, spec_of
from ansible_collections.lifeline.recovery.plugins.module_utils._ansible.postgres_requests import (
    maintenance_options,
    peer_options,
)
from ansible_collections.lifeline.recovery.plugins.module_utils._replication.info import (
    ReplicationRequest,
    ReplicationResult,
    describe_replication,
)
from ansible_collections.lifeline.recovery.plugins.module_utils._replication.judge import Limits


def main() -> None:
    module = create_module(spec_of(Limits).merge(peer_spec()).merge(postgres_spec()))
    params = module.params

    def work() -> ReplicationResult:
        limits = request_of(Limits, params, check_mode=module.check_mode)
        return describe_replication(ReplicationRequest(maintenance_options(params), peer_options(params), limits))

    run_module(module, work)


if __name__ == "__main__":
    main()
