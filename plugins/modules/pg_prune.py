#!/usr/bin/python
# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_prune
short_description: Drop databases that restores kept
version_added: 1.0.0
description:
  - Finds the databases that restores into O(login_db) kept as their undo, by their names C(<database>_before_<instant>) and
    C(<database>_undone_<instant>), and drops those that are older than O(keep_days).
  - A database that has sessions stays. No other database is looked at.
author:
  - lifeline.recovery contributors (@lifeline-recovery)
requirements:
  - psycopg2
extends_documentation_fragment:
  - lifeline.recovery._attributes
  - lifeline.recovery._confirmation
  - lifeline.recovery._postgres
  - lifeline.recovery._postgres.client
  - lifeline.recovery._store
  - lifeline.recovery._store.audited
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details:
      - The difference is the list of kept databases before and after.
  idempotent:
    support: full
options:
  keep_days:
    description:
      - How many days a kept database stays.
    type: float
    default: 14
  minimum:
    description:
      - How many of the newest kept databases stay, whatever their age.
    type: int
    default: 1
  confirmed_by_policy:
    description:
      - Whether the policy that O(keep_days) and O(minimum) state is the confirmation, for scheduled runs. O(recovery_confirm) is then not
        required, and the audit record has C(confirmed_by).
    type: bool
    default: false
seealso:
  - module: lifeline.recovery.pg_restore
  - module: lifeline.recovery.backup_prune
"""

EXAMPLES = r"""
- name: Show which databases that swaps kept would be dropped
  lifeline.recovery.pg_prune:
    login_db: school
  check_mode: true

- name: Drop the databases that swaps kept for longer than a week
  lifeline.recovery.pg_prune:
    login_host: db.example.org
    login_user: admin
    login_password: "{{ vault_admin_password }}"
    login_db: school
    keep_days: 7
    recovery_confirm: school

- name: Drop every kept database, and leave an audit record
  lifeline.recovery.pg_prune:
    login_db: school
    keep_days: 0
    minimum: 0
    source: school
    recovery_confirm: school
    store:
      bucket: school-backups
"""

RETURN = r"""
kept:
  description: The databases that restores kept and that stay, in check mode all of them, oldest first.
  type: list
  elements: dict
  returned: success
  sample:
    - name: school_before_20260301t124500z
      oid: 16401
      kept_at: "2026-03-01T12:45:00.000+00:00"
      age_seconds: 439200.0
      bytes: 734003200
removed:
  description: The names of the databases that were dropped, or would be.
  type: list
  elements: str
  returned: success
  sample: [school_before_20260201t091500z]
in_use:
  description: The names of databases that stay because sessions are connected.
  type: list
  elements: str
  returned: success
  sample: []
unchanged:
  description: Why no database was dropped, as C(reason) and C(next_step); null if one was.
  type: dict
  returned: success
  sample: null
plan_digest:
  description: The digest that confirms exactly these databases.
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
  sample: "Dropped 1 of 2 databases that restores of 'school' kept: school_before_20260201t091500z, 28 d 03 h old, 700.0 MiB."
error_kind:
  description: A stable name of what went wrong.
  type: str
  returned: failure
  sample: confirmation_required
"""

from ..module_utils._ansible.ansible_module import create_module, run_module
from ..module_utils._ansible.argument_specs import postgres_spec
from ..module_utils._ansible.options import request_of, spec_of
from ..module_utils._ansible.postgres_requests import connection_options
from ..module_utils._ansible.store_requests import opened_store, store_spec
from ..module_utils._core.clock import utc_now
from ..module_utils._engines.postgresql.restore.kept import KeptPrune, KeptPruneRequest, KeptPruneResult
from ..module_utils._operations.change import perform

SPEC = spec_of(KeptPruneRequest).merge(postgres_spec(), store_spec())


def main() -> None:
    module = create_module(SPEC)
    params = module.params

    def work() -> KeptPruneResult:
        options = connection_options(params)
        request = request_of(
            KeptPruneRequest, params, check_mode=module.check_mode, connection=options, database=options.database
        )
        return perform(KeptPrune(request, utc_now(), opened_store(params) if params["store"] else None))

    run_module(module, work)


if __name__ == "__main__":
    main()
