# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Stores and services for the tests of modules."""

from __future__ import annotations

import secrets
import typing as t
from pathlib import Path

import pytest

from tests.support.operator import Operator, installed_operator
from tests.support.servers.d1 import D1Server, d1_server
from tests.support.servers.s3 import S3Server, rclone_server


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start the slow tests first: a slow test that starts last leaves the other worker idle."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


@pytest.fixture(scope="session")
def s3() -> t.Iterator[S3Server]:
    with rclone_server() as server:
        yield server


@pytest.fixture(scope="session")
def operator() -> t.Iterator[Operator]:
    """An ordinary user with the built collection and inventories of their own."""
    with installed_operator() as user:
        yield user


@pytest.fixture(scope="module")
def d1() -> t.Iterator[D1Server]:
    with d1_server() as server:
        yield server


@pytest.fixture
def store(s3: S3Server) -> dict[str, t.Any]:
    """The option store: a prefix of its own on a real S3 server."""
    return s3.store_options(prefix=secrets.token_hex(6))


@pytest.fixture
def folder_store(tmp_path: Path) -> dict[str, t.Any]:
    """The option store: a local folder."""
    return {"provider": "directory", "path": str(tmp_path / "store")}
