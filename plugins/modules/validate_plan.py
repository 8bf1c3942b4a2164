#!/usr/bin/python
# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: validate_plan
short_description: Check a recovery plan for contradictions and gaps
version_added: 1.0.0
description:
  - Reads a recovery plan that is written as data, and reports contradictions, steps that cannot work, and missing parts, for example
    an RPO of an hour with a daily dump, a scenario that exceeds the RTO, backups in the bucket of
    the files they protect, contacts that are placeholders.
  - The module checks only the plan. M(lifeline.recovery.backup_info) checks that backups exist;
    M(lifeline.recovery.backup_verify) and drills check that they can be restored.
  - C(docs/recovery-plan.md) lists the keys of a plan and all rules.
author:
  - lifeline.recovery contributors (@lifeline-recovery)
extends_documentation_fragment:
  - lifeline.recovery._attributes
  - lifeline.recovery._attributes.info_module
options:
  plan:
    description:
      - The recovery plan. Ansible logs arguments, so the plan must contain no secret.
      - A plan that cannot be read fails with all its problems, each with its path.
    type: dict
    required: true
  fail_on:
    description:
      - Severity at which a finding fails the task. V(never) only reports. An unreadable plan always fails.
    type: str
    choices: [error, warning, never]
    default: error
  now:
    description:
      - Instant by which drills and reviews are judged overdue. Set it to see the steps that are due at the end of a quarter.
      - The default is the current time.
    type: str
seealso:
  - module: lifeline.recovery.backup_info
  - module: lifeline.recovery.drill_report
"""

EXAMPLES = r"""
- name: Refuse a plan with errors
  lifeline.recovery.validate_plan:
    plan: "{{ recovery_plan }}"

- name: Report all findings without failing
  lifeline.recovery.validate_plan:
    plan: "{{ recovery_plan }}"
    fail_on: never
  register: judged

- name: List drills that will be overdue at the end of the quarter
  lifeline.recovery.validate_plan:
    plan: "{{ recovery_plan }}"
    fail_on: warning
    now: "2026-06-30T00:00:00Z"
"""

RETURN = r"""
platform:
  description: The platform that the plan is for.
  type: str
  returned: when the plan can be read
  sample: School
verdict:
  description: V(failed) if a finding has a severity of O(fail_on), else V(passed).
  type: str
  returned: when the plan can be read
  sample: failed
findings:
  description: The findings, the most severe first.
  type: list
  elements: dict
  returned: when the plan can be read
  contains:
    id:
      description: The name of the rule.
      type: str
      sample: rpo_gap
    severity:
      description: V(error), V(warning) or V(info).
      type: str
      sample: error
    trap:
      description: The known mistake of recovery plans, as numbered in C(docs/recovery-plan.md), or null.
      type: str
      sample: T9
    path:
      description: Path in the plan.
      type: str
      sample: sources[0].objectives.rpo_seconds
    message:
      description: The problem.
      type: str
      sample: "school may lose 1 h, but its backups leave gaps of 24 h."
    next_step:
      description: The next step.
      type: str
      sample: "Back up more often, set up recovery to a point in time, or admit the longer RPO."
  sample: []
counts:
  description: Number of findings of each severity.
  type: dict
  returned: when the plan can be read
  sample: {error: 1, warning: 0, info: 0}
rules:
  description: Number of applied rules.
  type: int
  returned: when the plan can be read
  sample: 74
table:
  description: The findings as lines - severity, trap, path, message.
  type: list
  elements: str
  returned: when the plan can be read
  sample: ["error   T9   sources[0].objectives.rpo_seconds  school may lose 1 h, but its backups leave gaps of 24 h."]
first_steps:
  description: One-time steps, the earliest first, each with C(name), the days C(due) and C(done), or null.
  type: list
  elements: dict
  returned: when the plan can be read
  sample: [{name: the first restore of a whole backup, due: "2026-03-23", done: null}]
summary:
  description: The result in one sentence.
  type: str
  returned: when the plan can be read
  sample: The plan of School has 1 error.
problems:
  description: Problems of an unreadable plan, each with C(path) and C(message).
  type: list
  elements: dict
  returned: when the plan cannot be read
  sample: [{path: "sources[0].objectives.rpo_seconds", message: must be above 0}]
error_kind:
  description: Stable name of the error - V(check_failed) or V(invalid_options).
  type: str
  returned: failure
  sample: check_failed
"""

from ..module_utils._ansible.ansible_module import create_module, run_module
from ..module_utils._ansible.options import ArgumentSpec
from ..module_utils._core.clock import parse_instant, utc_now
from ..module_utils._plan.check import PlanResult, check_plan

SPEC = ArgumentSpec(
    {
        "plan": {"type": "dict", "required": True},
        "fail_on": {"type": "str", "default": "error", "choices": ["error", "warning", "never"]},
        "now": {"type": "str"},
    }
)


def main() -> None:
    module = create_module(SPEC)
    params = module.params

    def work() -> PlanResult:
        now = parse_instant(params["now"]) if params["now"] else utc_now()
        return check_plan(params["plan"], now.date(), params["fail_on"])

    run_module(module, work)


if __name__ == "__main__":
    main()
