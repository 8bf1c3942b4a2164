# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files of a table of media are restored as their rows state, and rows as the bucket shows. Nothing else is touched."""

from __future__ import annotations

import hashlib
import json
import secrets
import time
import typing as t
from pathlib import Path

import pytest

from ansible_collections.lifeline.recovery.plugins.module_utils._media.ledger import Ledger
from ansible_collections.lifeline.recovery.plugins.module_utils._media.scan import parse_digest, same_type
from ansible_collections.lifeline.recovery.plugins.module_utils._media.table import MediaRow
from ansible_collections.lifeline.recovery.plugins.module_utils._store.base import ObjectInfo
from tests.support.data.learnplay import SCHEMA
from tests.support.runner.modules import ModuleFailed, run_module
from tests.support.servers.postgres import PostgresServer
from tests.support.servers.s3 import S3Server, moto_server

Options = dict[str, t.Any]
FILES = {f"courses/{number}/cover {name}.png": name.encode() * number for number, name in enumerate("abcdé", 1)}


@pytest.fixture(scope="module")
def moto() -> t.Iterator[S3Server]:
    with moto_server() as server:
        yield server


class Platform:
    """The table and the bucket of an application, and a store of backup sets of the bucket."""

    def __init__(self, server: PostgresServer, database: str, s3: S3Server, store: Options) -> None:
        self.server, self.database, self.s3, self.store = server, database, s3, store
        self.client = s3.client()
        self.bucket = f"media-{secrets.token_hex(6)}"
        self.client.create_bucket(Bucket=self.bucket)

    @property
    def files(self) -> Options:
        return {**self.s3.store_options(), "bucket": self.bucket}

    def run(self, sql: str, parameters: t.Any = None) -> list[t.Any]:
        with self.server.session(self.database) as cursor:
            cursor.execute(sql, parameters)
            return list(cursor.fetchall()) if cursor.description else []

    def put(self, key: str, data: bytes, kind: str = "image/png") -> None:
        self.client.put_object(
            Bucket=self.bucket, Key=key, Body=data, ContentType=kind, CacheControl="max-age=3600", Metadata={"k": "v"}
        )

    def add(self, key: str, data: bytes, kind: str = "image/png") -> None:
        """Upload a file as the application does, with its row."""
        self.put(key, data, kind)
        self.run(
            "INSERT INTO media_assets (id, bucket, path, mime_type, size_bytes, sha256) "
            "VALUES (gen_random_uuid(), %s, %s, %s, %s, %s)",
            (self.bucket, key, kind, len(data), hashlib.sha256(data).hexdigest()),
        )

    def settle(self) -> None:
        """Wait until the clock of the bucket has passed the second of the last upload."""
        time.sleep(1.1)

    def delete(self, *keys: str) -> None:
        for key in keys:
            self.client.delete_object(Bucket=self.bucket, Key=key)

    def content(self) -> dict[str, tuple[t.Any, ...]]:
        """Bytes, headers and time of all objects."""
        found = {}
        for item in self.client.list_objects_v2(Bucket=self.bucket).get("Contents", []):
            answer = self.client.get_object(Bucket=self.bucket, Key=item["Key"])
            found[item["Key"]] = (
                answer["Body"].read(), answer["ContentType"], answer.get("CacheControl"), answer["Metadata"].get("k"),
                answer["LastModified"],
            )  # fmt: skip
        return found

    def back_up(self) -> str:
        given = {"source": "media", "files": self.files, "store": self.store}
        return str(run_module("bucket_backup", given)["set_id"])

    def reconcile(self, state: str = "restored", *, check_mode: bool = False, **options: t.Any) -> Options:
        given = {
            "state": state, "files": self.files, "source": "learnplay" if state == "rebuilt" else "media",
            "store": self.store, "recovery_environment": "sandbox", "grace_seconds": 0, **options,
        }  # fmt: skip
        return run_module(
            "media_reconcile", {**self.server.module_options(self.database), **given}, check_mode=check_mode
        )


@pytest.fixture(params=["rclone", "moto"])
def platform(
    request: pytest.FixtureRequest, postgres: PostgresServer, database: str, s3: S3Server, folder_store: Options
) -> Platform:
    postgres.psql(database, SCHEMA)
    server = request.getfixturevalue("moto") if request.param == "moto" else s3
    return Platform(postgres, database, server, folder_store)


@pytest.fixture
def simple(moto: S3Server, postgres: PostgresServer, database: str, folder_store: Options) -> Platform:
    postgres.psql(database, SCHEMA)
    return Platform(postgres, database, moto, folder_store)


def without_time(content: dict[str, tuple[t.Any, ...]]) -> dict[str, tuple[t.Any, ...]]:
    return {key: facts[:-1] for key, facts in content.items()}


def test_deleted_files_are_restored_with_their_headers_and_others_are_not_touched(platform: Platform) -> None:
    for key, data in FILES.items():
        platform.add(key, data)
    platform.back_up()
    before = platform.content()
    lost, kept = list(FILES)[:3], list(FILES)[3:]
    platform.delete(*lost)

    reported = platform.reconcile("reported", check_mode=True)
    assert (reported["changed"], reported["counts"]["missing"], reported["counts"]["lost"]) == (False, 3, 0)
    planned = platform.reconcile(check_mode=True, _ansible_diff=True)
    assert (planned["changed"], planned["restored"], sorted(platform.content())) == (True, 3, sorted(kept))
    assert f"{lost[0]}: from the set daily/" in planned["diff"]["after"]
    restored = platform.reconcile(recovery_environment="production")
    assert (restored["restored"], restored["replaced"], restored["plan_digest"]) == (3, 0, planned["plan_digest"])
    after = platform.content()
    assert without_time(after) == without_time(before)
    assert {key: after[key] for key in kept} == {key: before[key] for key in kept}
    again = platform.reconcile()
    assert (again["changed"], again["unchanged"]["reason"]) == (False, "Each row has its file.")


def test_damaged_files_are_replaced_and_the_undo_restores_them(platform: Platform) -> None:
    for key, data in FILES.items():
        platform.add(key, data)
    one, two, three, four, _five = FILES
    platform.back_up()
    good = platform.content()
    # A file with an equal ETag is read again if the second of its upload differs.
    platform.settle()
    platform.put(one, b"longer than before")
    platform.put(two, FILES[two], "text/html")
    platform.put(three, FILES[three][::-1].replace(b"c", b"x"))
    platform.back_up()
    platform.put(four, b"")
    bad = platform.content()

    found = platform.reconcile("reported", compare=["size", "type", "digest"])
    assert [item["key"] for item in found["damaged"]] == sorted([one, two, three, four])
    assert "18 bytes, the row 1" in found["damaged"][0]["reason"]
    assert platform.reconcile("reported")["counts"]["damaged"] == 3
    with pytest.raises(ModuleFailed, match="was not confirmed"):
        platform.reconcile(recovery_environment="production")
    restored = platform.reconcile(
        compare=["size", "type", "digest"], recovery_environment="production", recovery_confirm=platform.bucket
    )
    # The older set has three of them as their rows state, the newer one has the fourth.
    assert (restored["replaced"], sorted(restored["sets"].values())) == (4, [1, 3])
    assert without_time(platform.content()) == without_time(good)
    given = {"source": "media", "files": platform.files, "store": platform.store, "recovery_environment": "sandbox"}
    run_module("bucket_restore", {**given, **restored["undo"]})
    assert without_time(platform.content()) == without_time(bad)


def test_lost_files_are_listed_and_objects_without_a_row_are_reported(simple: Platform, tmp_path: Path) -> None:
    for key, data in FILES.items():
        simple.add(key, data)
    simple.back_up()
    simple.add("never/backed-up.mp3", b"sound", "audio/mpeg")
    simple.delete("never/backed-up.mp3")
    simple.put("orphan.png", b"1")
    simple.put("folder/.emptyFolderPlaceholder", b"")
    simple.put("NOTES.TXT", b"1")
    simple.put("u\u0308ber.png", b"1")
    for path in ("notes.txt", "\u00fcber.png", "a/../b", "x" * 1100):
        simple.run(
            "INSERT INTO media_assets (id, bucket, path) VALUES (gen_random_uuid(), %s, %s)", (simple.bucket, path)
        )
    simple.run("INSERT INTO media_assets (id, bucket, path) VALUES (gen_random_uuid(), 'other', 'x')")
    listed = tmp_path / "regenerate.jsonl"
    simple.settle()
    found = simple.reconcile(regenerate_file=str(listed))
    assert found["changed"] is False
    assert {item["key"]: item["reason"] for item in found["misnamed"]} == {
        "notes.txt": "the bucket has NOTES.TXT", "\u00fcber.png": "the bucket has u\u0308ber.png",
    }  # fmt: skip
    assert found["orphaned"] == ["orphan.png"]
    assert found["counts"] == {
        "missing": 3, "damaged": 0, "misnamed": 2, "orphaned": 1, "young": 0, "lost": 5, "unknown_digests": 0,
    }  # fmt: skip
    lines = [json.loads(line) for line in listed.read_text(encoding="utf-8").splitlines()]
    assert {line["path"]: line["class"] for line in lines}["never/backed-up.mp3"] == "missing"
    assert (len(lines), lines[0]["bucket"]) == (5, simple.bucket)
    assert simple.reconcile("reported", grace_seconds=3600)["counts"]["young"] == 1
    assert simple.reconcile("reported", media={"bucket": ""}, bucket="")["rows"] == 11


def test_a_missing_bucket_is_created_with_the_settings_of_its_set(simple: Platform) -> None:
    client, bucket = simple.client, simple.bucket
    rules = [{"AllowedMethods": ["GET"], "AllowedOrigins": ["https://learnplay.example"], "MaxAgeSeconds": 60}]
    client.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": rules})
    for key, data in FILES.items():
        simple.add(key, data)
    simple.back_up()
    before = simple.content()
    simple.delete(*FILES)
    client.delete_bucket(Bucket=bucket)
    planned = simple.reconcile(check_mode=True)
    assert (planned["changed"], planned["bucket_missing"], planned["restored"]) == (True, True, len(FILES))
    with pytest.raises(ModuleFailed, match="`create_bucket` is false"):
        simple.reconcile(create_bucket=False)
    restored = simple.reconcile()
    assert (restored["bucket_created"], restored["restored"]) == (True, len(FILES))
    assert without_time(simple.content()) == without_time(before)
    assert client.get_bucket_cors(Bucket=bucket)["CORSRules"] == rules
    assert simple.reconcile()["changed"] is False


def test_lost_rows_are_rebuilt_once_from_the_bucket_and_the_undo_removes_them(platform: Platform) -> None:
    for key, data in FILES.items():
        platform.add(key, data)
    hostile = ["it's 100%.png", 'tab\t"quoted" \\N.png', "'; DROP TABLE media_assets; --.png"]
    for key in hostile:
        platform.add(key, key.encode(), "image/webp")
    columns = "path, mime_type, size_bytes, sha256, bucket"
    before = platform.run(f"SELECT {columns} FROM media_assets ORDER BY 1")
    platform.run("DELETE FROM media_assets WHERE path = ANY (%s)", ([*hostile, next(iter(FILES))],))
    kept = platform.run("SELECT id FROM media_assets ORDER BY 1")
    platform.settle()
    planned = platform.reconcile("rebuilt", check_mode=True, compare=["digest"])
    assert (planned["changed"], planned["count"], len(platform.run("SELECT id FROM media_assets"))) == (True, 4, 4)
    assert platform.reconcile("rebuilt", grace_seconds=3600)["changed"] is False
    rebuilt = platform.reconcile("rebuilt", compare=["digest"], recovery_environment="production")
    assert rebuilt["plan_digest"] == planned["plan_digest"]
    assert platform.run(f"SELECT {columns} FROM media_assets ORDER BY 1") == before
    assert platform.reconcile("rebuilt")["changed"] is False
    given = {"source": "learnplay", "store": platform.store, "recovery_environment": "sandbox", **rebuilt["undo"]}
    run_module("pg_restore_table", {**platform.server.module_options(platform.database), **given})
    assert platform.run("SELECT id FROM media_assets ORDER BY 1") == kept


def test_rows_with_an_address_before_the_key_are_read_and_rebuilt(simple: Platform) -> None:
    address = "https://x.supabase.co/storage/v1/object/public/media/"
    simple.run(
        "CREATE TABLE files "
        "(number bigserial PRIMARY KEY, url varchar(300) UNIQUE, kind text NOT NULL, made int DEFAULT 7)"
    )
    simple.put("a/1.png", b"1")
    simple.put("b.png", b"2")
    simple.run(
        "INSERT INTO files (url, kind) VALUES (%s, 'asset'), ('https://elsewhere/x', 'asset')", (f"{address}a/1.png",)
    )
    simple.settle()
    media = {"table": "files", "path": "url", "path_prefix": address}
    with pytest.raises(ModuleFailed, match="must have a value of the column kind"):
        simple.reconcile("rebuilt", media=media)
    simple.reconcile("rebuilt", media=media, values={"kind": "asset"})
    rows = simple.run("SELECT url, kind, made FROM files ORDER BY number")
    assert rows[2:] == [(f"{address}b.png", "asset", 7)]
    found = simple.reconcile("reported", media=media)
    assert (found["rows"], found["counts"]["missing"], found["counts"]["orphaned"]) == (2, 0, 0)


def test_tables_and_options_that_cannot_be_used_are_refused(simple: Platform) -> None:
    simple.run(
        "CREATE SCHEMA storage; CREATE TABLE storage.objects (id uuid PRIMARY KEY, name text, bucket_id text); "
        "ALTER TABLE media_assets ALTER sha256 SET NOT NULL"
    )
    simple.put("a", b"1")
    simple.settle()
    role = f"reader_{secrets.token_hex(6)}"
    simple.run(f"CREATE ROLE {role} LOGIN PASSWORD 'x'; GRANT ALL ON ALL TABLES IN SCHEMA public TO {role}")
    try:
        for match, state, options in (
            ("made by the storage service", "rebuilt",
             {"media": {"table": "storage.objects", "path": "name", "bucket": "bucket_id"}}),
            ("must be a table of the database, got public.gone", "reported", {"media": {"table": "gone"}}),
            ("must be a column of public.media_assets", "reported", {"media": {"size": "gone"}}),
            ("Add digest to `compare`", "rebuilt", {}),
            ("must not have the column path", "rebuilt", {"values": {"path": "x"}, "compare": ["digest"]}),
            ("`grace_seconds` must be at least 0, got -1", "reported", {"grace_seconds": -1}),
            ("The option source is missing", "restored", {"source": None}),
            ("holds no backup set of the source", "restored", {"media": {"bucket": ""}}),
        ):  # fmt: skip
            if state == "restored":
                simple.run(
                    "INSERT INTO media_assets (id, path, sha256) VALUES (gen_random_uuid(), gen_random_uuid(), 'x')"
                )
            with pytest.raises(ModuleFailed, match=match):
                simple.reconcile(state, **options)
        simple.run("ALTER TABLE media_assets ENABLE ROW LEVEL SECURITY")
        with pytest.raises(ModuleFailed, match=r"Row level security hides rows of public\.media_assets"):
            simple.reconcile("reported", login_user=role, login_password="x")
    finally:
        simple.run(f"DROP OWNED BY {role}; DROP ROLE {role}")


def test_a_file_that_no_set_has_as_stated_is_restored_once_in_its_newest_state(simple: Platform) -> None:
    simple.put("a.png", b"old")
    simple.back_up()
    simple.run(
        "INSERT INTO media_assets (id, bucket, path, size_bytes) VALUES (gen_random_uuid(), %s, 'a.png', 99)",
        (simple.bucket,),
    )
    simple.delete("a.png")
    assert simple.reconcile()["restored"] == 1
    assert simple.content()["a.png"][0] == b"old"
    again = simple.reconcile()
    assert (again["changed"], again["counts"]["damaged"], again["counts"]["lost"]) == (False, 1, 1)


def test_memory_does_not_grow_with_rows_and_objects(tmp_path: Path) -> None:
    import tracemalloc
    from datetime import datetime, timezone

    number, at = 60_000, datetime(2026, 1, 1, tzinfo=timezone.utc)
    ledger = Ledger(str(tmp_path))
    tracemalloc.start()
    ledger.add_rows(MediaRow(f"{one:09}", 1, None, None) for one in range(number))
    ledger.add_objects(ObjectInfo(f"{one:09}", 1, at) for one in range(1, number + 1))
    missing = [pair.row.key for pair in ledger.pairs() if pair.size is None]
    orphaned = [key for key, _size, _etag in ledger.unclaimed()]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    ledger.close()
    assert (missing, orphaned) == ([f"{0:09}"], [f"{number:09}"])
    assert peak < 8 * 1024 * 1024


@pytest.mark.parametrize(
    ("text", "name"),
    [("A" * 64, "sha256"), (f"sha256:{'0' * 64}", "sha256"), (f'"{"f" * 32}"', "md5"), ("md5-" + "1" * 32, "md5"),
     ("x" * 64, ""), ("0" * 40, ""), ("", "")],
)  # fmt: skip
def test_a_digest_has_a_known_form_or_is_not_compared(text: str, name: str) -> None:
    assert parse_digest(text)[0] == name


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [("image/png", "IMAGE/PNG", True), ("text/html", "text/html; charset=utf-8", True),
     ("image/png", "image/jpeg", False), ("text/html; charset=a", "text/html;charset=b", False)],
)  # fmt: skip
def test_content_types_are_compared_without_regard_to_case(one: str, other: str, same: bool) -> None:
    assert same_type(one, other) is same
