# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: media_reconcile
short_description: Compare a table of media with its bucket, and restore lost files or rows
version_added: 1.0.0
description:
  - Compares the rows of a table that describes files with the objects of a bucket. Backups of a database and of a bucket are never of one
    moment, so that files are missing or rows are lost after a restore.
  - With O(state=restored), missing and damaged files are restored from the newest backup set of the bucket that has them as their rows state.
    Their content type and cache control are those of the set. Files that are as stated are not touched.
  - With O(state=rebuilt), each object without a row gets one. Existing rows stay unchanged.
  - A restored file is written only if it is still missing, or is still the one that was compared. Its content is compared with the
    digest in the set, and every restored file is requested again afterwards.
  - Rows, objects and findings are kept in a temporary database in O(spool_dir), so that memory does not grow with their number.
author:
  - lifeline.recovery contributors (@lifeline-recovery)
requirements:
  - psycopg2
  - boto3 (for S3 buckets)
  - zstandard
extends_documentation_fragment:
  - lifeline.recovery._attributes
  - lifeline.recovery._postgres
  - lifeline.recovery._postgres.client
  - lifeline.recovery._files
  - lifeline.recovery._store
  - lifeline.recovery._selection
  - lifeline.recovery._repair
  - lifeline.recovery._confirmation
attributes:
  check_mode:
    support: full
    details:
      - Rows, objects and sets are compared as in a real run. Nothing is stored, written or inserted; O(regenerate_file) is not written.
  diff_mode:
    support: full
    details:
      - Shows the first 100 files that are restored with their set, or the first O(diff_rows) rows that are inserted.
  idempotent:
    support: full
options:
  state:
    description:
      - V(reported) compares and changes nothing. If O(source) and O(store) are set, the result also has the sets that have the files.
      - V(restored) restores missing and damaged files.
      - V(rebuilt) inserts rows for objects that have none.
    type: str
    choices: [reported, restored, rebuilt]
    default: reported
  media:
    description:
      - The table and the names of its columns. Columns of bucket, size, type and digest that the table lacks are not used, unless they
        are named here.
    type: dict
    default: {}
    suboptions:
      table:
        description:
          - Name of the table, as C(table) or C(schema.table).
        type: str
        default: media_assets
      path:
        description:
          - Column of the key of the object in the bucket.
        type: str
        default: path
      path_prefix:
        description:
          - Text that the column has before the key, such as C(media/) or an address. Rows without this text are left out.
        type: str
        default: ''
      bucket:
        description:
          - Column of the name of the bucket. An empty text means that all rows are about O(files).
        type: str
        default: bucket
      size:
        description:
          - Column of the number of bytes.
        type: str
        default: size_bytes
      type:
        description:
          - Column of the content type.
        type: str
        default: mime_type
      digest:
        description:
          - Column of the SHA-256 or the MD5 of the file, in hexadecimal digits. New rows get the SHA-256.
        type: str
        default: sha256
  bucket:
    description:
      - Value of the column O(media.bucket) in the rows of O(files). If it is unset, it is O(files.bucket).
    type: str
    default: ''
  compare:
    description:
      - Properties of files that are compared with those of their rows. A row without a value is equal to every file.
      - V(type) needs a request for each file. V(digest) reads each file whose ETag is not its digest; if O(state=rebuilt), each new
        object is read.
    type: list
    elements: str
    choices: [size, type, digest]
    default: [size, type]
  grace_seconds:
    description:
      - Seconds within which an object may be without a row, because its upload has not ended.
    type: float
    default: 3600
  parallel_files:
    description:
      - The number of files that are compared or restored in parallel.
    type: int
    default: 16
  source:
    description:
      - If O(state=restored), the source of the backup sets of the bucket. Required then.
      - If O(state=rebuilt), the source of the database, which gets the undo set and the audit record.
    type: str
  undo:
    description:
      - If V(true), files that are replaced are first stored in a set of the tier V(undo), and a set of the new rows is stored before
        their commit. RV(undo) has the options that take the change back.
    type: bool
    default: true
  create_bucket:
    description:
      - If V(true), a missing bucket is created with the browser rules, lifecycle rules and versioning of the newest set, as far as the set
        has them and the service takes them. Only if O(state=restored).
    type: bool
    default: true
  public:
    description:
      - If V(true), requests without credentials may read the objects of a bucket that is created, which is a public bucket of Supabase Storage.
    type: bool
    default: false
  regenerate_file:
    description:
      - File on the target host for the missing and damaged files that no set has, a line of JSON each. They must be uploaded or generated
        again. The file is replaced in each run, also if no file is lost.
    type: path
  values:
    description:
      - Column to value of the new rows, for columns that do not describe the file. Only if O(state=rebuilt).
    type: dict
    default: {}
seealso:
  - module: lifeline.recovery.bucket_restore
  - module: lifeline.recovery.pg_required_rows
"""

EXAMPLES = r"""
- name: List files that are missing or damaged, and objects without a row
  lifeline.recovery.media_reconcile:
    login_db: learnplay
    login_unix_socket: /run/postgresql
    files:
      bucket: media

- name: Restore missing and damaged files, and list those that no backup set has
  lifeline.recovery.media_reconcile:
    state: restored
    source: learnplay-media
    store:
      bucket: learnplay-backups
    regenerate_file: /var/tmp/regenerate.jsonl
    recovery_confirm: media
    login_db: learnplay
    login_unix_socket: /run/postgresql
    files:
      bucket: media

- name: Rebuild the table of media from the bucket
  lifeline.recovery.media_reconcile:
    state: rebuilt
    compare: [size, type, digest]
    source: learnplay
    store:
      bucket: learnplay-backups
    login_db: learnplay
    login_unix_socket: /run/postgresql
    files:
      bucket: media
"""

RETURN = r"""
bucket:
  description: The location of the bucket. Not if O(state=rebuilt), as are all values from here to RV(requests).
  type: str
  returned: success
  sample: s3://media
bucket_missing:
  description: Whether the bucket did not exist.
  type: bool
  returned: success
  sample: false
bucket_created:
  description: Whether the bucket was created.
  type: bool
  returned: success
  sample: false
counts:
  description:
    - The number of files that are C(missing), C(damaged), or C(misnamed), which means that the bucket has an object whose name differs only
      by case or by Unicode normalization.
    - C(orphaned) counts objects without a row, C(young) those within O(grace_seconds), C(lost) files that no set has, and C(unknown_digests)
      rows whose digest has no known form.
  type: dict
  returned: success
  sample: {missing: 3, damaged: 0, misnamed: 0, orphaned: 1, young: 0, lost: 0, unknown_digests: 0}
missing:
  description: The first 100 missing files, with the reason.
  type: list
  elements: dict
  returned: success
  sample: [{key: courses/42/cover.png, reason: missing}]
damaged:
  description: The first 100 damaged files, with the difference.
  type: list
  elements: dict
  returned: success
  sample: []
misnamed:
  description: The first 100 misnamed files, with the name in the bucket.
  type: list
  elements: dict
  returned: success
  sample: []
orphaned:
  description: The first 100 keys of objects without a row.
  type: list
  elements: str
  returned: success
  sample: [courses/41/old.png]
lost:
  description: The first 100 files that no set has, with the reason.
  type: list
  elements: dict
  returned: success
  sample: []
objects:
  description: The number of objects in the bucket.
  type: int
  returned: success
  sample: 11998
sets:
  description: The number of files from each set, by tier and id.
  type: dict
  returned: success
  sample: {daily/20260301T030005Z: 3}
restored:
  description: The number of files that were missing and are restored.
  type: int
  returned: success
  sample: 3
replaced:
  description: The number of files that were damaged and are replaced.
  type: int
  returned: success
  sample: 0
bytes_restored:
  description: Bytes of these files.
  type: int
  returned: success
  sample: 40960
refused:
  description: The number of files that the bucket cannot hold.
  type: int
  returned: success
  sample: 0
requests:
  description: The number of requests to the bucket and to the store.
  type: int
  returned: success
  sample: 12040
table:
  description: The table, with its schema. Only if O(state=rebuilt).
  type: str
  returned: success
  sample: public.media_assets
count:
  description: The number of objects without a row, older than the grace. Only if O(state=rebuilt).
  type: int
  returned: success
  sample: 2
rows:
  description:
    - The number of rows of the bucket.
    - If O(state=rebuilt), the first 1000 new rows.
  type: raw
  returned: success
  sample: 12000
plan:
  description: The plan that a confirmation accepts. Only if O(state=rebuilt).
  type: dict
  returned: success
  sample: {database: learnplay, table: public.media_assets, rows: 2, columns: [path, size_bytes, mime_type, bucket]}
plan_digest:
  description: Digest of the plan, which O(recovery_confirm) accepts.
  type: str
  returned: success
  sample: 3f1c9a0b5d7e2468
confirmation:
  description: The value that O(recovery_confirm) must have in a run with the same options; empty if the run needs no other value.
  type: str
  returned: success
  sample: ""
undo:
  description:
    - The options that take the change back, of M(lifeline.recovery.bucket_restore) for replaced files, and of
      M(lifeline.recovery.pg_restore_table) for new rows. Empty if nothing was replaced or inserted.
  type: dict
  returned: success
  sample: {set: 20260301T124512Z, tier: undo, mode: all}
unchanged:
  description: Why nothing was changed, as C(reason) and C(next_step); null if something was.
  type: dict
  returned: success
  sample: null
timings:
  description: Seconds per phase.
  type: dict
  returned: success
  sample: {compare: 12.1, search sets: 1.2, plan: 0.3, files: 0.4, verify: 0.1, total: 14.1}
summary:
  description: The result in one sentence.
  type: str
  returned: success
  sample: "Restored 3 files of s3://media (3 missing, 0 damaged, 0 misnamed) from 1 backup set; 1 object without a row."
error_kind:
  description: Stable name of the error.
  type: str
  returned: failure
  sample: confirmation_required
"""

from ..module_utils._ansible.ansible_module import create_module, run_module
from ..module_utils._ansible.argument_specs import postgres_spec, selection_spec
from ..module_utils._ansible.media_requests import media_rebuild_request, media_restore_request
from ..module_utils._ansible.options import ArgumentSpec, spec_of
from ..module_utils._ansible.store_requests import audit_store, files_spec, readable_store, store_spec
from ..module_utils._engines.postgresql.repair.rows_repair import RepairRequest
from ..module_utils._media.rebuild import MediaRebuild
from ..module_utils._media.restore import MediaRestore, MediaRestoreRequest
from ..module_utils._media.scan import MediaRequest
from ..module_utils._operations.change import perform

STATE = ArgumentSpec(
    {
        "state": {"type": "str", "default": "reported", "choices": ["reported", "restored", "rebuilt"]},
        "values": {"type": "dict", "default": {}},
        "max_rows": {"type": "int"},
    }
)
REPAIR = spec_of(RepairRequest)
# The table is an option of media.
REPAIR.options.pop("table")
SPEC = STATE.merge(
    spec_of(MediaRequest),
    spec_of(MediaRestoreRequest),
    REPAIR,
    files_spec(),
    selection_spec(),
    store_spec(),
    postgres_spec(),
)


def main() -> None:
    module = create_module(SPEC)
    params = module.params

    def work() -> object:
        if params["state"] == "rebuilt":
            request = media_rebuild_request(params, check_mode=module.check_mode, diff_mode=module._diff)
            return perform(MediaRebuild(request, audit_store(params)))
        restore = media_restore_request(params, check_mode=module.check_mode)
        store = readable_store(params, params["source"]) if params["source"] else None
        return perform(MediaRestore(restore, store))

    run_module(module, work)


if __name__ == "__main__":
    main()
