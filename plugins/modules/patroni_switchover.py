#!/usr/bin/python
# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: patroni_switchover
short_description: Make another member of a Patroni cluster the leader
version_added: 1.0.0
description:
  - Judges the cluster, requests a switchover or a failover from Patroni, waits until the candidate is a primary with the leader lock, and proves that
    no other member is a primary.
  - Refuses a cluster that is paused, that is a standby cluster or that has a scheduled switchover, a candidate that its tags exclude, and in synchronous
    mode a candidate that is no synchronous standby within O(wait_seconds).
  - The request is sent once, with the leader that was read, so that Patroni refuses it after another switchover. If Patroni does not report the end,
    or its answer is lost, the module polls the candidate.
  - If the candidate leads already, nothing is changed, and the proof is repeated.
  - Was tested against Patroni 4.1 with etcd.
author:
  - lifeline.recovery contributors (@lifeline-recovery)
requirements:
  - psycopg2, if O(peer) is set
extends_documentation_fragment:
  - lifeline.recovery._attributes
  - lifeline.recovery._confirmation
  - lifeline.recovery._patroni
  - lifeline.recovery._postgres.promoted
  - lifeline.recovery._store
  - lifeline.recovery._store.audited
attributes:
  check_mode:
    support: full
    details:
      - A state that can end without an operator, such as a candidate that is no synchronous standby yet, is refused immediately.
  diff_mode:
    support: none
  idempotent:
    support: full
options:
  candidate:
    description:
      - Name of the member that becomes the leader. O(endpoints) must have its URL.
    type: str
    required: true
  leader:
    description:
      - Name of the member that must be the leader now. Another leader is refused. If it is unset, the current leader is used.
    type: str
  kind:
    description:
      - V(switchover) needs a leader, which stops cleanly first, so that no commit is lost.
      - V(failover) works without a leader. Patroni then promotes the candidate even if it lacks commits, and O(allow_data_loss) is required.
    type: str
    choices: [switchover, failover]
    default: switchover
  allow_data_loss:
    description:
      - Reason to accept the loss of commits in a failover. It is part of the plan and of the audit record.
    type: str
  system_identifier:
    description:
      - System identifier that the cluster must have. Set it in plans, so that a wrong cluster is refused.
    type: str
  wait_seconds:
    description:
      - Timeout in seconds, each for the readiness of the candidate and for the operation.
    type: float
    default: 120
seealso:
  - module: lifeline.recovery.patroni_info
  - module: lifeline.recovery.pg_promote
"""

EXAMPLES = r"""
- name: Switch over to the member p2, which must not lose a commit
  lifeline.recovery.patroni_switchover:
    endpoints: [https://db1.example.com:8008, https://db2.example.com:8008]
    cafile: /etc/ssl/patroni.pem
    username: operator
    password: "{{ vault_patroni_password }}"
    leader: p1
    candidate: p2
    recovery_confirm: school
    peer:
      login_host: db2.example.com
      login_user: failover
      login_password: "{{ vault_failover_password }}"

- name: Show the plan of a switchover
  lifeline.recovery.patroni_switchover:
    endpoints: [https://db1.example.com:8008, https://db2.example.com:8008]
    candidate: p2
  check_mode: true

- name: Promote p2 after the loss of the leader, with an audit record
  lifeline.recovery.patroni_switchover:
    endpoints: [https://db2.example.com:8008]
    username: operator
    password: "{{ vault_patroni_password }}"
    candidate: p2
    kind: failover
    allow_data_loss: the region is lost, decided by the incident lead
    recovery_confirm: 96348ae91561bf1b
    source: school
    store:
      bucket: school-backups
"""

RETURN = r"""
scope:
  description: Name of the cluster, which confirms the operation.
  type: str
  returned: success
  sample: school
system_identifier:
  description: System identifier of the cluster. Null if no member reports it.
  type: str
  returned: success
  sample: "7300000000000000001"
leader_before:
  description: Name of the leader before; null without one.
  type: str
  returned: success
  sample: p1
leader:
  description: Name of the leader after the operation. Null in check mode.
  type: str
  returned: success
  sample: p2
timeline_before:
  description: Newest timeline of a member before.
  type: int
  returned: success
  sample: 1
timeline:
  description: Timeline after the operation. Null in check mode.
  type: int
  returned: success
  sample: 2
history:
  description: Line of the history of Patroni about the end of RV(timeline_before). Null without one.
  type: dict
  returned: success
  sample: {timeline: 1, lsn: 50331984, reason: no recovery target specified, at: "2026-03-01T12:41:52+00:00", leader: p2}
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
answer:
  description: Answer of Patroni to the request. Null if no request was sent.
  type: str
  returned: success
  sample: Successfully switched over to "p2"
primary_seconds:
  description: Seconds from the request until the candidate was a primary with the leader lock. Null if no request was sent.
  type: float
  returned: success
  sample: 2.214
write_seconds:
  description: Seconds of a commit on O(peer). Null without it and in check mode.
  type: float
  returned: success
  sample: 0.004
findings:
  description: Findings that do not prevent the operation, one sentence each.
  type: list
  elements: str
  returned: success
  sample: ["p2 was 1.5 KiB behind in the last loop of Patroni."]
timings:
  description: Seconds per phase, with the total last.
  type: dict
  returned: success
  sample: {assess: 0.021, ready: 0.02, switch: 3.12, verify: 1.051, total: 4.22}
undo:
  description: Options of a switchover back to the former leader, once its server follows the new leader. Empty without a former leader.
  type: dict
  returned: success
  sample: {kind: switchover, leader: p2, candidate: p1}
unchanged:
  description: Why nothing was changed, as C(reason) and C(next_step); null if something was.
  type: dict
  returned: success
  sample: null
plan_digest:
  description: The digest that confirms exactly this operation.
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
  sample: Switched school over from p1 to p2, which was a primary after 2.2 s, on timeline 2.
error_kind:
  description: Stable name of the error.
  type: str
  returned: failure
  sample: conflict
"""

from ..module_utils._ansible.ansible_module import create_module, run_module
from ..module_utils._ansible.argument_specs import peer_spec
from ..module_utils._ansible.options import request_of, spec_of
from ..module_utils._ansible.postgres_requests import promoted_options
from ..module_utils._ansible.store_requests import opened_store, store_spec
from ..module_utils._operations.change import perform
from ..module_utils._patroni.switchover import Switchover, SwitchoverRequest, SwitchoverResult

SPEC = spec_of(SwitchoverRequest).merge(peer_spec(), store_spec())


def main() -> None:
    module = create_module(SPEC)
    params = module.params

    def work() -> SwitchoverResult:
        request = request_of(SwitchoverRequest, params, check_mode=module.check_mode, peer=promoted_options(params))
        return perform(Switchover(request, opened_store(params) if params["store"] else None))

    run_module(module, work)


if __name__ == "__main__":
    main()
