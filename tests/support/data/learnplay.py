# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The schema of the application that drills rehearse with, for tests: versions, metadata, tags, roles and media."""

from __future__ import annotations

from tests.support.runner.server import ROOT

#: The user who publishes; the schema inserts their row.
PUBLISHER = "11111111-1111-1111-1111-111111111111"

SCHEMA = (ROOT / "roles/sandbox/templates/application_schema.sql").read_text(encoding="utf-8")
