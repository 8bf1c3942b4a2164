#!/usr/bin/python
# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: supabase_backup
short_description: Restore a project of Supabase to an instant, or back to a restore point
version_added: 1.0.0
description:
  - Drives the backups that Supabase keeps itself, through its Management API, and waits until the project is well again.
  - A restore replaces the whole database in place, and the project is unavailable until the restore ends. So the target is checked before
    a request is sent, a restore point is taken first, and in production it needs O(recovery_confirm).
  - The request of a restore is never sent twice. When its answer is lost, the state of the project tells whether it runs.
  - Files of Supabase's storage, and what other services keep, are in no backup and are not restored.
  - Follows the OpenAPI document of the API and was tested against a double of it, not against the service. The document marks restore
    points, undo and the restore of daily backups as internal; where a project has them not, O(undo_first) tells what to do.
author:
  - lifeline.recovery contributors (@lifeline-recovery)
extends_documentation_fragment:
  - lifeline.recovery._attributes
  - lifeline.recovery._confirmation
  - lifeline.recovery._store
  - lifeline.recovery._supabase
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
      - A restore is done every time. A restore point of a name that is there is left alone.
options:
  action:
    description:
      - V(list) tells what there is, as M(lifeline.recovery.supabase_backup_info) does without judging, and the restore point O(name);
        without a name, that which the service tells.
      - V(restore) goes to the instant O(to), or to the daily backup O(backup_id).
      - V(restore_point) has a restore point called O(name), and waits until it is available.
      - V(undo) goes back to the restore point O(name).
      - V(wait) waits until a project that is being restored is well, for example after this module gave up on waiting.
    type: str
    choices: [list, restore, restore_point, undo, wait]
    default: list
  to:
    description:
      - The instant to restore, as C(2026-03-01T12:40:00Z). Fractions of a second are cut off.
    type: str
  backup_id:
    description:
      - The id of a physical daily backup to restore, for projects without point-in-time recovery.
    type: int
  name:
    description:
      - The restore point, of at most 20 characters. Without it, O(action=restore_point) makes a new one named by the time.
    type: str
  project_name:
    description:
      - What the project has to be called. A project of another name is refused, for a ref is easily mistaken.
    type: str
  undo_first:
    description:
      - V(required) restores only after a restore point was taken. V(try) goes on when the service refuses to make one, V(none) does
        not ask for one. Without one, nothing here takes the restore back - take a set with M(lifeline.recovery.pg_backup) first.
      - O(action=undo) takes none, because the service does not say that it keeps two.
    type: str
    choices: [required, try, none]
    default: required
  timeout:
    description:
      - Seconds to wait for a restore, and before it for its restore point. The restore goes on when nobody waits any more.
    type: int
    default: 3600
  begin_timeout:
    description:
      - Seconds to wait for the first sign of what was asked for.
    type: int
    default: 120
  poll_seconds:
    description:
      - Seconds between two looks. The service allows 120 requests in a minute.
    type: float
    default: 10
  source:
    description:
      - The source that an audit record is written about, into O(store).
    type: str
  progress_file:
    description:
      - A file that holds one line with the state of the project, written anew as it changes, for C(watch cat).
    type: path
  journal:
    description:
      - A file that each phase is noted in as it begins and ends, to watch long work and to draw a drill's timeline.
    type: path
seealso:
  - module: lifeline.recovery.supabase_backup_info
  - module: lifeline.recovery.pg_restore
  - module: lifeline.recovery.integrity_check
"""

EXAMPLES = r"""
- name: Have a restore point before a migration
  lifeline.recovery.supabase_backup:
    project_ref: abcdefghijklmnopqrst
    action: restore_point
    name: before-migration
  register: point

- name: Go back to it
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
  description: The project as the service describes it, after what was done.
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
  description: The instants that could be restored before; null where the service tells none.
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
  description: The newest instant that could be restored; null for none.
  type: str
  returned: O(action=list)
  sample: '2026-03-01T12:48:04.000+00:00'
age_seconds:
  description: How long that is ago.
  type: float
  returned: O(action=list)
  sample: 120.0
restore_point:
  description: A restore point with its status; null where there is none, or where the service tells of none.
  type: dict
  returned: O(action=list)
  sample: {name: before-migration, status: AVAILABLE, completed_on: '2026-03-01T12:00:03.000+00:00'}
target:
  description: What was restored.
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
  description: What check mode shows and a confirmation is about.
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

from ansible_collections.lifeline.recovery.plugins.module_utils._ansible.ansible_module import create_module, run_module
from ansible_collections.lifeline.recovery.plugins.module_utils._ansible.argument_specs import (
    ArgumentSpec,
    confirmation_spec,
    progress_spec,
    store_spec,
    supabase_spec,
)
from ansible_collections.lifeline.recovery.plugins.module_utils._ansible.store_requests import audit_store
from ansible_collections.lifeline.recovery.plugins.module_utils._ansible.supabase_requests import (
    supabase_api,
    supabase_patience,
    supabase_point_request,
    supabase_recover_request,
)
from ansible_collections.lifeline.recovery.plugins.module_utils._core.clock import utc_now
from ansible_collections.lifeline.recovery.plugins.module_utils._supabase.findings import listing
from ansible_collections.lifeline.recovery.plugins.module_utils._supabase.points import keep_point, known_point
from ansible_collections.lifeline.recovery.plugins.module_utils._supabase.recover import recover, wait

SPEC = ArgumentSpec(
    {
        "action": {
            "type": "str",
            "default": "list",
            "choices": ["list", "restore", "restore_point", "undo", "wait"],
        },
        "to": {"type": "str"},
        "backup_id": {"type": "int"},
        "name": {"type": "str"},
        "project_name": {"type": "str"},
        "undo_first": {"type": "str", "default": "required", "choices": ["required", "try", "none"]},
        "timeout": {"type": "int", "default": 3600},
        "begin_timeout": {"type": "int", "default": 120},
        "poll_seconds": {"type": "float", "default": 10},
        "source": {"type": "str"},
        "journal": {"type": "path"},
    }
)


def main() -> None:
    spec = SPEC.merge(supabase_spec()).merge(confirmation_spec()).merge(progress_spec())
    module = create_module(spec.merge(store_spec()))
    params, action = module.params, module.params["action"]

    def work() -> t.Any:
        api = supabase_api(params)
        if action == "list":
            return listing(api.project(), api.backups(), known_point(api, params["name"]), utc_now())
        if action == "wait":
            return wait(api, supabase_patience(params), params["progress_file"], check_mode=module.check_mode)
        if action == "restore_point":
            return keep_point(api, supabase_point_request(params, check_mode=module.check_mode), audit_store(params))
        return recover(api, supabase_recover_request(params, check_mode=module.check_mode), audit_store(params))

    run_module(module, work)


if __name__ == "__main__":
    main()
