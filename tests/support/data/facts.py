# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Facts of the status of a source without a breach, and thresholds to judge them by."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from ansible_collections.lifeline.recovery.plugins.module_utils._status.model import (
    ArchiveFact,
    AttemptFact,
    BackupFact,
    CheckFact,
    DrillFact,
    Facts,
    Reach,
    ReplicationFact,
    StoreFact,
    Thresholds,
    VerificationFact,
    VolumeFact,
)

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=timezone.utc)

LIMITS = Thresholds(rpo=86400, verified_within=8 * 86400, checked_within=7200, drilled_within=93 * 86400)

DAY = 86400.0


def ago(seconds: float) -> str:
    return (NOW - timedelta(seconds=seconds)).isoformat()


BACKUP = BackupFact("20260301T020000Z", "daily", ago(36000), 36000, 1000, 500, 60, 0.01)

SOUND = Facts(
    "school",
    reach=Reach("db:5432/school", True),
    stores=(StoreFact(Reach("s3://a", True), "20260301T020000Z"), StoreFact(Reach("/copy", True), "20260301T020000Z")),
    sets=30,
    backup=BACKUP,
    exposure_seconds=DAY,
    verification=VerificationFact("20260301T020000Z", ago(3600), "digests", 3600),
    attempt=AttemptFact(ago(35000), "succeeded"),
    check=CheckFact(ago(3600), "passed", 3600),
    drill=DrillFact(ago(30 * DAY), "passed", "database_loss", 30 * DAY, 84.0, 300.0),
    replication=ReplicationFact("primary", True, 1, 2.0, 4096),
    archive=ArchiveFact(False, 1, 30.0, ago(60)),
    volumes=(VolumeFact("/spool", 80, 100),),
)
