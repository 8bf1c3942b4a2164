# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Variables of playbooks and roles: one name for one meaning, and no name that does nothing."""

from __future__ import annotations

import typing as t

import pytest

from tests.doubles.postgres import PostgresServer
from tests.doubles.school import load_school
from tests.support.operator import Operator


@pytest.fixture
def inventory(postgres: PostgresServer, database: str, store: dict[str, t.Any]) -> dict[str, t.Any]:
    load_school(postgres, database)
    login = postgres.module_options()
    login.pop("login_db")
    return {
        "recovery_environment": "production",
        "recovery_source": "school",
        "recovery_database": database,
        "recovery_connection": login,
        "recovery_store": store,
    }


def test_backup_writes_the_named_tier(operator: Operator, inventory: dict[str, t.Any]) -> None:
    done = operator.play("backup", inventory=inventory)
    assert done.returncode == 0, done.stdout + done.stderr
