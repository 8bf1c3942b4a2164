# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this fragment is PRIVATE to the collection and may change without notice.

from __future__ import annotations


class ModuleDocFragment:
    # The phases of a long operation.
    DOCUMENTATION = r"""
options:
  journal:
    description:
      - File in which the start and the end of each phase are recorded, to follow long work and to draw the timeline of a drill.
    type: path
"""
