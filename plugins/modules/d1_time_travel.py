#!/usr/bin/python
# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: d1_time_travel
short_description: Send a Cloudflare D1 database back in time
version_added: 1.0.0
description:
  - Returns the bookmark of the current time or of an instant, or restores the database to it in place. D1 keeps 30 days, on the free plan 7.
  - The result holds the bookmark of before, which undoes it. In production it needs O(recovery_confirm).
author:
  - lifeline.recovery contributors (@lifeline-recovery)
extends_documentation_fragment:
  - lifeline.recovery._attributes
  - lifeline.recovery._confirmation
  - lifeline.recovery._d1
  - lifeline.recovery._cloudflare
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
    details:
      - A database that is at the bookmark already is left alone.
options:
  bookmark:
    description:
      - The bookmark to go to.
    type: str
  to:
    description:
      - The instant to go to, as C(2026-03-01T12:40:00Z). The last state at or before it is taken.
    type: str
  restore:
    description:
      - Restore the database to the bookmark. If it is V(false), only the bookmark is returned.
    type: bool
    default: false
seealso:
  - module: lifeline.recovery.d1_execute
"""

EXAMPLES = r"""
- name: Read the current bookmark before a migration
  lifeline.recovery.d1_time_travel:
    account_id: 0123456789abcdef0123456789abcdef
    database: studio-platform-db
  register: before

- name: Restore the bookmark from before the migration
  lifeline.recovery.d1_time_travel:
    account_id: 0123456789abcdef0123456789abcdef
    database: studio-platform-db
    bookmark: "{{ before.bookmark }}"
    restore: true
    recovery_confirm: studio-platform-db

- name: Restore the instant before the incident
  lifeline.recovery.d1_time_travel:
    account_id: 0123456789abcdef0123456789abcdef
    database: studio-platform-db
    to: "2026-03-01T12:40:00Z"
    restore: true
    recovery_confirm: studio-platform-db
"""

RETURN = r"""
bookmark:
  description: The bookmark that was asked for; after a restore, that of the database as it is now.
  type: str
  returned: success
  sample: 00000086-00000000-00004c6d-0d2b7a1f90f6b4f8d5b3f2a1c0e9d8c7
previous_bookmark:
  description: The bookmark of before the restore, to undo it with; null when nothing was restored.
  type: str
  returned: success
  sample: 00000085-0000024c-00004c6d-8e61117bf38d7adb71b934ebbf891683
confirmation:
  description: The value that O(recovery_confirm) must have in a run with the same options; empty if the run needs no other value.
  type: str
  returned: success
  sample: ""
message:
  description: Message of the service.
  type: str
  returned: success
  sample: ''
error_kind:
  description: A stable name of what went wrong.
  type: str
  returned: failure
  sample: confirmation_required
"""

from ..module_utils._ansible.ansible_module import create_module, run_module
from ..module_utils._ansible.argument_specs import d1_spec
from ..module_utils._ansible.options import ArgumentSpec, request_of, spec_of
from ..module_utils._ansible.sqlite_requests import d1_account, d1_database
from ..module_utils._engines.d1.api import D1Api
from ..module_utils._engines.d1.databases import TimeTravelRequest, time_travel

SPEC = spec_of(TimeTravelRequest).merge(d1_spec(), ArgumentSpec(mutually_exclusive=[["bookmark", "to"]]))


def main() -> None:
    module = create_module(SPEC)
    params = module.params

    def work() -> object:
        request = request_of(TimeTravelRequest, params, check_mode=module.check_mode, database=d1_database(params))
        result = time_travel(D1Api(d1_account(params)), request)
        before = result.previous_bookmark or result.bookmark
        return {**vars(result), "diff": {"before": f"{before}\n", "after": f"{result.bookmark}\n"}}

    run_module(module, work)


if __name__ == "__main__":
    main()
