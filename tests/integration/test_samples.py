# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Databases that others made come back equal, on every version."""

from __future__ import annotations

import os
import typing as t

import pytest

from tests.doubles.modules import run_module
from tests.doubles.postgres import PostgresServer, available_versions
from tests.doubles.samples import Sample, samples


@pytest.mark.parametrize("version", available_versions())
@pytest.mark.parametrize("sample", samples(), ids=lambda sample: sample.name)
def test_a_published_database_comes_back_equal(
    servers: t.Callable[[str], PostgresServer], store: dict[str, t.Any], sample: Sample, version: str
) -> None:
    script = sample.script()
    if script is None:
        _leave_out(sample)
    server = servers(version)
    database = server.create_database()
    copy = f"{database}_copy"
    try:
        server.psql(database, script)
        taken = run_module("pg_backup", {"source": "sample", "store": store, **server.module_options(database)})
        done = run_module(
            "pg_restore",
            {"source": "sample", "store": store, "target_db": copy, "create_roles": True, **server.module_options()},
        )
        assert taken["tables"] > 0
        assert done["fingerprint"]["equal"] is True
        assert done["fingerprint"]["tables"] == taken["tables"]
        assert done["fingerprint"]["rows"] == taken["rows"]
    finally:
        server.drop_database(copy)
        server.drop_database(database)


def _leave_out(sample: Sample) -> t.NoReturn:
    """Skip where Debian's packages are out of reach; fail where LIFELINE_REQUIRE_SAMPLES says that they must be."""
    reason = f"the package {sample.package} cannot be downloaded here: apt-get update, and look at apt-get download"
    if os.environ.get("LIFELINE_REQUIRE_SAMPLES") == "1":
        pytest.fail(reason)
    pytest.skip(reason)
