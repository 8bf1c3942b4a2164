#!/usr/bin/python
# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: r2_bucket_lock
short_description: Set a lock rule of an R2 bucket
version_added: 1.0.0
description:
  - Adds, changes or removes one rule and leaves the other rules unchanged. The API replaces all rules in one request, so the module reads
    them first, and reads them again to verify the result.
  - R2 has no S3 object lock. A rule applies to all objects below its prefix, also to existing objects. A token that may edit the bucket may
    also remove the rule, so give backup hosts a token without that right.
author:
  - lifeline.recovery contributors (@lifeline-recovery)
extends_documentation_fragment:
  - lifeline.recovery._attributes
  - lifeline.recovery._cloudflare
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  account_id:
    description:
      - Id of the Cloudflare account.
    type: str
    required: true
  bucket:
    description:
      - Name of the bucket.
    type: str
    required: true
  api_token:
    description:
      - A token with the right to edit R2. If unset, E(CLOUDFLARE_API_TOKEN) is used.
    type: str
    required: true
  jurisdiction:
    description:
      - The jurisdiction of the bucket, if it has one.
    type: str
    choices: [default, eu, fedramp]
  rule:
    description:
      - Id of the rule.
    type: str
    required: true
  state:
    description:
      - Whether the lock rule exists.
    type: str
    choices: [present, absent]
    default: present
  prefix:
    description:
      - The prefix of the objects that the rule locks. If empty, the rule locks all objects of the bucket.
    type: str
    default: ''
  days:
    description:
      - The days that each object is locked after it was written. If O(days) and O(until) are unset, objects are locked forever.
    type: int
  until:
    description:
      - Lock all objects until this date, for example C(2027-01-01T00:00:00Z).
    type: str
  enabled:
    description:
      - Whether the rule is enabled.
    type: bool
    default: true
seealso:
  - module: lifeline.recovery.store_check
"""

EXAMPLES = r"""
- name: Lock daily sets for a month
  lifeline.recovery.r2_bucket_lock:
    account_id: 0123456789abcdef0123456789abcdef
    bucket: school-backups
    rule: daily-sets
    prefix: school/daily/
    days: 30

- name: Lock all objects until the audit is over
  lifeline.recovery.r2_bucket_lock:
    account_id: 0123456789abcdef0123456789abcdef
    bucket: school-backups
    rule: audit-2026
    until: "2027-01-01T00:00:00Z"

- name: Print the rules that would remain after the removal of a rule
  lifeline.recovery.r2_bucket_lock:
    account_id: 0123456789abcdef0123456789abcdef
    bucket: school-backups
    rule: audit-2026
    state: absent
  check_mode: true
  diff: true
"""

RETURN = r"""
rules:
  description: Every rule of the bucket after the change.
  type: list
  elements: dict
  returned: success
  sample:
    - {id: daily-sets, enabled: true, prefix: school/daily/, condition: {type: Age, maxAgeSeconds: 2592000}}
before:
  description: Every rule before the change.
  type: list
  elements: dict
  returned: success
  sample: []
error_kind:
  description: Stable name of the error.
  type: str
  returned: failure
  sample: access_denied
"""

from ..module_utils._ansible.ansible_module import create_module, run_module
from ..module_utils._ansible.object_requests import lock_change
from ..module_utils._ansible.options import ArgumentSpec, request_of, spec_of
from ..module_utils._store.r2_locks import LockChange, R2Bucket, set_lock_rule

SPEC = spec_of(R2Bucket).merge(spec_of(LockChange), ArgumentSpec(mutually_exclusive=[["days", "until"]]))


def main() -> None:
    module = create_module(SPEC)
    params, check_mode = module.params, module.check_mode

    def work() -> object:
        bucket = request_of(R2Bucket, params, check_mode=check_mode)
        result = set_lock_rule(bucket, lock_change(params), check_mode=check_mode)
        return {**vars(result), "diff": {"before": {"rules": result.before}, "after": {"rules": result.rules}}}

    run_module(module, work)


if __name__ == "__main__":
    main()
