#!/usr/bin/python
# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: backup_thaw
short_description: Make a backup set in an archive storage class readable
version_added: 1.0.0
description:
  - Requests that the store makes every object of a set readable for some days, and waits for it, so that a restore can follow. For
    sets whose O(store.storage_class) is V(GLACIER) or V(DEEP_ARCHIVE).
  - A set that is readable is left unchanged.
author:
  - lifeline.recovery contributors (@lifeline-recovery)
requirements:
  - boto3 (for S3 stores)
extends_documentation_fragment:
  - lifeline.recovery._attributes
  - lifeline.recovery._store
  - lifeline.recovery._selection
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  idempotent:
    support: full
options:
  days:
    description:
      - The days that the objects stay readable.
    type: int
    default: 3
  speed:
    description:
      - The speed, which decides the price. V(expedited) takes minutes, V(standard) hours, V(bulk) up to two days. V(expedited) does not exist for
        V(DEEP_ARCHIVE).
    type: str
    choices: [expedited, standard, bulk]
    default: standard
  wait_seconds:
    description:
      - The seconds to wait until all objects are readable. V(0) requests the thaw and does not wait.
    type: int
    default: 0
  poll_seconds:
    description:
      - The seconds between two looks at the objects.
    type: int
    default: 60
seealso:
  - module: lifeline.recovery.pg_restore
"""

EXAMPLES = r"""
- name: Request the newest monthly set
  lifeline.recovery.backup_thaw:
    source: school
    tier: monthly
    store:
      bucket: school-backups

- name: Wait until last year's set can be read
  lifeline.recovery.backup_thaw:
    source: school
    tier: monthly
    before: "2026-01-01T00:00:00Z"
    wait_seconds: 43200
    store:
      bucket: school-backups

- name: Check whether a set can be read now
  lifeline.recovery.backup_thaw:
    source: school
    set: 20260101T040005Z
    store:
      bucket: school-backups
  check_mode: true
"""

RETURN = r"""
set_id:
  description: The set.
  type: str
  returned: success
  sample: 20260101T040005Z
objects:
  description: How many objects it has.
  type: int
  returned: success
  sample: 42
readable:
  description: How many of them can be read now.
  type: int
  returned: success
  sample: 42
ready:
  description: Whether all can.
  type: bool
  returned: success
  sample: true
timings:
  description: Seconds per phase.
  type: dict
  returned: success
  sample: {ask: 1.2, wait: 14400.0, total: 14401.2}
summary:
  description: The result in one sentence.
  type: str
  returned: success
  sample: "42 of 42 objects of set 20260101T040005Z of school are readable."
error_kind:
  description: A stable name of what went wrong.
  type: str
  returned: failure
  sample: timeout
"""

from ..module_utils._ansible.ansible_module import create_module, run_module
from ..module_utils._ansible.argument_specs import selection_spec
from ..module_utils._ansible.options import request_of, spec_of
from ..module_utils._ansible.requests import required_source
from ..module_utils._ansible.store_requests import opened_store, set_selection, store_spec
from ..module_utils._repository.catalogue import find_set
from ..module_utils._repository.thaw import ThawRequest, ThawResult, thaw_set

SPEC = spec_of(ThawRequest).merge(selection_spec(), store_spec())


def main() -> None:
    module = create_module(SPEC)

    def work() -> ThawResult:
        store = opened_store(module.params)
        request = request_of(ThawRequest, module.params, check_mode=module.check_mode)
        return thaw_set(store, find_set(store, required_source(module.params), set_selection(module.params)), request)

    run_module(module, work)


if __name__ == "__main__":
    main()
