#!/usr/bin/python
# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: bucket_backup
short_description: Back up the files of a bucket as a set
version_added: 1.0.0
description:
  - Lists the bucket, reads only the files that are new or changed since the last set of the tier, stores each content once, and writes
    the inventory and the manifest last. A file that is deleted in the bucket stays in every set that has it.
  - Works for S3, R2 and, through its S3 endpoint, Supabase Storage, whose files are in no database backup.
  - A change is seen by size, ETag and time of modification. Content is named by its digest, so renaming costs no upload.
  - Memory does not grow with the number of files.
author:
  - lifeline.recovery contributors (@lifeline-recovery)
requirements:
  - boto3 (for S3 stores)
  - zstandard
  - pyrage (for O(store.encrypt_to))
extends_documentation_fragment:
  - lifeline.recovery._attributes
  - lifeline.recovery._files
  - lifeline.recovery._files.progress
  - lifeline.recovery._journal
  - lifeline.recovery._store
  - lifeline.recovery._files.parallel
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  idempotent:
    support: none
    details:
      - Each run makes a set, of what is there at its time.
options:
  source:
    description:
      - The name of this bucket in the store.
    type: str
    required: true
  tier:
    description:
      - The tier to write to. Each tier is an independent copy.
    type: str
    choices: [hourly, daily, weekly, monthly, emergency]
    default: daily
  prefixes:
    description:
      - Prefixes of the names of files to back up. If the list is empty, every file is backed up.
    type: list
    elements: str
    default: []
  compression:
    description:
      - Compression of objects that it makes smaller. Other objects are stored uncompressed.
    type: str
    choices: [zstd, gzip, none]
    default: zstd
  archived:
    description:
      - Treatment of files in an archive storage class, as C(GLACIER), C(DEEP_ARCHIVE) or the archive tiers of C(INTELLIGENT_TIERING),
        which cannot be read before the provider restores them.
      - V(fail) counts and names them and writes no set. V(skip) leaves them out, backs up the other files, and names them as not covered.
      - An archived file that the last set of the tier holds unchanged stays in the set, because it is not read again.
    type: str
    choices: [fail, skip]
    default: fail
  spool_dir:
    description:
      - Folder for the inventory and for files above 4 MiB during the transfer. If it is unset, the folder of the system for temporary files is used.
    type: path
  state_dir:
    description:
      - A folder that keeps the last inventory on this host. An encrypted inventory cannot be read back by who has no key; without this
        folder, such a host reads all files each time, and uploads only what is new.
    type: path
  allow_same_bucket:
    description:
      - Allow the store to be in the backed up bucket, below another prefix. A deletion of the bucket then deletes its backups.
    type: bool
    default: false
seealso:
  - module: lifeline.recovery.bucket_restore
  - module: lifeline.recovery.backup_verify
"""

EXAMPLES = r"""
- name: Back up the media of a site each night
  lifeline.recovery.bucket_backup:
    source: school-media
    files:
      bucket: school-media
    store:
      bucket: school-backups

- name: Back up a bucket of Supabase Storage, encrypted
  lifeline.recovery.bucket_backup:
    source: school-courses
    files:
      provider: supabase
      endpoint_url: https://abcdefghijklmnopqrst.supabase.co/storage/v1/s3
      region: eu-central-1
      bucket: courses
    state_dir: /var/lib/lifeline/school-courses
    store:
      bucket: school-backups
      encrypt_to: [age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p]

- name: Count the files that would be read
  lifeline.recovery.bucket_backup:
    source: school-media
    prefixes: [courses/, profiles/]
    files:
      provider: r2
      endpoint_url: https://0123456789abcdef.r2.cloudflarestorage.com
      bucket: school-media
    store:
      provider: directory
      path: /var/backups/lifeline
  check_mode: true
"""

RETURN = r"""
set_id:
  description: The id of the set.
  type: str
  returned: success
  sample: 20260301T030005Z
source:
  description: Its source.
  type: str
  returned: success
  sample: school-media
tier:
  description: Its tier.
  type: str
  returned: success
  sample: daily
recovery_point:
  description: When the listing began.
  type: str
  returned: success
  sample: "2026-03-01T03:00:05.021+00:00"
files:
  description: How many files the set has.
  type: int
  returned: success
  sample: 100000
files_changed:
  description: How many were new or changed, and read.
  type: int
  returned: success
  sample: 10
files_gone:
  description: How many of the last set the bucket has no more.
  type: int
  returned: success
  sample: 2
files_without_etag:
  description:
    - Files that the bucket lists without an ETag. They count as unchanged when their size and the second of their last
      change are the same, so that a change that keeps both is not detected.
    - 0 on stores that give ETags.
  type: int
  returned: success
  sample: 0
files_archived:
  description: Files in an archive storage class that were left out, because they cannot be read.
  type: int
  returned: success
  sample: 0
archived_files:
  description: Names of up to a hundred of them.
  type: list
  elements: str
  returned: success
  sample: []
not_covered:
  description: Parts of the bucket that the set does not hold.
  type: list
  elements: str
  returned: success
  sample: ["older versions of files, and delete markers"]
bytes_plain:
  description: Bytes of all files of the set.
  type: int
  returned: success
  sample: 4294967296
bytes_read:
  description: Bytes read from the bucket.
  type: int
  returned: success
  sample: 40960
bytes_uploaded:
  description: Bytes sent to the store.
  type: int
  returned: success
  sample: 31744
objects_uploaded:
  description: Files whose content was new to the tier.
  type: int
  returned: success
  sample: 9
requests:
  description: How many requests were made, to the bucket and to the store.
  type: int
  returned: success
  sample: 260
timings:
  description: Seconds per phase.
  type: dict
  returned: success
  sample: {preflight: 0.1, inventory: 2.1, files: 8.4, confirm: 0.3, commit: 0.5, total: 11.4}
summary:
  description: The result in one sentence.
  type: str
  returned: success
  sample: "Set 20260301T030005Z of school-media (daily): 100000 files, 4.0 GiB; 10 new or changed, 2 gone since the last set; 31.0 KiB uploaded in 11.4 s."
error_kind:
  description: A stable name of what went wrong.
  type: str
  returned: failure
  sample: store_failed
"""

from ..module_utils._ansible.ansible_module import create_module, run_module
from ..module_utils._ansible.object_requests import checked_locations
from ..module_utils._ansible.options import ArgumentSpec, request_of, spec_of
from ..module_utils._ansible.store_requests import files_spec, opened_files, store_spec
from ..module_utils._engines.bucket.backup import (
    BucketBackup,
    BucketBackupRequest,
    BucketBackupResult,
)
from ..module_utils._operations.backup import back_up

SHARED_BUCKET = ArgumentSpec({"allow_same_bucket": {"type": "bool", "default": False}})
SPEC = spec_of(BucketBackupRequest).merge(SHARED_BUCKET, files_spec(), store_spec())


def main() -> None:
    module = create_module(SPEC)
    params = module.params

    def work() -> BucketBackupResult:
        request = request_of(BucketBackupRequest, params, check_mode=module.check_mode)
        files = opened_files(params)
        return back_up(BucketBackup(files, request), checked_locations(params))

    run_module(module, work)


if __name__ == "__main__":
    main()
