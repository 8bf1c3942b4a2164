# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The drill passed, and its sandbox is gone."""

from __future__ import annotations

import json

from testinfra.host import Host

from tests.support.containers import nothing_left


def test_the_drill_passed_and_its_sandbox_is_gone(host: Host) -> None:
    report = json.loads(host.file("/srv/drill/reports/latest/report.json").content_string)
    assert (report["verdict"], report["fingerprint"]["equal"]) == ("passed", True)
    assert nothing_left(host)
    assert host.file("/srv/drill/reports/latest/report.html").size > 10000
