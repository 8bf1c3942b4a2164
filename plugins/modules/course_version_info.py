# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: course_version_info
short_description: List the versions of documents and find damaged ones
version_added: 1.0.0
description:
  - Reads the versions of documents from a table, their current version from the table of documents, and their published copies from a
    bucket, and reports whether the three agree.
  - A document is damaged if its newest version or its published copy is missing, is no JSON, does not match the schema, or if
    the two have another content. Contents are compared by value, so whitespace and the order of keys do not count.
author:
  - lifeline.recovery contributors (@lifeline-recovery)
requirements:
  - psycopg2
  - boto3 (for S3 buckets)
  - jsonschema 4.18 (for O(json_schema))
extends_documentation_fragment:
  - lifeline.recovery._attributes
  - lifeline.recovery._postgres
  - lifeline.recovery._postgres.client
  - lifeline.recovery._files
  - lifeline.recovery._documents
  - lifeline.recovery._documents.tables
  - lifeline.recovery._documents.copies
attributes:
  check_mode:
    support: full
    details:
      - The module changes nothing.
  diff_mode:
    support: none
  idempotent:
    support: full
options:
  documents:
    description:
      - Ids of documents whose versions are listed. If it is unset, all documents are compared and no versions are listed.
    type: list
    elements: str
    default: []
  limit:
    description:
      - The most documents of the result. Damaged documents are first.
    type: int
    default: 1000
seealso:
  - module: lifeline.recovery.course_version_restore
"""

EXAMPLES = r"""
- name: List the versions of a course
  lifeline.recovery.course_version_info:
    documents: [algebra-1]
    login_db: learnplay
    login_unix_socket: /run/postgresql
    files:
      bucket: courses
  register: versions

- name: Find damaged courses
  lifeline.recovery.course_version_info:
    login_db: learnplay
    login_unix_socket: /run/postgresql
    files:
      bucket: courses
    json_schema: "{{ lookup('file', 'course.schema.json') | from_json }}"
  register: courses
  failed_when: courses.damaged_count > 0

- name: Compare versions and metadata of a database without a bucket
  lifeline.recovery.course_version_info:
    documents: [algebra-1, biology-2]
    login_db: learnplay
    login_unix_socket: /run/postgresql
    versions:
      table: content.page_versions
      document: page_id
    metadata:
      table: content.pages
      version: current_version
"""

RETURN = r"""
documents:
  description: The documents, damaged ones first.
  type: list
  elements: dict
  returned: success
  contains:
    document:
      description: The id of the document.
      type: str
      sample: algebra-1
    version:
      description: Its newest version; null if it has none.
      type: int
      sample: 5
    etag:
      description: The etag of the newest version.
      type: int
      sample: 5
    metadata:
      description: The row of the table of documents as C(version), C(etag) and C(updated_at); null if it has none.
      type: dict
      sample: {version: 5, etag: 5, updated_at: "2026-03-01 10:15:00+00"}
    published:
      description: The published copy. Null without O(files).
      type: dict
      sample:
        key: algebra-1.json
        etag: '"5d41402abc4b2a76b9719d911017c592"'
        modified: "2026-03-01T10:15:00+00:00"
        size: 48213
        digest: 0f343b0931126a20f133d67c2b018a3b0a2b4e6f6e0a9f0f9f3b4c5d6e7f8a9b
        valid: true
        problem: ""
    agrees:
      description: Whether versions, metadata and published copy agree and are valid.
      type: bool
      sample: true
    findings:
      description: The damage of the document, and the differences between versions, metadata and published copy.
      type: list
      elements: str
      sample: []
    versions:
      description: The versions, newest first. Only for O(documents).
      type: list
      elements: dict
      sample:
        - version: 5
          etag: 5
          publisher: 6f1c2a5e-1f0a-4c2e-9d52-6f6a1f2d3b4c
          changelog: New exercises
          published_at: "2026-03-01 10:15:00+00"
          size: 48213
          storage_path: null
          digest: 0f343b0931126a20f133d67c2b018a3b0a2b4e6f6e0a9f0f9f3b4c5d6e7f8a9b
          valid: true
          problem: ""
count:
  description: The number of documents that were compared.
  type: int
  returned: success
  sample: 412
damaged:
  description: The ids of the damaged documents, at most O(limit).
  type: list
  elements: str
  returned: success
  sample: []
damaged_count:
  description: The number of damaged documents.
  type: int
  returned: success
  sample: 0
summary:
  description: The result in one sentence.
  type: str
  returned: success
  sample: "412 documents compared: no damage found."
error_kind:
  description: Stable name of the error.
  type: str
  returned: failure
  sample: table_missing
"""

from ..module_utils._ansible.ansible_module import create_module, run_module
from ..module_utils._ansible.argument_specs import postgres_spec
from ..module_utils._ansible.document_requests import layout_of
from ..module_utils._ansible.options import request_of, spec_of
from ..module_utils._ansible.store_requests import files_spec
from ..module_utils._documents.info import DocumentsInfo, InfoRequest, describe_documents

SPEC = spec_of(InfoRequest).merge(files_spec(), postgres_spec())


def main() -> None:
    module = create_module(SPEC)
    params = module.params

    def work() -> DocumentsInfo:
        request = request_of(InfoRequest, params, check_mode=module.check_mode, layout=layout_of(params))
        return describe_documents(request)

    run_module(module, work)


if __name__ == "__main__":
    main()
