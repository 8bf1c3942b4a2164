# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Times the backup of a bucket of many small files and of rclone, in one run."""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
import typing as t
from datetime import datetime, timezone
from pathlib import Path

from tests.benchmark.measure import PeakMemory
from tests.support.runner.modules import parse_result, start_module
from tests.support.runner.server import ROOT
from tests.support.servers.s3 import S3Server, rclone_server

_FOLDERS = 200


class Row(t.NamedTuple):
    """Seconds, requests and files written where they are known, and peak memory in bytes."""

    seconds: float
    requests: int | None
    files: int | None
    peak: int


class Done(t.NamedTuple):
    """One run of a contender; files are those that it read, or that it restored."""

    requests: int | None
    files: int | None
    peak: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--changed", type=int, default=10)
    parser.add_argument("--output", type=Path, help="where the JSON goes")
    options = parser.parse_args()
    rows: dict[str, Row] = {}
    sizes: list[int] = []
    with (
        rclone_server(etags=False, fill=lambda folder: sizes.append(make_files(folder, options.files))) as origin,
        rclone_server(etags=False) as store,
        tempfile.TemporaryDirectory(prefix="lifeline-buckets-") as scratch,
    ):
        (size,) = sizes
        print(f"{options.files} files, {size / 1e6:.0f} MB", flush=True)
        remotes = rclone_remotes(Path(scratch), origin, store)
        ours = Ours(origin, store)
        note(rows, "rclone sync, all", lambda: rclone(remotes, "sync", "origin:backups/media", "store:backups/mirror"))
        note(rows, "lifeline, first backup", ours.backup)
        change_files(origin, options.files, options.changed)
        note(
            rows,
            "rclone sync, 10 changed",
            lambda: rclone(remotes, "sync", "origin:backups/media", "store:backups/mirror"),
        )
        note(rows, "lifeline, 10 changed", ours.backup)
        delete_folder(origin, "media/folder-7/")
        note(
            rows,
            "rclone copy, one prefix",
            lambda: rclone(remotes, "copy", "store:backups/mirror/folder-7", "origin:backups/media/folder-7"),
        )
        delete_folder(origin, "media/folder-7/")
        note(rows, "lifeline, one prefix restored", lambda: ours.restore("folder-7/"))
    output = options.output or ROOT / "reports" / f"buckets-{datetime.now(timezone.utc):%Y%m%dT%H%M%SZ}.json"
    report(rows, options.files, size, output)


def make_files(bucket: Path, count: int) -> int:
    """Small files, of 200 to 6000 bytes, as thumbnails and documents are; returns their bytes."""
    chance, total = random.Random(7), 0
    folder = bucket / "media"
    for number in range(_FOLDERS):
        (folder / f"folder-{number}").mkdir(parents=True)
    for number in range(count):
        data = chance.randbytes(chance.randint(200, 3000)) + b"text " * chance.randint(0, 600)
        total += len(data)
        (folder / f"folder-{number % _FOLDERS}/file-{number}").write_bytes(data)
    return total


def change_files(server: S3Server, count: int, changed: int) -> None:
    for number in random.Random(8).sample(range(count), changed):
        key = f"media/folder-{number % _FOLDERS}/file-{number}"
        server.client().put_object(Bucket=server.bucket, Key=key, Body=hashlib.sha256(key.encode()).digest() * 20)


def delete_folder(server: S3Server, prefix: str) -> None:
    client = server.client()
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=server.bucket, Prefix=prefix):
        for item in page["Contents"]:
            client.delete_object(Bucket=server.bucket, Key=item["Key"])


class Ours:
    """The modules as Ansible runs them."""

    def __init__(self, origin: S3Server, store: S3Server) -> None:
        self._arguments = {
            "source": "media",
            "files": origin.store_options(prefix="media"),
            "store": store.store_options(prefix="ours"),
        }

    def backup(self) -> Done:
        return self._run("bucket_backup", {}, "files_changed")

    def restore(self, prefix: str) -> Done:
        return self._run("bucket_restore", {"prefixes": [prefix]}, "restored")

    def _run(self, name: str, options: dict[str, t.Any], files: str) -> Done:
        with start_module(name, {**self._arguments, **options}) as process:
            watch = PeakMemory(process.pid)
            result = parse_result(*process.communicate())
        print(f"    {result['summary']} {result['timings']}", flush=True)
        return Done(result["requests"], result[files], watch.peak)


def rclone_remotes(folder: Path, origin: S3Server, store: S3Server) -> Path:
    file = folder / "rclone.conf"
    file.write_text(
        "".join(
            f"[{name}]\ntype = s3\nprovider = Other\nendpoint = {server.endpoint_url}\n"
            f"access_key_id = {server.access_key}\nsecret_access_key = {server.secret_key}\n\n"
            for name, server in (("origin", origin), ("store", store))
        )
    )
    return file


def rclone(config: Path, *command: str) -> Done:
    program = shutil.which("rclone", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}") or "rclone"
    with subprocess.Popen(
        [program, *command, "--config", str(config), "--transfers", "16", "--checkers", "16", "--quiet"]
    ) as process:
        watch = PeakMemory(process.pid)
        if process.wait() != 0:
            raise RuntimeError("rclone failed")
    return Done(None, None, watch.peak)


def note(rows: dict[str, Row], name: str, work: t.Callable[[], Done]) -> None:
    began = time.monotonic()
    done = work()
    rows[name] = Row(time.monotonic() - began, *done)
    print(f"{name:28s}{rows[name].seconds:9.2f} s{done.requests or '':>10}{done.peak / 1e6:9.0f} MB", flush=True)


def report(rows: dict[str, Row], files: int, size: int, output: Path) -> None:
    names = list(rows)
    ratios = {
        f"{ours} / {theirs}": round(rows[ours].seconds / rows[theirs].seconds, 3)
        for theirs, ours in zip(names[::2], names[1::2])
    }
    for label, ratio in ratios.items():
        print(f"{label:56s}{ratio:8.3f}")
    output.parent.mkdir(parents=True, exist_ok=True)
    results = {name: row._asdict() for name, row in rows.items()}
    output.write_text(
        json.dumps({"files": files, "bytes": size, "results": results, "ratios": ratios}, indent=2) + "\n"
    )
    print(f"written to {output}")


if __name__ == "__main__":
    main()
