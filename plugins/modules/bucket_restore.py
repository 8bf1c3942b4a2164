#!/usr/bin/python
# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: bucket_restore
short_description: Restore files of a bucket from a set
version_added: 1.0.0
description:
  - Restores the files that are missing, or with O(mode=all) also those that differ, in the bucket that was backed up or in another.
    Nothing is deleted.
  - Files that are replaced are first kept in a set of the tier V(undo), from which they can be restored in the same way.
  - Each content is proved by its digest while it is sent; a file whose object is damaged is not written.
  - All names are judged before the first write. A file that the target cannot hold, as C(a//b) in a folder, is named in a warning and in
    RV(refused_files), and the other files are restored.
  - Headers, metadata, tags and storage class are restored where the target takes them. A file from an archive storage class gets the
    default class of the bucket, so that it can be read.
author:
  - lifeline.recovery contributors (@lifeline-recovery)
requirements:
  - boto3 (for S3 stores)
  - zstandard
  - pyrage (for encrypted sets)
extends_documentation_fragment:
  - lifeline.recovery._attributes
  - lifeline.recovery._files
  - lifeline.recovery._files.progress
  - lifeline.recovery._store
  - lifeline.recovery._selection
  - lifeline.recovery._confirmation
  - lifeline.recovery._files.parallel
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details:
      - The difference names up to a hundred files of each kind.
  idempotent:
    support: full
options:
  prefixes:
    description:
      - Restore only files whose name begins with one of these. If it is unset, all files are restored.
    type: list
    elements: str
    default: []
  mode:
    description:
      - V(missing) leaves every file that is there as it is. V(all) also replaces those whose content or headers differ.
      - The storage class is not compared, because lifecycle rules change it.
    type: str
    choices: [missing, all]
    default: missing
  undo:
    description:
      - Keep what is replaced in a set of the tier V(undo) first.
    type: bool
    default: true
  spool_dir:
    description:
      - A folder for the plan. If it is unset, the system's folder for temporary files is used.
    type: path
seealso:
  - module: lifeline.recovery.bucket_backup
"""

EXAMPLES = r"""
- name: Restore deleted files of the media bucket
  lifeline.recovery.bucket_restore:
    source: school-media
    files:
      bucket: school-media
    store:
      bucket: school-backups

- name: Restore the files of one course to their state before the accident
  lifeline.recovery.bucket_restore:
    source: school-media
    before: "2026-03-01T12:00:00Z"
    prefixes: [courses/42/]
    mode: all
    recovery_confirm: school-media
    files:
      bucket: school-media
    store:
      bucket: school-backups

- name: Fill a bucket in another region
  lifeline.recovery.bucket_restore:
    source: school-media
    files:
      bucket: school-media-dr
      region: eu-west-1
    store:
      provider: directory
      path: /var/backups/lifeline
"""

RETURN = r"""
set_id:
  description: The set that was used.
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
files:
  description: How many files of the set were asked for.
  type: int
  returned: success
  sample: 1200
restored:
  description: How many were missing, and were written.
  type: int
  returned: success
  sample: 37
replaced:
  description: How many differed, and were replaced.
  type: int
  returned: success
  sample: 0
equal:
  description: How many were there with the same content.
  type: int
  returned: success
  sample: 0
left:
  description: How many were there and were not looked into.
  type: int
  returned: success
  sample: 1163
refused:
  description: How many files were not restored, because the target cannot hold them.
  type: int
  returned: success
  sample: 0
refused_files:
  description: Up to a hundred of them, with the reason.
  type: list
  elements: dict
  returned: success
  sample: [{file: a//b, reason: the name has an empty part}]
bytes_restored:
  description: Bytes of the files written.
  type: int
  returned: success
  sample: 40960
undo:
  description: The options that take the restore back; empty if no file was replaced.
  type: dict
  returned: success
  sample: {set: 20260301T121500Z, tier: undo, mode: all}
unchanged:
  description: >-
    Why nothing was changed, as C(reason) and C(next_step), with C(earlier_set) and C(earlier_tier), the next older set or null; null if
    something was changed.
  type: dict
  returned: success
  sample:
    reason: 1,163 files of the set are in the target, and their content was not compared.
    next_step: Set `mode` to all to restore files that differ.
recovery_point:
  description: The instant that the set shows.
  type: str
  returned: success
  sample: "2026-03-01T03:00:05.123+00:00"
plan_digest:
  description: The digest of the plan; O(recovery_confirm) accepts it instead of the name of the bucket.
  type: str
  returned: success
  sample: 0123456789abcdef
confirmation:
  description: The value that O(recovery_confirm) must have in a run with the same options; empty if the run needs no other value.
  type: str
  returned: success
  sample: ""
missing_files:
  description: Names of up to a hundred files that were missing.
  type: list
  elements: str
  returned: success
  sample: [courses/42/cover.png]
differing_files:
  description: Names of up to a hundred files that differed.
  type: list
  elements: str
  returned: success
  sample: []
header_files:
  description: Those of RV(differing_files) whose content is equal and whose headers differ.
  type: list
  elements: str
  returned: success
  sample: []
headers_not_kept:
  description: Names of headers that the target did not keep as the set has them.
  type: list
  elements: str
  returned: success
  sample: []
requests:
  description: How many requests were made, to the bucket and to the store.
  type: int
  returned: success
  sample: 260
timings:
  description: Seconds per phase.
  type: dict
  returned: success
  sample: {plan: 2.1, files: 9.3, total: 11.4}
summary:
  description: The result in one sentence.
  type: str
  returned: success
  sample: "Restored 37 missing and 0 differing of 1200 files (40.0 KiB) from set 20260301T030005Z to s3://school-media; 0 were equal, 1163 were left."
error_kind:
  description: A stable name of what went wrong.
  type: str
  returned: failure
  sample: confirmation_required
"""

from ..module_utils._ansible.ansible_module import create_module, run_module
from ..module_utils._ansible.argument_specs import selection_spec
from ..module_utils._ansible.options import request_of, spec_of
from ..module_utils._ansible.requests import required_source
from ..module_utils._ansible.store_requests import (
    files_name,
    files_spec,
    opened_files,
    readable_store,
    set_selection,
    store_spec,
)
from ..module_utils._engines.bucket.restore import BucketRestore, BucketRestoreRequest
from ..module_utils._operations.change import perform
from ..module_utils._repository.catalogue import find_set

SPEC = spec_of(BucketRestoreRequest).merge(files_spec(), selection_spec(), store_spec())


def main() -> None:
    module = create_module(SPEC)
    params = module.params

    def work() -> object:
        target_name = files_name(params)
        request = request_of(BucketRestoreRequest, params, check_mode=module.check_mode, target_name=target_name)
        files, source = opened_files(params), required_source(params)
        store = readable_store(params, source)
        manifest = find_set(store, source, set_selection(params))
        return perform(BucketRestore(store, manifest, files, request))

    run_module(module, work)


if __name__ == "__main__":
    main()
