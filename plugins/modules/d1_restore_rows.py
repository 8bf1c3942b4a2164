#!/usr/bin/python
# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: d1_restore_rows
short_description: Restore rows of a backup set into a live Cloudflare D1 database or SQLite file
version_added: 1.0.0
description:
  - Compares rows of a set with the live database and writes only the rows that differ, as a whole or not at all. Other rows are not
    touched.
  - Rows are selected by O(tenant), by O(keys), or as whole O(tables). For a tenant these are the rows that name the tenant in a column,
    the rows that refer to one of them, however far, and the rows that they need.
  - Before anything changes, the touched rows are stored as a set of the tier V(undo). RV(undo) holds the options that take the restore
    back.
  - A row whose key belongs to another tenant by now is refused; restore the set into a new database with
    M(lifeline.recovery.d1_restore), and copy the row by hand.
  - A batch is sent only while the rows are as they were compared. More than 200 statements go by an import, which takes seconds. Writes of
    another client to the same rows during the import are lost, so stop the work on these rows first.
author:
  - lifeline.recovery contributors (@lifeline-recovery)
requirements:
  - SQLite 3.37 or newer in Python, with FTS5 for databases that use it
extends_documentation_fragment:
  - lifeline.recovery._attributes
  - lifeline.recovery._confirmation
  - lifeline.recovery._d1
  - lifeline.recovery._cloudflare
  - lifeline.recovery._rows.keys
  - lifeline.recovery._rows.limits
  - lifeline.recovery._selection
  - lifeline.recovery._store
attributes:
  check_mode:
    support: full
    details:
      - The set is fetched, loaded and compared, so that the numbers are those of a real run, and nothing is changed.
  diff_mode:
    support: full
    details:
      - Shows the first O(diff_rows) rows of each kind and table; that is data of the database.
  idempotent:
    support: full
options:
  tenant:
    description:
      - The tenant whose rows are restored.
    type: dict
    suboptions:
      table:
        description:
          - The table that has one row for each tenant or user.
        type: str
        required: true
      keys:
        description:
          - The primary keys of the tenants, each a value, or a list of values.
        type: list
        elements: raw
        required: true
      columns:
        description:
          - Names of columns, in any table, that hold such a key without a declared foreign key, as V(tenant_id).
        type: list
        elements: str
        default: []
  tables:
    description:
      - Tables that are restored with all their rows.
    type: list
    elements: str
    default: []
  closure:
    description:
      - V(children) also restores the rows of the set that refer to the rows of O(tables) and O(keys), however far, which is what
        C(ON DELETE CASCADE) deleted.
      - V(parents) also restores rows that the selected rows refer to, if the database lacks them.
      - V(both) does both, V(none) neither. For O(tenant), both are always restored.
    type: str
    choices: [none, parents, children, both]
    default: none
  mode:
    description:
      - V(missing) inserts rows that the database lacks and changes no other row.
      - V(merge) also puts back rows that differ from the set.
      - V(exact) also deletes live rows, among the selected rows, that the set does not have. A row that the set has under another
        tenant is left unchanged.
      - An undo set is always restored as V(exact).
    type: str
    choices: [missing, merge, exact]
    default: missing
  triggers:
    description:
      - V(disable) drops triggers of the touched tables and creates them again in the same transaction, but for triggers that keep a
        full-text table up to date. V(fire) leaves all triggers active.
    type: str
    choices: [disable, fire]
    default: disable
  path:
    description:
      - The SQLite file to restore into, instead of a database of D1.
    type: path
  spool_dir:
    description:
      - A folder with room for three times the dump. If unset, the system's folder for temporary files is used.
    type: path
seealso:
  - module: lifeline.recovery.d1_restore
  - module: lifeline.recovery.pg_restore_table
"""

EXAMPLES = r"""
- name: Show which rows of one tenant would be restored
  lifeline.recovery.d1_restore_rows:
    account_id: 0123456789abcdef0123456789abcdef
    database: studio-platform-db
    source: studio
    mode: merge
    tenant:
      table: tenants
      keys: [studio-north]
      columns: [tenant_id]
    store:
      bucket: studio-platform-backups
  check_mode: true
  diff: true

- name: Restore two deleted bookings with their notes
  lifeline.recovery.d1_restore_rows:
    account_id: 0123456789abcdef0123456789abcdef
    database: studio-platform-db
    source: studio
    keys:
      bookings: [17, 18]
    closure: children
    store:
      bucket: studio-platform-backups

- name: Take a restore of rows back by the undo set that its result named
  lifeline.recovery.d1_restore_rows:
    account_id: 0123456789abcdef0123456789abcdef
    database: studio-platform-db
    source: studio
    set: 20260301T124512Z
    tier: undo
    recovery_confirm: studio-platform-db
    store:
      bucket: studio-platform-backups
"""

RETURN = r"""
set_id:
  description: The set that the rows come from.
  type: str
  returned: success
  sample: 20260301T020005Z
tier:
  description: The tier of the set.
  type: str
  returned: success
  sample: daily
source:
  description: The source of the set.
  type: str
  returned: success
  sample: studio
recovery_point:
  description: The instant that the set shows.
  type: str
  returned: success
  sample: "2026-03-01T02:00:05.123+00:00"
database:
  description: The name of the live database, or the path of the file.
  type: str
  returned: success
  sample: studio-platform-db
mode:
  description: The mode of the restore.
  type: str
  returned: success
  sample: merge
tables:
  description:
    - For each table how many rows of the set were selected, how many live rows were inserted, updated and deleted, how many differ and
      were left unchanged by O(mode=missing), and how many the set has under another tenant.
  type: list
  elements: dict
  returned: success
  sample: [{table: bookings, chosen: 120, inserts: 120, updates: 0, deletes: 0, differing: 0, elsewhere: 0}]
rows:
  description: How many rows were inserted, updated or deleted.
  type: int
  returned: success
  sample: 120
missing_keys:
  description: For each table the keys of O(keys) that the set does not hold, how many of how many, and the first of them.
  type: dict
  returned: success
  sample: {bookings: {missing: 1, wanted: 3, keys: ["23"]}}
unchanged:
  description: >-
    Why nothing was changed, as C(reason) and C(next_step), with C(earlier_set) and C(earlier_tier), the next older set or null; null if
    something was changed.
  type: dict
  returned: success
  sample: null
undo:
  description: The options that take this restore back; empty if nothing was changed.
  type: dict
  returned: success
  sample: {set: 20260301T124512Z, tier: undo, mode: exact}
plan:
  description: The plan that check mode shows and a confirmation is about.
  type: dict
  returned: success
  sample: {set_id: 20260301T020005Z, mode: merge, database: studio-platform-db, tables: {bookings: {insert: 120, update: 0, delete: 0}}}
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
bookmark:
  description: The bookmark after the restore; null for a file.
  type: str
  returned: success
  sample: 00000002-00000000-00004c6d-0d2b7a1f90f6b4f8d5b3f2a1c0e9d8c7
previous_bookmark:
  description: The bookmark before the restore, for M(lifeline.recovery.d1_time_travel); null if nothing was changed.
  type: str
  returned: success
  sample: null
not_covered:
  description: Virtual tables that a restore of rows neither compares nor fills.
  type: list
  elements: str
  returned: success
  sample: []
timings:
  description: Seconds per phase, with the total last.
  type: dict
  returned: success
  sample: {"fetch and prove": 3.1, compare: 0.4, undo set: 0.2, write: 0.3, prove: 0.3, total: 4.3}
summary:
  description: The result in one sentence.
  type: str
  returned: success
  sample: >-
    Restored rows of 1 tables of set 20260301T020005Z to studio-platform-db: 120 inserted, 0 updated, 0 deleted, proved equal.
error_kind:
  description: A stable name of what went wrong.
  type: str
  returned: failure
  sample: schema_drift
"""

from ..module_utils._ansible.ansible_module import create_module, run_module
from ..module_utils._ansible.argument_specs import d1_spec, rows_spec, selection_spec
from ..module_utils._ansible.options import ArgumentSpec, spec_of
from ..module_utils._ansible.requests import required_source
from ..module_utils._ansible.sqlite_requests import (
    d1_account,
    d1_database,
    sqlite_rows_request,
)
from ..module_utils._ansible.store_requests import readable_store, set_selection, store_spec
from ..module_utils._engines.d1.api import D1Api
from ..module_utils._engines.d1.rows import open_target
from ..module_utils._engines.sqlite.restore_rows.restore import RowsRequest, RowsRestore, RowsResult
from ..module_utils._operations.change import perform
from ..module_utils._repository.catalogue import find_set
from ..module_utils._repository.change import Limits

FILE = ArgumentSpec(
    {"path": {"type": "path"}, "plan_only": {"type": "bool", "default": False}},
    mutually_exclusive=[["path", "database"]],
)
SPEC = spec_of(RowsRequest).merge(spec_of(Limits), rows_spec(), FILE, d1_spec(), selection_spec(), store_spec())


def main() -> None:
    module = create_module(SPEC)
    params = module.params

    def work() -> RowsResult:
        api = None if params["path"] else D1Api(d1_account(params))
        name = None if params["path"] else d1_database(params)
        source = required_source(params)
        store = readable_store(params, source)
        manifest = find_set(store, source, set_selection(params))
        target = open_target(api, name, params["path"])
        request = sqlite_rows_request(params, target.name, check_mode=module.check_mode, diff_mode=module._diff)
        return perform(RowsRestore(store, manifest, target, request))

    run_module(module, work)


if __name__ == "__main__":
    main()
