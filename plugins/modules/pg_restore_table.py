#!/usr/bin/python
# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_restore_table
short_description: Bring back tables or rows straight from a backup set, into the live database
version_added: 1.0.0
description:
  - Reads only the table of contents of a set and the objects of the tables asked for, compares their rows with the live ones,
    and makes the live ones like them in one transaction.
  - Rows are named by O(where), by O(keys), or as whole O(tables). O(closure) adds what refers to them, which is what a cascade
    took along, and what they refer to.
  - Rows of the set are compared in temporary tables of the session, which no other role sees and which end with the session.
  - Before anything changes, the touched rows are stored as they are, as a set of the tier V(undo). RV(undo) holds the options
    that take the restore back.
author:
  - lifeline.recovery contributors (@lifeline-recovery)
requirements:
  - psycopg2
  - boto3 (for S3 stores)
  - zstandard
extends_documentation_fragment:
  - lifeline.recovery._attributes
  - lifeline.recovery._postgres
  - lifeline.recovery._postgres.client
  - lifeline.recovery._store
  - lifeline.recovery._selection
  - lifeline.recovery._rows
  - lifeline.recovery._rows.keys
  - lifeline.recovery._rows.limits
  - lifeline.recovery._confirmation
  - lifeline.recovery._journal
attributes:
  check_mode:
    support: full
    details:
      - In check mode all is fetched and compared, so that the numbers are those of a real run, and nothing is changed.
  diff_mode:
    support: full
    details:
      - Shows the first O(diff_rows) rows of each kind and table, with the changed columns; that is data of the database.
      - If rows are left out, a line has the number of shown rows and of all rows.
  idempotent:
    support: full
options:
  tables:
    description:
      - Tables to bring back whole, as C(table), C(schema.table) or C("Odd Schema"."Odd.Table").
      - A partitioned table stands for all its partitions.
      - For an undo set or an export nothing needs to be named.
    type: list
    elements: str
    default: []
  closure:
    description:
      - V(children) also brings the rows of the set that refer to the chosen ones, however far, which is what
        C(ON DELETE CASCADE) took along.
      - V(parents) also brings rows that the chosen ones refer to, where the database lacks them.
      - V(both) does both, V(none) neither.
      - Foreign keys of the set and of the database are followed, and O(references).
    type: str
    choices: [none, parents, children, both]
    default: none
  mode:
    description:
      - V(missing) inserts rows that the database lacks and touches no other.
      - V(merge) also puts back rows that differ from the set.
      - V(exact) also deletes live rows, among those asked for, that the set does not have.
      - Rows of a table without a key have no identity, so V(merge) treats them as V(missing), and V(exact) sees to it that
        there are as many of each as in the set.
    type: str
    choices: [missing, merge, exact]
    default: missing
  into:
    description:
      - A schema with tables of the same names, to merge the rows into instead of the live tables.
    type: str
  triggers:
    description:
      - V(disable) keeps triggers that people made from firing for these rows, which takes the owner's right; writers of the
        touched tables wait until the restore ends. Those of foreign keys always fire.
      - V(fire) lets them fire, with all that they do, such as sending messages.
    type: str
    choices: [fire, disable]
    default: disable
  column_map:
    description:
      - Table to a dictionary of columns that were renamed, from the name in the set to the live one.
    type: dict
    default: {}
  on_schema_drift:
    description:
      - V(fail) refuses a table whose columns or types are not those of the set.
      - V(common_columns) brings back what both know; values are read as the live types.
    type: str
    choices: [fail, common_columns]
    default: fail
  undo:
    description:
      - Store the touched rows as they are before they change.
    type: bool
    default: true
  lock_timeout:
    description:
      - How long to wait for locked rows and tables, in seconds.
    type: float
    default: 10
  spool_dir:
    description:
      - A folder with space for the stored objects of the tables. If it is unset, the system's folder for temporary files is used.
    type: path
seealso:
  - module: lifeline.recovery.pg_backup
  - module: lifeline.recovery.pg_restore
"""

EXAMPLES = r"""
- name: Restore three deleted students with all rows that a cascade deleted
  lifeline.recovery.pg_restore_table:
    source: school
    before: "2026-03-01T12:40:00Z"
    keys:
      children: [17, 18, 23]
    closure: children
    login_db: school
    login_unix_socket: /run/postgresql
    store:
      bucket: school-backups
  register: recovery

- name: Restore the prices that a faulty job overwrote
  lifeline.recovery.pg_restore_table:
    source: school
    where:
      bookings: starts_at >= '2026-03-01'
    mode: merge
    recovery_confirm: school
    login_db: school
    login_unix_socket: /run/postgresql
    store:
      bucket: school-backups

- name: Take that restore back
  lifeline.recovery.pg_restore_table:
    source: school
    tier: undo
    set: "{{ recovery.undo.set }}"
    mode: exact
    recovery_confirm: school
    login_db: school
    login_unix_socket: /run/postgresql
    store:
      bucket: school-backups
"""

RETURN = r"""
set_id:
  description: The set that the rows came from.
  type: str
  returned: success
  sample: 20260301T020005Z
tier:
  description: The tier of the set.
  type: str
  returned: success
  sample: daily
recovery_point:
  description: The instant that the set shows.
  type: str
  returned: success
  sample: "2026-03-01T02:00:05.123+00:00"
mode:
  description: The mode, as given.
  type: str
  returned: success
  sample: missing
tables:
  description:
    - For each table how many rows of the set it was about, and how many were inserted, updated and deleted.
    - C(differing) counts rows that differ from the set and that O(mode=missing) leaves unchanged.
  type: list
  elements: dict
  returned: success
  sample: [{table: public.children, chosen: 3, inserts: 3, updates: 0, deletes: 0, differing: 0}]
created_tables:
  description: Tables that the restore created, because they were dropped since.
  type: list
  elements: str
  returned: success
  sample: [public.bookings]
missing_keys:
  description: For each table the keys of O(keys) that the set does not hold, how many of how many, and the first of them.
  type: dict
  returned: success
  sample: {public.children: {missing: 1, wanted: 3, keys: ["23"]}}
unchanged:
  description: >-
    Why nothing was changed, as C(reason) and C(next_step), with C(earlier_set) and C(earlier_tier), the next older set or null; null if
    something was changed.
  type: dict
  returned: success
  sample:
    reason: The set 20260301T020005Z of 2026-03-01T02:00:05.123+00:00 holds no row that was asked for.
    next_step: Check `where` and `tables`. Choose an earlier set with `before` or `set`.
bytes_fetched:
  description: Stored bytes that were read from the store, without the manifest.
  type: int
  returned: success
  sample: 7340032
bytes_in_set:
  description: Stored bytes of the whole set.
  type: int
  returned: success
  sample: 183500800
foreign_keys:
  description: How many foreign keys of the touched tables, and to those that lost rows, were tested, and which have rows without a parent.
  type: dict
  returned: success
  sample: {checked: 7, violated: []}
sequences:
  description: Sequences that were moved beyond the values of their columns.
  type: list
  elements: str
  returned: success
  sample: [public.bookings_id_seq]
fingerprint:
  description: For V(exact) of whole tables, how many were compared by digest with the set, and that they are equal.
  type: dict
  returned: success
  sample: {equal: true, tables: 1}
undo:
  description: The options that take this restore back, or nothing when nothing was changed.
  type: dict
  returned: success
  sample: {set: 20260301T124512Z, tier: undo, mode: exact}
plan:
  description: The plan that check mode shows and a confirmation accepts.
  type: dict
  returned: success
  sample: {set_id: 20260301T020005Z, mode: missing, target_db: school, tables: {public.children: {insert: 3}}}
plan_digest:
  description: Sixteen digits that O(recovery_confirm) may be; they change with the plan.
  type: str
  returned: success
  sample: 3f1c9a0b5d7e2468
confirmation:
  description: The value that O(recovery_confirm) must have in a run with the same options; empty if the run needs no other value.
  type: str
  returned: success
  sample: ""
timings:
  description: Seconds per phase.
  type: dict
  returned: success
  sample: {preflight: 0.1, choose: 0.6, compare: 0.1, undo set: 0.1, merge: 0.1, verify: 0.2, total: 1.2}
summary:
  description: The result in one sentence.
  type: str
  returned: success
  sample: >-
    Restored rows of 2 tables from set 20260301T020005Z: 12 inserted, 0 updated, 0 deleted; 7.0 MiB of 175.0 MiB fetched, 1.2 s.
error_kind:
  description: A stable name of what went wrong.
  type: str
  returned: failure
  sample: schema_drift
"""

from ..module_utils._ansible.ansible_module import create_module, run_module
from ..module_utils._ansible.argument_specs import postgres_spec, rows_spec, selection_spec
from ..module_utils._ansible.options import ArgumentSpec, request_of, spec_of
from ..module_utils._ansible.postgres_requests import column_maps, connection_options
from ..module_utils._ansible.requests import required_source
from ..module_utils._ansible.store_requests import readable_store, store_parallel, store_spec
from ..module_utils._engines.postgresql.restore_rows.request import RowsRequest
from ..module_utils._engines.postgresql.restore_rows.restore import RowsRestore, RowsResult
from ..module_utils._engines.postgresql.restore_rows.scope import read_references, read_roots
from ..module_utils._operations.change import perform
from ..module_utils._repository.change import Limits

ROWS = ArgumentSpec({"where": {"type": "dict", "default": {}}, "plan_only": {"type": "bool", "default": False}})
SPEC = spec_of(RowsRequest).merge(spec_of(Limits), rows_spec(), ROWS, postgres_spec(), selection_spec(), store_spec())


def main() -> None:
    module = create_module(SPEC)
    params = module.params

    def work() -> RowsResult:
        request = request_of(
            RowsRequest,
            params,
            check_mode=module.check_mode,
            connection=connection_options(params),
            source=required_source(params),
            roots=read_roots(params["tables"], params["where"], params["keys"]),
            references=read_references(params["references"]),
            column_map=column_maps(params["column_map"]),
            parallel=store_parallel(params),
            diff_mode=module._diff,
        )
        return perform(RowsRestore(request, readable_store(params, params["source"])))

    run_module(module, work)


if __name__ == "__main__":
    main()
