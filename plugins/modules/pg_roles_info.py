#!/usr/bin/python
# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_roles_info
short_description: Write the SQL for a backup role and a restore role of a database
version_added: 1.0.0
description:
  - Reads the owners of the objects of a database, and writes the SQL that gives one role the rights for backups and checks, and
    another role the rights for restores.
  - The statements are returned and never executed. A superuser reads and runs them.
  - Rights that the roles have already need no statement, so that an empty RV(sql) shows that both roles are complete.
author:
  - lifeline.recovery contributors (@lifeline-recovery)
requirements:
  - psycopg2
extends_documentation_fragment:
  - lifeline.recovery._attributes
  - lifeline.recovery._attributes.info_module
  - lifeline.recovery._postgres
  - lifeline.recovery._postgres.client
options:
  backup_role:
    description:
      - The name of the role for backups and checks.
    type: str
    default: recovery_backup
  restore_role:
    description:
      - The name of the role for restores.
    type: str
    default: recovery_restore
seealso:
  - module: lifeline.recovery.pg_backup
  - module: lifeline.recovery.pg_restore
"""

EXAMPLES = r"""
- name: Write the SQL for the roles of a database
  lifeline.recovery.pg_roles_info:
    login_db: school
    login_unix_socket: /run/postgresql
  register: roles

- name: Fail if the roles of the inventory lack rights
  lifeline.recovery.pg_roles_info:
    backup_role: app_backup
    restore_role: app_restore
    login_db: school
    login_unix_socket: /run/postgresql
  register: complete
  failed_when: complete.sql | length > 0

- name: Write the SQL for roles of an application, whose login role is no superuser
  lifeline.recovery.pg_roles_info:
    backup_role: app_backup
    restore_role: app_restore
    login_db: app
    login_host: db.example.org
    login_user: app
    login_password: "{{ vault_app_password }}"
"""

RETURN = r"""
database:
  description: The database that the statements are for.
  type: str
  returned: success
  sample: school
statements:
  description: For each role the statements that give it the rights that it lacks.
  type: dict
  returned: success
  sample: {recovery_restore: ['GRANT "app" TO "recovery_restore"']}
sql:
  description: The statements of both roles as one script; empty if no right is missing.
  type: str
  returned: success
  sample: "GRANT \"app\" TO \"recovery_restore\";\n"
notes:
  description: Rights that no statement gives, for example for objects that only a superuser can restore.
  type: list
  elements: str
  returned: success
  sample: []
summary:
  description: The result in one sentence.
  type: str
  returned: success
  sample: The roles recovery_backup and recovery_restore need 1 statement for school.
"""

from ..module_utils._ansible.ansible_module import create_module, run_module
from ..module_utils._ansible.argument_specs import postgres_spec
from ..module_utils._ansible.options import ArgumentSpec
from ..module_utils._ansible.postgres_requests import connection_options
from ..module_utils._engines.postgresql.server.role_sql import RoleSqlResult, role_sql

SPEC = ArgumentSpec(
    {
        "backup_role": {"type": "str", "default": "recovery_backup"},
        "restore_role": {"type": "str", "default": "recovery_restore"},
    }
).merge(postgres_spec())


def main() -> None:
    module = create_module(SPEC)
    params = module.params

    def work() -> RoleSqlResult:
        return role_sql(connection_options(params), params["backup_role"], params["restore_role"])

    run_module(module, work)


if __name__ == "__main__":
    main()
