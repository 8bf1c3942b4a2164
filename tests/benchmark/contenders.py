# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Each way to back up and to restore, as its users would run it."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import typing as t
from pathlib import Path

from tests.benchmark.measure import PeakMemory
from tests.benchmark.workload import CHANGED, STUDENTS, STUDENTS_LIST, STUDENTS_TABLES
from tests.support.runner.modules import parse_result, start_module
from tests.support.servers.postgres import PostgresServer
from tests.support.servers.s3 import S3Server

Facts = dict[str, int]


class Contenders:
    """All of them on one server, one S3 server and one scratch folder."""

    def __init__(self, server: PostgresServer, s3: S3Server, database: str, scratch: Path) -> None:
        self._server, self._s3, self._database, self._scratch = server, s3, database, scratch
        self._environment = server.options(database).environment()
        self._runs = 0

    def plan(self) -> Facts:
        """pg_dump into gzip, a digest, an upload: one after the other, as shell scripts do."""
        dump = self._scratch / "plan.sql.gz"
        with dump.open("wb") as target:
            source = subprocess.Popen([self._tool("pg_dump")], env=self._environment, stdout=subprocess.PIPE)
            subprocess.run(["gzip"], stdin=source.stdout, stdout=target, check=True)
            if source.wait() != 0:
                raise RuntimeError("pg_dump failed")
        subprocess.run(["sha256sum", str(dump)], check=True, stdout=subprocess.DEVNULL)
        self._s3.client().upload_file(str(dump), self._s3.bucket, "plan/plan.sql.gz")
        return {"stored": dump.stat().st_size, "uploaded": dump.stat().st_size}

    def bare_dump(self, *options: str) -> Facts:
        """A directory archive on the local disk; the one with default options is what the restore reads."""
        folder = self._scratch / ("bare" + "".join(options))
        shutil.rmtree(folder, ignore_errors=True)
        command = [self._tool("pg_dump"), "-Fd", "-j2", *options, "-f", str(folder)]
        subprocess.run(command, env=self._environment, check=True)
        return {"stored": sum(path.stat().st_size for path in folder.iterdir())}

    def ours(self, fingerprint: str, *, again: bool = False) -> Facts:
        """The module as Ansible runs it; a source of its own each time unless it is to follow the last one."""
        self._runs += 0 if again else 1
        result, peak = self._module(
            "pg_backup",
            {
                "source": f"run{self._runs}",
                "store": self._s3.store_options(prefix="ours"),
                "fingerprint": fingerprint,
                **self._server.module_options(self._database),
            },
        )
        return {"peak": peak, "stored": result["bytes_stored"], "uploaded": result["bytes_uploaded"]} | (
            {"table": self._stored_size(result["set_id"], CHANGED)} if again else {}
        )

    def psql(self) -> None:
        with self._target("restored_by_psql") as name:
            options = self._server.options(name).environment()
            source = subprocess.Popen(["gzip", "-dc", str(self._scratch / "plan.sql.gz")], stdout=subprocess.PIPE)
            command = [self._tool("psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1", "-f", "-"]
            subprocess.run(command, env=options, stdin=source.stdout, stdout=subprocess.DEVNULL, check=True)
            source.wait()

    def bare_restore(self) -> None:
        with self._target("restored_bare") as name:
            command = [self._tool("pg_restore"), "-j2", "-d", name, str(self._scratch / "bare")]
            subprocess.run(command, env=self._server.options(name).environment(), check=True)

    def our_restore(self, fingerprint: str) -> Facts:
        name = f"restored_by_us_{fingerprint}"
        try:
            _result, peak = self._module(
                "pg_restore",
                {
                    "source": f"run{self._runs}",
                    "store": self._s3.store_options(prefix="ours"),
                    "target_db": name,
                    "fingerprint": fingerprint,
                    **self._server.module_options(),
                },
            )
        finally:
            self._server.drop_database(name)
        return {"peak": peak}

    def plan_rows(self) -> None:
        """The whole dump, downloaded and loaded into a temporary database; then some rows are copied over."""
        dump = self._scratch / "downloaded.sql.gz"
        self._s3.client().download_file(self._s3.bucket, "plan/plan.sql.gz", str(dump))
        with self._target("restored_for_rows") as name:
            source = subprocess.Popen(["gzip", "-dc", str(dump)], stdout=subprocess.PIPE)
            options = self._server.options(name).environment()
            command = [self._tool("psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1"]
            subprocess.run(
                [*command, "-f", "-"], env=options, stdin=source.stdout, stdout=subprocess.DEVNULL, check=True
            )
            source.wait()
            for table, column in STUDENTS_TABLES.items():
                query = f"COPY (SELECT * FROM {table} WHERE {column} IN ({STUDENTS_LIST})) TO STDOUT"
                rows = subprocess.run([*command, "-c", query], env=options, stdout=subprocess.PIPE, check=True).stdout
                load = [*command, "-c", f"COPY {table} FROM STDIN"]
                subprocess.run(load, env=self._environment, input=rows, check=True)

    def our_rows(self) -> Facts:
        """The same rows straight from the set; table is what the tables that were named take there."""
        source = f"run{self._runs}"
        keys = {table: {"columns": [column], "values": list(STUDENTS)} for table, column in STUDENTS_TABLES.items()}
        result, peak = self._module(
            "pg_restore_table",
            {
                "source": source,
                "store": self._s3.store_options(prefix="ours"),
                "keys": keys,
                "recovery_environment": "sandbox",
                **self._server.module_options(self._database),
            },
        )
        stored = sum(self._stored_size(result["set_id"], table) for table in STUDENTS_TABLES)
        return {"peak": peak, "table": stored, "fetched": result["bytes_fetched"]}

    def _stored_size(self, set_id: str, table: str) -> int:
        """The size of the rows of a table in a set, from its manifest."""
        key = f"ours/run{self._runs}/daily/sets/{set_id}.json"
        manifest = json.load(self._s3.client().get_object(Bucket=self._s3.bucket, Key=key)["Body"])
        return sum(entry["stored_size"] for entry in manifest["objects"] if entry["table"].split(".")[-1] == table)

    def _module(self, name: str, arguments: dict[str, t.Any]) -> tuple[dict[str, t.Any], int]:
        with start_module(name, arguments) as process:
            memory = PeakMemory(process.pid)
            output, errors = process.communicate()
        return parse_result(output, errors), memory.peak

    def _tool(self, name: str) -> str:
        return str(self._server.bin_dir / name)

    @contextlib.contextmanager
    def _target(self, name: str) -> t.Iterator[str]:
        self._server.create_database(name)
        try:
            yield name
        finally:
            self._server.drop_database(name)
