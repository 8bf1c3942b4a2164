# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Writes the pages of sample drill reports, to look at and to take the picture in the README from."""

from __future__ import annotations

import json
from pathlib import Path

from ansible_collections.lifeline.recovery.plugins.module_utils._drill.junit import drill_junit
from ansible_collections.lifeline.recovery.plugins.module_utils._drill.openmetrics import drill_metrics
from ansible_collections.lifeline.recovery.plugins.module_utils._pages.page import render_page
from tests.support.data.drill_reports import variant

VARIANTS = ("passed", "first", "failed", "error", "crowded")


def write_report_pages(folder: Path) -> None:
    """The files of a report for each variant, in a folder of its name."""
    for name in VARIANTS:
        report, earlier, broken = variant(name)
        target = folder / name
        target.mkdir(parents=True, exist_ok=True)
        (target / "report.html").write_text(render_page(report, earlier, broken), encoding="utf-8")
        (target / "report.json").write_text(json.dumps(report, indent=2, ensure_ascii=False), encoding="utf-8")
        (target / "junit.xml").write_text(drill_junit(report), encoding="utf-8")
        (target / "metrics.prom").write_text(drill_metrics(report, earlier), encoding="utf-8")
