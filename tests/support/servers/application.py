# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A sandbox with the sample application, as drills start it, for tests without a playbook."""

from __future__ import annotations

import contextlib
import subprocess
import tempfile
import typing as t
from dataclasses import dataclass
from pathlib import Path

import psycopg2
from jinja2 import Environment, FileSystemLoader

from tests.support.runner.modules import run_module
from tests.support.runner.server import ROOT

DATABASE = "learnplay"
_TEMPLATE = "sample"


@dataclass(frozen=True)
class ApplicationSandbox:
    """path: the folder of the sandbox. started: the result of the module that started it."""

    path: Path
    started: t.Mapping[str, t.Any]

    @property
    def url(self) -> str:
        return str(self.started["application"]["url"])

    @property
    def login(self) -> dict[str, t.Any]:
        """The options of the connection, without a database."""
        names = ("login_host", "login_port", "login_user", "login_password")
        return {name: self.started["connection"][name] for name in names}

    def run(self, *statements: str, database: str = DATABASE) -> None:
        login = self.started["connection"]
        with contextlib.closing(
            psycopg2.connect(
                host=login["login_host"], port=login["login_port"], user=login["login_user"],
                password=login["login_password"], dbname=database,
            )
        ) as conn:  # fmt: skip
            conn.autocommit = True
            for statement in statements:
                with conn.cursor() as cursor:
                    cursor.execute(statement)

    def reset(self) -> None:
        """Give database and buckets the content of the sample again."""
        drop = f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)"
        self.run(drop, f"CREATE DATABASE {DATABASE} TEMPLATE {_TEMPLATE}", database="postgres")
        for bucket, files in self.started["application"]["files"].items():
            folder = str(self.path / "published" / bucket)
            run_module("r2_object", {"files": files, "key": "", "src": folder, "sync": True, "delete": True})

    def inject(self, fault: str, **options: t.Any) -> dict[str, t.Any]:
        arguments = {
            "fault": fault,
            "database": DATABASE,
            "sandbox_path": str(self.path),
            "system_identifier": self.started["system_identifier"],
            "recovery_environment": "sandbox",
            **self.login,
            **options,
        }
        return run_module("drill_fault", arguments)


@contextlib.contextmanager
def application_sandbox() -> t.Iterator[ApplicationSandbox]:
    # Below /tmp, because the server runs as another user, who cannot enter folders of pytest.
    with tempfile.TemporaryDirectory(prefix="lifeline-application-", dir="/tmp") as folder:
        Path(folder).chmod(0o755)
        path = Path(folder) / "sandbox"
        try:
            started = run_module("sandbox", {"path": str(path), "application_database": DATABASE})
            sandbox = ApplicationSandbox(path, started)
            sandbox.run(f"CREATE DATABASE {_TEMPLATE}", database="postgres")
            sandbox.run(sample_sql(), database=_TEMPLATE)
            sandbox.run(f"CREATE DATABASE {DATABASE} TEMPLATE {_TEMPLATE}", database="postgres")
            subprocess.run([*started["application"]["publish"], str(path / "published")], check=True)
            sandbox.reset()
            yield sandbox
        finally:
            removed = run_module("sandbox", {"path": str(path), "state": "absent"})
        assert removed["removed"] is True


def sample_sql(rows: int = 1000) -> str:
    folder = ROOT / "roles/sandbox/templates"
    environment = Environment(loader=FileSystemLoader(folder), autoescape=False)
    return environment.get_template("application.sql.j2").render(sandbox_rows=rows)
