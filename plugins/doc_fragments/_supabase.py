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
      - The ref of the project, 20 lower-case letters. It is what identifies the project; names may be given twice.
    type: str
    required: true
  access_token:
    description:
      - A personal access token, or one of OAuth with the scopes C(projects:read), C(database:read) and, to change something,
        C(database:write). Without it, E(SUPABASE_ACCESS_TOKEN).
    type: str
  api_url:
    description:
      - The URL of the Management API.
    type: str
    default: https://api.supabase.com
  api_timeout:
    description:
      - Seconds to wait for an answer. A service that is busy is asked again for a quarter longer, but what changes something
        is never sent twice unless the service says that it did not begin.
    type: int
    default: 60
"""
