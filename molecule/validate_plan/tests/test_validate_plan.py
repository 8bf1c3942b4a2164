# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A plan is checked without a trace on the host."""

from __future__ import annotations

from testinfra.host import Host


def test_a_validation_leaves_no_file(host: Host) -> None:
    # Another scenario may have installed the collection itself on the same host.
    names = r"\( -name '*validate_plan*' -o -name 'lifeline-plan*' \)"
    found = host.run(rf"find /var/lib /srv /etc -path /var/lib/lifeline/collections -prune -o {names} -print")
    assert (found.rc, found.stdout.strip()) == (0, "")
