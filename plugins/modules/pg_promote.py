#!/usr/bin/python
# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_promote
short_description: Promote a PostgreSQL standby after the old primary was fenced
version_added: 1.0.0
description:
  - Judges a streaming standby, promotes it, waits until it is a primary, and proves that a commit returns.
  - Refuses the promotion unless the old primary accepts no writes. The best proof is the control file of the stopped primary, which
    M(lifeline.recovery.pg_control_info) returns; it also proves that no commit is lost. A primary that does not answer may still accept
    writes of other clients.
  - Refuses a server that belongs to Patroni, repmgr, pg_auto_failover, CloudNativePG, Stolon or Amazon RDS, and names the command of its
    users, because the manager would take the promotion back.
  - Refuses a standby that is paused, whose settings are lower than those of the primary, that has a recovery target, on whose host the
    collation library differs, or whose commits would wait for synchronous standbys.
  - If O(peer) is the old primary, the module logs in to it before and after the promotion, and refuses while it accepts writes.
  - A promotion replays all received WAL immediately, also with C(recovery_min_apply_delay).
  - A server that is a primary already is left unchanged, and its commit is tested again.
author:
  - lifeline.recovery contributors (@lifeline-recovery)
requirements:
  - psycopg2
extends_documentation_fragment:
  - lifeline.recovery._attributes
  - lifeline.recovery._confirmation
  - lifeline.recovery._postgres
  - lifeline.recovery._postgres.client
  - lifeline.recovery._postgres.peer
  - lifeline.recovery._store
  - lifeline.recovery._store.audited
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  idempotent:
    support: full
options:
  system_identifier:
    description:
      - System identifier that the server must have. Set it in scheduled plans, so that a wrong host is refused.
    type: str
  stopped_primary:
    description:
      - Control file of the stopped primary, as M(lifeline.recovery.pg_control_info) returns it in RV(lifeline.recovery.pg_control_info#module:control).
      - The module waits until the standby has replayed the shutdown checkpoint, and then no commit is lost.
    type: dict
    suboptions:
      system_identifier:
        description:
          - System identifier of the cluster.
        type: str
        required: true
      timeline:
        description:
          - Timeline of the newest checkpoint.
        type: int
        required: true
      state:
        description:
          - State of the cluster, which must be C(shut down).
        type: str
        required: true
      running:
        description:
          - Whether a server runs on the data directory.
        type: bool
        required: true
      checkpoint_lsn:
        description:
          - Position of the newest checkpoint.
        type: str
        required: true
  fenced_by:
    description:
      - The fence that stops the writes of the old primary, in words, for example V(security group sg-0a1 denies 5432). It is part of the
        plan and of the audit record. The module cannot test it, except through O(peer).
    type: str
  accept_split_brain:
    description:
      - Reason to promote although the old primary may accept writes. It is part of the plan, the audit record and the findings.
    type: str
  max_loss_seconds:
    description:
      - Limit in seconds of the time in which lost commits can have been made. A larger or an unknown loss is refused.
    type: float
    default: 0
  primary_down_since:
    description:
      - Since when the primary has accepted no commits, as ISO 8601. If it is unset, the loss is counted until now.
    type: str
  allow_data_loss:
    description:
      - Reason to accept a loss above O(max_loss_seconds), or an unknown one.
    type: str
  accept_collation_change:
    description:
      - Reason to promote although the collation library of the host has another version. Text indexes need REINDEX afterwards.
    type: str
  settle_seconds:
    description:
      - Time in seconds without new WAL after which the standby has received all that it can still get.
    type: float
    default: 3
  wait_seconds:
    description:
      - Timeout in seconds, each for the WAL of the primary and for the promotion. A standby that was cut off notices that after
        C(wal_receiver_timeout), by default 60 seconds.
    type: float
    default: 90
  write_seconds:
    description:
      - Timeout in seconds of the commit that proves that the new primary accepts writes.
    type: float
    default: 15
seealso:
  - module: lifeline.recovery.pg_control_info
  - module: lifeline.recovery.pg_replication_info
"""

EXAMPLES = r"""
# The result of pg_control_info on the host of the stopped primary is in the variable stopped.
- name: Promote the standby, without the loss of a commit
  lifeline.recovery.pg_promote:
    login_host: db2.example.com
    login_user: failover
    login_db: postgres
    stopped_primary: "{{ stopped.control }}"
    recovery_confirm: db2.example.com:5432

- name: Show the plan of a promotion after the loss of a region
  lifeline.recovery.pg_promote:
    login_host: db2.example.com
    login_user: failover
    login_db: postgres
    peer:
      login_host: db1.example.com
    fenced_by: security group sg-0a1 denies port 5432
    max_loss_seconds: 60
    primary_down_since: "2026-03-01T12:40:00Z"
  check_mode: true

- name: Promote the standby, with an audit record
  lifeline.recovery.pg_promote:
    login_host: db2.example.com
    login_user: failover
    login_db: postgres
    fenced_by: the region is lost; its instances were stopped by the provider
    allow_data_loss: decided by the incident lead
    recovery_confirm: 96348ae91561bf1b
    source: school
    store:
      bucket: school-backups
"""

RETURN = r"""
server:
  description: Host and port of the server, which confirm the promotion.
  type: str
  returned: success
  sample: db2.example.com:5432
system_identifier:
  description: System identifier of the cluster. Null if the role may not read it.
  type: str
  returned: success
  sample: "7300000000000000001"
timeline_before:
  description: Timeline of the standby. Null if the server was a primary.
  type: int
  returned: success
  sample: 1
timeline:
  description: Timeline of the new primary. Null in check mode.
  type: int
  returned: success
  sample: 2
replayed_lsn:
  description: Position that the standby had replayed. V(unknown) if the server was a primary.
  type: str
  returned: success
  sample: 0/4012C00
loss:
  description: The loss of the promotion in a sentence.
  type: str
  returned: success
  sample: "No commit is lost: the standby has replayed the shutdown checkpoint of the primary."
loss_is_proven:
  description: Whether the end of the WAL of the old primary is known, so that RV(loss_bytes) is exact.
  type: bool
  returned: success
  sample: true
loss_bytes:
  description: Bytes of WAL of the old primary that the standby lacks. Null if it is unknown.
  type: int
  returned: success
  sample: 0
loss_seconds:
  description: Longest time in which the lost commits can have been made. Null if it is unknown.
  type: float
  returned: success
  sample: 0.0
findings:
  description: Findings that do not prevent the promotion, one sentence each.
  type: list
  elements: str
  returned: success
  sample: ["1 unlogged table will be empty: school: public.cache."]
write_seconds:
  description: Seconds of a commit on the new primary. Null in check mode.
  type: float
  returned: success
  sample: 0.004
timings:
  description: Seconds per phase, with the total last.
  type: dict
  returned: success
  sample: {assess: 0.021, settle: 0.004, promote: 0.312, verify: 0.051, total: 0.388}
undo:
  description: Always empty, because a promotion cannot be taken back.
  type: dict
  returned: success
  sample: {}
unchanged:
  description: Why the server was not promoted, as C(reason) and C(next_step); null if it was.
  type: dict
  returned: success
  sample: null
plan_digest:
  description: The digest that confirms exactly this promotion.
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
    Promoted db2.example.com:5432 to timeline 2; a commit took 0.00 s. No commit is lost: the standby has replayed the shutdown
    checkpoint of the primary.
error_kind:
  description: Stable name of the error.
  type: str
  returned: failure
  sample: split_brain
"""

from ..module_utils._ansible.ansible_module import create_module, run_module
from ..module_utils._ansible.argument_specs import peer_spec, postgres_spec
from ..module_utils._ansible.options import request_of, spec_of
from ..module_utils._ansible.postgres_requests import maintenance_options, peer_options
from ..module_utils._ansible.store_requests import opened_store, store_spec
from ..module_utils._failover.promotion import PromoteRequest, PromoteResult, Promotion
from ..module_utils._operations.change import perform

SPEC = spec_of(PromoteRequest).merge(peer_spec(), postgres_spec(), store_spec())


def main() -> None:
    module = create_module(SPEC)
    params = module.params

    def work() -> PromoteResult:
        request = request_of(
            PromoteRequest,
            params,
            check_mode=module.check_mode,
            server=maintenance_options(params),
            peer=peer_options(params),
        )
        return perform(Promotion(request, opened_store(params) if params["store"] else None))

    run_module(module, work)


if __name__ == "__main__":
    main()
