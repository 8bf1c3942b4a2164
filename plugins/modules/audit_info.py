#!/usr/bin/python
# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: audit_info
short_description: Read the audit records of a source
version_added: 1.0.0
description:
  - Every backup, restore, verification, prune and copy writes a record to the store, under C(<source>/audit/). The module lists the records
    and detects changed or missing records.
  - Each record names the previous record and its digest. A user with write access to the complete store could write all records again; an
    object lock prevents that. Records of checks, which are kept for a short time, are not part of this chain.
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
      - The source of the records.
    type: str
    required: true
  operation:
    description:
      - Only records of this operation, for example C(backup), C(restore), C(restore_rows), C(export_rows), C(verify), C(prune), C(copy) or C(drill).
    type: str
  status:
    description:
      - Only records with this status, for example C(succeeded), C(partial), C(failed) or C(passed).
    type: str
  since:
    description:
      - Only records from this instant on, for example C(2026-03-01T00:00:00Z).
    type: str
  limit:
    description:
      - The highest number of records; the newest are returned.
    type: int
    default: 50
seealso:
  - module: lifeline.recovery.backup_prune
"""

EXAMPLES = r"""
- name: List the last fifty operations on a source
  lifeline.recovery.audit_info:
    source: school
    store:
      bucket: school-backups

- name: List the failed backups of this year
  lifeline.recovery.audit_info:
    source: school
    operation: backup
    status: failed
    since: "2026-01-01T00:00:00Z"
    store:
      bucket: school-backups

- name: Fail when a record was tampered with
  lifeline.recovery.audit_info:
    source: school
    store:
      provider: directory
      path: /var/backups/lifeline
  register: audit
  failed_when: audit is failed or audit.chain != 'intact'
"""

RETURN = r"""
records:
  description: The records, newest first.
  type: list
  elements: dict
  returned: success
  contains:
    key:
      description: The key of the record in the store.
      type: str
      returned: always
    operation_type:
      description: The operation.
      type: str
      returned: always
    performed_by:
      description: The user of the operation.
      type: str
      returned: always
    performed_at:
      description: The instant of its end.
      type: str
      returned: always
    host:
      description: The host that ran it.
      type: str
      returned: always
    source:
      description: The source.
      type: str
      returned: always
    status:
      description: Its result.
      type: str
      returned: always
    details:
      description: Facts that depend on the operation.
      type: dict
      returned: always
  sample:
    - key: school/audit/2026/03/20260301T020019.104711Z-backup-1a2b3c.json
      operation_type: backup
      performed_by: backup
      performed_at: "2026-03-01T02:00:19.480+00:00"
      host: backup1
      source: school
      status: succeeded
      details: {set_id: 20260301T020005Z, tier: daily, bytes: 183500800, seconds: 14.1}
total:
  description: How many records match, also beyond O(limit).
  type: int
  returned: success
  sample: 812
chain:
  description: V(intact), or V(broken) when records were changed or are missing.
  type: str
  returned: success
  sample: intact
breaks:
  description: Where the chain is broken, in words.
  type: list
  elements: str
  returned: success
  sample: []
error_kind:
  description: A stable name of what went wrong.
  type: str
  returned: failure
  sample: unreachable
"""

from ..module_utils._ansible.ansible_module import create_module, run_module
from ..module_utils._ansible.options import ArgumentSpec, request_of, spec_of
from ..module_utils._ansible.store_requests import readable_store, store_spec
from ..module_utils._repository.audit import AuditQuery, AuditResult, read_audit

SOURCE = ArgumentSpec({"source": {"type": "str", "required": True}})
SPEC = spec_of(AuditQuery).merge(SOURCE, store_spec())


def main() -> None:
    module = create_module(SPEC)

    def work() -> AuditResult:
        query = request_of(AuditQuery, module.params, check_mode=module.check_mode)
        return read_audit(readable_store(module.params), module.params["source"], query)

    run_module(module, work)


if __name__ == "__main__":
    main()
