#!/usr/bin/python
# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: patroni_info
short_description: Read a Patroni cluster through its REST API
version_added: 1.0.0
description:
  - Reads the members, the leader, the history and the state of the cluster from the first endpoint that answers, and asks each endpoint for its role.
  - Refuses endpoints of different clusters.
  - Was tested against Patroni 4.1; the role of a primary in Patroni 3, C(master), is accepted too.
author:
  - lifeline.recovery contributors (@lifeline-recovery)
extends_documentation_fragment:
  - lifeline.recovery._attributes
  - lifeline.recovery._attributes.info_module
  - lifeline.recovery._patroni
options:
  system_identifier:
    description:
      - System identifier that the cluster must have. Set it in scheduled plans, so that a wrong cluster is refused.
    type: str
seealso:
  - module: lifeline.recovery.patroni_switchover
"""

EXAMPLES = r"""
- name: Read the cluster
  lifeline.recovery.patroni_info:
    endpoints: [https://db1.example.com:8008, https://db2.example.com:8008]
    cafile: /etc/ssl/patroni.pem
  register: cluster

- name: Fail unless the cluster has a leader and is not paused
  lifeline.recovery.patroni_info:
    endpoints: [http://10.1.0.10:8008, http://10.1.0.11:8008]
  register: cluster
  failed_when: cluster is failed or cluster.leader is none or cluster.paused

- name: Read exactly this cluster
  lifeline.recovery.patroni_info:
    endpoints: [http://10.1.0.10:8008]
    system_identifier: "7300000000000000001"
"""

RETURN = r"""
scope:
  description: Name of the cluster.
  type: str
  returned: success
  sample: school
system_identifier:
  description: System identifier of the cluster. Null if no member reports it.
  type: str
  returned: success
  sample: "7300000000000000001"
leader:
  description: Name of the leader. Null without a leader.
  type: str
  returned: success
  sample: p1
timeline:
  description: Newest timeline of a member.
  type: int
  returned: success
  sample: 1
standby_cluster:
  description: Whether the cluster follows another cluster, so that its leader accepts no writes.
  type: bool
  returned: success
  sample: false
paused:
  description: Whether the cluster is paused.
  type: bool
  returned: success
  sample: false
scheduled_switchover:
  description: The scheduled switchover as Patroni returns it; null without one.
  type: dict
  returned: success
  sample: null
synchronous_mode:
  description: The mode - C(off), C(on) or C(quorum).
  type: str
  returned: success
  sample: "off"
members:
  description: Members as the cluster lists them.
  type: list
  elements: dict
  returned: success
  contains:
    name:
      description: Name of the member.
      type: str
    role:
      description: Role, for example C(leader), C(replica), C(sync_standby) or C(quorum_standby).
      type: str
    state:
      description: State, for example C(running) for a leader and C(streaming) for a replica.
      type: str
    host:
      description: Host of the server of PostgreSQL.
      type: str
    port:
      description: Port of the server of PostgreSQL.
      type: int
    timeline:
      description: Timeline of the member; null if it is unknown.
      type: int
    lag_bytes:
      description: Bytes that the member was behind in the last loop of Patroni; null of a leader, and if it is unknown.
      type: int
    tags:
      description: Tags of the member.
      type: dict
  sample:
    - {name: p2, role: leader, state: running, host: db2.example.com, port: 5432, timeline: 2, lag_bytes: null, tags: {}}
history:
  description: Ends of timelines, oldest first, at most 100.
  type: list
  elements: dict
  returned: success
  sample:
    - {timeline: 1, lsn: 50331984, reason: no recovery target specified, at: "2026-03-01T12:41:52+00:00", leader: p2}
endpoints:
  description: The member behind each URL of O(endpoints), and RV(endpoints[].reason) of an endpoint that does not answer.
  type: list
  elements: dict
  returned: success
  contains:
    url:
      description: The URL.
      type: str
    name:
      description: Name of the member; null if it does not answer.
      type: str
    role:
      description: Role of the server, C(primary) or C(replica); C(master) before Patroni 4.
      type: str
    state:
      description: State of the server.
      type: str
    timeline:
      description: Timeline of the server.
      type: int
    system_identifier:
      description: System identifier of the server.
      type: str
    scope:
      description: Name of the cluster.
      type: str
    is_primary:
      description: Whether the server is a primary and runs.
      type: bool
    reason:
      description: Why the endpoint does not answer; empty if it does.
      type: str
  sample:
    - url: https://db1.example.com:8008
      name: p1
      role: primary
      state: running
      timeline: 1
      system_identifier: "7300000000000000001"
      scope: school
      is_primary: true
      reason: ""
error_kind:
  description: Stable name of the error.
  type: str
  returned: failure
  sample: unreachable
"""

from ..module_utils._ansible.ansible_module import create_module, run_module
from ..module_utils._ansible.options import request_of, spec_of
from ..module_utils._patroni.info import InfoRequest, InfoResult, cluster_info

SPEC = spec_of(InfoRequest)


def main() -> None:
    module = create_module(SPEC)
    params = module.params

    def work() -> InfoResult:
        return cluster_info(request_of(InfoRequest, params, check_mode=module.check_mode))

    run_module(module, work)


if __name__ == "__main__":
    main()
