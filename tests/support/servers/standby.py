# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A streaming pair of real PostgreSQL servers."""

from __future__ import annotations

import contextlib
import subprocess
import time
import typing as t
from dataclasses import replace

from tests.support.servers.postgres import PostgresServer, as_server_user, give_to_server, started

#: The slot through which the standby streams.
SLOT = "second"


@contextlib.contextmanager
def standby_of(primary: PostgresServer, *, settings: t.Mapping[str, str] | None = None) -> t.Iterator[PostgresServer]:
    """A standby that streams from the primary through its slot; stopped and removed at the end."""
    root = primary.data_dir.parent / "standby"
    root.mkdir(mode=0o700)
    give_to_server(root)
    data_dir = root / "data"
    with primary.session() as cursor:
        cursor.execute("SELECT pg_create_physical_replication_slot(%s, true)", (SLOT,))
    subprocess.run(
        [
            str(primary.bin_dir / "pg_basebackup"), "-D", str(data_dir), "-R", "-S", SLOT, "--no-sync",
            "--checkpoint=fast", "--wal-method=stream",
        ],
        check=True,
        env=primary.options().environment(),
        **as_server_user(),
    )  # fmt: skip
    with started(replace(primary, data_dir=data_dir, port=0), root, settings or {}) as server:
        yield server


def until(condition: t.Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.1)


def value(server: PostgresServer, query: str) -> t.Any:
    with server.session() as cursor:
        cursor.execute(query)
        return cursor.fetchone()[0]


def stop(server: PostgresServer) -> None:
    subprocess.run(
        [str(server.bin_dir / "pg_ctl"), "-D", str(server.data_dir), "-m", "fast", "-w", "stop"],
        check=True,
        stdout=subprocess.DEVNULL,
        **as_server_user(),
    )
