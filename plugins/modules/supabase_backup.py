#!/usr/bin/python
# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: supabase_backup
short_description: Restore a Supabase project to an instant or a restore point
version_added: 1.0.0
description:
  - Drives the backups that Supabase keeps itself, through its Management API, and waits until the project is healthy again.
  - A restore replaces the complete database in place, and the project is unavailable until the restore ends. So the target is checked before
    a request is sent, a restore point is created first, and in production O(recovery_confirm) is required.
  - The request of a restore is sent once. If its answer is lost, the state of the project shows whether the restore runs.
  - Files of Supabase's storage and the data of other services are in no backup and are not restored.
  - Follows the OpenAPI document of the API and was tested against a double of it, not against the service. The document marks restore
    points, undo and the restore of daily backups as internal; O(undo_first) decides about projects without them.
author:
  - lifeline.recovery contributors (@lifeline-recovery)
extends_documentation_fragment:
  - lifeline.recovery._attributes
  - lifeline.recovery._confirmation
  - lifeline.recovery._store
  - lifeline.recovery._supabase
  - lifeline.recovery._journal
attributes:
  check_mode:
    support: full
    details:
      - In check mode the project and its backups are read, the target is checked and the plan with its digest is returned.
  diff_mode:
    support: none
  idempotent:
    support: partial
    details:
      - A restore runs each time. An existing restore point of a name stays unchanged.
options:
  action:
    description:
      - V(list) returns the backups, as M(lifeline.recovery.supabase_backup_info) without a judgement, and the restore point O(name);
        without a name, the restore point that the service returns.
      - V(restore) restores the instant O(to), or the daily backup O(backup_id).
      - V(restore_point) ensures a restore point called O(name), and waits until it is available.
      - V(undo) rolls back to the restore point O(name).
      - V(wait) waits until a running restore of the project ends, for example after a timeout of this module.
    type: str
    choices: [list, restore, restore_point, undo, wait]
    default: list
  to:
    description:
      - Instant to restore, for example C(2026-03-01T12:40:00Z). Fractions of a second are cut off.
    type: str
  backup_id:
    description:
      - Id of a physical daily backup to restore, for projects without point-in-time recovery.
    type: int
  name:
    description:
      - Name of the restore point, at most 20 characters. If it is unset, O(action=restore_point) creates one named by the time.
    type: str
  project_name:
    description:
      - Expected name of the project. A project with another name is refused, because refs are easily confused.
    type: str
  undo_first:
    description:
      - V(required) restores only after a restore point was created. V(try) continues if the service refuses to create one, V(none)
        requests none. Without a restore point, this module cannot undo the restore - store a set with M(lifeline.recovery.pg_backup) first.
      - O(action=undo) creates no restore point, because no document states that the service keeps two.
    type: str
    choices: [required, try, none]
    default: required
  timeout:
    description:
      - Seconds to wait for a restore, and before it for its restore point. After the timeout, the service continues the restore.
    type: int
    default: 3600
  begin_timeout:
    description:
      - Seconds to wait until the service starts the requested action.
    type: int
    default: 120
  poll_seconds:
    description:
      - Seconds between two requests of the state. The service allows 120 requests per minute.
    type: float
    default: 10
  source:
    description:
      - Source of the audit record in O(store).
    type: str
  progress_file:
    description:
      - File with one line that has the state of the project, rewritten at each change, for C(watch cat).
    type: path
seealso:
  - module: lifeline.recovery.supabase_backup_info
  - module: lifeline.recovery.pg_restore
  - module: lifeline.recovery.integrity_check
"""

EXAMPLES = r"""
- name: Create a restore point before a migration
  lifeline.recovery.supabase_backup:
    project_ref: abcdefghijklmnopqrst
    action: restore_point
    name: before-migration
  register: point

- name: Roll back to the restore point
  lifeline.recovery.supabase_backup:
    project_ref: abcdefghijklmnopqrst
    action: undo
    name: before-migration
    recovery_confirm: abcdefghijklmnopqrst
  when: point is succeeded

- name: Restore the second before the incident
  lifeline.recovery.supabase_backup:
    project_ref: abcdefghijklmnopqrst
    project_name: learning
    action: restore
    to: "2026-03-01T12:39:59Z"
    recovery_confirm: abcdefghijklmnopqrst
    source: learning
    store:
      bucket: learning-backups
"""

RETURN = r"""
project:
  description: The project as the service describes it after the action.
  type: dict
  returned: success, but for O(action=restore_point)
  sample:
    ref: abcdefghijklmnopqrst
    name: learning
    region: eu-central-1
    status: ACTIVE_HEALTHY
    created_at: '2025-06-01T09:00:00.000+00:00'
    host: db.abcdefghijklmnopqrst.supabase.co
    version: 17.6.1.003
window:
  description: The instants that can be restored; null if the service returns none.
  type: dict
  returned: O(action=list), O(action=restore) or O(action=undo)
  sample: {earliest: '2026-02-22T12:38:04.000+00:00', latest: '2026-03-01T12:48:04.000+00:00', seconds: 605400.0}
pitr_enabled:
  description: Whether the project has point-in-time recovery.
  type: bool
  returned: O(action=list)
  sample: true
backups:
  description: The daily backups, newest first, as M(lifeline.recovery.supabase_backup_info) returns them.
  type: list
  elements: dict
  returned: O(action=list)
  sample: []
newest:
  description: The newest restorable instant; null if there is none.
  type: str
  returned: O(action=list)
  sample: '2026-03-01T12:48:04.000+00:00'
age_seconds:
  description: How long that is ago.
  type: float
  returned: O(action=list)
  sample: 120.0
restore_point:
  description: A restore point with its status; null if there is none, or the service returns none.
  type: dict
  returned: O(action=list)
  sample: {name: before-migration, status: AVAILABLE, completed_on: '2026-03-01T12:00:03.000+00:00'}
target:
  description: The restored state.
  type: str
  returned: O(action=restore) or O(action=undo)
  sample: '2026-03-01T12:39:59.000+00:00'
name:
  description: The restore point.
  type: str
  returned: O(action=restore_point)
  sample: before-migration
completed_on:
  description: When the restore point was done; null while it is not.
  type: str
  returned: O(action=restore_point)
  sample: '2026-03-01T12:00:03.000+00:00'
status:
  description: The state of the project, or of the restore point. In a failure, that in which the project was seen last.
  type: str
  returned: always
  sample: ACTIVE_HEALTHY
undo:
  description: The options of this module that take the restore back; empty where nothing does.
  type: dict
  returned: O(action=restore), O(action=restore_point) or O(action=undo), also in a failure after the request was sent
  sample: {action: undo, name: u20260301T124512-3f1}
without_undo:
  description: Why there is nothing that takes it back; null where there is, and in check mode.
  type: str
  returned: O(action=restore) or O(action=undo)
  sample: null
answer_lost:
  description: Whether the answer to the request never came, and the restore was seen to run.
  type: bool
  returned: O(action=restore) or O(action=undo)
  sample: false
applied:
  description: Whether the service took the request - V(yes), V(no) or V(unknown).
  type: str
  returned: failure of O(action=restore) or O(action=undo) at or after the request
  sample: unknown
plan:
  description: The plan that check mode shows and a confirmation refers to.
  type: dict
  returned: O(action=restore) or O(action=undo)
  sample:
    project: abcdefghijklmnopqrst
    name: learning
    host: db.abcdefghijklmnopqrst.supabase.co
    target: '2026-03-01T12:39:59.000+00:00'
    undo_first: required
    replaces: the whole database, in place, with downtime
plan_digest:
  description: Sixteen digits that O(recovery_confirm) may be; they change with the plan.
  type: str
  returned: O(action=restore) or O(action=undo)
  sample: 3f1c9a0b5d7e2468
confirmation:
  description: The value that O(recovery_confirm) must have in a run with the same options; empty if the run needs no other value.
  type: str
  returned: success
  sample: ""
timings:
  description: Seconds per phase.
  type: dict
  returned: O(action=restore) or O(action=undo)
  sample: {preflight: 0.4, undo: 21.3, restore: 290.1, verify: 0.2, total: 312.0}
summary:
  description: The result in one sentence.
  type: str
  returned: success
  sample: "Restored 'learning' (abcdefghijklmnopqrst) to 2026-03-01T12:39:59.000+00:00 in 5 min 12 s; restore point u20260301T124512-3f1 takes it back."
error_kind:
  description: A stable name of what went wrong.
  type: str
  returned: failure
  sample: outside_window
"""

import typing as t

from ..module_utils._ansible.ansible_module import create_module, run_module
from ..module_utils._ansible.argument_specs import supabase_spec
from ..module_utils._ansible.options import ArgumentSpec, spec_of
from ..module_utils._ansible.store_requests import audit_store, store_spec
from ..module_utils._ansible.supabase_requests import (
    supabase_api,
    supabase_patience,
    supabase_point_request,
    supabase_recover_request,
)
from ..module_utils._core.clock import utc_now
from ..module_utils._operations.change import perform
from ..module_utils._supabase.findings import listing
from ..module_utils._supabase.points import keep_point, known_point
from ..module_utils._supabase.recover import ProjectRestore, RecoverRequest, wait

ACTION = ArgumentSpec(
    {
        "action": {
            "type": "str",
            "default": "list",
            "choices": ["list", "restore", "restore_point", "undo", "wait"],
        }
    }
)
SPEC = spec_of(RecoverRequest).merge(ACTION, supabase_spec(), store_spec())


def main() -> None:
    module = create_module(SPEC)
    params, action = module.params, module.params["action"]

    def work() -> t.Any:
        api = supabase_api(params)
        if action == "list":
            return listing(api.project(), api.backups(), known_point(api, params["name"]), utc_now())
        if action == "wait":
            return wait(api, supabase_patience(params), params["progress_file"], check_mode=module.check_mode)
        if action == "restore_point":
            return keep_point(api, supabase_point_request(params, check_mode=module.check_mode), audit_store(params))
        request = supabase_recover_request(params, check_mode=module.check_mode)
        return perform(ProjectRestore(api, request, audit_store(params)))

    run_module(module, work)


if __name__ == "__main__":
    main()
