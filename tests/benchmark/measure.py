# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Wall time, processor time and peak memory of what is run."""

from __future__ import annotations

import os
import resource
import threading
import time
import typing as t
from dataclasses import dataclass
from pathlib import Path

from tests.benchmark.pgbackrest import wait_for_archiver
from tests.support.servers.postgres import PostgresServer

#: Share of the processors used by others from which on a measurement is called disturbed.
QUIET = 0.15


@dataclass(frozen=True)
class Measured:
    """wall and cpu in seconds (cpu: of child processes that were waited for); the other sizes in bytes.

    table is the stored size of the tables that changed or that rows came from; disturbed the share of the processors,
    0 to 1, that others used just before.
    """

    wall: float
    cpu: float
    peak: int = 0
    stored: int = 0
    uploaded: int = 0
    table: int = 0
    fetched: int = 0
    disturbed: float = 0.0


def measured(work: t.Callable[[], t.Mapping[str, int] | None], *, disturbed: float = 0.0) -> Measured:
    """Time a piece of work; it may return peak, stored, uploaded, table and fetched."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.monotonic()
    facts = dict(work() or {})
    wall = time.monotonic() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Measured(wall, cpu, disturbed=disturbed, **facts)


class PeakMemory:
    """Watches the high-water mark of one process until it ends."""

    def __init__(self, pid: int) -> None:
        self.peak = 0
        self._path = Path(f"/proc/{pid}/status")
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        while True:
            try:
                lines = self._path.read_text().splitlines()
            except OSError:
                return
            found = [int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM")]
            if not found:
                return
            self.peak = max(self.peak, *found)
            time.sleep(0.02)


def settle(server: PostgresServer, database: str, patience: float) -> float:
    """Let what was written reach the disk and warm the tables, so that no measurement includes the work of another.

    Returns the share of the processors that is used although nothing of the benchmark runs, after waiting for it to
    become small, at most patience seconds.
    """
    wait_for_archiver(server)
    with server.session(database) as cursor:
        cursor.execute("CHECKPOINT")
        cursor.execute(
            "SELECT quote_ident(relname) FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
        )
        for (table,) in cursor.fetchall():
            cursor.execute(f"SELECT count(*) FROM {table}")
    os.sync()
    deadline = time.monotonic() + patience
    while (used := _used_share()) > QUIET and time.monotonic() < deadline:
        pass
    return used


def _used_share() -> float:
    first = _processor_times()
    time.sleep(0.5)
    used, total = (after - before for before, after in zip(first, _processor_times()))
    return round(used / max(total, 1), 3)


def _processor_times() -> tuple[int, int]:
    """Ticks used, and all ticks, of all processors since boot."""
    ticks = [int(value) for value in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    return sum(ticks) - ticks[3] - ticks[4], sum(ticks)
