# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_array_references
short_description: Report or remove ids in an array column that refer to no row
version_added: 1.0.0
description:
  - PostgreSQL has no foreign keys for the elements of an array. After rows of the referenced table were lost, arrays hold ids that refer
    to nothing, such as C(course_metadata.tag_ids) after a loss of C(tags).
  - With O(state=repaired), these ids are removed. The order of the other ids stays, and rows without such ids are not touched. Elements
    that are C(NULL) refer to nothing and are removed too.
  - Everything happens in one transaction. Other sessions cannot change the two tables during it, so that no id is removed whose row
    is restored in the meantime.
  - A referenced table without any row is refused, because every id would be removed. Restore the table first.
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
      - The rows are found as in a real run. Nothing is stored, locked or changed.
  diff_mode:
    support: full
    details:
      - Shows the arrays of the first O(diff_rows) rows before and after the change.
  idempotent:
    support: full
options:
  state:
    description:
      - V(repaired) removes ids that refer to no row.
      - V(reported) lists them and changes nothing.
    type: str
    choices: [reported, repaired]
    default: reported
  table:
    description:
      - Table with the array column, as C(table), C(schema.table) or C("Odd Schema"."Odd.Table"). The table must have a primary key, or a
        unique key without null values.
    type: str
    required: true
  column:
    description:
      - The array column. Its elements must be whole numbers, texts or UUIDs, and its arrays must have one dimension.
    type: str
    required: true
  references:
    description:
      - The column that the ids refer to.
    type: dict
    required: true
    suboptions:
      table:
        description:
          - Name of the referenced table.
        type: str
        required: true
      column:
        description:
          - Name of the referenced column.
        type: str
        default: id
  duplicates:
    description:
      - V(keep) keeps an id that an array has more than once. V(drop) keeps only its first place.
    type: str
    choices: [keep, drop]
    default: keep
seealso:
  - module: lifeline.recovery.pg_restore_table
  - module: lifeline.recovery.integrity_check
"""

EXAMPLES = r"""
- name: List the tag ids of courses that refer to no tag
  lifeline.recovery.pg_array_references:
    table: course_metadata
    column: tag_ids
    references:
      table: tags
    login_db: learnplay
    login_unix_socket: /run/postgresql
  register: dangling

- name: Remove these ids from the courses
  lifeline.recovery.pg_array_references:
    state: repaired
    table: course_metadata
    column: tag_ids
    references:
      table: tags
    source: learnplay
    store:
      bucket: learnplay-backups
    recovery_confirm: "{{ dangling.plan_digest }}"
    login_db: learnplay
    login_unix_socket: /run/postgresql

- name: Remove ids of deleted users from groups, and ids that a group has twice
  lifeline.recovery.pg_array_references:
    state: repaired
    table: chat.groups
    column: member_ids
    references:
      table: chat.members
      column: number
    duplicates: drop
    max_rows: 500
    source: chat
    store:
      provider: directory
      path: /var/backups/lifeline
    recovery_confirm: chat
    login_db: chat
    login_unix_socket: /run/postgresql
"""

RETURN = r"""
table:
  description: The table, with its schema.
  type: str
  returned: success
  sample: public.course_metadata
count:
  description: The number of rows with ids that refer to no row.
  type: int
  returned: success
  sample: 3
rows:
  description:
    - The first 1000 of these rows, with the removed ids, the removed duplicates, and the number of ids that are kept.
  type: list
  elements: dict
  returned: success
  sample: [{key: {id: algebra-1}, dropped: [7c9e6679-7425-40de-944b-e07fc1f90ae7], duplicates: [], kept: 4}]
plan:
  description: The plan that a confirmation accepts. C(digest) is a digest of all rows.
  type: dict
  returned: success
  sample:
    database: learnplay
    table: public.course_metadata
    column: tag_ids
    references: public.tags.id
    rows: 3
    dropped: 5
    duplicates: 0
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
  description: The options of M(lifeline.recovery.pg_restore_table) that take the change back; empty if nothing was changed.
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
  sample: {plan: 0.1, undo set: 0.1, change: 0.1, total: 0.3}
summary:
  description: The result in one sentence.
  type: str
  returned: success
  sample: Removed 5 dangling ids from 3 rows of public.course_metadata.tag_ids.
error_kind:
  description: Stable name of the error.
  type: str
  returned: failure
  sample: rows_missing
"""

from ..module_utils._ansible.ansible_module import create_module, run_module
from ..module_utils._ansible.argument_specs import postgres_spec
from ..module_utils._ansible.options import ArgumentSpec, request_of, spec_of
from ..module_utils._ansible.postgres_requests import repair_request
from ..module_utils._ansible.store_requests import audit_store, store_spec
from ..module_utils._engines.postgresql.repair.array_references import ArrayReferences, ArrayReferencesRequest
from ..module_utils._engines.postgresql.repair.rows_repair import RepairResult
from ..module_utils._operations.change import perform

STATE = ArgumentSpec(
    {
        "state": {"type": "str", "default": "reported", "choices": ["reported", "repaired"]},
        "max_rows": {"type": "int"},
    }
)
SPEC = STATE.merge(spec_of(ArrayReferencesRequest), store_spec(), postgres_spec())


def main() -> None:
    module = create_module(SPEC)
    params = module.params

    def work() -> RepairResult:
        repair = repair_request(params, check_mode=module.check_mode, diff_mode=module._diff)
        request = request_of(ArrayReferencesRequest, params, check_mode=module.check_mode, repair=repair)
        return perform(ArrayReferences(request, audit_store(params)))

    run_module(module, work)


if __name__ == "__main__":
    main()
