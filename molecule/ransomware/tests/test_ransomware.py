# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Access is revoked, the rows are those of before the attack, and the attacked database is kept."""

from __future__ import annotations

import json

from testinfra.host import Host

from tests.support.containers import sql


def test_database_is_as_before_the_attack(host: Host) -> None:
    assert host.file("/srv/ransomware/revoked").is_directory
    assert sql(host, "attacked", "SELECT count(*) FROM notes WHERE body LIKE 'Note %'") == "100"


def test_attacked_database_is_kept(host: Host) -> None:
    record = json.loads(host.file("/srv/ransomware/record.json").content_string)
    assert len(record["after_attack"]) == 1
    assert sql(host, record["evidence"], "SELECT count(*) FROM notes WHERE body LIKE 'Note %'") == "0"
