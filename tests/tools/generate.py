# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Writes all files that are generated from code: python -m tests.tools.generate."""

from __future__ import annotations

from pathlib import Path

from tests.support.runner.server import ROOT
from tests.tools.module_page import module_page
from tests.tools.plan_pages import plan_pages
from tests.tools.report_pages import write_report_pages
from tests.tools.role_readmes import role_readmes
from tests.tools.store_page import store_page


def generated() -> dict[Path, str]:
    """Each generated file of the repository and its content."""
    return {**module_page(), **plan_pages(), **role_readmes(), **store_page()}


def stale() -> dict[Path, str]:
    """The generated files whose content on disk is not the generated one."""
    return {path: content for path, content in generated().items() if not _holds(path, content)}


def _holds(path: Path, content: str) -> bool:
    return path.is_file() and path.read_text(encoding="utf-8") == content


if __name__ == "__main__":
    for path, content in stale().items():
        path.write_text(content, encoding="utf-8")
        print(f"wrote {path.relative_to(ROOT)}")
    pages = ROOT / ".cache/report-pages"
    write_report_pages(pages)
    print(f"wrote the pages of sample drill reports to {pages.relative_to(ROOT)}")
