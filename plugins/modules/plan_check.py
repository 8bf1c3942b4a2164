#!/usr/bin/python
# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: plan_check
short_description: Find what is wrong with a recovery plan before it is needed
version_added: 1.0.0
description:
  - Reads a recovery plan that is written as data, and tells where it contradicts itself, rests on things that do not work, or leaves
    something out - an objective of an hour behind a daily dump, a scenario that takes longer than it may, backups in the bucket of
    the files they protect, contacts that nobody filled in.
  - Only the plan is looked at. Whether backups are there is told by M(lifeline.recovery.backup_info), and whether they can be restored
    by M(lifeline.recovery.backup_verify) and by drills.
  - C(docs/recovery-plan.md) lists the keys of a plan and all rules.
author:
  - lifeline.recovery contributors (@lifeline-recovery)
extends_documentation_fragment:
  - lifeline.recovery._attributes
  - lifeline.recovery._attributes.info_module
options:
  plan:
    description:
      - The recovery plan. It is shown where Ansible shows arguments, so it must hold no secret.
      - A plan that cannot be read fails with every problem at once, each with its path.
    type: dict
    required: true
  fail_on:
    description:
      - From which severity on a finding fails the task. V(never) only reports; a plan that cannot be read fails in any case.
    type: str
    choices: [error, warning, never]
    default: error
  now:
    description:
      - The instant by which drills and reviews are judged overdue, for example to see what will be due at the end of a quarter.
      - By default it is the present.
    type: str
seealso:
  - module: lifeline.recovery.backup_info
  - module: lifeline.recovery.drill_report
"""

EXAMPLES = r"""
- name: Refuse a plan with errors
  lifeline.recovery.plan_check:
    plan: "{{ recovery_plan }}"

- name: Show what is wrong without failing
  lifeline.recovery.plan_check:
    plan: "{{ recovery_plan }}"
    fail_on: never
  register: judged

- name: See which drills will be overdue at the end of the quarter
  lifeline.recovery.plan_check:
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
  description: V(failed) when a finding is as severe as O(fail_on), else V(passed).
  type: str
  returned: when the plan can be read
  sample: failed
findings:
  description: What is wrong, the severest first.
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
      description: The known mistake of recovery plans that it is, as C(docs/recovery-plan.md) numbers them, or null.
      type: str
      sample: T9
    path:
      description: Where in the plan.
      type: str
      sample: sources[0].objectives.rpo_seconds
    message:
      description: What is wrong.
      type: str
      sample: "school may lose 1 h, but its backups leave gaps of 24 h."
    next_step:
      description: What to do.
      type: str
      sample: "Back up more often, set up recovery to a point in time, or admit the longer RPO."
  sample: []
counts:
  description: How many findings there are of each severity.
  type: dict
  returned: when the plan can be read
  sample: {error: 1, warning: 0, info: 0}
rules:
  description: How many rules were applied.
  type: int
  returned: when the plan can be read
  sample: 74
table:
  description: The findings as lines for people - severity, trap, path, what is wrong.
  type: list
  elements: str
  returned: when the plan can be read
  sample: ["error   T9   sources[0].objectives.rpo_seconds  school may lose 1 h, but its backups leave gaps of 24 h."]
first_steps:
  description: What is done once while the plan is new, the soonest first, each with C(name), the days C(due) and C(done), or null.
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
  description: Why the plan cannot be read, each with C(path) and C(message).
  type: list
  elements: dict
  returned: when the plan cannot be read
  sample: [{path: "sources[0].objectives.rpo_seconds", message: must be above 0}]
error_kind:
  description: A stable name of what went wrong - V(check_failed) or V(invalid_options).
  type: str
  returned: failure
  sample: check_failed
"""

from ansible_collections.lifeline.recovery.plugins.module_utils._ansible.ansible_module import create_module, run_module
from ansible_collections.lifeline.recovery.plugins.module_utils._ansible.argument_specs import (
    ArgumentSpec,
)
from ansible_collections.lifeline.recovery.plugins.module_utils._core.clock import parse_instant, utc_now
from ansible_collections.lifeline.recovery.plugins.module_utils._plan.check import PlanResult, check_plan

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
