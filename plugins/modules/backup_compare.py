#!/usr/bin/python
# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: backup_compare
short_description: Compare two backup sets of a source
version_added: 1.0.0
description:
  - Returns the tables, definitions or files that differ between two sets. Databases of PostgreSQL are compared by their fingerprints, D1
    databases by the digests of their tables, buckets by their inventories. No data is restored.
  - For encrypted sets, O(store.identity_file) is required.
author:
  - lifeline.recovery contributors (@lifeline-recovery)
requirements:
  - boto3 (for S3 stores)
extends_documentation_fragment:
  - lifeline.recovery._attributes
  - lifeline.recovery._attributes.info_module
  - lifeline.recovery._store
options:
  source:
    description:
      - The source.
    type: str
    required: true
  set:
    description:
      - The id of the first set, or V(latest).
    type: str
    required: true
  tier:
    description:
      - The tier of the first set. If unset, all tiers, and for V(latest) all but V(emergency) and V(undo).
    type: str
    choices: [hourly, daily, weekly, monthly, emergency, undo]
  other_set:
    description:
      - The id of the second set, or V(latest).
    type: str
    default: latest
  other_tier:
    description:
      - The tier of the second set. If unset, as for O(tier).
    type: str
    choices: [hourly, daily, weekly, monthly, emergency, undo]
  limit:
    description:
      - The number of differences that are returned. RV(difference_count) counts all of them.
    type: int
    default: 100
seealso:
  - module: lifeline.recovery.backup_info
"""

EXAMPLES = r"""
- name: Compare the set before an incident with the newest set
  lifeline.recovery.backup_compare:
    source: school
    set: 20260301T020005Z
    store:
      bucket: school-backups

- name: Compare the newest daily set with the newest weekly set
  lifeline.recovery.backup_compare:
    source: media
    set: latest
    tier: daily
    other_tier: weekly
    store:
      provider: directory
      path: /var/backups/lifeline

- name: Count the files that differ from the undo set of a restore
  lifeline.recovery.backup_compare:
    source: media
    set: 20260302T101500Z
    tier: undo
    limit: 1
    store:
      bucket: school-backups
"""

RETURN = r"""
source:
  description: The source.
  type: str
  returned: success
  sample: school
first:
  description: The set_id, tier and recovery_point of the first set.
  type: dict
  returned: success
  sample: {set_id: 20260301T020005Z, tier: daily, recovery_point: "2026-03-01T02:00:05.123+00:00"}
second:
  description: The same of the second set.
  type: dict
  returned: success
  sample: {set_id: 20260302T020004Z, tier: daily, recovery_point: "2026-03-02T02:00:04.981+00:00"}
equal:
  description: Whether the sets are equal; null if no difference was found but only row counts were compared.
  type: bool
  returned: success
  sample: false
differences:
  description: The differences, with both sides.
  type: list
  elements: dict
  returned: success
  contains:
    what:
      description: The table, definition or file.
      type: str
      sample: table public.children
    expected:
      description: The first set.
      type: str
      sample: 211 rows
    actual:
      description: The second set.
      type: str
      sample: 209 rows
  sample: []
difference_count:
  description: The number of all differences.
  type: int
  returned: success
  sample: 1
summary:
  description: The result in one sentence.
  type: str
  returned: success
  sample: "The sets 20260301T020005Z (daily) and 20260302T020004Z (daily) of school differ: 1 difference."
error_kind:
  description: A stable name of the error.
  type: str
  returned: failure
  sample: no_backup_set
"""

from ..module_utils._ansible.ansible_module import create_module, run_module
from ..module_utils._ansible.options import ArgumentSpec
from ..module_utils._ansible.store_requests import readable_store, store_spec
from ..module_utils._repository.compare_sets import SetsComparison, compare_sets
from ..module_utils._repository.layout import TIERS
from ..module_utils._repository.recovery_points import Selection

SPEC = ArgumentSpec(
    {
        "source": {"type": "str", "required": True},
        "set": {"type": "str", "required": True},
        "tier": {"type": "str", "choices": list(TIERS)},
        "other_set": {"type": "str", "default": "latest"},
        "other_tier": {"type": "str", "choices": list(TIERS)},
        "limit": {"type": "int", "default": 100},
    }
).merge(store_spec())


def main() -> None:
    module = create_module(SPEC)
    params = module.params

    def work() -> SetsComparison:
        first = Selection(params["set"], tier=params["tier"])
        second = Selection(params["other_set"], tier=params["other_tier"])
        return compare_sets(readable_store(params, params["source"]), params["source"], first, second, params["limit"])

    run_module(module, work)


if __name__ == "__main__":
    main()
