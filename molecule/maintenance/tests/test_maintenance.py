# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""During the maintenance the page is shown, the application is stopped, and its writes are refused."""

from __future__ import annotations

from testinfra.host import Host

from tests.support.containers import nothing_left, sql


def test_the_page_is_shown_and_the_application_cannot_be_started(host: Host) -> None:
    request = "import urllib.request as r; r.urlopen('http://127.0.0.1:8070/')"
    assert "503" in host.run(f'python3 -c "{request}"').stderr
    assert host.service("studio-web").is_running
    assert not host.service("studio").is_running
    assert host.run("systemctl start studio").rc != 0


def test_a_write_of_the_application_is_refused(host: Host) -> None:
    write = "INSERT INTO beats VALUES (now())"
    login = host.run(f'PGPASSWORD=not-a-secret psql -h 127.0.0.1 -U studio_app -c "{write}" studio')
    assert login.rc != 0 and "not permitted to log in" in login.stderr
    acting = host.run(f'cd /tmp && sudo -u postgres psql -c "SET SESSION AUTHORIZATION studio_app; {write}" studio')
    assert "stopped for maintenance" in acting.stderr
    assert sql(host, "studio", "SELECT count(*) FROM beats WHERE at > now() - interval '1 second'") == "0"
    assert nothing_left(host)
