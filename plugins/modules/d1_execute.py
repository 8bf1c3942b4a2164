#!/usr/bin/python
# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: d1_execute
short_description: Run SQL on a Cloudflare D1 database or a SQLite file
version_added: 1.0.0
description:
  - Splits a text of SQL as SQLite does, checks every statement, and runs them in batches within the limits of D1. Each batch is applied
    completely or not at all. Statements between C(BEGIN) and C(COMMIT) are in one batch.
  - A request that reads is retried while the service is busy. A request that writes is retried only if an unchanged bookmark of the
    database proves that D1 applied no part of it.
  - Integers beyond 2^53 are read and written exactly, although the API uses floating point numbers.
  - With O(path) it does the same with a file, so that a playbook can be tried without an account.
author:
  - lifeline.recovery contributors (@lifeline-recovery)
extends_documentation_fragment:
  - lifeline.recovery._attributes
  - lifeline.recovery._d1
  - lifeline.recovery._cloudflare
  - lifeline.recovery._d1.file
attributes:
  check_mode:
    support: full
    details:
      - SQL that only reads is run. Other SQL is not run, and the result contains the statements that would run.
  diff_mode:
    support: none
  idempotent:
    support: N/A
    details:
      - It depends on the SQL.
options:
  sql:
    description:
      - The statements.
    type: str
  src:
    description:
      - A file with the statements.
    type: path
  params:
    description:
      - The values for the C(?) of the only statement - texts, numbers, truth values, null, or a dictionary with C(base64) for bytes.
    type: list
    elements: raw
    default: []
  read_only:
    description:
      - Refuse, before anything runs, what does more than read.
    type: bool
    default: false
  exclusive:
    description:
      - Whether no other client writes to the database while a batch runs. If an answer is lost, a changed bookmark then proves that the batch was
        applied, and the module continues. If it is V(false), the module stops at the lost answer and reports it.
    type: bool
    default: false
  max_rows:
    description:
      - At most this many rows are returned. RV(row_count) counts all.
    type: int
    default: 1000
seealso:
  - module: lifeline.recovery.d1_database
  - module: lifeline.recovery.d1_time_travel
"""

EXAMPLES = r"""
- name: Count the tenants of the database
  lifeline.recovery.d1_execute:
    account_id: 0123456789abcdef0123456789abcdef
    database: studio-platform-db
    sql: SELECT count(*) AS tenants FROM tenants
    read_only: true
  register: counted

- name: Mark one booking
  lifeline.recovery.d1_execute:
    account_id: 0123456789abcdef0123456789abcdef
    database: studio-platform-db
    sql: UPDATE bookings SET state = ? WHERE id = ?
    params: [cancelled, 9007199254740993]

- name: List the statements that a migration would run
  lifeline.recovery.d1_execute:
    account_id: 0123456789abcdef0123456789abcdef
    database: studio-platform-db
    src: migrations/0042_rooms.sql
  check_mode: true

- name: Run the migration on a file
  lifeline.recovery.d1_execute:
    path: /tmp/studio.sqlite
    src: migrations/0042_rooms.sql
"""

RETURN = r"""
rows:
  description: The rows of the last statement that gives some, each a dictionary. Bytes are a dictionary with C(base64).
  type: list
  elements: dict
  returned: success
  sample: [{tenants: 42}]
row_count:
  description: How many rows it gave.
  type: int
  returned: success
  sample: 1
columns:
  description: Its columns.
  type: list
  elements: str
  returned: success
  sample: [tenants]
changes:
  description: How many rows were changed, by all statements.
  type: int
  returned: success
  sample: 0
rows_read:
  description: How many rows the engine read, which D1 bills.
  type: int
  returned: success
  sample: 42
rows_written:
  description: How many rows it wrote, those of indexes among them.
  type: int
  returned: success
  sample: 0
statements:
  description: Kind of each statement and, if it was run, its rows and changes.
  type: list
  elements: dict
  returned: success
  sample: [{line: 1, kind: read, sql: SELECT count(*) AS tenants FROM tenants, rows: 1, changes: 0}]
executed:
  description: Whether the statements were run.
  type: bool
  returned: success
  sample: true
batches:
  description: In how many batches.
  type: int
  returned: always
  sample: 1
batches_applied:
  description: How many of them were applied before one failed.
  type: int
  returned: failure
  sample: 0
applied:
  description:
    - Whether the failed batch was applied - V(no), V(maybe) if its answer was lost and the bookmark changed, V(unknown) if the
      bookmark could not be read.
  type: str
  returned: failure
  sample: "no"
bookmark_before:
  description: The bookmark before anything was written, to go back to with M(lifeline.recovery.d1_time_travel); null for a file.
  type: str
  returned: always
  sample: 00000085-0000024c-00004c6d-8e61117bf38d7adb71b934ebbf891683
bookmark_after:
  description: The bookmark afterwards.
  type: str
  returned: success
  sample: 00000086-00000000-00004c6d-0d2b7a1f90f6b4f8d5b3f2a1c0e9d8c7
timings:
  description: Seconds per phase, with the total last.
  type: dict
  returned: success
  sample: {execute: 0.2, total: 0.3}
summary:
  description: One sentence.
  type: str
  returned: success
  sample: "Ran 1 statements in 1 batches on D1 database studio-platform-db: 1 rows given, 0 changed."
error_kind:
  description: A stable name of what went wrong.
  type: str
  returned: failure
  sample: query_failed
"""

from ..module_utils._ansible.ansible_module import create_module, run_module
from ..module_utils._ansible.argument_specs import d1_spec
from ..module_utils._ansible.options import ArgumentSpec, request_of, spec_of
from ..module_utils._ansible.sqlite_requests import sql_text, sqlite_engine
from ..module_utils._engines.sqlite.execute import ExecuteRequest, ExecuteResult, execute

TARGET = ArgumentSpec(
    {
        "path": {"type": "path"},
        "sql": {"type": "str"},
        "src": {"type": "path"},
        "exclusive": {"type": "bool", "default": False},
    },
    mutually_exclusive=[["sql", "src"], ["path", "database"]],
)
SPEC = spec_of(ExecuteRequest).merge(TARGET, d1_spec())


def main() -> None:
    module = create_module(SPEC)
    params = module.params

    def work() -> ExecuteResult:
        request = request_of(ExecuteRequest, params, check_mode=module.check_mode, sql=sql_text(params))
        return execute(sqlite_engine(params, read_only=request.read_only), request)

    run_module(module, work)


if __name__ == "__main__":
    main()
