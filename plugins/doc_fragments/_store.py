# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this fragment is PRIVATE to the collection and may change without notice.

from __future__ import annotations


class ModuleDocFragment:
    # The store that a module reads or writes.
    DOCUMENTATION = r"""
options:
  store:
    description:
      - The store of backup sets - a bucket of any S3 service, or a local folder.
      - Set it once for all modules with C(module_defaults) for C(group/lifeline.recovery.store).
    type: dict
    suboptions:
      provider:
        description:
          - Provider of the store. V(directory) is a local folder, all other values use S3.
          - For all but V(aws), requests are addressed by path and sent without the newer checksum headers that others refuse.
        type: str
        choices: [aws, r2, minio, supabase, generic, directory]
        default: aws
      bucket:
        description:
          - Bucket of the store. Required unless O(store.provider=directory).
        type: str
      prefix:
        description:
          - Folder within the bucket or path that contains every source.
        type: str
        default: ''
      path:
        description:
          - Folder of the store. Required for O(store.provider=directory).
        type: path
      endpoint_url:
        description:
          - URL of the S3 service. Required unless the provider is V(aws) or V(directory).
          - If it is unset, the environment variables E(AWS_ENDPOINT_URL_S3) and E(AWS_ENDPOINT_URL) are used.
        type: str
      region:
        description:
          - Region of the bucket. If it is unset, E(AWS_REGION) or E(AWS_DEFAULT_REGION) is used, then V(auto) for V(r2).
        type: str
      access_key:
        description:
          - Id of the access key. If it is unset, E(AWS_ACCESS_KEY_ID) is used, then the credential chain of boto3.
        type: str
      secret_key:
        description:
          - Secret of the access key. If it is unset, E(AWS_SECRET_ACCESS_KEY) is used.
        type: str
      session_token:
        description:
          - Token of temporary credentials. If it is unset, E(AWS_SESSION_TOKEN) is used.
        type: str
      ca_bundle:
        description:
          - File of trusted certificate authorities. If it is unset, E(AWS_CA_BUNDLE) is used, then those of the system.
        type: path
      parallel:
        description:
          - Number of objects, and of parts of large objects, to transfer in parallel.
          - Each part in flight takes 16 MiB of memory.
        type: int
        default: 3
      timeout:
        description:
          - Seconds to wait for an answer before a request is retried.
        type: int
        default: 60
      object_lock:
        description:
          - Lock every new object, so that it cannot be deleted for some days. Needs a bucket with object lock.
          - The provider V(r2) has lock rules instead; M(lifeline.recovery.r2_bucket_lock) sets them.
        type: dict
        suboptions:
          mode:
            description:
              - A role with the right to bypass it can lift V(governance); no role can lift V(compliance).
            type: str
            choices: [governance, compliance]
            default: governance
          days:
            description:
              - Duration of the lock in days. A set that reuses an object extends the lock of the object to its own.
            type: int
            required: true
      storage_class:
        description:
          - Storage class of the objects, for example V(STANDARD_IA) or V(GLACIER). Manifests and records stay in the default class.
          - M(lifeline.recovery.backup_thaw) makes objects of an archive storage class readable.
        type: str
      encrypt_to:
        description:
          - Public keys of age that new objects are encrypted to. The owner of any of the private keys can decrypt them.
          - A host that only backs up needs no private key, and cannot decrypt its own sets.
          - After a change of the keys, the next backup uploads all content again; existing objects are not encrypted again.
        type: list
        elements: str
        default: []
      name_key:
        description:
          - Secret key of the names of encrypted objects. Without the key, a reader of the bucket cannot test a guess of their content.
          - If it is unset, names are keyed by source and recipients, so that equal tables of different sources have different names.
          - The key also authenticates sets, encrypted or not. Each manifest gets a code that only a holder of the key can create, and a
            manifest with a wrong code, or without one, is refused. See C(docs/store-security.md).
        type: str
      require_authentic:
        description:
          - With O(store.name_key), refuse a set whose manifest has no authentication code.
          - Set it to V(false) only to read sets that were written without the key. An attacker who can write to the store can then remove
            the code of a set and change the set.
        type: bool
        default: true
      authentic_since:
        description:
          - Instant from which every set has a code, for example V(2026-03-01T00:00:00Z). Sets dated before it may lack the code.
          - Set it when O(store.name_key) is added to a store that has sets, and remove it when those sets are pruned.
          - If it is unset, every set needs a code.
        type: str
      identity_file:
        description:
          - File with a private key, as written by C(age-keygen). Required to restore encrypted sets.
        type: path
      copies:
        description:
          - Further stores that get each set after it was committed in the first store. Sets of the tier V(undo) are not copied.
          - If the first store cannot serve a read, modules use the first copy that can, and warn.
          - Copies hold the stored bytes unchanged, also encrypted ones. Each copy has its own retention.
        type: list
        elements: dict
        default: []
        suboptions:
          provider:
            description: As O(store.provider).
            type: str
            choices: [aws, r2, minio, supabase, generic, directory]
            default: aws
          bucket:
            description: As O(store.bucket).
            type: str
          prefix:
            description: As O(store.prefix).
            type: str
            default: ''
          path:
            description: As O(store.path).
            type: path
          endpoint_url:
            description: As O(store.endpoint_url), but never from the environment, which describes the first store.
            type: str
          region:
            description: As O(store.region), but never from the environment.
            type: str
          access_key:
            description: As O(store.access_key), but never from the environment.
            type: str
          secret_key:
            description: As O(store.secret_key), but never from the environment.
            type: str
          session_token:
            description: As O(store.session_token), but never from the environment.
            type: str
          ca_bundle:
            description: As O(store.ca_bundle), but never from the environment.
            type: path
          parallel:
            description: As O(store.parallel).
            type: int
            default: 3
          timeout:
            description: As O(store.timeout).
            type: int
            default: 60
          object_lock:
            description: As O(store.object_lock).
            type: dict
            suboptions:
              mode:
                description: As O(store.object_lock.mode).
                type: str
                choices: [governance, compliance]
                default: governance
              days:
                description: As O(store.object_lock.days).
                type: int
                required: true
          storage_class:
            description: As O(store.storage_class).
            type: str
      audit_log:
        description:
          - Table that each audit record is also written to. If that fails the module warns, because an operation must not
            depend on it.
        type: dict
        suboptions:
          dsn:
            description:
              - Connection to the database of the table, as URI or keywords of libpq.
            type: str
            required: true
          table:
            description:
              - Name of the table, with a schema if needed. A missing table is created with the columns C(operation_type),
                C(performed_by), C(performed_at), C(status) and C(details).
            type: str
            default: backup_audit_log
"""

    # Modules that write an audit record of a source, and read no set of it.
    AUDITED = r"""
options:
  source:
    description:
      - The source that the audit record is of. If O(source) or O(store) is unset, no audit record is written.
    type: str
"""
