# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this fragment is PRIVATE to the collection and may change without notice.

from __future__ import annotations


class ModuleDocFragment:
    # Which backup set a module works on.
    DOCUMENTATION = r"""
options:
  source:
    description:
      - The stable name of what was backed up, for example V(school).
    type: str
  tier:
    description:
      - Look only at sets of this tier.
      - If unset, sets of all tiers but V(emergency) and V(undo) compete by their recovery point. Sets of these two tiers are
        taken before dangerous steps and may hold the damage, so only O(tier) or their id chooses them.
    type: str
    choices: [hourly, daily, weekly, monthly, emergency, undo]
  set:
    description:
      - Which set - V(latest), V(random), or the id of one, for example V(20260301T020005Z).
      - V(random) proves more over time than always taking the newest; O(seed) makes the choice repeatable.
    type: str
  before:
    description:
      - Look only at sets whose recovery point is earlier than this instant, for example V(2026-03-01T12:00:00Z).
      - Set it to the moment of the incident when newer sets already hold the damage.
      - An instant without offset is UTC.
    type: str
  seed:
    description:
      - Seed of the choice when O(set=random). The same seed and the same sets give the same choice.
    type: int
"""
