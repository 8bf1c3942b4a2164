# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Questions to the containers that tests of several scenarios share."""

from __future__ import annotations

import json
import typing as t

from testinfra.host import Host

#: Where the servers for messages keep what they took.
SINKS = "/var/lib/lifeline-sinks"


def in_store(host: Host) -> Host:
    """The container that holds the bucket."""
    return host.get_host("lifeline-store", connection="ansible", ansible_inventory=host.backend.ansible_inventory)


def sets_of(host: Host, prefix: str, source: str, tier: str) -> list[dict[str, t.Any]]:
    """The manifests that are in the bucket, oldest first."""
    folder = f"/srv/s3/backups/{prefix}/{source}/{tier}/sets"
    names = in_store(host).run(f"ls {folder}").stdout.split()
    return [json.loads(in_store(host).run(f"cat {folder}/{name}").stdout) for name in sorted(names)]


def sql(host: Host, database: str, query: str) -> str:
    """One value of a database."""
    done = host.run(f'cd /tmp && sudo -u postgres psql -qAtc "{query}" {database}')
    assert done.rc == 0, done.stderr
    return done.stdout.strip()


def nothing_left(host: Host) -> bool:
    """Whether no folder of the collection is left behind."""
    return host.run("ls -d /tmp/lifeline-*").rc != 0


def arrived(host: Host, file: str) -> list[dict[str, t.Any]]:
    """The messages that the servers received: C(requests.jsonl) or C(letters.jsonl)."""
    return [json.loads(line) for line in host.file(f"{SINKS}/{file}").content_string.splitlines()]


def runs(host: Host, unit: str) -> str:
    """The log of the runs of one service of the collection."""
    return str(host.run(f"journalctl --no-pager --namespace=lifeline -t {unit}").stdout)
