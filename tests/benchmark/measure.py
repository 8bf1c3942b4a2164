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


@dataclass(frozen=True)
class Measured:
    """wall and cpu in seconds (cpu: of child processes that were waited for); peak in bytes; stored in bytes."""

    wall: float
    cpu: float
    peak: int = 0
    stored: int = 0
    uploaded: int = 0


def measured(work: t.Callable[[], t.Mapping[str, int] | None]) -> Measured:
    """Time a piece of work; it may return peak, stored and uploaded."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.monotonic()
    facts = dict(work() or {})
    wall = time.monotonic() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Measured(wall, cpu, facts.get("peak", 0), facts.get("stored", 0), facts.get("uploaded", 0))


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


def settle() -> None:
    """Let what was written reach the disk, so that nobody pays for another's writes."""
    os.sync()
