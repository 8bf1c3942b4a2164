# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The files are in a set, each once."""

from __future__ import annotations

from testinfra.host import Host

from tests.support.containers import in_store, nothing_left, sets_of


def test_the_files_are_in_a_set(host: Host) -> None:
    (manifest,) = sets_of(host, "bucket_backup", "media", "daily")
    assert (manifest["engine"], manifest["coverage"]["files"]) == ("bucket", 3)
    objects = in_store(host).run("find /srv/s3/backups/bucket_backup/media/daily/objects -type f | wc -l").stdout
    assert int(objects) >= 4
    assert nothing_left(host)
