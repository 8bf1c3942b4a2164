#!/usr/bin/python
# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: store_check
short_description: Prove that a store keeps objects and that its lock holds
version_added: 1.0.0
description:
  - Writes a small probe below C(probes/), reads it back, lists it, tries to write a second probe of the same name, and tries to delete it.
  - If O(store.object_lock) or O(require_lock) is set, the store must refuse the deletion. The configuration of a lock alone proves nothing.
  - A locked probe remains until its lock ends.
  - Fails before it writes anything if a lifecycle rule of the bucket deletes objects of the store by age. Sets share objects, and a reused
    object keeps the date of its first upload, so such a rule destroys the newest set as well.
author:
  - lifeline.recovery contributors (@lifeline-recovery)
requirements:
  - boto3 (for S3 stores)
extends_documentation_fragment:
  - lifeline.recovery._attributes
  - lifeline.recovery._store
attributes:
  check_mode:
    support: none
    details:
      - In check mode the module is skipped, because it must write to prove anything.
  diff_mode:
    support: none
  idempotent:
    support: none
    details:
      - Each run writes a probe.
options:
  require_lock:
    description:
      - Fail if the probe can be deleted, even if O(store.object_lock) is unset, for example on R2 with lock rules.
    type: bool
    default: false
seealso:
  - module: lifeline.recovery.r2_bucket_lock
  - module: lifeline.recovery.store_lifecycle
"""

EXAMPLES = r"""
- name: Test a store before the first backup
  lifeline.recovery.store_check:
    store:
      bucket: school-backups

- name: Test that ransomware with the keys of this host cannot delete a backup
  lifeline.recovery.store_check:
    store:
      bucket: school-backups
      object_lock:
        mode: compliance
        days: 30

- name: Test the lock rules of an R2 bucket
  lifeline.recovery.store_check:
    require_lock: true
    store:
      provider: r2
      endpoint_url: https://0123456789abcdef.r2.cloudflarestorage.com
      bucket: school-backups
"""

RETURN = r"""
location:
  description: Location of the store.
  type: str
  returned: success
  sample: s3://school-backups
writes:
  description: Whether the store accepts a write; always true, because the module fails otherwise.
  type: bool
  returned: success
  sample: true
reads:
  description: Whether the store returns the written bytes.
  type: bool
  returned: success
  sample: true
lists:
  description: Whether the listing has the probe.
  type: bool
  returned: success
  sample: true
conditional:
  description: Whether the store refuses a second object of one name in a conditional write.
  type: bool
  returned: success
  sample: true
encrypts:
  description: Whether sets in the store are encrypted.
  type: bool
  returned: success
  sample: true
lock:
  description: V(held), V(absent), or V(refused) if the store refuses the deletion and shows no lock.
  type: str
  returned: success
  sample: held
locked_until:
  description: End of the lock of the probe, or null.
  type: str
  returned: success
  sample: "2026-03-31T02:00:05+00:00"
lifecycle:
  description:
    - V(safe), or V(unknown) if the lifecycle rules may not be read. Reading them needs the right C(s3:GetLifecycleConfiguration).
  type: str
  returned: success
  sample: safe
expiring_rules:
  description: The lifecycle rules that delete objects of the store, a sentence each.
  type: list
  elements: str
  returned: failure because of them
  sample: ["Rule 'old' deletes objects below 'school/' 30 days after they were written."]
clock_difference:
  description: Seconds by which the clock of the store is ahead of the clock of this host.
  type: float
  returned: success
  sample: 0.3
timings:
  description: Seconds per phase.
  type: dict
  returned: success
  sample: {lifecycle: 0.1, write: 0.1, read: 0.1, list: 0.1, condition: 0.1, delete: 0.1, total: 0.6}
summary:
  description: The result in one sentence.
  type: str
  returned: success
  sample: >-
    s3://school-backups writes, reads and lists; its lock is held; it refuses a second object of one name; no lifecycle rule deletes its
    objects; encrypted.
error_kind:
  description: Stable name of the error.
  type: str
  returned: failure
  sample: not_locked
"""

from ..module_utils._ansible.ansible_module import create_module, run_module
from ..module_utils._ansible.options import ArgumentSpec
from ..module_utils._ansible.store_requests import opened_store, store_spec
from ..module_utils._repository.preflight import check_store

SPEC = ArgumentSpec({"require_lock": {"type": "bool", "default": False}}).merge(store_spec())


def main() -> None:
    module = create_module(SPEC, supports_check_mode=False)
    params = module.params
    run_module(module, lambda: check_store(opened_store(params), require_lock=params["require_lock"]))


if __name__ == "__main__":
    main()
