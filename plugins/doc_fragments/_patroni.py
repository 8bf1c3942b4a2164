# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this fragment is PRIVATE to the collection and may change without notice.

from __future__ import annotations


class ModuleDocFragment:
    # The REST API of a Patroni cluster.
    DOCUMENTATION = r"""
options:
  endpoints:
    description:
      - URLs of the REST APIs of all members, for example V(https://db1.example.com:8008). Members that do not answer are skipped.
      - Patroni returns C(api_url) of its members, which the module does not use, because the list is data of the configuration store.
    type: list
    elements: str
    required: true
  cafile:
    description:
      - File of certificate authorities that must have signed the certificates of the endpoints. If it is unset, those of the system are used.
      - Patroni that requires certificates of clients (C(restapi.verify_client=required)) is not supported.
    type: path
  username:
    description:
      - User of C(restapi.authentication). It is sent only with requests that change the cluster, so use V(https://) endpoints.
    type: str
  password:
    description:
      - Password of O(username).
    type: str
  api_timeout:
    description:
      - Seconds to wait for an answer of a member to a read. A request that changes the cluster waits as long as Patroni watches it.
    type: float
    default: 5
"""
