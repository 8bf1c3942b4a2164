# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The school's database of the sandbox, for tests."""

from __future__ import annotations

from tests.support.runner.server import ROOT
from tests.support.servers.postgres import PostgresServer


def load_school(server: PostgresServer, database: str, rows: int = 2000) -> None:
    """Create the sandbox's content; about as many rows as asked for, 1000 at least."""
    template = (ROOT / "roles/sandbox/templates/school.sql.j2").read_text(encoding="utf-8")
    server.psql(database, template.replace("{{ sandbox_rows }}", str(rows)))
