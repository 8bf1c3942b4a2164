#!/usr/bin/python
# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: store_lifecycle
short_description: Set the lifecycle rule that aborts incomplete multipart uploads
version_added: 1.0.0
description:
  - Adds, changes or removes one lifecycle rule, which aborts multipart uploads below the prefix of the store that stay incomplete. Their parts
    are billed, and no listing of objects shows them. Other rules of the bucket are left unchanged.
  - No rule that deletes objects is ever set. Sets share objects, so a rule that deletes objects by age destroys the newest set as well. The
    module warns of such rules; M(lifeline.recovery.backup_prune) deletes old sets.
  - The credentials need the rights C(s3:GetLifecycleConfiguration) and C(s3:PutLifecycleConfiguration), which a backup host should not have.
author:
  - lifeline.recovery contributors (@lifeline-recovery)
requirements:
  - boto3
extends_documentation_fragment:
  - lifeline.recovery._attributes
  - lifeline.recovery._store
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
      - Whether the lifecycle rule exists.
    type: str
    choices: [present, absent]
    default: present
  abort_uploads_days:
    description:
      - Days after which an incomplete upload is aborted. Set more days than your longest upload takes.
    type: int
    default: 7
seealso:
  - module: lifeline.recovery.store_check
  - module: lifeline.recovery.backup_prune
"""

EXAMPLES = r"""
- name: Abort uploads that are incomplete for a week
  lifeline.recovery.store_lifecycle:
    store:
      bucket: school-backups

- name: Abort incomplete uploads after two days in a bucket of MinIO
  lifeline.recovery.store_lifecycle:
    abort_uploads_days: 2
    store:
      provider: minio
      endpoint_url: https://minio.example.org
      bucket: school-backups

- name: Print the rules that would remain after the removal of the rule
  lifeline.recovery.store_lifecycle:
    state: absent
    store:
      bucket: school-backups
  check_mode: true
  diff: true
"""

RETURN = r"""
rules:
  description: Every lifecycle rule of the bucket after the change.
  type: list
  elements: dict
  returned: success
  sample:
    - ID: lifeline-abort-incomplete-uploads
      Status: Enabled
      Filter: {Prefix: ""}
      AbortIncompleteMultipartUpload: {DaysAfterInitiation: 7}
before:
  description: Every rule before the change.
  type: list
  elements: dict
  returned: success
  sample: []
expiring_rules:
  description: Other rules of the bucket that delete objects of the store by age, a sentence each.
  type: list
  elements: str
  returned: success
  sample: []
error_kind:
  description: Stable name of the error.
  type: str
  returned: failure
  sample: unsupported
"""

from ..module_utils._ansible.ansible_module import create_module, run_module
from ..module_utils._ansible.options import ArgumentSpec
from ..module_utils._ansible.store_requests import opened_store, store_spec
from ..module_utils._repository.lifecycle import set_abort_rule

SPEC = ArgumentSpec(
    {
        "state": {"type": "str", "default": "present", "choices": ["present", "absent"]},
        "abort_uploads_days": {"type": "int", "default": 7},
    }
).merge(store_spec())


def main() -> None:
    module = create_module(SPEC)
    params = module.params

    def work() -> object:
        days = params["abort_uploads_days"] if params["state"] == "present" else None
        result = set_abort_rule(opened_store(params), days, check_mode=module.check_mode)
        return {**vars(result), "diff": {"before": {"rules": result.before}, "after": {"rules": result.rules}}}

    run_module(module, work)


if __name__ == "__main__":
    main()
