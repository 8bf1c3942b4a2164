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
      - Where backup sets lie - a bucket of any S3 service, or a local folder.
      - Set it once for all modules with C(module_defaults) for C(group/lifeline.recovery.store).
    type: dict
    suboptions:
      provider:
        description:
          - Who runs the store. V(directory) is a local folder, all others speak S3.
          - For all but V(aws), requests are addressed by path and sent without the newer checksum headers that others refuse.
        type: str
        choices: [aws, r2, minio, supabase, generic, directory]
        default: aws
      bucket:
        description:
          - The bucket. Required unless O(store.provider=directory).
        type: str
      prefix:
        description:
          - A folder within the bucket or path that all sources lie in.
        type: str
        default: ''
      path:
        description:
          - The folder of the store. Required for O(store.provider=directory).
        type: path
      endpoint_url:
        description:
          - The URL of the S3 service. Required unless the provider is V(aws) or V(directory).
          - Without it, the environment variables E(AWS_ENDPOINT_URL_S3) and E(AWS_ENDPOINT_URL) are used.
        type: str
      region:
        description:
          - The region of the bucket. Without it, E(AWS_REGION) or E(AWS_DEFAULT_REGION), then V(auto) for V(r2).
        type: str
      access_key:
        description:
          - The id of the access key. Without it, E(AWS_ACCESS_KEY_ID), then what boto3 finds by itself.
        type: str
      secret_key:
        description:
          - The secret of the access key. Without it, E(AWS_SECRET_ACCESS_KEY).
        type: str
      session_token:
        description:
          - The token of temporary credentials. Without it, E(AWS_SESSION_TOKEN).
        type: str
      ca_bundle:
        description:
          - A file of certificate authorities to trust. Without it, E(AWS_CA_BUNDLE), then the system's.
        type: path
      parallel:
        description:
          - How many objects, and how many parts of large objects, are transferred at once.
          - Each part in flight takes 16 MiB of memory.
        type: int
        default: 3
      timeout:
        description:
          - Seconds to wait for an answer before a request is tried again.
        type: int
        default: 60
      object_lock:
        description:
          - Lock every object that is written, so that nobody can delete it for some days. Needs a bucket with object lock.
          - The provider V(r2) has lock rules instead; M(lifeline.recovery.r2_bucket_lock) sets them.
        type: dict
        suboptions:
          mode:
            description:
              - V(governance) can be lifted by who has the right to, V(compliance) by nobody.
            type: str
            choices: [governance, compliance]
            default: governance
          days:
            description:
              - For how many days. A set that reuses an object makes its lock last as long as its own.
            type: int
            required: true
      storage_class:
        description:
          - The storage class of the objects, as V(STANDARD_IA) or V(GLACIER). Manifests and records stay in the default class.
          - What lies in an archive is made readable by M(lifeline.recovery.backup_thaw).
        type: str
      encrypt_to:
        description:
          - Public keys that everything is encrypted to, with age. Whoever holds one of the private keys can read.
          - A host that only backs up needs no private key, and cannot read what it wrote.
          - With other keys than before, everything is stored anew; nothing is encrypted again in place.
        type: list
        elements: str
        default: []
      name_key:
        description:
          - A secret that the names of encrypted objects are keyed with. Who has it not cannot even test a guess of what they hold.
          - Without it, names are keyed by source and recipients, so that equal tables of different sources have different names.
          - It also authenticates sets, encrypted or not. Each manifest gets a code that only a holder of the key can make, and a
            manifest with a wrong code, or without one, is refused. See C(docs/store-security.md).
        type: str
      require_authentic:
        description:
          - With O(store.name_key), refuse a set whose manifest has no authentication code.
          - Set it to V(false) only to read sets that were written without the key. Whoever can write to the store can then remove
            the code of a set and change the set.
        type: bool
        default: true
      authentic_since:
        description:
          - The instant from which on all sets have a code, as V(2026-03-01T00:00:00Z). Sets dated before it may lack the code.
          - Set it when O(store.name_key) is added to a store that has sets, and remove it when those sets are pruned.
          - If unset, every set needs a code.
        type: str
      identity_file:
        description:
          - A file with a private key, as C(age-keygen) writes it. Needed to restore what is encrypted.
        type: path
      copies:
        description:
          - Further stores that get each set after it was committed in the first. Sets of the tier V(undo) are not copied.
          - Modules that read use the first copy that can serve them when the first store cannot, and warn.
          - What is copied stays encrypted as it is. Each copy has its own retention.
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
          - A table that each audit record is written to as well. When that fails the module warns, because an operation must not
            depend on it.
        type: dict
        suboptions:
          dsn:
            description:
              - How to connect to the database of the table, as URI or keywords of libpq.
            type: str
            required: true
          table:
            description:
              - The table, with a schema if it needs one. It is made when it is missing, with the columns C(operation_type),
                C(performed_by), C(performed_at), C(status) and C(details).
            type: str
            default: backup_audit_log
"""
