#!/usr/bin/python
# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: drill_fault
short_description: Inject a disaster into a sandbox
version_added: 1.0.0
description:
  - Damages a sandbox in the way of a disaster, so that a drill recovers from real damage.
  - Requires O(recovery_environment=sandbox), and the server that O(system_identifier) identifies, so that a
    wrong host name cannot damage production.
author:
  - lifeline.recovery contributors (@lifeline-recovery)
requirements:
  - psycopg2
extends_documentation_fragment:
  - lifeline.recovery._attributes
  - lifeline.recovery._postgres
  - lifeline.recovery._postgres.client
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  idempotent:
    support: full
options:
  fault:
    description:
      - V(database_loss) drops the database with all its sessions.
      - The other faults damage the samples that the role P(lifeline.recovery.sandbox#role) creates.
      - In the sample C(school), V(rows_deleted) deletes three children and the rows that a cascade deletes, V(table_truncated) truncates a
        table and its dependents, V(table_dropped) drops a partitioned table and its dependents, V(tenant_deleted) deletes one user with
        all rows of the user, V(bad_update) overwrites a column, and V(point_in_time) is a migration that overwrites, deletes and drops in
        one transaction.
      - In the sample C(application), V(courses_damaged) overwrites and deletes published courses in the bucket, V(course_versions_lost)
        drops the table of versions, V(tags_lost) deletes all tags and leaves the rows that name them, V(organization_lost) deletes all
        organizations with the roles of their users, and V(media_lost) deletes all objects of the bucket C(media). V(bad_migration) drops a
        column and a function, and overwrites rows. V(ransomware) encrypts rows and drops a table. V(everything_lost) drops the database
        and deletes all objects of both buckets.
      - V(region_outage) and V(provider_exit) kill the PostgreSQL server of the sandbox with all its processes.
    type: str
    choices: [database_loss, rows_deleted, table_truncated, table_dropped, bad_update, tenant_deleted, point_in_time, courses_damaged,
              course_versions_lost, tags_lost, organization_lost, media_lost, bad_migration, ransomware,
              region_outage, provider_exit, everything_lost]
    default: database_loss
  database:
    description:
      - The database that the fault damages. O(login_db) names a maintenance database; if unset, V(postgres).
    type: str
    required: true
  sandbox_path:
    description:
      - Folder of the sandbox, as O(lifeline.recovery.sandbox#module:path). Required for V(courses_damaged), V(media_lost) and
        V(everything_lost), which damage objects of the S3 server that this sandbox runs.
    type: path
  system_identifier:
    description:
      - The identity of the sandbox's server, as M(lifeline.recovery.sandbox) returns it.
    type: str
    required: true
  recovery_environment:
    description:
      - The environment. Only V(sandbox) is accepted.
    type: str
    choices: [production, staging, sandbox]
    default: production
seealso:
  - module: lifeline.recovery.sandbox
"""

EXAMPLES = r"""
- name: Drop the database of a sandbox
  lifeline.recovery.drill_fault:
    fault: database_loss
    database: school
    system_identifier: "{{ sandbox.system_identifier }}"
    recovery_environment: sandbox
    login_host: 127.0.0.1
    login_port: "{{ sandbox.connection.login_port }}"
    login_user: postgres
    login_password: "{{ sandbox.connection.login_password }}"

- name: Check that the fault can be injected
  lifeline.recovery.drill_fault:
    database: school
    system_identifier: "{{ sandbox.system_identifier }}"
    recovery_environment: sandbox
    dsn: "{{ sandbox_dsn }}"
  check_mode: true

- name: Drop a database through a local socket
  lifeline.recovery.drill_fault:
    database: school
    system_identifier: "7441034912345678901"
    recovery_environment: sandbox
    login_unix_socket: /tmp/lifeline-sandbox/postgres
"""

RETURN = r"""
fault:
  description: The fault, as given.
  type: str
  returned: success
  sample: database_loss
database:
  description: The damaged database.
  type: str
  returned: success
  sample: school
incident_at:
  description: The instant of the fault.
  type: str
  returned: success
  sample: "2026-03-01T12:40:00.000+00:00"
error_kind:
  description: A stable name of what went wrong.
  type: str
  returned: failure
  sample: not_a_sandbox
"""

from ..module_utils._ansible.ansible_module import create_module, run_module
from ..module_utils._ansible.argument_specs import postgres_spec
from ..module_utils._ansible.options import request_of, spec_of
from ..module_utils._ansible.postgres_requests import maintenance_options
from ..module_utils._drill.fault import FaultRequest, FaultResult, inject

SPEC = spec_of(FaultRequest).merge(postgres_spec())


def main() -> None:
    module = create_module(SPEC)
    params = module.params

    def work() -> FaultResult:
        connection = maintenance_options(params)
        return inject(request_of(FaultRequest, params, check_mode=module.check_mode, connection=connection))

    run_module(module, work)


if __name__ == "__main__":
    main()
