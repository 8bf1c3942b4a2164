# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this fragment is PRIVATE to the collection and may change without notice.

from __future__ import annotations


class ModuleDocFragment:
    # Where the API of Cloudflare is.
    DOCUMENTATION = r"""
options:
  api_url:
    description:
      - URL of the API of Cloudflare.
    type: str
    default: https://api.cloudflare.com/client/v4
"""
