# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A bad release is reverted once by a new commit, and the clone of the developer stays unchanged."""

from __future__ import annotations

from testinfra.host import Host

from tests.support.containers import in_store, nothing_left


def test_the_newest_commit_reverts_the_bad_release(host: Host) -> None:
    commits = host.run("git --git-dir /srv/roll_back/studio.git log --format=%s main").stdout.splitlines()
    assert commits == ['Revert "Release 2"', "Release 2", "Release 1"]
    assert host.run("git --git-dir /srv/roll_back/studio.git show main:index.html").stdout == "Release 1\n"
    assert host.file("/srv/roll_back/www/index.html").content_string == "Release 1\n"
    assert host.file("/srv/roll_back/studio/index.html").content_string == "Release 2\n"


def test_each_run_is_recorded(host: Host) -> None:
    records = in_store(host).run("find /srv/s3/backups/roll_back/studio/audit -name '*.json'").stdout.split()
    # The second run of the scenario finds the release reverted.
    assert len(records) == 2
    assert nothing_left(host)
