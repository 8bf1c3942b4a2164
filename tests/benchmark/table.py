# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The results of the benchmark, as text and as JSON: medians, ratios, bytes, peak memory, and targets."""

from __future__ import annotations

import json
import os
import statistics
import typing as t
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path

from tests.benchmark.measure import Measured
from tests.benchmark.workload import CHANGED
from tests.support.runner.server import ROOT

PLAN, BARE, BARE_PLAIN = "plan: pg_dump | gzip, sha256, upload", "pg_dump -Fd -j2", "pg_dump -Fd -j2 -Z0"
PGBACKREST, PGBACKREST_S3 = "pgBackRest full, zst, 2, local folder", "pgBackRest full, zst, 2, S3 over TLS"
OURS, OURS_FULL, CHANGED_ONCE = "lifeline, no fingerprint", "lifeline, full fingerprint", "lifeline, one table changed"
PSQL, BARE_RESTORE = "psql < dump.sql.gz", "pg_restore -j2"
OUR_RESTORE, OUR_RESTORE_FULL = "lifeline, content not compared", "lifeline, proved equal"

PLAN_ROWS, OUR_ROWS = "plan: three students, from the dump", "lifeline, three students"

Results = t.Mapping[str, t.List[Measured]]

#: Words, the row that is divided, the row it is divided by, and the most that is aimed at, where something is.
_RATIOS: tuple[tuple[str, str, str, float | None], ...] = (
    ("backup with full fingerprint / the plan's way", OURS_FULL, PLAN, 0.25),
    ("backup with full fingerprint / pgBackRest, local folder", OURS_FULL, PGBACKREST, 1.0),
    ("backup with full fingerprint / pgBackRest, S3", OURS_FULL, PGBACKREST_S3, 1.0),
    ("backup with full fingerprint / bare pg_dump -Fd -j2", OURS_FULL, BARE, None),
    ("backup with full fingerprint / bare pg_dump -Fd -j2 -Z0", OURS_FULL, BARE_PLAIN, None),
    ("backup without fingerprint / with", OURS, OURS_FULL, None),
    ("restore proved equal / bare pg_restore -j2", OUR_RESTORE_FULL, BARE_RESTORE, 1.1),
    ("restore proved equal / psql", OUR_RESTORE_FULL, PSQL, None),
    ("three students / the plan's way", OUR_ROWS, PLAN_ROWS, 0.1),
    ("restore not compared / bare pg_restore -j2", OUR_RESTORE, BARE_RESTORE, None),
)

_MOST_UPLOADED = 1.05
_MOST_MEMORY = 200e6


class Figure(t.NamedTuple):
    """One number to judge; most is what was aimed at, reached whether it was, both None without an aim."""

    label: str
    value: float
    most: float | None
    reached: bool | None


def figures(results: Results) -> list[Figure]:
    """All ratios whose rows were measured, the bytes of the changed table, and the peak memory in MB."""
    found = [
        _figure(label, _median(results[one]) / _median(results[other]), most)
        for label, one, other, most in _RATIOS
        if one in results and other in results
    ]
    changed = [item.uploaded / item.table for item in results.get(CHANGED_ONCE, []) if item.table]
    if changed:
        found.append(
            _figure(f"uploaded after a change of {CHANGED} / what it takes stored", max(changed), _MOST_UPLOADED)
        )
    fetched = [item.fetched / item.table for item in results.get(OUR_ROWS, []) if item.table]
    if fetched:
        found.append(
            _figure("fetched for three students / what their tables take stored", max(fetched), _MOST_UPLOADED)
        )
    peak = max((item.peak for items in results.values() for item in items), default=0)
    return [*found, _figure("peak memory of our process, MB", peak / 1e6, _MOST_MEMORY / 1e6)]


def print_table(results: Results) -> None:
    print(
        f"\n{'':40s}{'median s':>9s}{'min':>8s}{'max':>8s}{'cpu s':>8s}{'stored MB':>11s}{'sent MB':>9s}{'peak MB':>9s}"
    )
    for name, items in results.items():
        walls = [item.wall for item in items]
        print(
            f"{name:40s}{_median(items):9.2f}{min(walls):8.2f}{max(walls):8.2f}"
            f"{statistics.median(item.cpu for item in items):8.2f}"
            f"{_megabytes(items[-1].stored):>11s}{_megabytes(items[-1].uploaded):>9s}"
            f"{_megabytes(max(item.peak for item in items)):>9s}"
        )
    print()
    for figure in figures(results):
        aim = "" if figure.most is None else f"  at most {figure.most:g}: {'reached' if figure.reached else 'MISSED'}"
        print(f"{figure.label:62s}{figure.value:8.3f}{aim}")
    worst = max(item.disturbed for items in results.values() for item in items)
    print(f"others used up to {worst:.0%} of the processors before a measurement")


def write(output: Path | None, scale: float, size: int, version: str, results: Results) -> None:
    """Write everything measured; size is the database's in bytes."""
    now = datetime.now(timezone.utc)
    output = output or ROOT / "reports" / f"benchmark-{now.strftime('%Y%m%dT%H%M%SZ')}.json"
    output.parent.mkdir(parents=True, exist_ok=True)
    document = {
        "finished_at": now.isoformat(timespec="seconds"),
        "scale": scale,
        "database_bytes": size,
        "postgresql": version,
        "processors": os.cpu_count(),
        "results": {name: [asdict(item) for item in items] for name, items in results.items()},
        "medians": {name: round(_median(items), 3) for name, items in results.items()},
        "ratios": {figure.label: figure.value for figure in figures(results) if " / " in figure.label},
        "figures": [figure._asdict() for figure in figures(results)],
    }
    output.write_text(json.dumps(document, indent=2) + "\n")
    print(f"written to {output}")


def _figure(label: str, value: float, most: float | None) -> Figure:
    return Figure(label, round(value, 3), most, None if most is None else value <= most)


def _median(items: t.Sequence[Measured]) -> float:
    return statistics.median(item.wall for item in items)


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f}" if size else ""
