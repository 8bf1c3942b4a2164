# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The options of a store in docs/stores.md, from the documentation fragment of the modules."""

from __future__ import annotations

import typing as t
from pathlib import Path

import yaml

from ansible_collections.lifeline.recovery.plugins.doc_fragments._store import ModuleDocFragment
from tests.support.runner.server import ROOT
from tests.tools.marked import with_part
from tests.tools.role_readmes import option_rows

PAGE = ROOT / "docs/stores.md"


def store_page() -> dict[Path, str]:
    """The page with its table."""
    return {PAGE: with_part(PAGE.read_text(encoding="utf-8"), "options", _table())}


def _table() -> t.Iterator[str]:
    options = yaml.safe_load(ModuleDocFragment.DOCUMENTATION)["options"]["store"]["suboptions"]
    yield from ("| option | default | meaning |", "|---|---|---|")
    yield from option_rows(options, {})
