#!/usr/bin/python
# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: drill_self_test
short_description: Prove that verification catches a damaged backup set
version_added: 1.0.0
description:
  - A verification that cannot fail proves nothing. This shows it damaged views of a set - a flipped byte, a truncated object, a
    missing object, an object that is valid but empty, and one that lost a row - and tells which were caught.
  - Nothing in the store is changed; the damage is between the store and the verification. For the last two kinds the manifest
    is made to fit the damaged bytes, so that only the content can give them away.
author:
  - lifeline.recovery contributors (@lifeline-recovery)
requirements:
  - boto3 (for stores that speak S3)
  - zstandard
extends_documentation_fragment:
  - lifeline.recovery._attributes
  - lifeline.recovery._attributes.info_module
  - lifeline.recovery._postgres
  - lifeline.recovery._store
  - lifeline.recovery._selection
seealso:
  - module: lifeline.recovery.backup_verify
"""

EXAMPLES = r"""
- name: Prove that damage to the newest set would be found
  lifeline.recovery.drill_self_test:
    source: school
    store:
      bucket: school-backups
  register: self_test
  failed_when: not self_test.all_caught

- name: The same for a random daily set
  lifeline.recovery.drill_self_test:
    source: school
    tier: daily
    set: random
    seed: 12
    store:
      bucket: school-backups

- name: The same for a set in a local folder
  lifeline.recovery.drill_self_test:
    source: school
    set: 20260301T020005Z
    store:
      provider: directory
      path: /var/backups/lifeline
"""

RETURN = r"""
set_id:
  description: The set that was used.
  type: str
  returned: success
  sample: 20260301T020005Z
table:
  description: The table whose object was damaged.
  type: str
  returned: success
  sample: public.lessons
self_tests:
  description: One entry a damage - damage, caught, and how in words.
  type: list
  elements: dict
  returned: success
  sample: [{damage: missing, caught: true, how: "The object school/daily/objects/ab/ab12 in s3://school-backups is missing."}]
all_caught:
  description: Whether every damage was caught.
  type: bool
  returned: success
  sample: true
error_kind:
  description: A stable name of what went wrong.
  type: str
  returned: failure
  sample: unsupported
"""

from ansible_collections.lifeline.recovery.plugins.module_utils._ansible.ansible_module import create_module, run_module
from ansible_collections.lifeline.recovery.plugins.module_utils._ansible.argument_specs import (
    postgres_spec,
    selection_spec,
    store_spec,
)
from ansible_collections.lifeline.recovery.plugins.module_utils._ansible.requests import (
    readable_store,
    required_source,
    set_selection,
)
from ansible_collections.lifeline.recovery.plugins.module_utils._drill.self_test import SelfTestResult, run_self_tests
from ansible_collections.lifeline.recovery.plugins.module_utils._sets.catalogue import find_set


def main() -> None:
    module = create_module(store_spec().merge(selection_spec()).merge(postgres_spec()))
    params = module.params

    def work() -> SelfTestResult:
        store = readable_store(params, params["source"])
        return run_self_tests(store, find_set(store, required_source(params), set_selection(params)))

    run_module(module, work)


if __name__ == "__main__":
    main()
