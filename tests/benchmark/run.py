# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Times backups and restores side by side: every contender in turn, several rounds, medians and ratios."""

from __future__ import annotations

import argparse
import contextlib
import json
import shutil
import statistics
import tempfile
import typing as t
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path

from tests.benchmark.contenders import Contenders, PgBackRest
from tests.benchmark.measure import Measured, measured, settle
from tests.benchmark.workload import CHANGED, change_one_table, make_database
from tests.doubles.modules import ROOT
from tests.doubles.postgres import PostgresServer, available_versions, postgres_server
from tests.doubles.s3 import rclone_server

PLAN, PGBACKREST, BARE = "plan: pg_dump | gzip, sha256, upload", "pgBackRest full, zst, 2 processes", "pg_dump -Fd -j2"
OURS, OURS_FULL, CHANGED_ONCE = "ours, no fingerprint", "ours, full fingerprint", "ours, one table changed"
PSQL, BARE_RESTORE = "psql < dump.sql.gz", "pg_restore -j2"
OUR_RESTORE, OUR_RESTORE_FULL = "ours, content not compared", "ours, proved equal"

_SETTINGS = {"shared_buffers": "512MB", "wal_level": "replica", "archive_mode": "on"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", type=float, default=1.0, help="1.0 is about 1 GB")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--output", type=Path, help="where the JSON goes")
    options = parser.parse_args()
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(postgres_server(available_versions()[0], settings=_SETTINGS))
        s3 = stack.enter_context(rclone_server())
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lifeline-benchmark-")))
        print(f"making the database at scale {options.scale} ...", flush=True)
        size = make_database(server, "bench", options.scale)
        print(f"PostgreSQL {server.version}, {size / 1e6:.0f} MB, {options.rounds} rounds", flush=True)
        contenders = Contenders(server, s3, "bench", scratch)
        results = _rounds(options.rounds, server, contenders)
    _print(results)
    _write(options, size, results)


def _rounds(rounds: int, server: PostgresServer, contenders: Contenders) -> dict[str, list[Measured]]:
    results: dict[str, list[Measured]] = {}
    pgbackrest = PgBackRest(server) if shutil.which("pgbackrest") else None
    if pgbackrest is None:
        print("pgBackRest is not installed, so it is left out: apt-get install pgbackrest")
    try:
        for number in range(rounds):
            for name, work in _works(server, contenders, pgbackrest):
                settle()
                result = measured(work)
                results.setdefault(name, []).append(result)
                print(f"  round {number + 1}: {name:40s} {result.wall:7.2f} s", flush=True)
    finally:
        if pgbackrest is not None:
            pgbackrest.close(server)
    return results


def _works(
    server: PostgresServer, contenders: Contenders, pgbackrest: PgBackRest | None
) -> t.Iterator[tuple[str, t.Callable[[], t.Any]]]:
    yield PLAN, contenders.plan
    if pgbackrest is not None:
        yield PGBACKREST, pgbackrest.backup
    yield BARE, contenders.bare_dump
    yield OURS, lambda: contenders.ours("none")
    yield OURS_FULL, lambda: contenders.ours("full")
    change_one_table(server, "bench")
    yield CHANGED_ONCE, lambda: contenders.ours("full", again=True)
    yield PSQL, contenders.psql
    yield BARE_RESTORE, contenders.bare_restore
    yield OUR_RESTORE, lambda: contenders.our_restore("none")
    yield OUR_RESTORE_FULL, lambda: contenders.our_restore("full")


def _median(results: t.Mapping[str, list[Measured]], name: str) -> float:
    return statistics.median(item.wall for item in results[name])


def _ratios(results: t.Mapping[str, list[Measured]]) -> dict[str, float]:
    pairs = {
        "backup with full fingerprint / the plan's way": (OURS_FULL, PLAN),
        "backup with full fingerprint / pgBackRest full": (OURS_FULL, PGBACKREST),
        "backup with full fingerprint / bare pg_dump -Fd -j2": (OURS_FULL, BARE),
        "restore proved equal / bare pg_restore -j2": (OUR_RESTORE_FULL, BARE_RESTORE),
        "restore proved equal / psql": (OUR_RESTORE_FULL, PSQL),
    }
    return {
        words: round(_median(results, one) / _median(results, other), 3)
        for words, (one, other) in pairs.items()
        if one in results and other in results
    }


def _print(results: t.Mapping[str, list[Measured]]) -> None:
    print(f"\n{'':42s}{'median s':>10s}{'min':>8s}{'max':>8s}{'stored MB':>11s}{'uploaded':>10s}{'peak MB':>9s}")
    for name, items in results.items():
        walls = [item.wall for item in items]
        print(
            f"{name:42s}{statistics.median(walls):10.2f}{min(walls):8.2f}{max(walls):8.2f}"
            f"{items[-1].stored / 1e6:11.1f}{items[-1].uploaded / 1e6:10.1f}{max(i.peak for i in items) / 1e6:9.0f}"
        )
    print()
    for words, ratio in _ratios(results).items():
        print(f"{words:58s}{ratio:7.2f}")
    print(f"the changed table is {CHANGED}; peak is of our own process")


def _write(options: argparse.Namespace, size: int, results: t.Mapping[str, list[Measured]]) -> None:
    now = datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%SZ")
    output = options.output or ROOT / "reports" / f"benchmark-{now}.json"
    output.parent.mkdir(parents=True, exist_ok=True)
    document = {
        "scale": options.scale,
        "database_bytes": size,
        "results": {name: [asdict(item) for item in items] for name, items in results.items()},
        "ratios": _ratios(results),
    }
    output.write_text(json.dumps(document, indent=2) + "\n")
    print(f"written to {output}")


if __name__ == "__main__":
    main()
