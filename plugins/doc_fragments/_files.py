# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this fragment is PRIVATE to the collection and may change without notice.

from __future__ import annotations


class ModuleDocFragment:
    # A bucket of files, beside the store of backups.
    DOCUMENTATION = r"""
options:
  files:
    description:
      - Bucket of files, of any S3 service.
    type: dict
    suboptions:
      provider:
        description:
          - Provider of the bucket. V(directory) is a local folder, all other values use S3.
          - Requests to V(r2) and V(supabase) have no headers that they refuse, such as ACLs, tags, object lock and encryption.
        type: str
        choices: [aws, r2, minio, supabase, generic, directory]
        default: aws
      bucket:
        description:
          - Name of the bucket. Required unless O(files.provider=directory).
        type: str
      prefix:
        description:
          - Folder within the bucket that all keys are relative to.
        type: str
        default: ''
      path:
        description:
          - Path of the folder. Required for O(files.provider=directory).
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
          - Number of parts of large objects to transfer in parallel. Each part takes 16 MiB of memory.
        type: int
        default: 3
      timeout:
        description:
          - Seconds to wait for an answer before a request is retried.
        type: int
        default: 60
"""

    # The progress of a module.
    PROGRESS = r"""
options:
  progress_file:
    description:
      - File with one line about the progress of the work, rewritten twice a second, for C(watch cat).
    type: path
"""

    # Transfers in parallel.
    PARALLEL = r"""
options:
  parallel_files:
    description:
      - How many files are transferred in parallel.
    type: int
    default: 16
"""
