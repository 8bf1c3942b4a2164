#!/usr/bin/python
# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: supabase_backup_info
short_description: Judge the backups that Supabase keeps of a project
version_added: 1.0.0
description:
  - Lists the daily backups of a project and the window of its point-in-time recovery, and says what is wrong with them. Only reads.
  - Findings do not fail the module, because a report wants all of them; branch on RV(ok).
  - No backup of Supabase holds the files of its storage, only their names, and all go when the project is deleted. They do not
    replace sets of your own.
author:
  - lifeline.recovery contributors (@lifeline-recovery)
extends_documentation_fragment:
  - lifeline.recovery._attributes
  - lifeline.recovery._attributes.info_module
  - lifeline.recovery._supabase
options:
  rpo_seconds:
    description:
      - The recovery point objective in seconds. The newest instant that could be restored must not be older, and no two must lie
        further apart. Without it, age is told and not judged.
    type: int
  window_days:
    description:
      - How many days back a restore has to reach. V(0) judges no day.
      - A plan keeps daily backups for 7, 14 or 30 days; point-in-time recovery has a window of its own.
    type: int
    default: 0
  pitr:
    description:
      - Whether point-in-time recovery has to be enabled. A daily backup alone cannot keep an objective of an hour.
    type: bool
    default: false
seealso:
  - module: lifeline.recovery.supabase_backup
  - module: lifeline.recovery.pg_backup
"""

EXAMPLES = r"""
- name: See what there is
  lifeline.recovery.supabase_backup_info:
    project_ref: abcdefghijklmnopqrst
  register: backups

- name: See whether an hour and a week are kept
  lifeline.recovery.supabase_backup_info:
    project_ref: abcdefghijklmnopqrst
    rpo_seconds: 3600
    window_days: 7
    pitr: true
  register: backups
  failed_when: backups is failed or not backups.ok

- name: See whether the daily backup ran
  lifeline.recovery.supabase_backup_info:
    project_ref: abcdefghijklmnopqrst
    access_token: "{{ vault_supabase_token }}"
    rpo_seconds: 90000
"""

RETURN = r"""
project:
  description: The project as the service describes it.
  type: dict
  returned: success
  sample:
    ref: abcdefghijklmnopqrst
    name: learning
    region: eu-central-1
    status: ACTIVE_HEALTHY
    created_at: '2025-06-01T09:00:00.000+00:00'
    host: db.abcdefghijklmnopqrst.supabase.co
    version: 17.6.1.003
pitr_enabled:
  description: Whether the project has point-in-time recovery.
  type: bool
  returned: success
  sample: true
window:
  description: The instants that can be restored, both ends included; null where the service tells none.
  type: dict
  returned: success
  sample: {earliest: '2026-02-22T12:38:04.000+00:00', latest: '2026-03-01T12:38:04.000+00:00', seconds: 604800.0}
backups:
  description: The daily backups, newest first. C(id) is null where the service tells none.
  type: list
  elements: dict
  returned: success
  sample:
    - id: 12345
      physical: true
      status: COMPLETED
      taken_at: '2026-03-01T02:00:05.000+00:00'
      age_seconds: 38279.0
newest:
  description: The newest instant that could be restored; null for none.
  type: str
  returned: success
  sample: '2026-03-01T12:38:04.000+00:00'
age_seconds:
  description: How long that is ago.
  type: float
  returned: success
  sample: 120.0
exposure_seconds:
  description: The longest time between instants that can be restored, up to now.
  type: float
  returned: success
  sample: 120.0
findings:
  description: What is not as it is wanted.
  type: list
  elements: dict
  returned: success
  contains:
    code:
      description: A stable name - C(status), C(no_backups), C(newest_failed), C(pitr_disabled), C(too_old), C(gap_too_long) or C(window_short).
      type: str
      sample: pitr_disabled
    message:
      description: What it is about.
      type: str
      sample: Point-in-time recovery is not enabled.
  sample: []
ok:
  description: Whether there are no findings.
  type: bool
  returned: success
  sample: true
summary:
  description: The result in a sentence or two.
  type: str
  returned: success
  sample: "'learning' (abcdefghijklmnopqrst): newest restorable instant 2 min 00 s ago. As wanted."
error_kind:
  description: A stable name of what went wrong.
  type: str
  returned: failure
  sample: access_denied
"""

from ansible_collections.lifeline.recovery.plugins.module_utils._ansible.ansible_module import create_module, run_module
from ansible_collections.lifeline.recovery.plugins.module_utils._ansible.argument_specs import (
    ArgumentSpec,
    supabase_spec,
)
from ansible_collections.lifeline.recovery.plugins.module_utils._ansible.supabase_requests import supabase_api
from ansible_collections.lifeline.recovery.plugins.module_utils._core.clock import utc_now
from ansible_collections.lifeline.recovery.plugins.module_utils._supabase.findings import Judgement, Wanted, judge

SPEC = ArgumentSpec(
    {
        "rpo_seconds": {"type": "int"},
        "window_days": {"type": "int", "default": 0},
        "pitr": {"type": "bool", "default": False},
    }
)


def main() -> None:
    module = create_module(SPEC.merge(supabase_spec()))
    params = module.params

    def work() -> Judgement:
        api = supabase_api(params)
        wanted = Wanted(rpo=params["rpo_seconds"], window_days=params["window_days"], pitr=params["pitr"])
        return judge(api.project(), api.backups(), wanted, utc_now())

    run_module(module, work)


if __name__ == "__main__":
    main()
