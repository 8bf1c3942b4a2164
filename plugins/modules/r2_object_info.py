#!/usr/bin/python
# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: r2_object_info
short_description: Describe objects of R2 or any S3 store
version_added: 1.0.0
description:
  - Describes one object, lists the objects of a prefix, or creates a presigned URL, which allows its holder to read or
    write an object for a limited time.
author:
  - lifeline.recovery contributors (@lifeline-recovery)
requirements:
  - boto3 (for S3 stores)
extends_documentation_fragment:
  - lifeline.recovery._attributes
  - lifeline.recovery._attributes.info_module
  - lifeline.recovery._files
options:
  key:
    description:
      - The object to describe. For a missing object, the result has C(exists=false).
    type: str
  prefix:
    description:
      - List the objects whose keys begin with this prefix. If it is an empty text, all objects.
    type: str
  limit:
    description:
      - The highest number of listed objects. The totals count all objects.
    type: int
    default: 1000
  url_seconds:
    description:
      - Create a URL for O(key) that is valid for this many seconds. The URL is a secret; set C(no_log) on the task.
    type: int
  url_method:
    description:
      - The request that the URL allows.
    type: str
    choices: [get, put]
    default: get
seealso:
  - module: lifeline.recovery.r2_object
"""

EXAMPLES = r"""
- name: Check that the export exists, and read its age
  lifeline.recovery.r2_object_info:
    key: exports/school.sql.gz
    files:
      provider: r2
      endpoint_url: https://0123456789abcdef.r2.cloudflarestorage.com
      bucket: school-exports

- name: Count the objects and bytes of a prefix
  lifeline.recovery.r2_object_info:
    prefix: courses/
    limit: 10
    files:
      bucket: school-media

- name: Create a link for the auditor that is valid for an hour
  lifeline.recovery.r2_object_info:
    key: reports/2026.pdf
    url_seconds: 3600
    files:
      bucket: school-reports
  no_log: true
"""

RETURN = r"""
exists:
  description: Whether the object exists.
  type: bool
  returned: when O(key) is given
  sample: true
object:
  description: The object, or null.
  type: dict
  returned: when O(key) is given
  sample:
    key: exports/school.sql.gz
    size: 183500800
    modified: "2026-03-01T02:10:05.000+00:00"
    etag: '"0cc175b9c0f1b6a831c399e269772661"'
    sha256: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
    content_type: application/gzip
    expires: null
    website_redirect: null
    metadata: {}
    tags: {}
    storage_class: null
    archived: false
    locked_until: null
url:
  description: The URL.
  type: str
  returned: when O(url_seconds) is given
  sample: https://school-reports.s3.amazonaws.com/reports/2026.pdf
objects:
  description: Key, size, time and ETag of the objects, by key.
  type: list
  elements: dict
  returned: when O(prefix) is given
  sample:
    - {key: courses/1/cover.png, size: 40960, modified: "2026-02-01T10:00:00.000+00:00", etag: '"0cc175b9c0f1b6a831c399e269772661"'}
total:
  description: The number of objects, including those beyond O(limit).
  type: int
  returned: when O(prefix) is given
  sample: 100000
total_bytes:
  description: The bytes of all these objects.
  type: int
  returned: when O(prefix) is given
  sample: 4294967296
error_kind:
  description: A stable name of what went wrong.
  type: str
  returned: failure
  sample: access_denied
"""

from ..module_utils._ansible.ansible_module import create_module, run_module
from ..module_utils._ansible.options import ArgumentSpec, request_of, spec_of
from ..module_utils._ansible.store_requests import files_spec, opened_files
from ..module_utils._engines.bucket.describe import DescribeRequest, describe_objects

RULES = ArgumentSpec(mutually_exclusive=[["key", "prefix"]], required_one_of=[["key", "prefix"]])
SPEC = spec_of(DescribeRequest).merge(RULES, files_spec())


def main() -> None:
    module = create_module(SPEC)
    params = module.params

    def work() -> object:
        request = request_of(DescribeRequest, params, check_mode=module.check_mode)
        return describe_objects(opened_files(params), request)

    run_module(module, work)


if __name__ == "__main__":
    main()
