# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A verification leaves an audit record."""

from __future__ import annotations

from testinfra.host import Host

from tests.support.containers import in_store, nothing_left


def test_verification_writes_audit_record(host: Host) -> None:
    noted = in_store(host).run('grep -rl \'"operation_type": *"verify"\' /srv/s3/backups/verify/school/audit')
    assert noted.stdout.strip()
    assert nothing_left(host)
