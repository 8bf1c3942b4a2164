#!/usr/bin/python
# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: d1_restore
short_description: Restore a set or a dump into a Cloudflare D1 database or a new SQLite file
version_added: 1.0.0
description:
  - Loads the set into SQLite on this host, compares it with what was recorded, imports it into D1, reads all of it back and compares it
    again. Long values go in pieces, references are judged at the end.
  - With O(mode=new) the target is a database that does not exist yet, or is empty. One that was made for it is deleted when it fails.
  - With O(mode=in_place) all that is in the database is replaced as a whole. The bookmark of before is noted, the database is sent
    back to it when anything fails, and the result holds it for taking the restore back. In production it needs O(recovery_confirm).
    Of a file, a copy stays beside it.
  - With O(tenant) the rows of one tenant come back into the live database - those that name it in a column, those that refer to one of
    them, however far, and those that they need. Rows of others are not touched. With O(mode=difference) all tables are made like the set
    so. Both write only what differs, as a whole or not at all, after the touched rows were stored as a set of the tier V(undo).
    A row whose key is somebody else's by now is refused, for which M(lifeline.recovery.d1_restore) into a new database is left.
  - A batch is sent only while the rows are as they were compared. More than 200 statements go by an import, which takes seconds; what
    another client writes to the same rows during the import is lost, so stop the tenant's work first.
  - Such an undo set, named by O(set) with O(tier=undo), takes that restore back.
  - A dump of another tool (O(src)), as C(wrangler d1 export) or the C(.dump) of the shell of SQLite write it, is loaded and mended first.
    D1 itself refuses many of them - rows before the tables that they refer to, statements over 100 KB, C(BEGIN), infinities.
    What such a dump has rounded or lost before cannot be restored.
  - A state of the last 30 days comes back quicker by M(lifeline.recovery.d1_time_travel).
author:
  - lifeline.recovery contributors (@lifeline-recovery)
requirements:
  - SQLite 3.37 or newer in Python, with FTS5 for databases that use it
extends_documentation_fragment:
  - lifeline.recovery._attributes
  - lifeline.recovery._confirmation
  - lifeline.recovery._d1
  - lifeline.recovery._cloudflare
  - lifeline.recovery._selection
  - lifeline.recovery._store
  - lifeline.recovery._d1.place
attributes:
  check_mode:
    support: full
    details:
      - The set is fetched, loaded and compared; nothing is made.
  diff_mode:
    support: partial
    details:
      - For rows, shows the first twenty of each kind and table; that is data of the database.
  idempotent:
    support: partial
    details:
      - Rows that are as they should be are left alone. A whole target that holds something is refused.
options:
  mode:
    description:
      - Restore into a new or empty database, replace what is in one, or change the rows that differ in tables that are as in the set.
      - Without it V(new), unless O(tenant) is given.
    type: str
    choices: [new, in_place, difference]
  tenant:
    description:
      - Whose rows to bring back into the live database, which is O(database), or the file O(path).
    type: dict
    suboptions:
      table:
        description:
          - The table that has one row for each tenant or user.
        type: str
        required: true
      keys:
        description:
          - Their primary keys, each a value, or a list of values.
        type: list
        elements: raw
        required: true
      columns:
        description:
          - Names of columns, in whatever table, that hold such a key without declaring a foreign key, as V(tenant_id).
        type: list
        elements: str
        default: []
      references:
        description:
          - Other references that no foreign key declares.
        type: list
        elements: dict
        default: []
        suboptions:
          table:
            description:
              - The table that refers.
            type: str
            required: true
          columns:
            description:
              - Its columns.
            type: list
            elements: str
            required: true
          parent:
            description:
              - The table that is referred to.
            type: str
            required: true
          parent_columns:
            description:
              - Its columns, one for each of O(tenant.references[].columns).
            type: list
            elements: str
            required: true
      mode:
        description:
          - V(missing) inserts rows that the database lacks, V(merge) also puts back rows that differ, V(exact) also deletes live rows of
            the tenant that the set does not have.
          - A row that the set has under another tenant is left alone.
        type: str
        choices: [missing, merge, exact]
        default: merge
  triggers:
    description:
      - V(disable) drops triggers of the touched tables and makes them again in the same transaction, but for those that keep a full-text
        table up to date. V(fire) leaves all of them.
    type: str
    choices: [disable, fire]
    default: disable
  max_rows:
    description:
      - The most rows that may be inserted or updated; no limit without it.
    type: int
  max_deletes:
    description:
      - The most rows that may be deleted.
    type: int
    default: 1000
  reason:
    description:
      - Why rows are restored, for the audit record.
    type: str
  src:
    description:
      - A dump on the host where the module runs, instead of a set.
    type: path
  path:
    description:
      - A SQLite file instead of a database of D1; a new one, unless it is changed in place.
    type: path
  spool_dir:
    description:
      - A folder with room for the dump three times. Without it, the system's folder for temporary files.
    type: path
seealso:
  - module: lifeline.recovery.d1_backup
  - module: lifeline.recovery.d1_time_travel
"""

EXAMPLES = r"""
- name: Restore the newest set beside the live database
  lifeline.recovery.d1_restore:
    account_id: 0123456789abcdef0123456789abcdef
    database: studio-platform-db-recovery
    source: studio
    store:
      bucket: studio-platform-backups

- name: Restore the state before an incident
  lifeline.recovery.d1_restore:
    account_id: 0123456789abcdef0123456789abcdef
    database: studio-platform-db-2
    source: studio
    before: "2026-03-01T12:40:00Z"
    location: weur
    store:
      bucket: studio-platform-backups

- name: Replace what is in the database, which stays bound to its Worker
  lifeline.recovery.d1_restore:
    account_id: 0123456789abcdef0123456789abcdef
    database: studio-platform-db
    source: studio
    mode: in_place
    recovery_confirm: studio-platform-db
    store:
      bucket: studio-platform-backups

- name: Restore an export that D1 refuses
  lifeline.recovery.d1_restore:
    account_id: 0123456789abcdef0123456789abcdef
    database: studio-platform-db-recovery
    src: /srv/exports/backup-2026-02-06.sql

- name: Bring one tenant back as it was, and show what would change
  lifeline.recovery.d1_restore:
    account_id: 0123456789abcdef0123456789abcdef
    database: studio-platform-db
    source: studio
    tenant:
      table: tenants
      keys: [studio-north]
      columns: [tenant_id]
    store:
      bucket: studio-platform-backups
  check_mode: true
  diff: true

- name: Take that back, by the set that the result of the restore named
  lifeline.recovery.d1_restore:
    account_id: 0123456789abcdef0123456789abcdef
    database: studio-platform-db
    source: studio
    set: 20260301T124512Z
    tier: undo
    recovery_confirm: studio-platform-db
    store:
      bucket: studio-platform-backups

- name: Look at a set in a file
  lifeline.recovery.d1_restore:
    path: /tmp/studio.sqlite
    source: studio
    store:
      provider: directory
      path: /var/backups/lifeline
"""

RETURN = r"""
set_id:
  description: The set that was restored, or null for a dump.
  type: str
  returned: success
  sample: 20260301T020005Z
source:
  description: Its source, or null for a dump.
  type: str
  returned: success
  sample: studio
database:
  description: The target, as it was named.
  type: str
  returned: success
  sample: studio-platform-db-recovery
uuid:
  description: The id of the D1 database, which a Worker is bound to; null for a file.
  type: str
  returned: when a whole database was restored
  sample: 6d1f8a5e-6a8f-4f7e-9d3b-2f5c8b7a9e10
created:
  description: Whether it was made for this.
  type: bool
  returned: when a whole database was restored
  sample: true
tables:
  description: How many tables.
  type: int
  returned: success
  sample: 72
rows:
  description: How many rows; for a tenant or a difference, how many were written or deleted.
  type: int
  returned: success
  sample: 125000
bookmark:
  description: The bookmark afterwards, or null.
  type: str
  returned: success
  sample: 00000002-00000000-00004c6d-0d2b7a1f90f6b4f8d5b3f2a1c0e9d8c7
changes:
  description:
    - For each table how many rows of the set it was about, how many were inserted, updated and deleted, and how many were left alone
      because the set has them elsewhere.
  type: list
  elements: dict
  returned: when rows were restored
  sample: [{table: bookings, chosen: 120, inserts: 120, updates: 0, deletes: 0, elsewhere: 0}]
undo:
  description: The options that take it back, or nothing when nothing was changed.
  type: dict
  returned: when rows were restored
  sample: {set: 20260301T124512Z, tier: undo}
recovery_point:
  description: The instant that the set shows.
  type: str
  returned: when rows were restored
  sample: "2026-03-01T02:00:05.123+00:00"
previous_bookmark:
  description: The bookmark of before what was changed in place, to go back to with M(lifeline.recovery.d1_time_travel); else null.
  type: str
  returned: success
  sample: null
previous_path:
  description: With O(mode=in_place), the copy of the file as it was before; else null.
  type: str
  returned: when a whole database was restored
  sample: null
plan_digest:
  description: Where something is changed in place, sixteen digits that O(recovery_confirm) may be; they change with the set and the database.
  type: str
  returned: success
  sample: ''
not_covered:
  description:
    - Virtual tables that are empty, because the set does not hold them, or that a restore of rows neither compares nor fills.
    - In a restore to a file, also definitions that SQLite of this host refuses; C(table NAME) then has its rows without its other rules.
  type: list
  elements: str
  returned: success
  sample: []
timings:
  description: Seconds per phase, with the total last.
  type: dict
  returned: success
  sample: {"fetch and prove": 3.1, import: 12.0, prove: 9.0, total: 24.3}
summary:
  description: One sentence.
  type: str
  returned: success
  sample: "Restored 72 tables with 125000 rows of set 20260301T020005Z to studio-platform-db-recovery, proved equal."
error_kind:
  description: A stable name of what went wrong.
  type: str
  returned: failure
  sample: target_exists
"""

import typing as t

from ansible_collections.lifeline.recovery.plugins.module_utils._ansible.ansible_module import create_module, run_module
from ansible_collections.lifeline.recovery.plugins.module_utils._ansible.argument_specs import (
    ArgumentSpec,
    confirmation_spec,
    d1_spec,
    references_option,
    selection_spec,
    store_spec,
)
from ansible_collections.lifeline.recovery.plugins.module_utils._ansible.requests import required_source
from ansible_collections.lifeline.recovery.plugins.module_utils._ansible.sqlite_requests import (
    d1_account,
    d1_database,
    sqlite_rows_request,
)
from ansible_collections.lifeline.recovery.plugins.module_utils._ansible.store_requests import (
    readable_store,
    set_selection,
    store_parallel,
)
from ansible_collections.lifeline.recovery.plugins.module_utils._core.errors import ErrorKind, RecoveryError
from ansible_collections.lifeline.recovery.plugins.module_utils._d1.api import D1Api
from ansible_collections.lifeline.recovery.plugins.module_utils._d1.restore import (
    D1RestoreRequest,
    D1RestoreResult,
    of_dump,
    of_set,
    restore_d1,
)
from ansible_collections.lifeline.recovery.plugins.module_utils._d1.rows import live_target
from ansible_collections.lifeline.recovery.plugins.module_utils._sets.catalogue import find_set
from ansible_collections.lifeline.recovery.plugins.module_utils._sets.manifest import SQLITE_ROWS_ENGINE
from ansible_collections.lifeline.recovery.plugins.module_utils._sqlite_rows.restore import (
    RowsResult,
    restore_rows,
)

TENANT = {
    "table": {"type": "str", "required": True},
    "keys": {"type": "list", "elements": "raw", "required": True, "no_log": False},
    "columns": {"type": "list", "elements": "str", "default": []},
    "references": references_option(),
    "mode": {"type": "str", "default": "merge", "choices": ["missing", "merge", "exact"]},
}

SPEC = ArgumentSpec(
    {
        "mode": {"type": "str", "choices": ["new", "in_place", "difference"]},
        "tenant": {"type": "dict", "options": TENANT},
        "triggers": {"type": "str", "default": "disable", "choices": ["disable", "fire"]},
        "max_rows": {"type": "int"},
        "max_deletes": {"type": "int", "default": 1000},
        "reason": {"type": "str"},
        "src": {"type": "path"},
        "path": {"type": "path"},
        "location": {"type": "str", "choices": ["wnam", "enam", "weur", "eeur", "apac", "oc"]},
        "jurisdiction": {"type": "str", "choices": ["eu", "fedramp", "us"]},
        "spool_dir": {"type": "path"},
    },
    mutually_exclusive=[["path", "database"], ["src", "set"], ["src", "before"], ["src", "tenant"], ["mode", "tenant"]],
)


def main() -> None:
    spec = SPEC.merge(d1_spec()).merge(selection_spec()).merge(confirmation_spec())
    module = create_module(spec.merge(store_spec()))
    params = module.params

    def work() -> t.Union[D1RestoreResult, RowsResult]:
        api = None if params["path"] else D1Api(d1_account(params))
        name = None if params["path"] else d1_database(params)
        if params["src"]:
            return restore_d1(of_dump(params["src"]), api, whole(name))
        source = required_source(params)
        store = readable_store(params, source)
        manifest = find_set(store, source, set_selection(params))
        if not params["tenant"] and params["mode"] != "difference" and manifest.engine != SQLITE_ROWS_ENGINE:
            return restore_d1(of_set(store, manifest, parallel=store_parallel(params)), api, whole(name))
        if params["mode"] and manifest.engine == SQLITE_ROWS_ENGINE:
            raise RecoveryError(
                ErrorKind.INVALID_OPTIONS,
                f"Set {manifest.set_id} holds what an earlier restore touched, for which there is no mode.",
                next_step="Leave mode out to take that restore back.",
            )
        target = live_target(api, name, params["path"])
        request = sqlite_rows_request(params, target.name, check_mode=module.check_mode, diff_mode=module._diff)
        return restore_rows(store, manifest, target, request)

    def whole(name: t.Optional[str]) -> D1RestoreRequest:
        return D1RestoreRequest(
            mode=params["mode"] or "new",
            environment=params["recovery_environment"],
            confirm=params["recovery_confirm"],
            database=name,
            path=params["path"],
            location=params["location"],
            jurisdiction=params["jurisdiction"],
            spool_dir=params["spool_dir"],
            check_mode=module.check_mode,
        )

    run_module(module, work)


if __name__ == "__main__":
    main()
