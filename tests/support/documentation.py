# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads the shell commands of the documentation."""

from __future__ import annotations

import re

from tests.support.runner.server import ROOT


def commands_of(page: str, number: int) -> list[str]:
    """The numbered block of shell commands of a page, as a command."""
    blocks = re.findall(r"```bash\n(.*?)```", (ROOT / page).read_text(encoding="utf-8"), re.DOTALL)
    return ["bash", "-c", blocks[number]]
