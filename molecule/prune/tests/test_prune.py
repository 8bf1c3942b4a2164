# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Pruning keeps two sets and their objects."""

from __future__ import annotations

from testinfra.host import Host

from tests.support.containers import in_store, sets_of


def test_prune_keeps_two_sets_with_their_objects(host: Host) -> None:
    manifests = sets_of(host, "prune", "school", "daily")
    assert len(manifests) == 2
    there = in_store(host).run("cd /srv/s3/backups/prune && find school/daily/objects -type f").stdout.split()
    needed = {entry["key"] for manifest in manifests for entry in manifest["objects"]}
    assert needed <= set(there)
