# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: course_version_restore
short_description: Restore documents to an earlier version, or rebuild lost versions
version_added: 1.0.0
description:
  - Publishes an earlier version of a document again, as a new version. The table of versions, the table of documents and the published copy
    in the bucket have the restored content afterwards; the module reads all three again and compares them with the version that was restored.
  - No version and no published copy is lost. If the published copy has a content that no version has, this content is stored first - as a version,
    or, if it is damaged, as the object C(KEY.before-INSTANT) of the bucket.
  - Each document is one transaction. The row of the document is locked, its etag is compared, and the published copy is replaced only while it
    is the one that was read, so that a publication in between is refused and stays.
  - With O(state=rebuilt), every document that has no version gets a first one from its published copy, and every document whose current
    version by the table of documents is lost gets that one. Existing versions stay unchanged.
author:
  - lifeline.recovery contributors (@lifeline-recovery)
requirements:
  - psycopg2
  - boto3 (for S3 buckets)
  - jsonschema 4.18 (for O(json_schema))
extends_documentation_fragment:
  - lifeline.recovery._attributes
  - lifeline.recovery._confirmation
  - lifeline.recovery._postgres
  - lifeline.recovery._postgres.client
  - lifeline.recovery._files
  - lifeline.recovery._store
  - lifeline.recovery._store.audited
  - lifeline.recovery._documents
  - lifeline.recovery._documents.tables
  - lifeline.recovery._documents.copies
attributes:
  check_mode:
    support: full
    details:
      - The documents are read and the versions are chosen; nothing is written.
  diff_mode:
    support: full
    details:
      - Shows the published content and the restored content as indented JSON, at most 400 lines.
  idempotent:
    support: full
    details:
      - A document that has the content of the version already, and is not damaged, stays unchanged.
options:
  state:
    description:
      - V(restored) publishes a version again.
      - V(rebuilt) inserts a first version of every document that has none, and the current version of every document that has only older
        ones, both from the published copy.
    type: str
    choices: [restored, rebuilt]
    default: restored
  documents:
    description:
      - Ids of the documents. Required if O(state=restored).
      - The single value V(damaged) selects every document that M(lifeline.recovery.course_version_info) reports as damaged, and the single value
        V(all) every document.
    type: list
    elements: str
    default: []
  version:
    description:
      - Number of the version to restore, or V(last_good) for the newest version that is valid.
      - V(before) undoes the last restore of damaged copies. It puts the newest object C(KEY.before-INSTANT) back as the published copy, with its
        headers. The tables stay unchanged. O(documents) must be ids.
    type: str
    default: last_good
  via:
    description:
      - V(sql) writes the tables and the published copy.
      - V(function) calls O(function) in the database, in one transaction with the published copy.
      - V(http) calls the service of O(url), and writes the published copy if the service did not.
    type: str
    choices: [sql, function, http]
    default: sql
  changelog:
    description:
      - Text that describes the new versions.
      - If it is unset, it is C(Restored by lifeline.recovery), or C(Rebuilt from storage backup) if O(state=rebuilt).
    type: str
  publisher:
    description:
      - Id of the user who is the publisher of the new versions. If it is unset, it is the publisher of the version that is restored.
      - Required if O(state=rebuilt) and the column must not be null.
    type: str
  function:
    description:
      - Function of the database that is called as C(function(document, version, changelog)).
    type: str
    default: restore_course_version
  url:
    description:
      - Address of the service, which gets C(courseId), C(version) and C(changelog) as JSON. Required if O(via=http).
    type: str
  token:
    description:
      - Bearer token of the service. Required if O(via=http).
    type: str
  timeout:
    description:
      - Seconds to wait for the answer of the service or for the end of the function. If the service does not answer, the document is
        read again for this time to find out whether the version was restored.
    type: float
    default: 30
  lock_timeout:
    description:
      - Seconds to wait for a document that another session publishes.
    type: float
    default: 10
  version_above:
    description:
      - The highest number of a version that clients may know. New versions get higher numbers.
      - Set it after the database was restored to an earlier point, because browsers and caches that know a higher number take the restored
        content for older. With O(documents=all), every document whose version is not higher is published again.
    type: int
  etag_above:
    description:
      - The highest etag that clients may know, as O(version_above).
    type: int
  max_documents:
    description:
      - The most documents that one run restores.
    type: int
    default: 10
  rebuilt_version:
    description:
      - V(first) numbers the first version of a document 1. V(current) gives it the number that the table of documents has.
    type: str
    choices: [first, current]
    default: first
seealso:
  - module: lifeline.recovery.course_version_info
  - module: lifeline.recovery.pg_restore_table
"""

EXAMPLES = r"""
- name: Restore a course to version 3
  lifeline.recovery.course_version_restore:
    documents: [algebra-1]
    version: 3
    changelog: Emergency restore due to data corruption
    login_db: learnplay
    login_unix_socket: /run/postgresql
    files:
      bucket: courses

- name: Restore every damaged course to its newest valid version
  lifeline.recovery.course_version_restore:
    documents: damaged
    max_documents: 50
    login_db: learnplay
    login_unix_socket: /run/postgresql
    files:
      bucket: courses
  diff: true

- name: Restore the copy that the last restore replaced
  lifeline.recovery.course_version_restore:
    documents: [algebra-1]
    version: before
    login_db: learnplay
    login_unix_socket: /run/postgresql
    files:
      bucket: courses

- name: Raise versions and etags above those that clients know, after the database was restored to an earlier point
  lifeline.recovery.course_version_restore:
    documents: all
    version_above: 41
    etag_above: 57
    max_documents: 10000
    login_db: learnplay
    login_unix_socket: /run/postgresql
    files:
      bucket: courses

- name: Rebuild lost versions from the published copies
  lifeline.recovery.course_version_restore:
    state: rebuilt
    publisher: 6f1c2a5e-1f0a-4c2e-9d52-6f6a1f2d3b4c
    login_db: learnplay
    login_unix_socket: /run/postgresql
    files:
      bucket: courses
"""

RETURN = r"""
documents:
  description:
    - The restored documents, each with the new version, C(former_version), and C(kept_version) or C(kept_copy) where the former published
      content is. If O(version=before), C(restored_copy) is the object that was put back.
    - If O(state=rebuilt), the ids of the first 1000 documents.
  type: list
  elements: raw
  returned: success
  sample:
    - document: algebra-1
      restored_from: 3
      version: 6
      etag: 6
      kept_version: null
      kept_copy: algebra-1.json.before-20260301T101500Z
      former_version: 5
      restored_copy: null
plan:
  description: The version of each document that is restored, or the key of its former copy. Only if O(state=restored).
  type: dict
  returned: success
  sample: {algebra-1: 3}
not_restored:
  description: Damaged documents that stay as they are, and why. Only if O(state=restored).
  type: list
  elements: dict
  returned: success
  sample: []
rebuilt:
  description: The number of versions that were rebuilt. Only if O(state=rebuilt).
  type: int
  returned: success
  sample: 10000
current:
  description: The number of rebuilt versions whose document has older versions. Only if O(state=rebuilt).
  type: int
  returned: success
  sample: 4
with_versions:
  description: The number of published documents that have their current version. Only if O(state=rebuilt).
  type: int
  returned: success
  sample: 0
without_row:
  description: The first 1000 published copies whose document has no row in the table of documents. Only if O(state=rebuilt).
  type: list
  elements: str
  returned: success
  sample: []
not_rebuilt:
  description: Published copies that cannot be a version, and why. Only if O(state=rebuilt).
  type: list
  elements: dict
  returned: success
  sample: []
behind:
  description: The number of documents whose current version is higher than the rebuilt one. Only if O(state=rebuilt).
  type: int
  returned: success
  sample: 0
requests:
  description: The number of requests to the bucket. Only if O(state=rebuilt).
  type: int
  returned: success
  sample: 10011
plan_digest:
  description: Digest of the plan.
  type: str
  returned: success
  sample: 3f1c9a0b5d7e2468
confirmation:
  description: The value that O(recovery_confirm) must have in a run with the same options; empty if the run needs no other value.
  type: str
  returned: success
  sample: ""
undo:
  description: Empty. RV(documents) lists the version or the object that has the former content of each document.
  type: dict
  returned: success
  sample: {}
unchanged:
  description: Why nothing was changed, as C(reason) and C(next_step); null if something was.
  type: dict
  returned: success
  sample: null
timings:
  description: Seconds per phase.
  type: dict
  returned: success
  sample: {plan: 0.2, publish: 0.1, verify: 0.1, total: 0.4}
summary:
  description: The result in one sentence.
  type: str
  returned: success
  sample: "Restored 1 document: algebra-1 to version 3."
error_kind:
  description: Stable name of the error.
  type: str
  returned: failure
  sample: conflict
"""

import typing as t

from ..module_utils._ansible.ansible_module import create_module, run_module
from ..module_utils._ansible.argument_specs import postgres_spec
from ..module_utils._ansible.document_requests import rebuild_request, restore_request
from ..module_utils._ansible.options import ArgumentSpec, spec_of
from ..module_utils._ansible.store_requests import files_spec, opened_store, store_spec
from ..module_utils._documents.reader import Layout
from ..module_utils._documents.rebuild import Rebuild, RebuildResult
from ..module_utils._documents.restore import DocumentsRestore, DocumentsResult
from ..module_utils._documents.target import PublishOptions
from ..module_utils._operations.change import perform
from ..module_utils._repository.change import Safeguards

SPEC = ArgumentSpec(
    {
        "state": {"type": "str", "default": "restored", "choices": ["restored", "rebuilt"]},
        "documents": {"type": "list", "elements": "str", "default": []},
        "version": {"type": "str", "default": "last_good"},
        "max_documents": {"type": "int", "default": 10},
        "rebuilt_version": {"type": "str", "default": "first", "choices": ["first", "current"]},
        "source": {"type": "str"},
    }
).merge(spec_of(PublishOptions), spec_of(Layout), spec_of(Safeguards), files_spec(), store_spec(), postgres_spec())


def main() -> None:
    module = create_module(SPEC)
    params = module.params

    def work() -> t.Union[DocumentsResult, RebuildResult]:
        store = opened_store(params) if params["store"] else None
        if params["state"] == "rebuilt":
            return perform(Rebuild(rebuild_request(params, check_mode=module.check_mode), store))
        request = restore_request(params, check_mode=module.check_mode, diff_mode=module._diff)
        return perform(DocumentsRestore(request, store))

    run_module(module, work)


if __name__ == "__main__":
    main()
