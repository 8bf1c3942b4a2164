# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Requests to publish drill reports."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import timedelta

from ansible_collections.lifeline.recovery.plugins.module_utils._drill.evidence import DrillRequest
from ansible_collections.lifeline.recovery.plugins.module_utils._drill.journal import (
    JournalEvent,
    append_event,
    moment_now,
)
from tests.support.data.drill_reports import sample_evidence


def drill(tmp_path, **facts):
    """A request whose journal records a recovery that just took twenty seconds."""
    journal = str(tmp_path / "drill.journal")
    now = moment_now()
    if not os.path.exists(journal):
        for phase, ago, seconds in (("failure", 20, 0.5), ("restore", 19, 15.0), ("verify", 4, 4.0)):
            append_event(journal, JournalEvent(phase, "end", now.earlier(ago - seconds), seconds=seconds))
    incident = now.at - timedelta(seconds=20)
    evidence = replace(
        sample_evidence(),
        phases=(),
        marks=(),
        incident_at=None,
        recovery_points=(incident - timedelta(seconds=30),),
        marker_at=incident - timedelta(seconds=31),
    )
    given = {
        "journal": journal,
        "reports_dir": str(tmp_path / "reports"),
        "scenario": "database_loss",
        "source": "school",
    }
    evidence = replace(evidence, **facts.pop("evidence", {}))
    return DrillRequest(**{**given, "environment": "sandbox", "evidence": evidence, "backup_set": "x", **facts})
