# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Times the rebuild of lost course versions beside a shell loop of rclone and psql, in one run."""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import tempfile
import time
import typing as t
from datetime import datetime, timezone
from pathlib import Path

from tests.benchmark.buckets import Done, note, rclone_remotes, report
from tests.benchmark.measure import PeakMemory
from tests.support.data.learnplay import PUBLISHER, SCHEMA
from tests.support.runner.modules import parse_result, start_module
from tests.support.runner.server import ROOT
from tests.support.servers.postgres import PostgresServer, available_versions, postgres_server
from tests.support.servers.s3 import S3Server, rclone_server

#: The loop of a recovery plan; a quote in a course would end the statement, so that the courses have none.
_LOOP = """
for key in $(rclone lsf origin:backups/courses --config "$CONFIG" | head -n "$COUNT"); do
  course=${key%.json}
  snapshot=$(rclone cat "origin:backups/courses/$key" --config "$CONFIG")
  psql -q -v ON_ERROR_STOP=1 <<SQL
    INSERT INTO course_versions (course_id, snapshot, published_by, changelog)
    SELECT '$course', '$snapshot'::jsonb, (SELECT id FROM auth.users LIMIT 1), 'Rebuilt from storage backup'
    WHERE NOT EXISTS (SELECT 1 FROM course_versions WHERE course_id = '$course');
SQL
done
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--courses", type=int, default=10_000)
    parser.add_argument("--loop", type=int, default=200, help="courses of the shell loop")
    parser.add_argument("--output", type=Path, help="where the JSON goes")
    options = parser.parse_args()
    rows: dict[str, t.Any] = {}
    sizes: list[int] = []
    with (
        rclone_server(fill=lambda folder: sizes.append(make_courses(folder / "courses", options.courses))) as bucket,
        postgres_server(available_versions()[0]) as server,
        tempfile.TemporaryDirectory(prefix="lifeline-courses-") as scratch,
    ):
        (size,) = sizes
        server.create_database("learnplay")
        server.psql("learnplay", SCHEMA)
        server.psql(
            "learnplay",
            f"INSERT INTO course_metadata (id) SELECT 'course-' || n FROM generate_series(0, {options.courses - 1}) n",
        )
        print(f"{options.courses} courses, {size / 1e6:.0f} MB", flush=True)
        config = rclone_remotes(Path(scratch), bucket, bucket)
        note(rows, f"shell loop, {options.loop}", lambda: loop(server, config, options.loop))
        server.psql("learnplay", "TRUNCATE course_versions")
        note(rows, f"lifeline, {options.courses}", lambda: rebuild(server, bucket))
    output = options.output or ROOT / "reports" / f"courses-{datetime.now(timezone.utc):%Y%m%dT%H%M%SZ}.json"
    seconds = [row.seconds for row in rows.values()]
    print(
        f"seconds a course: {seconds[0] / options.loop:.4f} by the loop, {seconds[1] / options.courses:.4f} by lifeline"
    )
    report(rows, options.courses, size, output)


def make_courses(folder: Path, count: int) -> int:
    """Courses of 2 to 20 kB; returns their bytes."""
    folder.mkdir(parents=True)
    numbers, total = random.Random(7), 0
    for number in range(count):
        items = [{"id": item, "text": "question " * numbers.randint(5, 50)} for item in range(numbers.randint(10, 60))]
        data = json.dumps({"title": f"Course {number}", "items": items}).encode()
        total += len(data)
        (folder / f"course-{number}.json").write_bytes(data)
    return total


def loop(server: PostgresServer, config: Path, count: int) -> Done:
    options = server.options("learnplay").keywords
    environment = {
        **os.environ,
        "CONFIG": str(config),
        "COUNT": str(count),
        "PATH": f"{ROOT / '.venv/bin'}:{server.bin_dir}:{os.environ['PATH']}",
        "PGHOST": str(options["host"]),
        "PGPORT": str(options["port"]),
        "PGUSER": str(options["user"]),
        "PGPASSWORD": str(options["password"]),
        "PGDATABASE": "learnplay",
    }
    with subprocess.Popen(["bash", "-euo", "pipefail", "-c", _LOOP], env=environment) as process:
        watch = PeakMemory(process.pid)
        if process.wait() not in (0, 141):
            raise RuntimeError("the shell loop failed")
    return Done(None, count, watch.peak)


def rebuild(server: PostgresServer, bucket: S3Server) -> Done:
    arguments = {
        **server.module_options("learnplay"),
        "files": bucket.store_options(prefix="courses"),
        "state": "rebuilt",
        "publisher": PUBLISHER,
    }
    began = time.monotonic()
    with start_module("course_version_restore", arguments) as process:
        watch = PeakMemory(process.pid)
        result = parse_result(*process.communicate())
    print(f"    {result['summary']} {result['timings']} {time.monotonic() - began:.1f} s", flush=True)
    return Done(result["requests"], result["rebuilt"], watch.peak)


if __name__ == "__main__":
    main()
