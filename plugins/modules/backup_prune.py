#!/usr/bin/python
# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: backup_prune
short_description: Remove backup sets that retention no longer keeps
version_added: 1.0.0
description:
  - Applies retention per tier - keeps the newest set of each of a number of hours, days, weeks, months and years, removes the other sets from
    the catalogue, and deletes unreferenced objects.
  - The newest set, the newest verified set and the O(minimum) always stay. Only periods that have sets count, so no set of a
    source whose backups stopped is removed because of its age.
  - A set is removed in two steps. Its manifest moves from C(sets/) to C(pruned/); move it back to undo the removal. After O(grace_seconds) the
    next run deletes its objects. A backup that runs during pruning is safe.
  - Objects that a lock of the store holds count as retained, not as an error.
  - Old audit records are removed too; each operation has its own retention.
author:
  - lifeline.recovery contributors (@lifeline-recovery)
requirements:
  - boto3 (for S3 stores)
extends_documentation_fragment:
  - lifeline.recovery._attributes
  - lifeline.recovery._store
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details:
      - The difference is the list of sets before and after.
  idempotent:
    support: full
    details:
      - Except that objects are deleted O(grace_seconds) after their set.
options:
  source:
    description:
      - The source to prune. If unset, all sources of the store.
    type: str
  tier:
    description:
      - The tier to prune. If unset, all tiers, each with its defaults.
      - The defaults are 24 hours for V(hourly), 30 days for V(daily), 12 weeks for V(weekly), 12 months for V(monthly), all of the last
        90 days for V(emergency) and of the last 30 days for V(undo).
    type: str
    choices: [hourly, daily, weekly, monthly, emergency, undo]
  keep_hourly:
    description:
      - Keep the newest set of this many hours that have one. If one of the keep options is set, the defaults of the tier do not apply.
    type: int
  keep_daily:
    description:
      - Keep the newest set of this many days that have one.
    type: int
  keep_weekly:
    description:
      - Keep the newest set of this many weeks that have one. Weeks begin on Monday.
    type: int
  keep_monthly:
    description:
      - Keep the newest set of this many months that have one.
    type: int
  keep_yearly:
    description:
      - Keep the newest set of this many years that have one.
    type: int
  keep_within_days:
    description:
      - Keep all sets of this many days before now.
    type: float
  minimum:
    description:
      - Keep this many of the newest sets in any case. If unset, 1 with keep options, otherwise the default of the tier.
    type: int
  grace_seconds:
    description:
      - How many seconds unreferenced objects and manifests in C(pruned/) are kept. Set more than the longest backup takes.
    type: int
    default: 86400
  audit_days:
    description:
      - How many days audit records are kept, by operation, in addition to the defaults. The defaults are 365 for C(backup) and
        every operation without a default, 90 for C(check), 730 for C(verify) and C(drill), 2555 for C(restore).
    type: dict
    default: {}
seealso:
  - module: lifeline.recovery.backup_info
  - module: lifeline.recovery.backup_verify
"""

EXAMPLES = r"""
- name: Prune all tiers of all sources with their defaults
  lifeline.recovery.backup_prune:
    store:
      bucket: school-backups

- name: Keep a fortnight of days, two months of weeks and three years
  lifeline.recovery.backup_prune:
    source: school
    tier: daily
    keep_daily: 14
    keep_weekly: 8
    keep_yearly: 3
    minimum: 7
    store:
      bucket: school-backups

- name: Print the sets that would be removed
  lifeline.recovery.backup_prune:
    source: school
    store:
      provider: directory
      path: /var/backups/lifeline
  check_mode: true
  diff: true
"""

RETURN = r"""
sets:
  description: Every set and the decision about it.
  type: list
  elements: dict
  returned: success
  contains:
    source:
      description: The source.
      type: str
      returned: always
    tier:
      description: The tier.
      type: str
      returned: always
    set_id:
      description: The id of the set.
      type: str
      returned: always
    fate:
      description: V(kept), V(removed), or V(retained) if a lock of the store holds it.
      type: str
      returned: always
    reasons:
      description: The reasons to keep it.
      type: list
      elements: str
      returned: always
  sample:
    - {source: school, tier: daily, set_id: 20260301T020005Z, fate: kept, reasons: [newest, daily]}
kept:
  description: How many sets retention keeps.
  type: int
  returned: success
  sample: 30
removed:
  description: How many sets were removed from the catalogue.
  type: int
  returned: success
  sample: 1
retained:
  description: How many sets a lock holds although retention would remove them.
  type: int
  returned: success
  sample: 0
objects_removed:
  description: How many unreferenced objects were deleted.
  type: int
  returned: success
  sample: 12
objects_retained:
  description: How many unreferenced objects a lock holds.
  type: int
  returned: success
  sample: 0
bytes_freed:
  description: Stored bytes of the removed objects.
  type: int
  returned: success
  sample: 183500800
audit_removed:
  description: How many audit records were removed.
  type: int
  returned: success
  sample: 0
blocked:
  description: Tiers whose objects were not deleted because a manifest cannot be read, with the reason.
  type: list
  elements: str
  returned: success
  sample: []
unreadable:
  description:
    - Sets whose manifest is damaged, forged or of a newer version, each with source, tier, set_id and problem.
    - They are kept with all objects of their tier, because any of these objects may belong to them.
  type: list
  elements: dict
  returned: success
  sample: []
implausible:
  description: Sets that are dated in the future. They are kept in addition to the other sets.
  type: list
  elements: str
  returned: success
  sample: []
summary:
  description: The result in one sentence.
  type: str
  returned: success
  sample: "Removed 1 of 31 sets and 12 objects (175.0 MiB); 0 sets and 0 objects are held by a lock."
error_kind:
  description: A stable name of what went wrong.
  type: str
  returned: failure
  sample: unknown_source
"""

from ..module_utils._ansible.ansible_module import create_module, run_module
from ..module_utils._ansible.options import ArgumentSpec, request_of, spec_of
from ..module_utils._ansible.store_requests import audit_days, opened_store, retention_policy, store_spec
from ..module_utils._operations.prune import prune
from ..module_utils._repository.clocks import agreed_now
from ..module_utils._repository.prune import PruneRequest, prune_diff
from ..module_utils._repository.retention import Policy

DAYS = ArgumentSpec({"keep_within_days": {"type": "float"}})
SPEC = spec_of(PruneRequest).merge(spec_of(Policy), DAYS, store_spec())


def main() -> None:
    module = create_module(SPEC)
    params = module.params

    def work() -> object:
        policy, days = retention_policy(params), audit_days(params)
        request = request_of(PruneRequest, params, check_mode=module.check_mode, policy=policy, audit_days=days)
        store = opened_store(params)
        result = prune(store, request, agreed_now(store))
        return {**vars(result), "diff": prune_diff(result)}

    run_module(module, work)


if __name__ == "__main__":
    main()
