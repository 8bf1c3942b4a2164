# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A complete set of each source is in the store, and nothing is left on the host."""

from __future__ import annotations

from testinfra.host import Host

from tests.support.containers import in_store, nothing_left, sets_of


def test_a_complete_set_of_the_database_is_in_the_store(host: Host) -> None:
    (manifest, *_more) = sets_of(host, "backup", "school", "daily")
    assert manifest["engine"] == "postgresql"
    assert sum(table["rows"] for table in manifest["fingerprint"]["tables"]) > 1500


def test_each_file_of_the_bucket_is_in_a_set(host: Host) -> None:
    (manifest, *_more) = sets_of(host, "backup", "media", "daily")
    assert (manifest["engine"], manifest["coverage"]["files"]) == ("bucket", 3)
    objects = in_store(host).run("find /srv/s3/backups/backup/media/daily/objects -type f | wc -l").stdout
    assert int(objects) >= 4


def test_nothing_is_left_on_the_host(host: Host) -> None:
    assert nothing_left(host)
