#!/usr/bin/python
# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: rds_fence
short_description: Fence an instance of Amazon RDS by its security groups, and release the fence
version_added: 1.0.0
description:
  - Replaces the security groups of an instance by groups without rules, waits until they are in effect, and restarts the server, so that sessions
    that exist already end. Amazon RDS stops no instance that has a replica.
  - The groups before are kept in a tag of the instance, so that any later run releases the fence.
  - Prove with M(lifeline.recovery.pg_write_probe) that commits are refused. Principals that may modify the instance can remove the fence.
  - Was tested against a double of the API. Whether a replica in another region keeps its stream through a group without rules was not tested; a
    planned promotion by M(lifeline.recovery.rds_promotion) is refused if it does not.
author:
  - lifeline.recovery contributors (@lifeline-recovery)
requirements:
  - boto3
extends_documentation_fragment:
  - lifeline.recovery._attributes
  - lifeline.recovery._confirmation
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
  instance:
    description:
      - Identifier of the instance that is fenced. It confirms the fence.
    type: str
    required: true
  security_groups:
    description:
      - Ids of the security groups of the fence, in the VPC of the instance. Required for O(state=fenced).
    type: list
    elements: str
    default: []
  state:
    description:
      - V(fenced) sets O(security_groups). V(released) restores the groups before the fence.
    type: str
    choices: [fenced, released]
    default: fenced
  reboot:
    description:
      - Whether the server is restarted. A security group does not end a session that it has let in. Used by O(state=fenced).
    type: bool
    default: true
  wait_seconds:
    description:
      - Timeout in seconds, each for the groups and for the restart.
    type: float
    default: 900
  poll_seconds:
    description:
      - Seconds between two reads of the instance.
    type: float
    default: 5
seealso:
  - module: lifeline.recovery.rds_promotion
  - module: lifeline.recovery.pg_write_probe
"""

EXAMPLES = r"""
- name: Fence the writer before its replica is promoted
  lifeline.recovery.rds_fence:
    region: eu-west-1
    instance: school
    security_groups: [sg-0fence]
    recovery_confirm: school

- name: Show the groups before and after the fence
  lifeline.recovery.rds_fence:
    region: eu-west-1
    instance: school
    security_groups: [sg-0fence]
  check_mode: true

- name: Release the fence
  lifeline.recovery.rds_fence:
    region: eu-west-1
    instance: school
    state: released
"""

RETURN = r"""
instance:
  description: Identifier of the instance.
  type: str
  returned: success
  sample: school
state:
  description: The requested state.
  type: str
  returned: success
  sample: fenced
before:
  description: Security groups before the fence.
  type: list
  elements: str
  returned: success
  sample: [sg-0a1]
current:
  description: Security groups of the instance now.
  type: list
  elements: str
  returned: success
  sample: [sg-0fence]
rebooted:
  description: Whether this run restarted the server.
  type: bool
  returned: success
  sample: true
timings:
  description: Seconds per phase, with the total last.
  type: dict
  returned: success
  sample: {assess: 0.4, groups: 12.1, reboot: 41.7, total: 54.6}
undo:
  description: Options that release the fence. Empty of a release.
  type: dict
  returned: success
  sample: {state: released}
unchanged:
  description: Why nothing was changed, as C(reason) and C(next_step); null if something was.
  type: dict
  returned: success
  sample: null
plan_digest:
  description: The digest that confirms exactly this fence.
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
  sample: Fenced school by the security groups sg-0fence.
error_kind:
  description: Stable name of the error.
  type: str
  returned: failure
  sample: not_ready
"""

from ..module_utils._ansible.ansible_module import create_module, run_module
from ..module_utils._ansible.options import request_of, spec_of
from ..module_utils._ansible.store_requests import opened_store, store_spec
from ..module_utils._operations.change import perform
from ..module_utils._rds.fence import FenceRequest, FenceResult, SecurityGroupFence

SPEC = spec_of(FenceRequest).merge(store_spec())


def main() -> None:
    module = create_module(SPEC)
    params = module.params

    def work() -> FenceResult:
        request = request_of(FenceRequest, params, check_mode=module.check_mode)
        return perform(SecurityGroupFence(request, opened_store(params) if params["store"] else None))

    run_module(module, work)


if __name__ == "__main__":
    main()
