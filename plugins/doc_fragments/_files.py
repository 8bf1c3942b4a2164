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
      - The bucket of files, of any S3 service.
    type: dict
    suboptions:
      provider:
        description:
          - Who runs the bucket. V(directory) is a local folder, all others speak S3.
          - V(r2) and V(supabase) are never sent what they refuse, as ACLs, tags, object lock and encryption headers.
        type: str
        choices: [aws, r2, minio, supabase, generic, directory]
        default: aws
      bucket:
        description:
          - The bucket. Required unless O(files.provider=directory).
        type: str
      prefix:
        description:
          - A folder within the bucket that all keys are relative to.
        type: str
        default: ''
      path:
        description:
          - The folder. Required for O(files.provider=directory).
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
          - How many parts of large objects are transferred at once. Each takes 16 MiB of memory.
        type: int
        default: 3
      timeout:
        description:
          - Seconds to wait for an answer before a request is tried again.
        type: int
        default: 60
"""

    # Where a module tells how far it is.
    PROGRESS = r"""
options:
  progress_file:
    description:
      - A file that holds one line about how far the work is, written anew twice a second, for C(watch cat).
    type: path
"""
