# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this fragment is PRIVATE to the collection and may change without notice.

from __future__ import annotations


class ModuleDocFragment:
    # A project of Supabase.
    DOCUMENTATION = r"""
options:
  project_ref:
    description:
      - Ref of the project, 20 lower-case letters. It identifies the project; names are not unique.
    type: str
    required: true
  access_token:
    description:
      - Personal access token, or an OAuth token with the scopes C(projects:read), C(database:read) and, for changes,
        C(database:write). Edge functions need C(edge_functions:read) and C(edge_functions:write). If it is unset, E(SUPABASE_ACCESS_TOKEN) is used.
    type: str
  api_url:
    description:
      - URL of the Management API.
    type: str
    default: https://api.supabase.com
  api_timeout:
    description:
      - Seconds to wait for an answer. Requests to a busy service are retried for a quarter longer; a request that changes data
        is retried only if the service reports that it did not start.
    type: int
    default: 60
"""
