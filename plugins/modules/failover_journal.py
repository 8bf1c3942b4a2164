#!/usr/bin/python
# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: failover_journal
short_description: Read and write the journal of the failovers of a source
version_added: 1.0.0
description:
  - The journal in the store of the backup sets holds each run of a failover, a switchover or a failback with its steps. Another run continues an
    open run at the step that failed.
  - The journal is the lock as well. A second run is refused until the lock of the first one ends. A run that another one took over cannot
    write its next entry, so that it does not continue.
  - After a run that was completed, a new one is refused during the cool-down, so that two regions do not take turns.
author:
  - lifeline.recovery contributors (@lifeline-recovery)
extends_documentation_fragment:
  - lifeline.recovery._attributes
  - lifeline.recovery._store
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  idempotent:
    support: none
    details:
      - Each entry is a new object of the store, and the earlier ones stay.
options:
  source:
    description:
      - Name of the source that fails over.
    type: str
    required: true
  action:
    description:
      - V(begin) begins a run, or continues the open one. V(step) records a step, V(end) the end of the run. V(read) changes nothing.
    type: str
    required: true
    choices: [begin, step, end, read]
  token:
    description:
      - Identifies the running playbook. It is required for each action but V(read).
    type: str
  owner:
    description:
      - Name of the operator or the job, for others that find the lock.
    type: str
    default: ''
  kind:
    description:
      - Kind of the run. It is required for O(action=begin).
    type: str
    choices: [failover, switchover, failback]
  from_site:
    description:
      - Name of the site that is the writer before the run. It is required for O(action=begin).
    type: str
  to_site:
    description:
      - Name of the site that is the writer after the run. It is required for O(action=begin).
    type: str
  plan_digest:
    description:
      - Digest of the plan that was confirmed.
    type: str
    default: ''
  lock_seconds:
    description:
      - Seconds after an entry in which another run is refused. It must be longer than the longest step.
    type: float
    default: 900
  cooldown_seconds:
    description:
      - Seconds after the end of a run in which no new one begins.
    type: float
    default: 3600
  takeover:
    description:
      - Continue an open run whose lock has not ended. Set it only if the other run was killed.
    type: bool
    default: false
  reasons:
    description:
      - Reasons for which gates were overridden, by the name of the gate, for the record. The reason C(cooldown) allows a run during the
        cool-down.
    type: dict
    default: {}
  step:
    description:
      - Name of the step. It is required for O(action=step).
    type: str
  status:
    description:
      - Status of the step.
    type: str
    choices: [started, done, failed, undone]
    default: done
  facts:
    description:
      - Facts of the step that later steps or another run need. They must hold no secret.
    type: dict
    default: {}
  beyond_return:
    description:
      - Whether the run can only go forward after this entry.
    type: bool
    default: false
  outcome:
    description:
      - End of the run for O(action=end).
    type: str
    choices: [done, aborted]
    default: done
seealso:
  - module: lifeline.recovery.pg_promote
"""

EXAMPLES = r"""
- name: Begin a failover, or continue the open one
  lifeline.recovery.failover_journal:
    source: school
    action: begin
    token: "{{ run_token }}"
    owner: "{{ lookup('ansible.builtin.env', 'USER') }}"
    kind: failover
    from_site: east
    to_site: west
    store: {provider: aws, bucket: school-backups, region: eu-west-1}
  register: journal

- name: Record that the old primary is fenced
  lifeline.recovery.failover_journal:
    source: school
    action: step
    token: "{{ run_token }}"
    step: fence
    facts: {fenced_by: The server in east was stopped.}
    store: {provider: aws, bucket: school-backups, region: eu-west-1}

- name: Read the last run
  lifeline.recovery.failover_journal:
    source: school
    action: read
    store: {provider: aws, bucket: school-backups, region: eu-west-1}
  register: journal
"""

RETURN = r"""
run:
  description: The run of the last entry. Null if there was none.
  type: dict
  returned: success
  sample:
    id: 5f1c0f4e-run
    kind: failover
    from_site: east
    to_site: west
    owner: operator@control.example.org
    state: open
    beyond_return: false
    started_at: "2026-11-28T03:12:09.120+00:00"
    ended_at: null
    locked_until: "2026-11-28T03:27:31.004+00:00"
    steps:
      - name: fence
        status: done
        started_at: "2026-11-28T03:12:20.810+00:00"
        ended_at: "2026-11-28T03:12:31.004+00:00"
        facts: {fenced_by: The server in east was stopped.}
resumed:
  description: Whether the run was begun by an earlier playbook.
  type: bool
  returned: success
  sample: false
steps_done:
  description: Names of the steps that are done.
  type: list
  elements: str
  returned: success
  sample: [fence]
location:
  description: The prefix of the entries in the store.
  type: str
  returned: success
  sample: s3://school-backups/school/states/failover/
summary:
  description: The state of the run in a sentence.
  type: str
  returned: success
  sample: The failover from east to west is open.
error_kind:
  description: Stable name of the error.
  type: str
  returned: failure
  sample: locked
"""

from ..module_utils._ansible.ansible_module import create_module, run_module
from ..module_utils._ansible.options import request_of, spec_of
from ..module_utils._ansible.store_requests import opened_store, store_spec
from ..module_utils._failover.journal import JournalRequest, JournalResult, write_journal

SPEC = spec_of(JournalRequest).merge(store_spec())


def main() -> None:
    module = create_module(SPEC)
    params = module.params

    def work() -> JournalResult:
        return write_journal(opened_store(params), request_of(JournalRequest, params, check_mode=module.check_mode))

    run_module(module, work)


if __name__ == "__main__":
    main()
