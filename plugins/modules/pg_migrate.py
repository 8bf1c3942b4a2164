#!/usr/bin/python
# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_migrate
short_description: Apply SQL migrations to a PostgreSQL database, or take them back
version_added: 1.0.0
description:
  - Applies the files C(<version>_<name>.sql) of a folder that the ledger of the database does not have, in the order of their versions. The
    ledger is the table of the Supabase CLI; both tools can work on the same database.
  - All files are read before the first statement runs. Each file is one transaction, in which the ledger gets its row too. A migration that
    fails leaves the database unchanged; the error names the file, the statement, its line and the reason of PostgreSQL.
  - A file begins with the settings of the database and of the role, whatever an earlier file set. An advisory lock keeps a second run out.
  - Statements go to the server as they are. Commands of psql, rows of C(COPY ... FROM stdin) and files that are not UTF-8 are refused.
  - No state resets, drops or replays a database.
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
attributes:
  check_mode:
    support: full
    details:
      - Reads files and ledger, and returns the statements that would run, in order.
  diff_mode:
    support: none
  idempotent:
    support: full
options:
  state:
    description:
      - V(applied) runs the pending migrations.
      - V(recorded) writes O(migrations) to the ledger and runs no statement, for a database that has their changes already.
      - V(reverted) deletes O(migrations) from the ledger and runs no statement, for a database whose changes were taken back by hand.
      - V(rolled_back) runs for each of O(migrations) the file that takes the migration back, and deletes its row of the ledger in the same
        transaction. The newest version is the first.
    type: str
    choices: [applied, recorded, reverted, rolled_back]
    default: applied
  migrations_path:
    description:
      - Folder of the migrations on the host where the module runs. Required if O(state) is V(applied) or V(recorded).
      - Files C(<version>_<name>.down.sql) take a migration back. The Supabase CLI applies such files as migrations; if the CLI also reads this
        folder, keep them in another one and set O(down_file).
    type: path
  migrations:
    description:
      - Versions, as the names of the files begin. Required unless O(state) is V(applied), which applies all pending migrations.
    type: list
    elements: str
    default: []
  without_transaction:
    description:
      - Versions whose statements run one by one, each in a transaction of its own. Set it for files with statements such as
        C(CREATE INDEX CONCURRENTLY), or with C(BEGIN) and C(COMMIT), which are refused otherwise.
      - The statements before one that fails stay in effect. The error names them.
    type: list
    elements: str
    default: []
  include_older:
    description:
      - Whether to apply migrations that are older than the newest one of the ledger, or to take one back that is not the newest.
    type: bool
    default: false
  on_edited:
    description:
      - Treatment of applied migrations whose file and ledger differ. V(warn) lists the file, V(fail) stops the run.
    type: str
    choices: [warn, fail]
    default: warn
  down_file:
    description:
      - File with the statements that take the single version of O(migrations) back. If it is unset, it is C(<version>_<name>.down.sql) of
        O(migrations_path).
    type: path
  ledger:
    description:
      - Table of the applied migrations. It is created and upgraded as the Supabase CLI does.
    type: str
    default: supabase_migrations.schema_migrations
  ignored_ledgers:
    description:
      - Tables of other migration tools, as C(schema.table). A database with the ledger of another tool is refused unless its table is named here.
    type: list
    elements: str
    default: []
  lock_timeout:
    description:
      - Seconds that a statement waits for a lock of another session. V(0) waits without a limit.
    type: float
    default: 10
  plan_only:
    description:
      - Whether to stop after the plan was judged and confirmed. Roles set it to refuse a run before a backup set is taken.
    type: bool
    default: false
  source:
    description:
      - Name of the source in the audit log of O(store). No audit record is written if one of the two is unset.
    type: str
seealso:
  - module: lifeline.recovery.pg_backup
  - module: lifeline.recovery.pg_restore
"""

EXAMPLES = r"""
- name: Apply the pending migrations
  lifeline.recovery.pg_migrate:
    migrations_path: /srv/learnplay/supabase/migrations
    login_db: learnplay
    login_unix_socket: /run/postgresql
    recovery_confirm: learnplay

- name: Apply a migration that creates an index concurrently
  lifeline.recovery.pg_migrate:
    migrations_path: /srv/learnplay/supabase/migrations
    without_transaction: [20251025200004]
    login_db: learnplay
    login_unix_socket: /run/postgresql

- name: Delete a migration from the ledger, whose changes were taken back by hand
  lifeline.recovery.pg_migrate:
    state: reverted
    migrations: [20251025200003]
    login_db: learnplay
    login_unix_socket: /run/postgresql

- name: Take a migration back with its own file
  lifeline.recovery.pg_migrate:
    state: rolled_back
    migrations: [20251025200003]
    down_file: /srv/learnplay/supabase/down/20251025200003.sql
    login_db: learnplay
    login_unix_socket: /run/postgresql
    recovery_confirm: learnplay
"""

RETURN = r"""
pending:
  description:
    - The migrations of the plan, with their first 200 statements. Only if O(state) is V(applied) or V(rolled_back).
  type: list
  elements: dict
  returned: success
  sample:
    - version: "20251025200003"
      name: course_metadata
      file: 20251025200003_course_metadata.sql
      transaction: true
      statement_count: 1
      statements: [{number: 1, line: 3, statement: CREATE TABLE course_metadata}]
applied:
  description: The versions that were applied. Only if O(state=applied).
  type: list
  elements: str
  returned: success
  sample: ["20251025200003"]
edited:
  description: Files of applied migrations that are not what the ledger has. Only if O(state=applied).
  type: list
  elements: str
  returned: success
  sample: []
skipped:
  description: Entries of O(migrations_path) whose names are not those of migrations. Only if O(state=applied).
  type: list
  elements: str
  returned: success
  sample: [README.md]
migrations:
  description: The versions whose rows are written or deleted. Unless O(state=applied).
  type: list
  elements: str
  returned: success
  sample: ["20251025200003"]
rolled_back:
  description: The versions that were taken back. Only if O(state=rolled_back).
  type: list
  elements: str
  returned: success
  sample: ["20251025200003"]
plan_digest:
  description: Digest of the plan.
  type: str
  returned: success
  sample: 3f1c9a0b5d7e2468
confirmation:
  description: The value that O(recovery_confirm) must have in a run with the same options; empty if the run needs no other value.
  type: str
  returned: success
  sample: ""
undo:
  description: The options that take a change of the ledger back. Empty if O(state) is V(applied) or V(rolled_back).
  type: dict
  returned: success
  sample: {state: recorded, migrations: ["20251025200003"]}
unchanged:
  description: Why nothing was changed, as C(reason) and C(next_step); null if something was.
  type: dict
  returned: success
  sample: null
timings:
  description: Seconds per phase.
  type: dict
  returned: success
  sample: {plan: 0.1, apply: 0.4, verify: 0.1, total: 0.6}
summary:
  description: The result in one sentence.
  type: str
  returned: success
  sample: "Applied 1 migration: 20251025200003_course_metadata.sql."
error_kind:
  description: Stable name of the error.
  type: str
  returned: failure
  sample: migration_failed
"""

import typing as t

from ..module_utils._ansible.ansible_module import create_module, run_module
from ..module_utils._ansible.argument_specs import postgres_spec
from ..module_utils._ansible.migration_requests import migrations_request
from ..module_utils._ansible.options import ArgumentSpec, spec_of
from ..module_utils._ansible.store_requests import audit_store, store_spec
from ..module_utils._migrations.history import RECORDED, REVERTED, HistoryChange, HistoryResult
from ..module_utils._migrations.migrate import Migrate, MigrateResult
from ..module_utils._migrations.request import MigrationsRequest
from ..module_utils._migrations.roll_back import ROLLED_BACK, RollBack, RollBackResult
from ..module_utils._operations.change import perform

APPLIED = "applied"

SPEC = ArgumentSpec(
    {
        "state": {"type": "str", "default": APPLIED, "choices": [APPLIED, RECORDED, REVERTED, ROLLED_BACK]},
        "plan_only": {"type": "bool", "default": False},
    }
).merge(spec_of(MigrationsRequest), store_spec(), postgres_spec())


def main() -> None:
    module = create_module(SPEC)
    params = module.params

    def work() -> t.Union[MigrateResult, HistoryResult, RollBackResult]:
        request, store = migrations_request(params, check_mode=module.check_mode), audit_store(params)
        if params["state"] == APPLIED:
            return perform(Migrate(request, store))
        if params["state"] == ROLLED_BACK:
            return perform(RollBack(request, store))
        return perform(HistoryChange(request, params["state"], store))

    run_module(module, work)


if __name__ == "__main__":
    main()
