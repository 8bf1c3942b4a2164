#!/usr/bin/python
# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: rds_promotion
short_description: Promote a read replica of Amazon RDS, or move the writer of an Aurora global database
version_added: 1.0.0
description:
  - Promotes a read replica of RDS for PostgreSQL, also of another region, and waits until it is detached from its source and available.
  - The automated backups of the promoted instance are enabled by the same request, because Amazon RDS keeps them for one day otherwise.
  - Refuses an instance that does not follow O(expected_source), that is not available, or whose loss of commits is larger than O(max_loss_seconds).
  - Before the promotion the module tags the instance with its source. A repeated run recognises by the tag that an earlier run promoted it.
  - Never creates an instance. Create the replica of the promoted instance with C(amazon.aws.rds_instance) afterwards.
  - Of Aurora, the writer of a global database is moved by a switchover or by a failover.
  - Was tested against a double of the API that changes states in steps, and not against Amazon RDS. The durations, the lag, and the effects of
    parameter groups, security groups and keys are not shown by it.
author:
  - lifeline.recovery contributors (@lifeline-recovery)
requirements:
  - boto3
  - psycopg2, if O(peer) is set
extends_documentation_fragment:
  - lifeline.recovery._attributes
  - lifeline.recovery._confirmation
  - lifeline.recovery._postgres.promoted
  - lifeline.recovery._rds
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
  expected_source:
    description:
      - ARN of the instance that O(instance) must follow, or of the cluster that must be the writer of O(global_cluster).
    type: str
    required: true
  kind:
    description:
      - V(replica) promotes O(instance). Amazon RDS for PostgreSQL has no switchover without loss, so stop the writes of the source first.
      - V(aurora_switchover) synchronises all clusters of the global database and loses no commit. It is also the way back.
      - V(aurora_failover) does not wait for the clusters, and O(allow_data_loss) is required.
    type: str
    choices: [replica, aurora_switchover, aurora_failover]
    default: replica
  instance:
    description:
      - Identifier of the replica in O(region). Required for O(kind=replica). It confirms the promotion.
    type: str
  global_cluster:
    description:
      - Identifier of the global database. Required for the kinds of Aurora. It confirms the move.
    type: str
  target:
    description:
      - ARN of the cluster that becomes the writer. Required for the kinds of Aurora.
    type: str
  backup_retention_days:
    description:
      - Days for which the promoted instance keeps automated backups, from 1 to 35. Used by O(kind=replica).
    type: int
    default: 7
  fenced_by:
    description:
      - The fence that stops the writes of the source, in words, for example V(security group sg-0a1 has no rules). It is part of the plan and of the
        audit record. The module cannot test it. Used by O(kind=replica).
    type: str
  accept_split_brain:
    description:
      - Reason to promote although the source may accept writes. It is part of the plan, the audit record and the findings.
    type: str
  primary_down_since:
    description:
      - Since when the source has accepted no commits, as ISO 8601. If it is unset, the loss is counted until now.
    type: str
  max_loss_seconds:
    description:
      - Limit in seconds of the time in which lost commits can have been made, by the newest C(ReplicaLag) of CloudWatch. A larger or an unknown loss is
        refused. Used by O(kind=replica).
      - CloudWatch has one value a minute. With O(primary_down_since), wait for a value of a later minute.
    type: float
    default: 0
  allow_data_loss:
    description:
      - Reason to accept a loss above O(max_loss_seconds), an unknown one, or V(aurora_failover).
    type: str
  wait_seconds:
    description:
      - Timeout in seconds of the promotion.
    type: float
    default: 3600
  settle_seconds:
    description:
      - Seconds during which the end of the promotion must be unchanged, because Amazon RDS answers before it begins.
    type: float
    default: 30
  poll_seconds:
    description:
      - Seconds between two reads of the state.
    type: float
    default: 10
seealso:
  - module: lifeline.recovery.pg_promote
  - module: amazon.aws.rds_instance
"""

EXAMPLES = r"""
- name: Promote the replica after the loss of the region of its source
  lifeline.recovery.rds_promotion:
    region: eu-central-1
    instance: school-replica
    expected_source: arn:aws:rds:eu-west-1:111122223333:db:school
    fenced_by: the region is lost
    primary_down_since: "2026-03-01T12:40:00Z"
    max_loss_seconds: 60
    recovery_confirm: school-replica
    peer:
      login_host: school-replica.abc.eu-central-1.rds.amazonaws.com
      login_user: failover
      login_password: "{{ vault_failover_password }}"
      ssl_mode: verify-full

- name: Show the plan of a planned promotion, with differences from the source
  lifeline.recovery.rds_promotion:
    region: eu-central-1
    instance: school-replica
    expected_source: arn:aws:rds:eu-west-1:111122223333:db:school
    fenced_by: security group sg-0a1 has no rules
    primary_down_since: "2026-03-01T12:40:00Z"
  check_mode: true

- name: Move the writer of an Aurora global database to another region
  lifeline.recovery.rds_promotion:
    kind: aurora_switchover
    region: eu-central-1
    global_cluster: school-global
    expected_source: arn:aws:rds:eu-west-1:111122223333:cluster:school
    target: arn:aws:rds:eu-central-1:111122223333:cluster:school-2
    recovery_confirm: school-global
    source: school
    store:
      bucket: school-backups
"""

RETURN = r"""
kind:
  description: The kind.
  type: str
  returned: success
  sample: replica
target:
  description: Identifier of the instance or of the global database, which confirms the promotion.
  type: str
  returned: success
  sample: school-replica
arn:
  description: ARN of the new writer, which a new replica takes as its source.
  type: str
  returned: success
  sample: arn:aws:rds:eu-central-1:111122223333:db:school-replica
endpoint:
  description: Host of the new writer. Null if it is unknown.
  type: str
  returned: success
  sample: school-replica.abc.eu-central-1.rds.amazonaws.com
former_source:
  description: ARN of the former writer.
  type: str
  returned: success
  sample: arn:aws:rds:eu-west-1:111122223333:db:school
retention_days:
  description: Days for which the promoted instance keeps automated backups. Null in check mode and of Aurora.
  type: int
  returned: success
  sample: 7
states:
  description: States of the instance or of the global database during the promotion, in order.
  type: list
  elements: str
  returned: success
  sample: [available, modifying, rebooting, available]
loss_seconds:
  description: Longest time in which lost commits can have been made. Null if it is unknown.
  type: float
  returned: success
  sample: 0.0
findings:
  description: Findings that do not prevent the promotion, one sentence each, with differences from the source.
  type: list
  elements: str
  returned: success
  sample: ["The parameter group is default.postgres15, of the source school-parameters."]
write_seconds:
  description: Seconds of a commit on O(peer). Null without it and in check mode.
  type: float
  returned: success
  sample: 0.004
timings:
  description: Seconds per phase, with the total last.
  type: dict
  returned: success
  sample: {assess: 0.821, promote: 412.3, verify: 0.351, total: 413.5}
undo:
  description: Options of the switchover back, of Aurora. Empty of a promoted replica, whose promotion cannot be taken back.
  type: dict
  returned: success
  sample: {}
unchanged:
  description: Why nothing was changed, as C(reason) and C(next_step); null if something was.
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
  sample: Promoted school-replica, which keeps backups for 7 days; the loss is at most 0.00 s of commits.
error_kind:
  description: Stable name of the error.
  type: str
  returned: failure
  sample: not_ready
"""

from ..module_utils._ansible.ansible_module import create_module, run_module
from ..module_utils._ansible.argument_specs import peer_spec
from ..module_utils._ansible.options import request_of, spec_of
from ..module_utils._ansible.postgres_requests import promoted_options
from ..module_utils._ansible.store_requests import opened_store, store_spec
from ..module_utils._operations.change import perform
from ..module_utils._rds.aurora import GlobalPromotion
from ..module_utils._rds.promotion import ReplicaPromotion
from ..module_utils._rds.request import REPLICA, PromotionRequest, PromotionResult

SPEC = spec_of(PromotionRequest).merge(peer_spec(), store_spec())


def main() -> None:
    module = create_module(SPEC)
    params = module.params

    def work() -> PromotionResult:
        request = request_of(PromotionRequest, params, check_mode=module.check_mode, peer=promoted_options(params))
        store = opened_store(params) if params["store"] else None
        change = ReplicaPromotion if request.kind == REPLICA else GlobalPromotion
        return perform(change(request, store))

    run_module(module, work)


if __name__ == "__main__":
    main()
