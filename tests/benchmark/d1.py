# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Times backup and restore of a large database of D1 beside wrangler, in one run, and reports failures of wrangler."""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import subprocess
import tempfile
import threading
import time
import typing as t
from datetime import datetime, timezone
from pathlib import Path

import psutil

from tests.benchmark.measure import PeakMemory
from tests.support.data.torture import TORTURE
from tests.support.runner.modules import parse_result, run_module, start_module
from tests.support.runner.server import ROOT
from tests.support.servers.d1 import D1Server, d1_server, node_modules, object_id, program
from tests.support.servers.d1.native import NativeD1

_PACKAGE = Path(__file__).parent / "wrangler" / "package.json"

#: So many rows go into one statement of the file that fills the database.
_TOGETHER = 200

_MESSAGE = "It''s a message. "

#: The tables of a school, and their share of the rows. References are to tables before.
SCHOOL = {
    "tenants": (0.0002, "id INTEGER PRIMARY KEY, name TEXT NOT NULL, plan TEXT, created TEXT"),
    "users": (
        0.1,
        "id INTEGER PRIMARY KEY, tenant INTEGER NOT NULL REFERENCES tenants(id), email TEXT UNIQUE, name TEXT,"
        " created TEXT",
    ),
    "bookings": (
        0.5,
        "id INTEGER PRIMARY KEY, tenant INTEGER NOT NULL, user INTEGER NOT NULL REFERENCES users(id), room TEXT,"
        " at TEXT, minutes INTEGER, price REAL",
    ),
    "payments": (
        0.25,
        "id INTEGER PRIMARY KEY, booking INTEGER NOT NULL REFERENCES bookings(id), cents INTEGER, method TEXT,"
        " paid TEXT",
    ),
    "messages": (0.1498, "id INTEGER PRIMARY KEY, user INTEGER NOT NULL REFERENCES users(id), body TEXT, read INTEGER"),
}


class Row(t.NamedTuple):
    """Seconds, peak memory in bytes, and how it ended: the exit status and the message of a failure."""

    seconds: float
    peak: int
    status: int = 0
    said: str = ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--limit", type=float, default=900, help="seconds after which a command of wrangler is ended")
    parser.add_argument("--skip", action="append", default=[], choices=["wrangler"], help="leave a contender out")
    parser.add_argument("--output", type=Path, help="where the JSON goes")
    options = parser.parse_args()
    rows: dict[str, Row] = {}
    with d1_server() as server, tempfile.TemporaryDirectory(prefix="lifeline-d1-") as scratch:
        folder = Path(scratch)
        size = fill(server, folder, options.rows)
        print(f"{options.rows} rows, a file of {size / 1e6:.0f} MB; the torture tables beside them", flush=True)
        wrangler = find_wrangler(folder, options.limit, skipped="wrangler" in options.skip)
        if wrangler is not None:
            wrangler.take(server, "plain")
            wrangler.take(server, "tables")
        torture(server, "plain")
        if wrangler is not None:
            wrangler.take(server, "whole", "plain")
        ours(rows, server, folder)
        if wrangler is not None:
            wrangler.there_and_back(rows, "all with full-text search", "whole")
            wrangler.there_and_back(rows, "the torture tables alone", "tables")
            wrangler.there_and_back(rows, "the school alone", "plain")
    output = options.output or ROOT / "reports" / f"d1-{datetime.now(timezone.utc):%Y%m%dT%H%M%SZ}.json"
    report(rows, options.rows, size, output)


def fill(server: D1Server, folder: Path, rows: int) -> int:
    """Make the school, and beside it a database of the torture tables that an export takes; the size of the first."""
    native = NativeD1(server)
    for name in ("plain", "tables"):
        native.create(name)
    script = folder / "school.sql"
    with script.open("w", encoding="utf-8") as stream:
        stream.writelines(school(rows))
    native.import_file("plain", script)
    script.unlink()
    torture(server, "tables")
    for row in native.query("tables", "SELECT name FROM sqlite_schema WHERE sql LIKE 'CREATE VIRTUAL%'"):
        native.query("tables", f"DROP TABLE {row['name']}")
    return int(native.call("GET", "/plain")["file_size"])


def torture(server: D1Server, database: str) -> None:
    for sql, params in TORTURE:
        run_module("d1_execute", {**server.options(database), "sql": sql, "params": params})


def school(rows: int) -> t.Iterator[str]:
    """A file of SQL, the same each time."""
    counts = {name: max(1, int(rows * share)) for name, (share, _columns) in SCHOOL.items()}
    chance = random.Random(7)
    values = {
        "tenants": lambda i: f"({i},'School {i}','plan-{i % 3}','2026-01-01T00:00:00Z')",
        "users": lambda i: (
            f"({i},{1 + i % counts['tenants']},'user{i}@school.example','Name of {i}','2026-02-{1 + i % 28:02}')"
        ),
        "bookings": lambda i: (
            f"({i},{1 + i % counts['tenants']},{1 + i % counts['users']},'Room {i % 90}',"
            f"'2026-{1 + i % 12:02}-{1 + i % 28:02}T{i % 24:02}:00:00Z',"
            f"{15 * (1 + i % 8)},{chance.randint(0, 9999) / 100})"
        ),
        "payments": lambda i: (
            f"({i},{1 + i % counts['bookings']},{chance.randint(100, 20000)},'{'card' if i % 3 else 'invoice'}',"
            f"'2026-{1 + i % 12:02}-{1 + i % 28:02}')"
        ),
        "messages": lambda i: f"({i},{1 + i % counts['users']},'{'Its a message. ' * chance.randint(1, 12)}',{i % 2})",
    }
    for name, (_share, columns) in SCHOOL.items():
        yield f"CREATE TABLE {name} ({columns});\n"
        for start in range(1, counts[name] + 1, _TOGETHER):
            several = ",".join(map(values[name], range(start, min(start + _TOGETHER, counts[name] + 1))))
            yield f"INSERT INTO {name} VALUES {several};\n"
    yield "CREATE INDEX bookings_of_user ON bookings(user);\n"


def ours(rows: dict[str, Row], server: D1Server, folder: Path) -> None:
    """The modules as Ansible runs them. A backup loads what it wrote and compares; a restore reads it all back."""
    what = {"source": "school", "store": {"provider": "directory", "path": str(folder / "store")}}
    note(rows, "lifeline, backup of all", lambda: module("d1_backup", {**what, **server.options("plain")}))
    note(rows, "lifeline, restore of all", lambda: module("d1_restore", {**what, **server.options("back")}))


def module(name: str, options: dict[str, t.Any]) -> Row:
    began = time.monotonic()
    with start_module(name, options) as process:
        watch = PeakMemory(process.pid)
        result = parse_result(*process.communicate())
    print(f"    {result['summary']} {result['timings']}", flush=True)
    return Row(time.monotonic() - began, watch.peak)


class Wrangler:
    """Cloudflare's program upon databases of its own, which workerd keeps in a folder."""

    def __init__(self, folder: Path, limit: float) -> None:
        modules = node_modules(_PACKAGE, ROOT / ".cache" / "node-wrangler")
        self._command = [program("node"), str(modules / "wrangler" / "bin" / "wrangler.js"), "d1"]
        self._folder, self._limit = folder, limit
        self._names: list[str] = []

    def take(self, server: D1Server, name: str, database: str = "") -> None:
        """Have a database under this name, a copy of one of the server's."""
        state = self._folder / ".wrangler" / "state" / "v3" / "d1" / "miniflare-D1DatabaseObject"
        server.copy(database or name, state / f"{object_id('miniflare-D1DatabaseObject', name)}.sqlite")
        self._names += [name, f"{name}-back"]
        tables = "".join(
            f'\n[[d1_databases]]\nbinding = "DB{number}"\ndatabase_name = "{known}"\ndatabase_id = "{known}"\n'
            for number, known in enumerate(self._names)
        )
        config = f'name = "benchmark"\ncompatibility_date = "2026-01-01"\n{tables}'
        (self._folder / "wrangler.toml").write_text(config)

    def there_and_back(self, rows: dict[str, Row], what: str, name: str) -> None:
        """Export a database, and run that into an empty one."""
        file = self._folder / f"{name}.sql"
        done = note(rows, f"wrangler, export of {what}", lambda: self._run("export", name, "--output", str(file)))
        if done.status == 0:
            print(f"    a file of {file.stat().st_size / 1e6:.0f} MB", flush=True)
            back = ("execute", f"{name}-back", "--yes", "--file", str(file))
            note(rows, f"wrangler, execute of {what}", lambda: self._run(*back))
        file.unlink(missing_ok=True)

    def _run(self, action: str, name: str, *options: str) -> Row:
        output = self._folder / "output.txt"
        settings = {"WRANGLER_SEND_METRICS": "false", "CI": "1", "HOME": str(self._folder), "NO_COLOR": "1"}
        began = time.monotonic()
        with (
            output.open("wb") as stream,
            subprocess.Popen(
                [*self._command, action, name, "--local", *options],
                cwd=self._folder,
                env={**os.environ, **settings},
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
            ) as process,
        ):
            watch = PeakOfPrograms(process.pid, "node")
            try:
                status = process.wait(self._limit)
            except subprocess.TimeoutExpired:
                status = -1
                watch.end()
                output.write_text(f"ended after {self._limit:.0f} s")
        seconds = time.monotonic() - began
        return Row(seconds, watch.peak, status, "" if status == 0 else reason(output.read_text(errors="replace")))


def find_wrangler(folder: Path, limit: float, *, skipped: bool = False) -> Wrangler | None:
    """Wrangler, or None with a line that names why it is left out: our side is measured without it as well."""
    if skipped:
        print("wrangler is left out, as --skip demands", flush=True)
        return None
    try:
        return Wrangler(folder, limit)
    except (RuntimeError, OSError, subprocess.CalledProcessError) as error:
        print(f"wrangler is left out: {error}", flush=True)
        return None


class PeakOfPrograms:
    """Watches the largest resident size of the programs of this name that a process starts, until it ends."""

    def __init__(self, pid: int, name: str) -> None:
        self.peak = 0
        self._root, self._name = psutil.Process(pid), name
        threading.Thread(target=self._watch, daemon=True).start()

    def end(self) -> None:
        """End the process and all that it started."""
        for process in [*self._root.children(recursive=True), self._root]:
            process.kill()

    def _watch(self) -> None:
        while True:
            try:
                found = [self._root, *self._root.children(recursive=True)]
                sizes = [item.memory_info().rss for item in found if item.name().startswith(self._name)]
            except psutil.NoSuchProcess:
                if not self._root.is_running():
                    return
                continue
            if not sizes:
                return
            self.peak = max(self.peak, sum(sizes))
            time.sleep(0.05)


_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


def reason(output: str) -> str:
    """The first line with an error."""
    lines = [_COLOURS.sub("", line).strip() for line in output.splitlines() if line.strip()]
    found = [line for line in lines if "error" in line.lower() or "failed" in line.lower() or "D1" in line]
    return next(iter([*found, *lines[-1:]]), "no message")[:160]


def note(rows: dict[str, Row], name: str, work: t.Callable[[], Row]) -> Row:
    row = work()
    rows[name] = row
    end = "" if row.status == 0 else f"  exit status {row.status}: {row.said}"
    print(f"{name:48s}{row.seconds:9.2f} s{row.peak / 1e6:9.0f} MB{end}", flush=True)
    return row


def report(rows: dict[str, Row], count: int, size: int, output: Path) -> None:
    pairs = {
        "lifeline, backup of all": "wrangler, export of the school alone",
        "lifeline, restore of all": "wrangler, execute of the school alone",
    }
    ratios = {
        f"{mine} / {theirs}": round(rows[mine].seconds / rows[theirs].seconds, 3)
        for mine, theirs in pairs.items()
        if theirs in rows and rows[theirs].status == 0
    }
    for label, ratio in ratios.items():
        print(f"{label:72s}{ratio:8.3f}")
    output.parent.mkdir(parents=True, exist_ok=True)
    results = {name: row._asdict() for name, row in rows.items()}
    output.write_text(json.dumps({"rows": count, "bytes": size, "results": results, "ratios": ratios}, indent=2) + "\n")
    print(f"written to {output}")


if __name__ == "__main__":
    main()
