# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Servers and databases for all tests. A server lives for the session, a database for one test."""

from __future__ import annotations

import typing as t

import pytest
from hypothesis import settings

from tests.support.servers.postgres import PostgresServer, available_versions, postgres_server

# No test fails because the machine is busy.
settings.register_profile("lifeline", deadline=None)
settings.load_profile("lifeline")


@pytest.fixture(scope="session")
def servers() -> t.Iterator[t.Callable[[str], PostgresServer]]:
    """Give a running server of the version asked for, started on first use."""
    import contextlib

    running: dict[str, PostgresServer] = {}
    with contextlib.ExitStack() as stack:

        def give(version: str) -> PostgresServer:
            if version not in running:
                running[version] = stack.enter_context(postgres_server(version))
            return running[version]

        yield give


@pytest.fixture(scope="session")
def postgres(servers: t.Callable[[str], PostgresServer]) -> PostgresServer:
    """The server that most tests use: 15 where it is installed, else the oldest of the wheel."""
    return servers(available_versions()[0])


@pytest.fixture
def database(postgres: PostgresServer) -> t.Iterator[str]:
    """The name of an empty database on the server C(postgres)."""
    name = postgres.create_database()
    yield name
    postgres.drop_database(name)
