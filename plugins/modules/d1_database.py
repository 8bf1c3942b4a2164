#!/usr/bin/python
# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: d1_database
short_description: Create, delete or describe a Cloudflare D1 database
version_added: 1.0.0
description:
  - Ensures that a database exists or does not exist, and returns its properties.
  - A deleted database cannot be restored; its time travel goes with it. To delete it in production needs O(recovery_confirm).
author:
  - lifeline.recovery contributors (@lifeline-recovery)
extends_documentation_fragment:
  - lifeline.recovery._attributes
  - lifeline.recovery._confirmation
  - lifeline.recovery._d1
  - lifeline.recovery._cloudflare
  - lifeline.recovery._d1.place
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  state:
    description:
      - Whether the database exists.
    type: str
    choices: [present, absent]
    default: present
seealso:
  - module: lifeline.recovery.d1_execute
"""

EXAMPLES = r"""
- name: Create a database to restore into
  lifeline.recovery.d1_database:
    account_id: 0123456789abcdef0123456789abcdef
    database: studio-platform-db-recovery
    location: weur

- name: Delete the database after the drill
  lifeline.recovery.d1_database:
    account_id: 0123456789abcdef0123456789abcdef
    database: studio-platform-db-recovery
    state: absent
    recovery_confirm: studio-platform-db-recovery

- name: Describe it, and make nothing
  lifeline.recovery.d1_database:
    account_id: 0123456789abcdef0123456789abcdef
    database: studio-platform-db
  check_mode: true
  register: described
"""

RETURN = r"""
exists:
  description: Whether it was there before.
  type: bool
  returned: success
  sample: true
facts:
  description: The database after the module, or before it was deleted; null if there is none.
  type: dict
  returned: success
  sample:
    uuid: 6d1f8a5e-6a8f-4f7e-9d3b-2f5c8b7a9e10
    name: studio-platform-db
    version: production
    created_at: "2026-01-01T00:00:00.000Z"
    size: 12288
bookmark:
  description: The bookmark of now, or null when there is no database.
  type: str
  returned: success
  sample: 00000085-0000024c-00004c6d-8e61117bf38d7adb71b934ebbf891683
error_kind:
  description: A stable name of what went wrong.
  type: str
  returned: failure
  sample: access_denied
"""

from ..module_utils._ansible.ansible_module import create_module, run_module
from ..module_utils._ansible.argument_specs import d1_spec
from ..module_utils._ansible.options import request_of, spec_of
from ..module_utils._ansible.sqlite_requests import d1_account, d1_database
from ..module_utils._engines.d1.api import D1Api
from ..module_utils._engines.d1.databases import DatabaseRequest, ensure_database

SPEC = spec_of(DatabaseRequest).merge(d1_spec())


def main() -> None:
    module = create_module(SPEC)
    params = module.params

    def work() -> object:
        request = request_of(DatabaseRequest, params, check_mode=module.check_mode, database=d1_database(params))
        result = ensure_database(D1Api(d1_account(params)), request)
        name = f"{request.database}\n"
        before, after = name if result.exists else "", name if request.state == "present" else ""
        return {**vars(result), "diff": {"before": before, "after": after}}

    run_module(module, work)


if __name__ == "__main__":
    main()
