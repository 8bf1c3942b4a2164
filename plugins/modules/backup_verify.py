#!/usr/bin/python
# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: backup_verify
short_description: Prove that a backup set can be read back and decoded
version_added: 1.0.0
description:
  - Reads every object of a set, compares its stored and its plain digest with the manifest, decodes the complete archive with
    C(pg_restore), and counts the rows of each table against the fingerprint.
  - A listing of an archive proves nothing, because the table of contents is written first; the module decodes everything.
  - Records the result next to the set. The next backup stores a damaged object again, and a verified set can be
    protected from removal.
  - The module does not restore. Only M(lifeline.recovery.pg_restore) and a drill prove a restore.
author:
  - lifeline.recovery contributors (@lifeline-recovery)
requirements:
  - boto3 (for S3 stores)
  - zstandard
  - pg_restore (for O(depth=decode))
extends_documentation_fragment:
  - lifeline.recovery._attributes
  - lifeline.recovery._postgres.client
  - lifeline.recovery._store
  - lifeline.recovery._selection
attributes:
  check_mode:
    support: full
    details:
      - In check mode the set is verified and the result is not recorded.
  diff_mode:
    support: none
  idempotent:
    support: none
    details:
      - Every verification is recorded with its time.
options:
  depth:
    description:
      - V(presence) requests the size of every object. It is quick and does not detect damaged content.
      - V(digests) reads every object and counts rows. For a set of PostgreSQL it also fails if an entry of the archive
        lacks another entry that it needs - rows without a table, a table without rows, a schema that nothing creates.
      - V(decode) also reads the archive with C(pg_restore). O(spool_dir) must have free space for the plain dump.
      - No depth restores the set. M(lifeline.recovery.pg_restore) records next to the set how its restore ended, and
        M(lifeline.recovery.recovery_status) reports a set whose last restore failed.
    type: str
    choices: [presence, digests, decode]
    default: decode
  spool_dir:
    description:
      - A folder for the fetched archive. If unset, the temporary folder of the system is used.
    type: path
seealso:
  - module: lifeline.recovery.backup_info
  - module: lifeline.recovery.pg_restore
"""

EXAMPLES = r"""
- name: Verify the newest set
  lifeline.recovery.backup_verify:
    source: school
    store:
      bucket: school-backups

- name: Verify a random set of the last month by its digests
  lifeline.recovery.backup_verify:
    source: school
    tier: daily
    set: random
    seed: 202603
    depth: digests
    store:
      bucket: school-backups

- name: Check quickly that no object of a set is missing
  lifeline.recovery.backup_verify:
    source: school
    set: 20260301T020005Z
    depth: presence
    store:
      provider: directory
      path: /var/backups/lifeline
"""

RETURN = r"""
set_id:
  description: The set that was verified.
  type: str
  returned: success
  sample: 20260301T020005Z
source:
  description: The source of the set.
  type: str
  returned: success
  sample: school
tier:
  description: The tier of the set.
  type: str
  returned: success
  sample: daily
depth:
  description: The depth of the verification. V(digests) instead of V(decode) if the set could not be decrypted.
  type: str
  returned: success
  sample: decode
status:
  description: Always V(passed); a set that is not as recorded fails the module.
  type: str
  returned: success
  sample: passed
objects:
  description: How many files the set has.
  type: int
  returned: success
  sample: 42
bytes_read:
  description: Stored bytes that were read.
  type: int
  returned: success
  sample: 183500800
rows:
  description: Rows counted in the archive, or null when O(depth=presence).
  type: int
  returned: success
  sample: 1250000
tables:
  description: How many tables have rows in the set.
  type: int
  returned: success
  sample: 38
expiring_rules:
  description:
    - Lifecycle rules of the bucket that delete objects of the store by age, a sentence each; the module warns of them.
    - Also empty if the rules may not be read; M(lifeline.recovery.store_check) reports that.
  type: list
  elements: str
  returned: success
  sample: []
timings:
  description: Seconds per phase.
  type: dict
  returned: success
  sample: {presence: 0.2, digests: 2.1, decode: 1.4, total: 3.7}
summary:
  description: The result in one sentence.
  type: str
  returned: success
  sample: "Set 20260301T020005Z of school: 42 objects are as recorded (decode)."
damaged:
  description: Keys of the objects that are not as recorded.
  type: list
  elements: str
  returned: failure because of damage
  sample: [school/daily/objects/ab/ab12]
error_kind:
  description: A stable name of what went wrong.
  type: str
  returned: failure
  sample: damaged
"""

from ..module_utils._ansible.ansible_module import create_module, run_module
from ..module_utils._ansible.argument_specs import selection_spec
from ..module_utils._ansible.options import request_of, spec_of
from ..module_utils._ansible.requests import required_source
from ..module_utils._ansible.store_requests import readable_store, set_selection, store_parallel, store_spec
from ..module_utils._operations.verify import verify_set
from ..module_utils._repository.catalogue import find_set
from ..module_utils._repository.lifecycle import noted_expiring_rules
from ..module_utils._repository.verifier import VerifyRequest

SPEC = spec_of(VerifyRequest).merge(selection_spec(), store_spec())


def main() -> None:
    module = create_module(SPEC)
    params = module.params

    def work() -> object:
        store = readable_store(params, params["source"])
        manifest = find_set(store, required_source(params), set_selection(params))
        parallel, record = store_parallel(params), not module.check_mode
        request = request_of(VerifyRequest, params, check_mode=module.check_mode, parallel=parallel, record=record)
        # First, so that the notice of a rule explains objects that are missing.
        rules = noted_expiring_rules(store)
        return {**vars(verify_set(store, manifest, request)), "expiring_rules": rules}

    run_module(module, work)


if __name__ == "__main__":
    main()
