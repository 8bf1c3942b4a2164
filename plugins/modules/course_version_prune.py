#!/usr/bin/python
# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: course_version_prune
short_description: Delete former copies that restores of documents kept
version_added: 1.0.0
description:
  - M(lifeline.recovery.course_version_restore) keeps a published copy that it replaces as the object C(KEY.before-INSTANT) if no version has
    its content. This module deletes such objects when they are older than O(keep_days). It reads no other object.
author:
  - lifeline.recovery contributors (@lifeline-recovery)
requirements:
  - boto3 (for S3 buckets)
extends_documentation_fragment:
  - lifeline.recovery._attributes
  - lifeline.recovery._files
  - lifeline.recovery._store
  - lifeline.recovery._store.audited
  - lifeline.recovery._documents.copies
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details:
      - The difference is the list of kept objects before and after.
  idempotent:
    support: full
options:
  keep_days:
    description:
      - How many days a former copy stays.
    type: float
    default: 30
  minimum:
    description:
      - How many of the newest former copies of each document stay, whatever their age.
    type: int
    default: 1
  keep_forever:
    description:
      - Whether no former copy is deleted, whatever O(keep_days) and O(minimum) are. No module of this collection deletes versions; the module
        M(lifeline.recovery.course_version_safeguards) keeps other programs from deleting them.
    type: bool
    default: false
seealso:
  - module: lifeline.recovery.course_version_restore
  - module: lifeline.recovery.backup_prune
"""

EXAMPLES = r"""
- name: Show which former copies of courses would be deleted
  lifeline.recovery.course_version_prune:
    files:
      bucket: courses
  check_mode: true
  diff: true

- name: Delete former copies of courses that are older than a month
  lifeline.recovery.course_version_prune:
    files:
      bucket: courses

- name: Delete all former copies that are older than a week, and write an audit record
  lifeline.recovery.course_version_prune:
    keep_days: 7
    minimum: 0
    files:
      bucket: courses
    source: learnplay
    store:
      bucket: learnplay-backups
"""

RETURN = r"""
kept:
  description: The number of former copies that stay; in check mode, of all.
  type: int
  returned: success
  sample: 3
removed:
  description: The keys of the former copies that were deleted, or would be.
  type: list
  elements: str
  returned: success
  sample: [algebra-1.json.before-20260301T101500Z]
retained:
  description: The keys that the bucket did not delete, and why.
  type: dict
  returned: success
  sample: {}
unchanged:
  description: Why nothing was deleted, as C(reason) and C(next_step); null if something was.
  type: dict
  returned: success
  sample: null
plan_digest:
  description: Digest of the plan.
  type: str
  returned: success
  sample: 96348ae91561bf1b
confirmation:
  description: Empty. Pruning needs no confirmation.
  type: str
  returned: success
  sample: ""
undo:
  description: Empty. A deleted copy cannot be restored.
  type: dict
  returned: success
  sample: {}
summary:
  description: The result in one sentence.
  type: str
  returned: success
  sample: "Deleted 1 of 4 objects that restores of documents kept (12.0 KiB)."
error_kind:
  description: Stable name of the error.
  type: str
  returned: failure
  sample: access_denied
"""

from ..module_utils._ansible.ansible_module import create_module, run_module
from ..module_utils._ansible.document_requests import prune_request
from ..module_utils._ansible.options import spec_of
from ..module_utils._ansible.store_requests import files_spec, opened_store, store_spec
from ..module_utils._core.clock import utc_now
from ..module_utils._documents.prune import CopiesPrune, CopiesPruneRequest, CopiesPruneResult
from ..module_utils._operations.change import perform

SPEC = spec_of(CopiesPruneRequest).merge(files_spec(), store_spec())


def main() -> None:
    module = create_module(SPEC)
    params = module.params

    def work() -> CopiesPruneResult:
        request = prune_request(params, check_mode=module.check_mode)
        return perform(CopiesPrune(request, utc_now(), opened_store(params) if params["store"] else None))

    run_module(module, work)


if __name__ == "__main__":
    main()
