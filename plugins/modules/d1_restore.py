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
  - With O(mode=in_place) all that is in the database is replaced as a database_restore. The bookmark of before is noted, the database is sent
    back to it when anything fails, and the result holds it for taking the restore back. In production it needs O(recovery_confirm).
    A file keeps a copy in its folder.
  - With O(mode=difference) only the rows that differ are written, in all tables, as a database_restore or not at all. The touched rows are first
    stored as a set of the tier V(undo), which M(lifeline.recovery.d1_restore_rows) restores to take this restore back.
  - A dump of another tool (O(src)), as C(wrangler d1 export) or the C(.dump) of the shell of SQLite write it, is loaded and mended first.
    D1 itself refuses many of them - rows before the tables that they refer to, statements over 100 KB, C(BEGIN), infinities.
    Values that such a dump has rounded or lost cannot be restored.
  - M(lifeline.recovery.d1_restore_rows) restores the rows of a tenant, or of some tables. M(lifeline.recovery.d1_time_travel) is
    quicker for a state of the last 30 days.
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
      - Rows that are as they should be are left alone. A database_restore target that holds something is refused.
options:
  mode:
    description:
      - V(new) restores into a database or file that does not exist yet, or an empty database. V(in_place) replaces all that is in the
        target. V(difference) changes the rows that differ, in tables that are as in the set.
    type: str
    choices: [new, in_place, difference]
    default: new
  triggers:
    description:
      - For O(mode=difference), V(disable) drops triggers of the touched tables and creates them again in the same transaction, but for
        triggers that keep a full-text table up to date. V(fire) leaves all triggers active.
    type: str
    choices: [disable, fire]
    default: disable
  max_rows:
    description:
      - The most rows that O(mode=difference) may insert or update. If unset, there is no limit.
    type: int
  max_deletes:
    description:
      - The most rows that O(mode=difference) may delete.
    type: int
    default: 1000
  reason:
    description:
      - Why the database is restored, in one sentence, for the audit record.
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
      - A folder with room for the dump three times. If unset, the system's folder for temporary files is used.
    type: path
seealso:
  - module: lifeline.recovery.d1_backup
  - module: lifeline.recovery.d1_restore_rows
  - module: lifeline.recovery.d1_time_travel
"""

EXAMPLES = r"""
- name: Restore the newest set into a new database
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

- name: Replace the content of a database that stays bound to its Worker
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

- name: Restore a set to a file
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
  returned: if RV(changes) is not
  sample: 6d1f8a5e-6a8f-4f7e-9d3b-2f5c8b7a9e10
created:
  description: Whether it was made for this.
  type: bool
  returned: if RV(changes) is not
  sample: true
tables:
  description: How many tables.
  type: int
  returned: success
  sample: 72
rows:
  description: How many rows; with O(mode=difference), how many were written or deleted.
  type: int
  returned: success
  sample: 125000
bookmark:
  description: The bookmark afterwards, or null.
  type: str
  returned: success
  sample: 00000002-00000000-00004c6d-0d2b7a1f90f6b4f8d5b3f2a1c0e9d8c7
changes:
  description: For each table how many rows were inserted, updated and deleted.
  type: list
  elements: dict
  returned: with O(mode=difference)
  sample: [{table: bookings, chosen: 120, inserts: 120, updates: 0, deletes: 0, differing: 0, elsewhere: 0}]
undo:
  description:
    - The options that take the restore back; empty if nothing that was there was replaced. The bookmark is for
      M(lifeline.recovery.d1_time_travel), the set for M(lifeline.recovery.d1_restore_rows).
  type: dict
  returned: success
  sample: {bookmark: 00000002-00000000-00004c6d-0d2b7a1f90f6b4f8d5b3f2a1c0e9d8c7}
unchanged:
  description: >-
    Why nothing was changed, as C(reason) and C(next_step), with C(earlier_set) and C(earlier_tier), the next older set or null; null if
    something was changed.
  type: dict
  returned: success
  sample: null
recovery_point:
  description: The instant that the set shows, or null for a dump.
  type: str
  returned: success
  sample: "2026-03-01T02:00:05.123+00:00"
previous_bookmark:
  description: The bookmark of before what was changed in place, to go back to with M(lifeline.recovery.d1_time_travel); else null.
  type: str
  returned: success
  sample: null
previous_path:
  description: With O(mode=in_place), the copy of the former file; else null.
  type: str
  returned: if RV(changes) is not
  sample: null
plan_digest:
  description: Where something is changed in place, sixteen digits that O(recovery_confirm) may be; they change with the set and the database.
  type: str
  returned: success
  sample: ''
confirmation:
  description: The value that O(recovery_confirm) must have in a run with the same options; empty if the run needs no other value.
  type: str
  returned: success
  sample: ""
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

from ..module_utils._ansible.ansible_module import create_module, run_module
from ..module_utils._ansible.argument_specs import d1_spec, selection_spec
from ..module_utils._ansible.options import ArgumentSpec, request_of, spec_of
from ..module_utils._ansible.requests import required_source
from ..module_utils._ansible.sqlite_requests import (
    d1_account,
    d1_database,
    sqlite_rows_request,
)
from ..module_utils._ansible.store_requests import readable_store, set_selection, store_parallel, store_spec
from ..module_utils._engines.d1.api import D1Api
from ..module_utils._engines.d1.databases import JURISDICTIONS, LOCATIONS
from ..module_utils._engines.d1.restore import D1Replacement, D1Restore
from ..module_utils._engines.d1.rows import open_target
from ..module_utils._engines.sqlite.restore import (
    DatabaseRestore,
    DatabaseRestoreRequest,
    FileReplacement,
    FileRestore,
    Origin,
    of_dump,
    of_set,
)
from ..module_utils._engines.sqlite.restore_rows.restore import AllRowsRestore
from ..module_utils._operations.change import perform
from ..module_utils._repository.catalogue import find_set
from ..module_utils._repository.change import Limits
from ..module_utils._repository.manifest import SQLITE_ENGINE

TARGET = ArgumentSpec(
    {
        "mode": {"type": "str", "default": "new", "choices": ["new", "in_place", "difference"]},
        "triggers": {"type": "str", "default": "disable", "choices": ["disable", "fire"]},
        "src": {"type": "path"},
        "path": {"type": "path"},
        "location": {"type": "str", "choices": list(LOCATIONS)},
        "jurisdiction": {"type": "str", "choices": list(JURISDICTIONS)},
    },
    mutually_exclusive=[["path", "database"], ["src", "set"], ["src", "before"]],
)
SPEC = spec_of(DatabaseRestoreRequest).merge(spec_of(Limits), TARGET, d1_spec(), selection_spec(), store_spec())


def main() -> None:
    module = create_module(SPEC)
    params = module.params

    def work() -> t.Any:
        api = None if params["path"] else D1Api(d1_account(params))
        name = None if params["path"] else d1_database(params)
        if params["src"]:
            return perform(database_restore(of_dump(params["src"]), api, name))
        source = required_source(params)
        store = readable_store(params, source)
        manifest = find_set(store, source, set_selection(params))
        manifest.require_kind(SQLITE_ENGINE)
        if params["mode"] != "difference":
            return perform(database_restore(of_set(store, manifest, parallel=store_parallel(params)), api, name))
        target = open_target(api, name, params["path"])
        request = sqlite_rows_request(params, target.name, check_mode=module.check_mode, diff_mode=module._diff)
        result = perform(AllRowsRestore(store, manifest, target, request))
        return {**vars(result), "changes": result.tables, "tables": len(result.tables)}

    def database_restore(origin: Origin, api: t.Optional[D1Api], name: t.Optional[str]) -> DatabaseRestore:
        target = name or params["path"]
        request = request_of(DatabaseRestoreRequest, params, check_mode=module.check_mode, target=target)
        if api is None:
            return FileReplacement(origin, request) if params["mode"] == "in_place" else FileRestore(origin, request)
        if params["mode"] == "in_place":
            return D1Replacement(api, origin, request)
        place = {"location": params["location"], "jurisdiction": params["jurisdiction"]}
        return D1Restore(api, origin, request, **place)

    run_module(module, work)


if __name__ == "__main__":
    main()
