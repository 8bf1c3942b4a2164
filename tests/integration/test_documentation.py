# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The commands of the documentation do what the documentation promises."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest
import yaml

from tests.support.data.identity import make_identity
from tests.support.data.school import load_school
from tests.support.documentation import commands_of
from tests.support.runner.modules import run_module, tree
from tests.support.runner.server import ROOT
from tests.support.servers.postgres import PostgresServer
from tests.support.servers.s3 import S3Server


@pytest.fixture
def by_hand(postgres: PostgresServer, database: str, tmp_path: Path) -> t.Iterator[dict[str, str]]:
    """The environment of who restores by hand: an empty folder, and a database that is not there yet."""
    options = postgres.options("postgres").environment()
    options.pop("PGDATABASE")
    (tmp_path / "work").mkdir()
    target = f"{database}_by_hand"
    yield {
        **options,
        "PATH": f"{postgres.bin_dir}:/usr/bin:{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "SOURCE": "school",
        "WORK": str(tmp_path / "work"),
        "TARGET": target,
    }
    postgres.drop_database(target)


def require_equal(postgres: PostgresServer, target: str, store: dict[str, t.Any], set_id: str) -> None:
    checked = run_module(
        "integrity_check",
        {
            "source": "school",
            "set": set_id,
            "store": store,
            "checks": [{"type": "fingerprint"}, {"type": "foreign_keys"}],
            **postgres.module_options(target),
        },
    )
    assert checked["verdict"] == "passed"


@pytest.mark.skipif(shutil.which("zstd") is None, reason="needs the program zstd")
def test_a_set_is_restored_by_hand(
    postgres: PostgresServer, database: str, folder_store: dict[str, t.Any], by_hand: dict[str, str], tmp_path: Path
) -> None:
    load_school(postgres, database)
    taken = run_module("pg_backup", {"source": "school", "store": folder_store, **postgres.module_options(database)})
    command = commands_of("docs/restore-by-hand.md", 1)
    environment = {**by_hand, "STORE": folder_store["path"]}
    subprocess.run(command, env=environment, check=True, capture_output=True)
    require_equal(postgres, by_hand["TARGET"], folder_store, taken["set_id"])
    postgres.drop_database(by_hand["TARGET"])
    largest = max(Path(folder_store["path"]).rglob("objects/*/*"), key=lambda path: path.stat().st_size)
    data = bytearray(largest.read_bytes())
    data[len(data) // 2] ^= 1
    largest.chmod(0o600)
    largest.write_bytes(data)
    shutil.rmtree(tmp_path / "work")
    (tmp_path / "work").mkdir()
    assert subprocess.run(command, env=environment, check=False, capture_output=True).returncode != 0
    with postgres.session() as cursor:
        cursor.execute("SELECT count(*) FROM pg_database WHERE datname = %s", (by_hand["TARGET"],))
        assert cursor.fetchone() == (0,)


@pytest.mark.skipif(
    not all(Path("/usr/bin", program).exists() for program in ("zstd", "age", "aws")),
    reason="needs the programs zstd, age and aws",
)
def test_an_encrypted_set_in_a_bucket_is_restored_by_hand(
    postgres: PostgresServer,
    database: str,
    s3: S3Server,
    store: dict[str, t.Any],
    by_hand: dict[str, str],
    tmp_path: Path,
) -> None:
    load_school(postgres, database)
    identity = make_identity(tmp_path / "identity")
    sealed = {**store, "encrypt_to": [identity.recipient], "name_key": "a-key-for-names-of-tests"}
    taken = run_module("pg_backup", {"source": "school", "store": sealed, **postgres.module_options(database)})
    environment = {
        **by_hand,
        "STORE": str(tmp_path / "fetched"),
        "ENDPOINT": s3.endpoint_url,
        "BUCKET": s3.bucket,
        "PREFIX": store["prefix"],
        "AWS_ACCESS_KEY_ID": s3.access_key,
        "AWS_SECRET_ACCESS_KEY": s3.secret_key,
        "AWS_DEFAULT_REGION": "us-east-1",
        "IDENTITY": str(identity.file),
    }
    for number in (0, 1):
        subprocess.run(commands_of("docs/restore-by-hand.md", number), env=environment, check=True, capture_output=True)
    reading = {**sealed, "identity_file": str(identity.file)}
    require_equal(postgres, by_hand["TARGET"], reading, taken["set_id"])


def test_a_set_of_d1_is_restored_by_hand(folder_store: dict[str, t.Any], tmp_path: Path) -> None:
    original = tmp_path / "live.sqlite"
    with contextlib.closing(sqlite3.connect(original)) as made:
        made.executescript(
            "CREATE TABLE c (p REFERENCES p(id)); CREATE TABLE p (id INTEGER PRIMARY KEY); INSERT INTO p VALUES (1);"
            "INSERT INTO c VALUES (1); CREATE VIEW v AS SELECT * FROM c"
        )
    run_module("d1_backup", {"path": str(original), "source": "school", "store": folder_store})
    environment = {**os.environ, "STORE": folder_store["path"], "SOURCE": "school", "WORK": str(tmp_path)}
    subprocess.run(commands_of("docs/restore-by-hand.md", 3), env=environment, check=True, capture_output=True)
    with contextlib.closing(sqlite3.connect(tmp_path / "restored.sqlite")) as back:
        assert back.execute("SELECT count(*) FROM v").fetchone() == (1,)


@pytest.mark.skipif(shutil.which("zstd") is None, reason="needs the program zstd")
def test_files_restored_by_hand_keep_their_names_and_stay_in_their_folder(
    folder_store: dict[str, t.Any], tmp_path: Path
) -> None:
    held = {" a ": "one", "b\nc": "two", "d/e f/g": "three", "-rf": "four", "$(touch x)`id`": "five"}
    files = tmp_path / "files-of-bucket"
    for name, content in held.items():
        (files / name).parent.mkdir(parents=True, exist_ok=True)
        (files / name).write_text(content)
    place = {"provider": "directory", "path": str(files)}
    taken = run_module(
        "bucket_backup", {"source": "media", "store": folder_store, "files": place, "compression": "none"}
    )
    work = tmp_path / "work"
    work.mkdir()
    environment = {**os.environ, "STORE": folder_store["path"], "SOURCE": "media", "WORK": str(work)}
    command = commands_of("docs/restore-by-hand.md", 2)
    subprocess.run(command, env=environment, check=True, capture_output=True)
    written = work / "files"
    assert {str(path.relative_to(written)): path.read_text() for path in written.rglob("*") if path.is_file()} == held
    # The owner of the store replaces a name of the inventory, and the digest of the inventory in the manifest.
    manifest = Path(folder_store["path"]) / f"media/daily/sets/{taken['set_id']}.json"
    entry = next(item for item in json.loads(manifest.read_text())["objects"] if item["role"] == "inventory")
    part = Path(folder_store["path"]) / entry["key"]
    raw = subprocess.run(["zstd", "-dc", str(part)], capture_output=True, check=False).stdout or part.read_bytes()
    changed = raw.replace(b'"-rf"', b'"../../escape.txt"')
    assert changed != raw
    document = json.loads(manifest.read_text())
    for item in document["objects"]:
        item["codec"] = "none"
        if item["key"] == entry["key"]:
            item["stored_sha256"] = hashlib.sha256(changed).hexdigest()
    manifest.write_text(json.dumps(document))
    part.write_bytes(changed)
    shutil.rmtree(written)
    ended = subprocess.run(command, env=environment, check=False, capture_output=True, text=True)
    assert ended.returncode != 0 and "../../escape.txt" in ended.stderr
    assert not (tmp_path / "escape.txt").exists() and not (tmp_path.parent / "escape.txt").exists()
    assert {str(path.relative_to(written)) for path in written.rglob("*") if path.is_file()} == set(held) - {"-rf"}


@pytest.fixture
def school(postgres: PostgresServer) -> t.Iterator[str]:
    """The database under the name that the README has for it, and what a swap keeps of it."""
    postgres.create_database("school")
    load_school(postgres, "school")
    yield "school"
    with postgres.session() as cursor:
        cursor.execute("SELECT datname FROM pg_database WHERE datname LIKE 'school%'")
        names = [name for (name,) in cursor.fetchall()]
    for name in names:
        postgres.drop_database(name)


def test_the_readme_leads_from_a_backup_to_a_swap(
    postgres: PostgresServer, school: str, store: dict[str, t.Any], tmp_path: Path
) -> None:
    page = (ROOT / "README.md").read_text(encoding="utf-8")
    (block,) = [one for one in re.findall(r"```console\n(.*?)```", page, re.DOTALL) if "ANSIBLE_INVENTORY" in one]
    (described,) = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    assert block.count("ansible-playbook") >= 5
    login = postgres.module_options()
    login.pop("login_db")
    folder = tmp_path / "inventories/production"
    (folder / "group_vars").mkdir(parents=True)
    shutil.copy(ROOT / "inventories/sandbox/hosts.yml", folder)
    given = {"recovery_connection": login, "recovery_restore_connection": login, "recovery_store": store}
    (folder / "group_vars/all.yml").write_text(json.dumps({**yaml.safe_load(described), **given}))
    done = subprocess.run(
        ["bash", "-ec", block], capture_output=True, text=True, check=False, cwd=tmp_path,
        env={
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "ANSIBLE_COLLECTIONS_PATH": str(tree()),
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
        },
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Back:  ansible-playbook lifeline.recovery.restore -e recovery_mode=undo" in done.stdout
    with postgres.session(school) as cursor:
        cursor.execute("SELECT count(*) > 0 FROM children")
        assert cursor.fetchone() == (True,)
