# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this fragment is PRIVATE to the collection and may change without notice.

from __future__ import annotations


class ModuleDocFragment:
    # The request that proves a release.
    DOCUMENTATION = r"""
options:
  health_url:
    description:
      - Address that must answer as expected, for example a health route. If it is unset, only the service is asked for the state.
    type: str
  health_status:
    description:
      - Expected status of the answer. Redirects are answers themselves and are not followed.
    type: int
    default: 200
  health_body:
    description:
      - Expected part of the answer, as a text, or as fields of a JSON object. Set it to a build id that the release has and the bad one has not.
    type: raw
  health_headers:
    description:
      - Headers of the request. New keys of Supabase (C(sb_...)) belong into the header C(apikey).
    type: dict
    default: {}
  health_timeout:
    description:
      - Seconds until the answer must be as expected.
    type: float
    default: 120
"""
