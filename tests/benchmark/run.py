# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Times backups and restores side by side: every contender in turn, several rounds, medians and ratios."""

from __future__ import annotations

import argparse
import contextlib
import signal
import sys
import tempfile
import typing as t
from pathlib import Path

from tests.benchmark import table as rows
from tests.benchmark.contenders import Contenders
from tests.benchmark.measure import QUIET, Measured, measured, settle
from tests.benchmark.pgbackrest import PgBackRest, install, is_installed, set_archive_command
from tests.benchmark.workload import change_one_table, delete_students, make_database
from tests.support.servers.postgres import PostgresServer, available_versions, postgres_server
from tests.support.servers.s3 import rclone_server

_DATABASE = "bench"
_SETTINGS = {"shared_buffers": "512MB", "wal_level": "replica", "archive_mode": "on"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", type=float, default=1.0, help="1.0 is about 1 GB")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--patience", type=float, default=0, help="seconds to wait before each measurement for others to be done"
    )
    parser.add_argument("--install", action="store_true", help="install pgBackRest from Debian's package, as root")
    parser.add_argument("--output", type=Path, help="where the JSON goes")
    options = parser.parse_args()
    # A terminated run must clean up like an interrupted one.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(postgres_server(available_versions()[0], settings=_SETTINGS))
        set_archive_command(server)
        s3 = stack.enter_context(rclone_server(etags=False))
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lifeline-benchmark-")))
        print(f"making the database at scale {options.scale} ...", flush=True)
        size = make_database(server, _DATABASE, options.scale)
        print(f"PostgreSQL {server.version}, {size / 1e6:.0f} MB, {options.rounds} rounds", flush=True)
        if options.install:
            install()
        repositories = _pgbackrest(server, stack)
        contenders = Contenders(server, s3, _DATABASE, scratch)
        results = _rounds(options.rounds, options.patience, server, contenders, repositories)
    rows.print_table(results)
    rows.write(options.output, options.scale, size, server.version, results)


def _pgbackrest(server: PostgresServer, stack: contextlib.ExitStack) -> dict[str, PgBackRest]:
    """The repositories that can be had here by the name of their row; omitted repositories are printed."""
    if not is_installed():
        print("pgBackRest is not installed, so it is left out: give --install as root, or apt-get install pgbackrest")
        return {}
    made = {rows.PGBACKREST: PgBackRest(server)}
    stack.callback(made[rows.PGBACKREST].close)
    try:
        made[rows.PGBACKREST_S3] = PgBackRest(server, stack.enter_context(rclone_server(tls=True, etags=False)))
    except RuntimeError as error:
        print(f"pgBackRest cannot use the S3 server, so only its local repository is measured: {error}")
    else:
        stack.callback(made[rows.PGBACKREST_S3].close)
    return made


def _rounds(
    rounds: int,
    patience: float,
    server: PostgresServer,
    contenders: Contenders,
    repositories: t.Mapping[str, PgBackRest],
) -> dict[str, list[Measured]]:
    results: dict[str, list[Measured]] = {}
    for number in range(rounds):
        for name, work in _works(server, contenders, repositories):
            others = settle(server, _DATABASE, patience)
            result = measured(work, disturbed=others)
            results.setdefault(name, []).append(result)
            remark = f"  others used {others:.0%} of the processors just before" if others > QUIET else ""
            print(f"  round {number + 1}: {name:40s} {result.wall:7.2f} s{remark}", flush=True)
    return results


def _works(
    server: PostgresServer, contenders: Contenders, repositories: t.Mapping[str, PgBackRest]
) -> t.Iterator[tuple[str, t.Callable[[], t.Any]]]:
    yield rows.PLAN, contenders.plan
    for name, repository in repositories.items():
        yield name, repository.backup
    yield rows.BARE, contenders.bare_dump
    yield rows.BARE_PLAIN, lambda: contenders.bare_dump("-Z0")
    yield rows.OURS, lambda: contenders.ours("none")
    yield rows.OURS_FULL, lambda: contenders.ours("full")
    change_one_table(server, _DATABASE)
    yield rows.CHANGED_ONCE, lambda: contenders.ours("full", again=True)
    yield rows.PSQL, contenders.psql
    yield rows.BARE_RESTORE, contenders.bare_restore
    yield rows.OUR_RESTORE, lambda: contenders.our_restore("none")
    yield rows.OUR_RESTORE_FULL, lambda: contenders.our_restore("full")
    delete_students(server, _DATABASE)
    yield rows.PLAN_ROWS, contenders.plan_rows
    delete_students(server, _DATABASE)
    yield rows.OUR_ROWS, contenders.our_rows


if __name__ == "__main__":
    main()
