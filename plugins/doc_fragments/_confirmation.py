# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this fragment is PRIVATE to the collection and may change without notice.

from __future__ import annotations


class ModuleDocFragment:
    # The gate before destructive steps.
    DOCUMENTATION = r"""
options:
  recovery_environment:
    description:
      - The environment. In V(production), a step that replaces or removes data requires O(recovery_confirm).
    type: str
    choices: [production, staging, sandbox]
    default: production
  recovery_confirm:
    description:
      - The exact name of the target, or the plan's digest that check mode printed.
      - If it is set, it must match in every environment.
      - If the target is not the database that the backup set is of, by system identifier and name, then in V(production)
        only the plan's digest confirms it.
    type: str
"""
