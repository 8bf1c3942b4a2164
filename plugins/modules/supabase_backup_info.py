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
  - Lists the daily backups of a project and the window of its point-in-time recovery, and reports violated objectives. Only reads.
  - Findings do not fail the module, because reports need every finding; branch on RV(ok).
  - Supabase's backups contain no files of its storage, only their names, and are deleted with the project. They do not
    replace your own sets.
author:
  - lifeline.recovery contributors (@lifeline-recovery)
extends_documentation_fragment:
  - lifeline.recovery._attributes
  - lifeline.recovery._attributes.info_module
  - lifeline.recovery._supabase
options:
  rpo_seconds:
    description:
      - Recovery point objective in seconds. It limits the age of the newest restorable instant and the gap between
        two instants. If it is unset, the age is reported and not judged.
    type: int
  window_days:
    description:
      - Days that a restore must reach back. V(0) disables the check.
      - Supabase keeps daily backups for 7, 14 or 30 days, by plan; point-in-time recovery has a separate window.
    type: int
    default: 0
  pitr:
    description:
      - Whether point-in-time recovery is required. Daily backups alone cannot meet an objective of an hour.
    type: bool
    default: false
seealso:
  - module: lifeline.recovery.supabase_backup
  - module: lifeline.recovery.pg_backup
"""

EXAMPLES = r"""
- name: List the backups of the project
  lifeline.recovery.supabase_backup_info:
    project_ref: abcdefghijklmnopqrst
  register: backups

- name: Check for objectives of an hour and a week
  lifeline.recovery.supabase_backup_info:
    project_ref: abcdefghijklmnopqrst
    rpo_seconds: 3600
    window_days: 7
    pitr: true
  register: backups
  failed_when: backups is failed or not backups.ok

- name: Check whether the daily backup ran
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
  description: The instants that can be restored, both ends included; null if the service returns none.
  type: dict
  returned: success
  sample: {earliest: '2026-02-22T12:38:04.000+00:00', latest: '2026-03-01T12:38:04.000+00:00', seconds: 604800.0}
backups:
  description: The daily backups, newest first. C(id) is null if the service returns none.
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
  description: The newest restorable instant; null if there is none.
  type: str
  returned: success
  sample: '2026-03-01T12:38:04.000+00:00'
age_seconds:
  description: Seconds since that instant.
  type: float
  returned: success
  sample: 120.0
exposure_seconds:
  description: The longest time between restorable instants, up to the current time.
  type: float
  returned: success
  sample: 120.0
findings:
  description: The violated objectives.
  type: list
  elements: dict
  returned: success
  contains:
    code:
      description: Stable name - C(status), C(no_backups), C(newest_failed), C(pitr_disabled), C(too_old), C(gap_too_long) or C(window_short).
      type: str
      sample: pitr_disabled
    message:
      description: One sentence for the operator.
      type: str
      sample: Point-in-time recovery is not enabled.
  sample: []
ok:
  description: Whether there are no findings.
  type: bool
  returned: success
  sample: true
summary:
  description: The result in one or two sentences.
  type: str
  returned: success
  sample: "'learning' (abcdefghijklmnopqrst): newest restorable instant 2 min 00 s ago. As wanted."
error_kind:
  description: Stable name of the error.
  type: str
  returned: failure
  sample: access_denied
"""

from ..module_utils._ansible.ansible_module import create_module, run_module
from ..module_utils._ansible.argument_specs import supabase_spec
from ..module_utils._ansible.options import request_of, spec_of
from ..module_utils._ansible.supabase_requests import supabase_api
from ..module_utils._core.clock import utc_now
from ..module_utils._supabase.findings import Judgement, Wanted, judge

SPEC = spec_of(Wanted).merge(supabase_spec())


def main() -> None:
    module = create_module(SPEC)
    params = module.params

    def work() -> Judgement:
        api = supabase_api(params)
        wanted = request_of(Wanted, params, check_mode=module.check_mode)
        return judge(api.project(), api.backups(), wanted, utc_now())

    run_module(module, work)


if __name__ == "__main__":
    main()
