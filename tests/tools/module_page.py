# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The list of modules in docs/modules.md, from their documentation."""

from __future__ import annotations

import typing as t
from pathlib import Path

import yaml

from tests.support.runner.server import ROOT
from tests.tools.marked import with_part

PAGE = ROOT / "docs/modules.md"


def module_page() -> dict[Path, str]:
    """The page with its table."""
    return {PAGE: with_part(PAGE.read_text(encoding="utf-8"), "modules", _table())}


def _table() -> t.Iterator[str]:
    yield from ("| module | what it does |", "|---|---|")
    for path in sorted((ROOT / "plugins/modules").glob("*.py")):
        text = path.read_text(encoding="utf-8").split('DOCUMENTATION = r"""', 1)[1].split('"""', 1)[0]
        yield f"| `{path.stem}` | {yaml.safe_load(text)['short_description']} |"
