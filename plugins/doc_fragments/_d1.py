# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this fragment is PRIVATE to the collection and may change without notice.

from __future__ import annotations


class ModuleDocFragment:
    # A database of Cloudflare D1.
    DOCUMENTATION = r"""
options:
  account_id:
    description:
      - Id of the Cloudflare account. If it is unset, E(CLOUDFLARE_ACCOUNT_ID) is used.
    type: str
  api_token:
    description:
      - API token with the right to edit D1. If it is unset, E(CLOUDFLARE_API_TOKEN) is used.
    type: str
  api_timeout:
    description:
      - Seconds to wait for an answer. A service that is busy is asked again for a quarter longer.
    type: int
    default: 60
  database:
    description:
      - The database, by its name or its id.
    type: str
"""

    # The place of a new database.
    PLACE = r"""
options:
  location:
    description:
      - The region hint of a new database.
    type: str
    choices: [wnam, enam, weur, eeur, apac, oc]
  jurisdiction:
    description:
      - The jurisdiction that the data of a new database must not leave.
    type: str
    choices: [eu, fedramp, us]
"""

    # A SQLite file instead of D1.
    FILE = r"""
options:
  path:
    description:
      - Path of a SQLite file, which is used instead of a D1 database.
    type: path
"""
