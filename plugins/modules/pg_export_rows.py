#!/usr/bin/python
# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_export_rows
short_description: Take one tenant's or user's rows out, with all that belongs to them, as a backup set of their own
version_added: 1.0.0
description:
  - Chooses rows of the live database or of a backup set, follows references from them, and stores what it found as a set.
  - M(lifeline.recovery.pg_restore_table) brings that set into any database with the same tables. Its objects are what C(COPY)
    writes, compressed with zstd, so a person who asked for their data can be given them.
  - The database is only read, in one view, so that the rows fit together.
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
  - lifeline.recovery._rows
  - lifeline.recovery._rows.keys
attributes:
  check_mode:
    support: full
    details:
      - In check mode rows are chosen and counted, and nothing is stored.
  diff_mode:
    support: none
  idempotent:
    support: none
    details:
      - Every run stores a set. Rows that the tier has already are not stored again.
options:
  source:
    description:
      - The name under which the export is stored, such as C(school-tenant-17).
    type: str
    required: true
  tier:
    description:
      - The tier of the export. To restore an export of the tier V(emergency), name the tier or the id of the set.
    type: str
    choices: [hourly, daily, weekly, monthly, emergency, undo]
    default: emergency
  tables:
    description:
      - Tables to take whole.
    type: list
    elements: str
    default: []
  closure:
    description:
      - V(children) also takes the rows that refer to the chosen ones, however far.
      - V(parents) also takes all that the chosen rows refer to; from a set, only what the live database lacks.
      - V(both) does both, V(none) neither.
    type: str
    choices: [none, parents, children, both]
    default: both
  from_source:
    description:
      - The source of a backup set to take the rows from, instead of the live tables. The live tables must exist, because
        their types are used.
    type: str
  from_set:
    description:
      - The id of that set, V(latest) when it is not given.
    type: str
  from_before:
    description:
      - Only sets before this instant, for V(latest).
    type: str
  spool_dir:
    description:
      - Folder with space for the rows. If it is unset, the folder of the system for temporary files is used.
    type: path
seealso:
  - module: lifeline.recovery.pg_restore_table
  - module: lifeline.recovery.pg_backup
"""

EXAMPLES = r"""
- name: Give a parent all data that is kept about them
  lifeline.recovery.pg_export_rows:
    source: school-request-4711
    keys:
      profiles: ["6f0c1f2e-6a0b-4c53-9a3e-3f5b8d1f7a10"]
    closure: children
    login_db: school
    login_unix_socket: /run/postgresql
    store:
      bucket: school-backups

- name: Take a tenant out before its rows are changed
  lifeline.recovery.pg_export_rows:
    source: school-tenant-17
    where:
      organisations: slug = 'seventeen'
    references:
      - table: audit_log
        columns: [organisation]
        parent: organisations
        parent_columns: [id]
    login_db: school
    login_unix_socket: /run/postgresql
    store:
      bucket: school-backups

- name: Take a user's rows out of the backup before the incident
  lifeline.recovery.pg_export_rows:
    source: school-user-recovery
    from_source: school
    from_before: "2026-03-01T12:40:00Z"
    keys:
      children: [17]
    closure: children
    login_db: school
    login_unix_socket: /run/postgresql
    store:
      bucket: school-backups
"""

RETURN = r"""
source:
  description: The source of the export, as given.
  type: str
  returned: success
  sample: school-tenant-17
tier:
  description: The tier of the export, as given.
  type: str
  returned: success
  sample: emergency
set_id:
  description: The id of the export, or null in check mode.
  type: str
  returned: success
  sample: 20260301T124512Z
taken_from:
  description: The live database, or the set, that the rows are from.
  type: str
  returned: success
  sample: db.example.org:5432/school
tables:
  description: Rows by table, for tables with any.
  type: dict
  returned: success
  sample: {public.children: 1, public.user_progress: 340}
rows:
  description: All rows of the export.
  type: int
  returned: success
  sample: 341
bytes_stored:
  description: Stored bytes of the export.
  type: int
  returned: success
  sample: 40960
timings:
  description: Seconds per phase.
  type: dict
  returned: success
  sample: {choose: 0.2, store: 0.1, total: 0.4}
summary:
  description: The result in one sentence.
  type: str
  returned: success
  sample: Exported 341 rows of 2 tables from db.example.org:5432/school (40.0 KiB).
error_kind:
  description: A stable name of what went wrong.
  type: str
  returned: failure
  sample: table_missing
"""

from ..module_utils._ansible.ansible_module import create_module, run_module
from ..module_utils._ansible.argument_specs import postgres_spec, rows_spec
from ..module_utils._ansible.options import ArgumentSpec, request_of, spec_of
from ..module_utils._ansible.postgres_requests import connection_options
from ..module_utils._ansible.requests import optional_instant
from ..module_utils._ansible.store_requests import readable_store, store_parallel, store_spec
from ..module_utils._engines.postgresql.restore_rows.export import ExportRequest, ExportResult, export_rows
from ..module_utils._engines.postgresql.restore_rows.scope import read_references, read_roots
from ..module_utils._repository.recovery_points import Selection

ROWS = ArgumentSpec(
    {
        "where": {"type": "dict", "default": {}},
        "from_set": {"type": "str"},
        "from_before": {"type": "str"},
    }
)
SPEC = spec_of(ExportRequest).merge(rows_spec(), ROWS, postgres_spec(), store_spec())


def main() -> None:
    module = create_module(SPEC)
    params = module.params

    def work() -> ExportResult:
        request = request_of(
            ExportRequest,
            params,
            check_mode=module.check_mode,
            connection=connection_options(params),
            roots=read_roots(params["tables"], params["where"], params["keys"]),
            references=read_references(params["references"]),
            from_selection=Selection(params["from_set"] or "latest", optional_instant(params["from_before"])),
            parallel=store_parallel(params),
        )
        return export_rows(request, readable_store(params, params["source"]))

    run_module(module, work)


if __name__ == "__main__":
    main()
