# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An application and its writes are stopped in order, and its state before is restored, also after failures."""

from __future__ import annotations

import secrets
import subprocess
import typing as t
from dataclasses import dataclass
from pathlib import Path

import psycopg2
import pytest

from tests.support.playbooks import play
from tests.support.runner.modules import run_module
from tests.support.servers.postgres import PostgresServer

Options = dict[str, t.Any]
PASSWORD = secrets.token_hex(8)


def flat(text: str) -> str:
    return " ".join(text.replace('\\"', '"').split())


@dataclass
class Site:
    """A page, a program that runs while a file exists, and a database that a role of the application writes to."""

    server: PostgresServer
    database: str
    store: Options
    folder: Path

    @property
    def role(self) -> str:
        return f"app_{self.database}"

    @property
    def running(self) -> Path:
        return self.folder / "running"

    @property
    def steps(self) -> list[Options]:
        own = {"state_dir": str(self.folder / "states"), "timeout": 3}
        running = str(self.running)
        stops = {"stop": ["rm", running], "start": ["touch", running], "status": ["test", "-e", running]}
        probe = {"login_user": self.role, "login_password": PASSWORD}
        return [
            {"name": "page", "flag_file": {"path": str(self.folder / "page.html")}, **own},
            {"name": "program", "command": stops, **own},
            {"name": "writes", "writes": {"roles": [self.role], "means": ["nologin"], "probe": probe}},
        ]

    def play(
        self, name: str, *arguments: str, steps: list[Options] | None = None, **options: t.Any
    ) -> subprocess.CompletedProcess[str]:
        connection = {name: value for name, value in self.server.module_options().items() if name != "login_db"}
        source = {
            "name": "app", "database": self.database, "connection": connection,
            "maintenance_steps": steps or self.steps,
            **options,
        }  # fmt: skip
        inventory = {"recovery_sources": [source], "recovery_source": "app", "recovery_store": self.store}
        done = play(name, inventory, self.folder, *arguments)
        assert PASSWORD not in done.stdout + done.stderr
        return done

    def set(self, action: str, *arguments: str, steps: list[Options] | None = None) -> str:
        """Run an action that succeeds; its output without line breaks."""
        done = self.play("maintenance", "-e", f"maintenance_action={action}", *arguments, steps=steps)
        assert done.returncode == 0, done.stdout + done.stderr
        return flat(done.stdout)

    def state(self) -> tuple[bool, bool, bool]:
        """Whether the page is shown, whether the program runs, and whether the application can write."""
        try:
            with self.server.session(self.database, user=self.role, password=PASSWORD) as cursor:
                cursor.execute("INSERT INTO public.a VALUES (1)")
            writes = True
        except psycopg2.OperationalError as error:
            assert "not permitted to log in" in str(error)
            writes = False
        return (self.folder / "page.html").exists(), self.running.exists(), writes


UP, DOWN = (False, True, True), (True, False, False)


@pytest.fixture
def site(postgres: PostgresServer, database: str, store: Options, tmp_path: Path) -> t.Iterator[Site]:
    found = Site(postgres, database, store, tmp_path)
    found.running.touch()
    with postgres.session(database) as cursor:
        cursor.execute(f"CREATE ROLE {found.role} LOGIN PASSWORD '{PASSWORD}'")
        cursor.execute(f"CREATE TABLE public.a (n int); GRANT INSERT ON public.a TO {found.role}")
    yield found
    with postgres.session(database) as cursor:
        cursor.execute(f"DROP OWNED BY {found.role}; DROP ROLE {found.role}")


@pytest.mark.slow
def test_a_maintenance_is_in_effect_until_it_is_ended_also_within_a_playbook_that_fails(site: Site) -> None:
    folder = site.folder / "migrations"
    folder.mkdir()
    seen = f"SELECT rolcanlogin FROM pg_roles WHERE rolname = '{site.role}'"
    (folder / "1_seen.sql").write_text(f"CREATE TABLE public.seen AS {seen};")
    (folder / "2_wrong.sql").write_text("SELECT missing FROM public.seen;")

    def migrate() -> None:
        """Apply one migration, and fail in the next one."""
        extra = ("-e", "recovery_maintenance=true", "-e", "recovery_emergency=false")
        failed = site.play("migrate", *extra, migrations_path=str(folder))
        assert failed.returncode == 2 and 'column "missing" does not exist' in flat(failed.stdout), failed.stdout

    planned = site.set("on", "--check")
    assert site.state() == UP and "Would begin 3 steps: page, program, writes" in planned
    begun = site.set("on")
    assert site.state() == DOWN
    assert f"writes of {site.role} are refused" in begun and "(login)" in begun
    # The maintenance of another run stays.
    migrate()
    assert site.state() == DOWN
    # A program that did not run before is not started: the stored state is that of the first run.
    ended = site.set("off")
    assert "Ended 3 steps: writes, program, page" in ended and site.state() == UP
    with site.server.session(site.database) as cursor:
        cursor.execute("DROP TABLE public.seen; DELETE FROM supabase_migrations.schema_migrations")
    site.running.unlink()
    migrate()
    with site.server.session(site.database) as cursor:
        cursor.execute("SELECT rolcanlogin FROM public.seen")
        assert cursor.fetchall() == [(False,)]
    assert site.state() == (False, False, True)


@pytest.mark.slow
def test_a_step_that_fails_ends_the_steps_before_it(site: Site) -> None:
    broken = site.steps
    # The program does not stop.
    broken[1] = {**broken[1], "command": {**broken[1]["command"], "stop": ["true"]}, "timeout": 1}
    done = site.play("maintenance", "-e", "maintenance_action=on", steps=broken)
    assert done.returncode == 2 and "the application runs" in flat(done.stdout)
    assert "each step that this run began was ended again" in flat(done.stdout)
    assert site.state() == UP
    assert not run_module("audit_info", {"source": "app", "store": site.store, "operation": "stop_writes"})["records"]
