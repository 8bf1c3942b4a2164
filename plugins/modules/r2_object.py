#!/usr/bin/python
# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: r2_object
short_description: Upload, download, copy, synchronise or delete objects of R2 or any S3 store
version_added: 1.0.0
description:
  - Sends only content that differs. A sent object has its SHA-256 in the metadata C(lifeline-sha256), because the ETag of a multipart upload
    is no digest. For an object without this metadata, an ETag that is an MD5 is compared, otherwise the object is read.
  - Large objects are sent in equal parts in parallel, as R2 requires. An object is visible after all its parts were sent.
  - An interrupted download is continued, and its file appears after the complete content was verified.
  - To read facts or lists, use M(lifeline.recovery.r2_object_info).
author:
  - lifeline.recovery contributors (@lifeline-recovery)
requirements:
  - boto3 (for S3 stores)
extends_documentation_fragment:
  - lifeline.recovery._attributes
  - lifeline.recovery._files
  - lifeline.recovery._files.progress
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details:
      - Names of objects or files before and after. Content is not shown.
  idempotent:
    support: full
options:
  key:
    description:
      - The key of the object. For O(sync=true), and for a key that ends in a slash with O(state=absent), the prefix of all objects.
    type: str
    required: true
  state:
    description:
      - Whether the object exists.
    type: str
    choices: [present, absent]
    default: present
  direction:
    description:
      - V(upload) makes the object equal to the file, V(download) the file equal to the object. If unset, V(download) if O(dest) is set.
    type: str
    choices: [upload, download]
  src:
    description:
      - The file to upload, or with O(sync=true) the folder.
    type: path
  content:
    description:
      - The text to upload instead of a file.
    type: str
  copy_from:
    description:
      - The key of an object in the same bucket to copy instead of a file.
    type: str
  dest:
    description:
      - The file to download to, or with O(sync=true) the folder.
    type: path
  sync:
    description:
      - Transfer a folder with its subfolders. Symbolic links are left out.
    type: bool
    default: false
  delete:
    description:
      - With O(sync=true), also delete objects or files of the target that the origin does not have.
    type: bool
    default: false
  prefixes:
    description:
      - Download with O(sync=true) only objects whose keys begin with one of these. The keys are those within the bucket of O(files).
      - It cannot be combined with O(delete).
    type: list
    elements: str
    default: []
  archived:
    description:
      - How a download with O(sync=true) treats objects in an archive storage class, which cannot be read. V(fail) refuses
        the download before a file is written. V(skip) leaves these objects out, and RV(files_archived) counts them.
    type: str
    choices: [fail, skip]
    default: fail
  range_start:
    description:
      - Download from this byte on, with O(range_length).
    type: int
  range_length:
    description:
      - How many bytes to download.
    type: int
  if_none_match:
    description:
      - Fail if the object exists, instead of replacing it.
    type: bool
    default: false
  content_type:
    description:
      - The content type. If unset, it is derived from the name.
    type: str
  cache_control:
    description:
      - The header C(Cache-Control) of the object.
    type: str
  content_disposition:
    description:
      - The header C(Content-Disposition) of the object.
    type: str
  content_encoding:
    description:
      - The header C(Content-Encoding) of the object.
    type: str
  metadata:
    description:
      - Further metadata. Names are stored in lower case.
    type: dict
    default: {}
  storage_class:
    description:
      - The storage class of uploaded objects, for example V(STANDARD_IA).
    type: str
  parallel_files:
    description:
      - How many files of a folder are transferred in parallel.
    type: int
    default: 8
seealso:
  - module: lifeline.recovery.r2_object_info
  - module: lifeline.recovery.bucket_backup
"""

EXAMPLES = r"""
- name: Upload an export
  lifeline.recovery.r2_object:
    key: exports/school.sql.gz
    src: /srv/exports/school.sql.gz
    files:
      provider: r2
      endpoint_url: https://0123456789abcdef.r2.cloudflarestorage.com
      bucket: school-exports

- name: Download an export, and continue an interrupted download
  lifeline.recovery.r2_object:
    key: exports/school.sql.gz
    dest: /srv/restore/school.sql.gz
    files:
      provider: r2
      endpoint_url: https://0123456789abcdef.r2.cloudflarestorage.com
      bucket: school-exports

- name: Print the changes of publishing a folder
  lifeline.recovery.r2_object:
    key: site/
    src: /srv/site
    sync: true
    delete: true
    files:
      bucket: school-site
  check_mode: true
  diff: true

- name: Remove an object
  lifeline.recovery.r2_object:
    key: exports/school.sql.gz
    state: absent
    files:
      bucket: school-exports
"""

RETURN = r"""
key:
  description: The key or the prefix.
  type: str
  returned: success
  sample: exports/school.sql.gz
path:
  description: The local file or folder, or null.
  type: str
  returned: success
  sample: /srv/restore/school.sql.gz
size:
  description: Bytes of the object, or null for a folder.
  type: int
  returned: success
  sample: 183500800
sha256:
  description: The SHA-256 of the content, where it is known.
  type: str
  returned: success
  sample: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
etag:
  description: The ETag of the store, or null.
  type: str
  returned: success
  sample: '"0cc175b9c0f1b6a831c399e269772661"'
resumed_from:
  description: The first byte of a continued download.
  type: int
  returned: success
  sample: 104857600
bytes_transferred:
  description: Bytes sent or fetched.
  type: int
  returned: success
  sample: 78643200
created:
  description: With O(sync=true), the new objects or files.
  type: list
  elements: str
  returned: success
  sample: [site/index.html]
updated:
  description: With O(sync=true), the objects or files that differed.
  type: list
  elements: str
  returned: success
  sample: []
deleted:
  description: The deleted objects or files.
  type: list
  elements: str
  returned: success
  sample: []
unchanged:
  description: With O(sync=true), how many were equal.
  type: int
  returned: success
  sample: 41
files_archived:
  description: With O(sync=true), how many objects a download left out because they are in an archive storage class.
  type: int
  returned: success
  sample: 0
archived_files:
  description: The keys of the first 100 objects that RV(files_archived) counts.
  type: list
  elements: str
  returned: success
  sample: []
error_kind:
  description: A stable name of what went wrong.
  type: str
  returned: failure
  sample: object_missing
"""

from ..module_utils._ansible.ansible_module import create_module, run_module
from ..module_utils._ansible.object_requests import transfer_options
from ..module_utils._ansible.options import ArgumentSpec, request_of, spec_of
from ..module_utils._ansible.store_requests import files_spec, opened_files
from ..module_utils._engines.bucket.transfer import TransferOptions
from ..module_utils._engines.bucket.transfer_request import TransferRequest, transfer, transfer_diff

HEADERS = ArgumentSpec(
    {
        "content_type": {"type": "str"},
        "cache_control": {"type": "str"},
        "content_disposition": {"type": "str"},
        "content_encoding": {"type": "str"},
        "metadata": {"type": "dict", "default": {}},
        "storage_class": {"type": "str"},
    },
    mutually_exclusive=[["src", "content", "copy_from", "dest"]],
    required_together=[["range_start", "range_length"]],
)
SPEC = spec_of(TransferRequest).merge(spec_of(TransferOptions), HEADERS, files_spec())


def main() -> None:
    module = create_module(SPEC)
    params, check_mode = module.params, module.check_mode

    def work() -> object:
        request = request_of(TransferRequest, params, check_mode=check_mode)
        result = transfer(opened_files(params), request, transfer_options(params, check_mode=check_mode))
        return {**vars(result), "diff": transfer_diff(result)}

    run_module(module, work)


if __name__ == "__main__":
    main()
