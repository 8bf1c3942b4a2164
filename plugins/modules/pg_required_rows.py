# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_required_rows
short_description: Report or insert rows that an application requires
version_added: 1.0.0
description:
  - Inserts one row if the table lacks it, such as the default organization of an application.
  - With O(for_each), inserts one row for each row of another table that has none, such as a role for each user without a role.
  - Rows that exist stay unchanged, whatever their other values are. A second run inserts nothing. Other sessions cannot write to the
    table during the run, so that no row is inserted twice, also if the table has no unique key.
author:
  - lifeline.recovery contributors (@lifeline-recovery)
requirements:
  - psycopg2
  - boto3 (for S3 stores)
  - zstandard (for the undo set)
extends_documentation_fragment:
  - lifeline.recovery._attributes
  - lifeline.recovery._postgres
  - lifeline.recovery._postgres.client
  - lifeline.recovery._store
  - lifeline.recovery._repair
  - lifeline.recovery._confirmation
attributes:
  check_mode:
    support: full
    details:
      - The missing rows are found as in a real run. Nothing is stored, locked or inserted.
      - References of the missing rows are not tested.
  diff_mode:
    support: full
    details:
      - Shows the first O(diff_rows) missing rows.
  idempotent:
    support: full
options:
  state:
    description:
      - V(present) inserts rows that are missing.
      - V(reported) lists them and changes nothing.
    type: str
    choices: [reported, present]
    default: reported
  table:
    description:
      - Table that requires the rows, as C(table), C(schema.table) or C("Odd Schema"."Odd.Table").
    type: str
    required: true
  values:
    description:
      - Column to value of the new rows. A dictionary or a list is a value of a JSON column; a list is also a value of an array.
      - Columns that are not set get their default. If the primary key is a UUID without a default, a random one is generated.
    type: dict
    default: {}
  match:
    description:
      - Columns that identify a row. A row exists if the table has one with the same values in them.
      - If it is unset, these are the columns of O(for_each.columns), or those of the primary key without O(for_each).
    type: list
    elements: str
    default: []
  for_each:
    description:
      - Another table, each row of which requires a row.
    type: dict
    suboptions:
      table:
        description:
          - Name of the other table. A role from which row-level security hides rows of it is refused.
        type: str
        required: true
      columns:
        description:
          - Column of the new row to the column of the other table that it gets its value from. Rows in which that is null are left out.
        type: dict
        required: true
      where:
        description:
          - SQL condition on rows of the other table, as after C(WHERE). If it is unset, all rows count.
        type: str
      shown:
        description:
          - Column of the other table that describes a row to people, such as a mail address. Results show its first character, and the
            domain of an address.
        type: str
seealso:
  - module: lifeline.recovery.pg_array_references
  - module: lifeline.recovery.pg_restore_table
"""

EXAMPLES = r"""
- name: Insert the default organization if it is missing
  lifeline.recovery.pg_required_rows:
    state: present
    table: organizations
    values:
      id: 00000000-0000-0000-0000-000000000001
      name: LearnPlay
      slug: learnplay
      branding:
        logoUrl: /placeholder.svg
        primaryColor: "#1E40AF"
      settings: {}
    source: learnplay
    store:
      bucket: learnplay-backups
    login_db: learnplay
    login_unix_socket: /run/postgresql

- name: Give each user without a role the role viewer
  lifeline.recovery.pg_required_rows:
    state: present
    table: user_roles
    values:
      organization_id: 00000000-0000-0000-0000-000000000001
      role: viewer
    for_each:
      table: auth.users
      columns:
        user_id: id
      shown: email
    source: learnplay
    store:
      bucket: learnplay-backups
    login_db: learnplay
    login_unix_socket: /run/postgresql

- name: List active customers without settings
  lifeline.recovery.pg_required_rows:
    state: reported
    table: settings
    for_each:
      table: customers
      columns:
        customer_id: id
      where: closed_at IS NULL
    login_db: shop
    login_unix_socket: /run/postgresql
"""

RETURN = r"""
table:
  description: The table, with its schema.
  type: str
  returned: success
  sample: public.user_roles
count:
  description: The number of missing rows.
  type: int
  returned: success
  sample: 2
rows:
  description:
    - The first 1000 missing rows, with the values that they get, and C(shown) as O(for_each.shown) describes.
  type: list
  elements: dict
  returned: success
  sample:
    - values: {organization_id: 00000000-0000-0000-0000-000000000001, role: viewer, user_id: 7c9e6679-7425-40de-944b-e07fc1f90ae7}
      shown: v***@example.org
plan:
  description: The plan that a confirmation accepts. C(digest) is a digest of all missing rows.
  type: dict
  returned: success
  sample: {database: learnplay, table: public.user_roles, rows: 2, columns: [organization_id, role, user_id]}
plan_digest:
  description: Digest of the plan, which O(recovery_confirm) accepts.
  type: str
  returned: success
  sample: 3f1c9a0b5d7e2468
confirmation:
  description: The value that O(recovery_confirm) must have in a run with the same options; empty if the run needs no other value.
  type: str
  returned: success
  sample: ""
undo:
  description: The options of M(lifeline.recovery.pg_restore_table) that remove the new rows; empty if nothing was inserted.
  type: dict
  returned: success
  sample: {set: 20260301T124512Z, tier: undo, mode: exact}
unchanged:
  description: Why nothing was changed, as C(reason) and C(next_step); null if something was.
  type: dict
  returned: success
  sample: null
timings:
  description: Seconds per phase.
  type: dict
  returned: success
  sample: {plan: 0.1, change: 0.1, undo set: 0.1, total: 0.3}
summary:
  description: The result in one sentence.
  type: str
  returned: success
  sample: Inserted 2 rows into public.user_roles.
error_kind:
  description: Stable name of the error.
  type: str
  returned: failure
  sample: conflict
"""

from ..module_utils._ansible.ansible_module import create_module, run_module
from ..module_utils._ansible.argument_specs import postgres_spec
from ..module_utils._ansible.options import ArgumentSpec, request_of, spec_of
from ..module_utils._ansible.postgres_requests import repair_request
from ..module_utils._ansible.store_requests import audit_store, store_spec
from ..module_utils._engines.postgresql.repair.required_rows import RequiredRows, RequiredRowsRequest
from ..module_utils._engines.postgresql.repair.rows_repair import RepairResult
from ..module_utils._operations.change import perform

STATE = ArgumentSpec(
    {
        "state": {"type": "str", "default": "reported", "choices": ["reported", "present"]},
        "max_rows": {"type": "int"},
    }
)
SPEC = STATE.merge(spec_of(RequiredRowsRequest), store_spec(), postgres_spec())


def main() -> None:
    module = create_module(SPEC)
    params = module.params

    def work() -> RepairResult:
        repair = repair_request(params, check_mode=module.check_mode, diff_mode=module._diff)
        request = request_of(RequiredRowsRequest, params, check_mode=module.check_mode, repair=repair)
        return perform(RequiredRows(request, audit_store(params)))

    run_module(module, work)


if __name__ == "__main__":
    main()
