# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Both servers run and accept connections of this host only."""

from __future__ import annotations

import json

from testinfra.host import Host


def test_both_servers_run_on_loopback_only(host: Host) -> None:
    state = json.loads(host.file("/srv/sandbox/sandbox.json").content_string)
    ports = {process["port"] for process in state.values() if isinstance(process, dict) and process.get("port")}
    listening = [line.split()[3] for line in host.run("ss -Hltn").stdout.splitlines()]
    ours = [address for address in listening if int(address.rpartition(":")[2]) in ports]
    assert sorted(ours) == sorted(f"127.0.0.1:{port}" for port in ports)
    assert len(ours) == 2


def test_secrets_are_for_their_owner_alone(host: Host) -> None:
    found = host.run("find /srv/sandbox -maxdepth 1 -name '*.json' -perm /077").stdout
    assert found.strip() == ""
