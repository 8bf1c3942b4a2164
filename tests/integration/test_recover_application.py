# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An operator recovers tags, organizations and media with playbooks: planned, compared with before, undone by name."""

from __future__ import annotations

import json
import secrets
import shlex
import subprocess
import typing as t
import uuid

import pytest
import yaml
from ansible.parsing.splitter import parse_kv

from tests.support.data.learnplay import PUBLISHER, SCHEMA
from tests.support.fakes.sinks import HttpSink, http_sink
from tests.support.operator import Operator
from tests.support.runner.modules import run_module
from tests.support.servers.postgres import PostgresServer
from tests.support.servers.s3 import S3Server, moto_server

Options = dict[str, t.Any]
Rows = list[tuple[t.Any, ...]]

REASON = "An import damaged the catalog"
ORGANIZATION = "00000000-0000-0000-0000-000000000001"
TAGS = [str(uuid.UUID(int=number)) for number in range(1, 5)]
TABLES = ("organizations", "user_roles", "tag_types", "tags", "tag_approval_queue", "course_metadata", "media_assets")
FILES = {"cover.png": b"cover", "audio/Lesson 1.mp3": b"sound" * 100, "lost.png": b"never in a set"}


class Application:
    """A database with organizations, tags, courses and media, and an inventory that describes it."""

    def __init__(self, server: PostgresServer, database: str, bucket: S3Server, store: Options, hook: str) -> None:
        self.server, self.database, self.bucket, self.store = server, database, bucket, store
        self.name = f"media-{secrets.token_hex(6)}"
        self.client = bucket.client()
        connection = {name: value for name, value in server.module_options(database).items() if name != "login_db"}
        self.source: Options = {"name": "learnplay", "database": database, "connection": connection}
        self.inventory: Options = {
            "recovery_environment": "production",
            "recovery_store": store,
            "recovery_channels": [{"name": "hook", "type": "webhook", "url": hook}],
            "recovery_sources": [self.source],
            "recovery_source": "learnplay",
            "recovery_reason": REASON,
        }
        server.psql(database, SCHEMA)
        self.run("INSERT INTO organizations (id, name, slug) VALUES (%s, 'LearnPlay', 'learnplay')", (ORGANIZATION,))
        self.run("INSERT INTO user_roles VALUES (%s, %s, 'admin')", (PUBLISHER, ORGANIZATION))
        self.run("INSERT INTO tag_types VALUES (%s, 'subject')", (TAGS[0],))
        for tag in TAGS:
            self.add_tag(tag)

    @property
    def files(self) -> Options:
        return {**self.bucket.store_options(), "bucket": self.name}

    def add_tag(self, tag: str) -> None:
        self.run(
            "INSERT INTO tags (id, organization_id, type_id, name, slug) VALUES (%s, %s, %s, 'a', 'a')",
            (tag, ORGANIZATION, TAGS[0]),
        )

    def run(self, sql: str, parameters: t.Any = None) -> Rows:
        with self.server.session(self.database) as cursor:
            cursor.execute(sql, parameters)
            return list(cursor.fetchall()) if cursor.description else []

    def content(self) -> dict[str, Rows]:
        return {table: sorted(self.run(f"SELECT r::text FROM {table} r")) for table in TABLES}

    def back_up(self) -> None:
        given = {**self.server.module_options(self.database), "source": "learnplay", "store": self.store}
        run_module("pg_backup", given)

    def objects(self) -> dict[str, bytes]:
        listed = self.client.list_objects_v2(Bucket=self.name).get("Contents", [])
        return {one["Key"]: self.client.get_object(Bucket=self.name, Key=one["Key"])["Body"].read() for one in listed}

    def operations(self) -> list[tuple[str, str]]:
        records = run_module("audit_info", {"source": "learnplay", "store": self.store})["records"]
        return [(one["operation_type"], one["status"]) for one in records]


@pytest.fixture(scope="module")
def moto() -> t.Iterator[S3Server]:
    with moto_server() as server:
        yield server


@pytest.fixture
def web() -> t.Iterator[HttpSink]:
    with http_sink() as sink:
        yield sink


@pytest.fixture
def application(postgres: PostgresServer, database: str, moto: S3Server, store: Options, web: HttpSink) -> Application:
    return Application(postgres, database, moto, store, f"{web.url}/hook")


def printed(done: subprocess.CompletedProcess[str]) -> str:
    return " ".join(done.stdout.split())


def succeeded(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 0, done.stdout
    return printed(done)


def undo(done: subprocess.CompletedProcess[str], application: Application) -> None:
    """Run what the commands of the last outcome run, in their order. Roles within a run print outcomes too."""
    back = [line for line in done.stdout.splitlines() if '"Back:' in line][-1]
    for command in json.loads(back.strip().rstrip(",")).removeprefix("Back:").split("; then "):
        arguments = shlex.split(command)
        assert arguments[:2] == ["ansible-playbook", "lifeline.recovery.restore_rows"]
        options = {}
        for given in arguments[3::2]:
            values = yaml.safe_load(given) if given.startswith("{") else parse_kv(given)
            options.update({key.removeprefix("recovery_"): value for key, value in values.items()})
        login = {**application.server.module_options(application.database), "store": application.store}
        options["recovery_confirm"] = options.pop("confirm")
        assert run_module("pg_restore_table", {**login, **options})["changed"] is True


def test_tags_are_restored_and_only_ids_that_no_set_has_are_removed(
    operator: Operator, application: Application, web: HttpSink
) -> None:
    application.back_up()
    later = str(uuid.UUID(int=99))
    application.add_tag(later)
    ids = [later, TAGS[2], TAGS[0]]
    application.run("INSERT INTO course_metadata (id, tag_ids) VALUES ('algebra', %s::uuid[])", (ids,))
    application.run("INSERT INTO course_metadata (id, tag_ids) VALUES ('biology', %s::uuid[])", (TAGS[1:3],))
    before = application.content()
    application.run("DROP TABLE tag_approval_queue, tags CASCADE")
    inventory = application.inventory

    planned = succeeded(operator.play("recover_tags", "--check", inventory=inventory))
    assert "Would restore rows of" in planned
    assert application.run("SELECT to_regclass('tags')") == [(None,)]

    unconfirmed = succeeded(operator.cold.play("recover_tags", inventory=inventory))
    kept = application.content()
    assert kept["tags"] == [row for row in before["tags"] if later not in row[0]]
    assert kept["course_metadata"] == before["course_metadata"]
    assert "to remove these ids, run the same command with -e recovery_confirm=" in unconfirmed

    done = operator.play("recover_tags", "-e", f"recovery_confirm={application.database}", inventory=inventory)
    assert f"ids without a tag: algebra ({later})" in succeeded(done)
    tags = dict(application.run("SELECT id, tag_ids::text[] FROM course_metadata"))
    assert tags == {"algebra": [TAGS[2], TAGS[0]], "biology": TAGS[1:3]}
    undo(done, application)
    assert application.content() == kept
    events = [one.json["event"] for one in web.at("/hook") if one.json["event"].startswith("recover_tags")]
    assert events == [f"recover_tags.{word}" for word in ("started", "succeeded") * 2]
    assert ("remove_dangling_references", "succeeded") in application.operations()


def test_tables_of_tags_come_from_their_migration_if_no_set_exists(
    operator: Operator, application: Application
) -> None:
    folder = operator.home / f"tags-{application.database}"
    folder.mkdir()
    seed = f"INSERT INTO global_tags VALUES ('{TAGS[0]}');"
    (folder / "20_tags.sql").write_text(f"CREATE TABLE global_tags (id uuid PRIMARY KEY); {seed}")
    operator._own(folder)
    login = application.server.module_options(application.database)
    run_module("pg_migrate", {**login, "migrations_path": str(folder), "recovery_environment": "sandbox"})
    application.run("INSERT INTO course_metadata (id, tag_ids) VALUES ('algebra', %s::uuid[])", (TAGS[:1],))
    before = application.content()
    application.run("DROP TABLE global_tags")
    tags = {"tables": ["global_tags"], "references": {"table": "global_tags"}, "migrations": ["20"]}
    application.source.update(tags=tags, migrations_path=str(folder))
    done = succeeded(operator.play("recover_tags", inventory=application.inventory))
    assert "Applied 1 migration: 20_tags.sql" in done
    assert application.run("SELECT id::text FROM global_tags") == [(TAGS[0],)]
    assert application.content() == before
    assert application.run("SELECT version FROM supabase_migrations.schema_migrations") == [("20",)]

    (folder / "20_tags.sql").write_text("CREATE TABLE global_tags (id nothing)")
    application.run("DROP TABLE global_tags")
    failed = operator.play("recover_tags", inventory=application.inventory)
    assert failed.returncode == 2 and "20_tags.sql" in printed(failed), failed.stdout
    assert application.run("SELECT version FROM supabase_migrations.schema_migrations") == [("20",)]


def test_organizations_return_with_their_rows_and_users_without_a_role_get_one(
    operator: Operator, application: Application
) -> None:
    other = str(uuid.UUID(int=7))
    application.run("INSERT INTO auth.users VALUES (%s, 'viewer@example.org')", (other,))
    before = application.content()
    application.back_up()
    application.source["organization"] = {
        "default": {"id": ORGANIZATION, "name": "Default", "slug": "default", "branding": {"logoUrl": "/a.svg"}},
        "roles": {"values": {"organization_id": ORGANIZATION}},
    }
    application.run("DELETE FROM organizations")
    assert not application.content()["tags"]
    done = operator.cold.play("recover_organization", inventory=application.inventory)
    succeeded(done)
    role = (f"({other},{ORGANIZATION},viewer)",)
    after = {**before, "user_roles": sorted([*before["user_roles"], role])}
    assert application.content() == after
    undo(done, application)
    assert not application.content()["organizations"]

    # With an organization, roles that were taken from users since the set do not return from it.
    application.run("INSERT INTO organizations (id, name, slug) VALUES (%s, 'LearnPlay', 'learnplay')", (ORGANIZATION,))
    succeeded(operator.play("recover_organization", inventory=application.inventory))
    assert application.run("SELECT role FROM user_roles WHERE user_id = %s", (PUBLISHER,)) == [("viewer",)]


def test_media_return_from_sets_and_what_no_set_has_is_listed(operator: Operator, application: Application) -> None:
    client = application.client
    client.create_bucket(Bucket=application.name)

    def add(key: str, data: bytes) -> None:
        client.put_object(Bucket=application.name, Key=key, Body=data, ContentType="image/png")
        application.run(
            "INSERT INTO media_assets (id, bucket, path, mime_type, size_bytes) "
            "VALUES (gen_random_uuid(), %s, %s, 'image/png', %s)",
            (application.name, key, len(data)),
        )

    for key in list(FILES)[:2]:
        add(key, FILES[key])
    run_module("bucket_backup", {"source": "media", "files": application.files, "store": application.store})
    add("lost.png", FILES["lost.png"])
    rows = application.content()
    for key in FILES:
        client.delete_object(Bucket=application.name, Key=key)
    client.delete_bucket(Bucket=application.name)
    listed = operator.home / f"regenerate-{application.name}.jsonl"
    application.source["media"] = {
        "files": application.files, "source": "media", "regenerate_file": str(listed), "rebuild": True,
        "grace_seconds": 0, "values": {"course_id": None},
    }  # fmt: skip
    planned = succeeded(operator.play("recover_media", "--check", "--diff", inventory=application.inventory))
    assert "Would restore 2 files after creating the bucket" in planned and "cover.png: from the set daily/" in planned
    assert application.name not in [one["Name"] for one in client.list_buckets()["Buckets"]]

    client.create_bucket(Bucket=application.name)
    client.put_object(Bucket=application.name, Key="orphan.png", Body=b"no row", ContentType="image/png")
    done = succeeded(operator.cold.play("recover_media", inventory=application.inventory))
    assert application.objects() == {"orphan.png": b"no row", **{key: FILES[key] for key in list(FILES)[:2]}}
    assert [json.loads(line)["path"] for line in listed.read_text().splitlines()] == ["lost.png"]
    assert "1 file that no backup set has: lost.png" in done and f"{listed} lists them" in done
    found = application.run("SELECT bucket, mime_type, size_bytes FROM media_assets WHERE path = 'orphan.png'")
    assert found == [(application.name, "image/png", 6)]
    application.run("DELETE FROM media_assets WHERE path = 'orphan.png'")
    assert application.content() == rows
    assert ("rebuild_media", "succeeded") in application.operations()
