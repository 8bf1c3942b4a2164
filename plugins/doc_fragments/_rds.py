# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this fragment is PRIVATE to the collection and may change without notice.

from __future__ import annotations


class ModuleDocFragment:
    # A region of Amazon RDS.
    DOCUMENTATION = r"""
options:
  region:
    description:
      - Region of the server. If it is unset, E(AWS_REGION) or E(AWS_DEFAULT_REGION) is used.
    type: str
    required: true
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
  endpoint_url:
    description:
      - URL of the API for all regions and services. Set it for tests only.
    type: str
  ca_bundle:
    description:
      - File of trusted certificate authorities. If it is unset, E(AWS_CA_BUNDLE) is used, then those of the system.
    type: path
  api_timeout:
    description:
      - Seconds to wait for an answer of the API.
    type: float
    default: 30
"""
