# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A document is restored to a version in its tables and its bucket, completely or not at all."""

from __future__ import annotations

import gzip
import json
import secrets
import threading
import typing as t
from pathlib import Path

import pytest

from ansible_collections.lifeline.recovery.plugins.module_utils._core.errors import ErrorKind, RecoveryError
from ansible_collections.lifeline.recovery.plugins.module_utils._documents.reader import Layout
from ansible_collections.lifeline.recovery.plugins.module_utils._documents.restore import (
    DocumentsRequest,
    DocumentsRestore,
)
from ansible_collections.lifeline.recovery.plugins.module_utils._documents.tables import MetadataTable, VersionsTable
from ansible_collections.lifeline.recovery.plugins.module_utils._documents.target import PublishOptions
from ansible_collections.lifeline.recovery.plugins.module_utils._operations.change import perform
from ansible_collections.lifeline.recovery.plugins.module_utils._repository.change import Safeguards
from ansible_collections.lifeline.recovery.plugins.module_utils._store.base import ObjectInfo, Opened
from ansible_collections.lifeline.recovery.plugins.module_utils._store.directory import DirectoryStore
from tests.support.courses import Options, Platform
from tests.support.data.learnplay import PUBLISHER, SCHEMA
from tests.support.fakes.faults import Fault, Rule, faulty, listing_with, refusal
from tests.support.fakes.sinks import HttpSink, Reply, Seen, http_sink
from tests.support.runner.modules import ModuleFailed, run_module, start_module
from tests.support.servers.postgres import PostgresServer
from tests.support.servers.s3 import S3Server, moto_server

HOSTILE = {"title": 'O\'Brien "quotes" \\ backslash', "emoji": "\U0001f600", "number": 9007199254740993, "n": 0.1}


@pytest.fixture(scope="module")
def moto() -> t.Iterator[S3Server]:
    with moto_server() as server:
        yield server


@pytest.fixture
def platform(postgres: PostgresServer, database: str, moto: S3Server) -> Platform:
    postgres.psql(database, SCHEMA)
    return Platform(postgres, database, moto, secrets.token_hex(6))


@pytest.fixture(scope="module")
def published(postgres: PostgresServer, moto: S3Server) -> t.Iterator[Platform]:
    """A platform with two versions of one course, for tests that change nothing."""
    name = postgres.create_database()
    postgres.psql(name, SCHEMA)
    platform = Platform(postgres, name, moto, secrets.token_hex(6))
    platform.publish("algebra", {"v": 1}, {"v": 2})
    yield platform
    postgres.drop_database(name)


@pytest.mark.parametrize("via", ["sql", "function"])
def test_a_restored_version_is_equal_in_tables_and_bucket(platform: Platform, via: str) -> None:
    platform.publish("algebra", {"v": 1}, {"v": 2}, HOSTILE, {"v": 4})
    restored = platform.restore("algebra", version="3", changelog="Wrong exercises", via=via)
    assert restored["changed"] is True
    assert [(one["restored_from"], one["version"], one["kept_copy"]) for one in restored["documents"]] == [(3, 5, None)]
    assert platform.versions("algebra")[-1] == (5, HOSTILE)
    assert platform.current("algebra") == (5, 5)
    assert json.loads(platform.published("algebra")) == HOSTILE
    ((publisher, changelog),) = platform.run("SELECT published_by, changelog FROM course_versions WHERE version = 5")
    assert (str(publisher), changelog) == (PUBLISHER, "Wrong exercises")
    head = platform.bucket.client().head_object(Bucket=platform.bucket.bucket, Key=platform.key("algebra"))
    assert (head["ContentType"], head["CacheControl"]) == ("application/json", "max-age=60")
    assert platform.restore("algebra", version="3", via=via)["changed"] is False


def test_a_damaged_copy_is_kept_before_the_newest_valid_version_replaces_it(platform: Platform) -> None:
    platform.publish("algebra", {"items": [1]}, {"items": [2]}, {"items": None})
    platform.publish("biology", {"items": [7]})
    platform.upload("algebra", b'{"items": [2')
    schema = {"type": "object", "properties": {"items": {"type": "array"}}, "required": ["items"]}
    found = platform.info(json_schema=schema)
    assert (found["count"], found["damaged"]) == (2, ["algebra"])
    assert any("is not JSON" in finding for finding in found["documents"][0]["findings"])
    (listed,) = platform.info("algebra", json_schema=schema)["documents"]
    assert [(one["version"], one["valid"]) for one in listed["versions"]] == [(3, False), (2, True), (1, True)]
    before = platform.everything()
    planned = run_module(
        "course_version_restore",
        {**platform.options, "documents": ["damaged"], "json_schema": schema, "_ansible_diff": True},
        check_mode=True,
    )
    assert (planned["plan"], platform.everything()) == ({"algebra": 2}, before)
    assert '+  "items": [' in planned["diff"]["prepared"]
    restored = platform.restore("damaged", json_schema=schema)
    assert restored["plan"] == {"algebra": 2}
    kept = restored["documents"][0]["kept_copy"]
    client = platform.bucket.client()
    assert (
        client.get_object(Bucket=platform.bucket.bucket, Key=f"{platform.prefix}/{kept}")["Body"].read()
        == b'{"items": [2'
    )
    assert json.loads(platform.published("algebra")) == {"items": [2]}
    assert platform.restore("damaged", json_schema=schema)["changed"] is False


def test_a_store_that_answers_a_request_for_tags_with_the_object_is_restored(platform: Platform, s3: S3Server) -> None:
    platform.bucket = s3
    platform.publish("algebra", {"v": 1}, {"v": 2})
    platform.upload("algebra", b'{"items": [2')
    platform.restore("damaged")
    assert json.loads(platform.published("algebra")) == {"v": 2}


def test_an_edit_of_the_published_copy_becomes_a_version_before_it_is_replaced(platform: Platform) -> None:
    platform.publish("algebra", {"v": 1}, {"v": 2})
    platform.upload("algebra", b'{"v": "edited in the bucket"}')
    restored = platform.restore("algebra")
    assert restored["documents"][0]["kept_version"] == 3
    assert platform.versions("algebra")[2:] == [(3, {"v": "edited in the bucket"}), (4, {"v": 2})]
    assert platform.current("algebra") == (4, 4)


@pytest.mark.parametrize("course", ["o'brien", "algebra/part 1", '"; DROP TABLE course_versions; --', "%s {document}"])
def test_an_id_is_data_and_no_statement(platform: Platform, course: str) -> None:
    platform.publish(course, {"v": 1}, {"v": 2})
    platform.upload(course, b"")
    assert platform.info()["damaged"] == [course]
    platform.restore(course, version="1")
    assert json.loads(platform.published(course)) == {"v": 1}


def test_a_large_course_is_restored(platform: Platform) -> None:
    content = {"text": secrets.token_hex(10 * 1024 * 1024)}
    platform.publish("large", content, {"text": ""})
    platform.restore("large", version="1")
    assert json.loads(platform.published("large")) == content


@pytest.mark.parametrize(
    ("via", "published", "uploaded"), [("sql", True, True), ("function", True, False), ("sql", False, True)]
)
def test_a_publication_in_between_is_refused_and_stays(
    platform: Platform, via: str, published: bool, uploaded: bool
) -> None:
    platform.publish("algebra", {"v": 1}, {"v": 2})
    with platform.server.session(platform.database) as editor:
        editor.execute("BEGIN")
        editor.execute("SELECT FROM course_metadata WHERE id = 'algebra' FOR UPDATE")
        arguments = {**platform.options, "documents": ["algebra"], "version": "1", "lock_timeout": 60, "via": via}
        process = start_module("course_version_restore", arguments)
        waiting = (
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        )
        while platform.run(waiting) == [(0,)]:
            assert process.poll() is None
        if published:
            editor.execute("UPDATE course_metadata SET content_version = 3, etag = 3 WHERE id = 'algebra'")
            editor.execute(
                "INSERT INTO course_versions (course_id, version, snapshot, published_by, etag) "
                f"VALUES ('algebra', 3, '{{\"v\": 3}}', '{PUBLISHER}', 3)"
            )
        if uploaded:
            platform.upload("algebra", b'{"v": 3}')
        before = platform.everything()[2]
        editor.execute("COMMIT")
    output, _errors = process.communicate(timeout=60)
    result = json.loads(output)
    assert (result["failed"], result["error_kind"]) == (True, "conflict")
    newest = 3 if published else 2
    assert platform.versions("algebra")[-1] == (newest, {"v": newest})
    assert platform.current("algebra") == (newest, newest)
    assert platform.everything()[2] == before


def test_two_restores_of_one_document_lose_nothing(platform: Platform) -> None:
    platform.publish("algebra", {"v": 1}, {"v": 2}, {"v": 3})
    ends: list[str] = []

    def restore(version: str) -> None:
        try:
            platform.restore("algebra", version=version)
            ends.append("restored")
        except ModuleFailed as error:
            ends.append(error.result["error_kind"])

    threads = [threading.Thread(target=restore, args=(version,)) for version in ("1", "2")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(ends) <= {"restored", "conflict"} and "restored" in ends
    assert platform.info()["damaged"] == []
    assert platform.versions("algebra")[:3] == [(1, {"v": 1}), (2, {"v": 2}), (3, {"v": 3})]


def test_a_bucket_that_refuses_the_copy_leaves_the_tables_unchanged(platform: Platform) -> None:
    platform.publish("algebra", {"v": 1}, {"v": 2})
    before = platform.everything()
    platform.run(
        "CREATE FUNCTION spoil() RETURNS trigger LANGUAGE plpgsql AS "
        "'BEGIN IF NEW.version > 2 THEN NEW.snapshot := ''{}''; END IF; RETURN NEW; END'; "
        "CREATE TRIGGER spoil BEFORE INSERT ON course_versions FOR EACH ROW EXECUTE FUNCTION spoil()"
    )
    with pytest.raises(ModuleFailed, match="does not have the content of version 1: a trigger") as caught:
        platform.restore("algebra", version="1")
    assert (caught.value.result["error_kind"], platform.everything()) == ("not_equal", before)


def test_a_commit_that_fails_puts_the_published_copy_back(platform: Platform) -> None:
    platform.publish("algebra", {"v": 1}, {"v": 2})
    platform.run(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''no''; END'; "
        "CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON course_versions DEFERRABLE INITIALLY DEFERRED "
        "FOR EACH ROW EXECUTE FUNCTION refuse()"
    )
    before = platform.everything()
    with pytest.raises(ModuleFailed):
        platform.restore("algebra", version="1")
    assert platform.everything() == before


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"version": "9"}, "rows_missing", "does not have a version 9: it has 2, 1"),
        ({"version": "newest"}, "invalid_options", "`version` must be the number of a version or last_good"),
        ({"documents": ["unknown"]}, "rows_missing", "'unknown' has no row"),
        ({"documents": []}, "invalid_options", "`documents` is required"),
        ({"documents": ["alge\x00bra"]}, "invalid_options", "An id is a text of at least one character, without NUL."),
        ({"json_schema": {"required": ["title"]}}, "damaged", "version 1 is not valid: it does not match the schema"),
        ({"documents": ["algebra", "algebra"]}, "invalid_options", "more than once"),
        ({"versions": {"table": "revisions"}}, "table_missing", "public.revisions does not exist"),
        ({"versions": {"etag": "tag"}}, "schema_drift", "`versions.etag` must be a column"),
        ({"metadata": {"version": "updated_at"}}, "unsupported", "must hold whole numbers, got the type timestamp"),
        ({"key": "course.json"}, "invalid_options", "`key` must contain {document} once"),
        ({"via": "http"}, "invalid_options", "`url` must be"),
        ({"version": "before", "documents": ["damaged"]}, "invalid_options", "must be ids of documents"),
        ({"version": "before", "files": None}, "invalid_options", "`files` is required"),
        ({"via": "function", "etag_above": 7}, "invalid_options", "require `via: sql`"),
        ({"via": "function", "function": "missing_function"}, "query_failed", "missing_function"),
        ({"json_schema": {"type": 7}}, "invalid_options", "`json_schema` must be a JSON Schema"),
        ({"json_schema": {"$ref": "http://127.0.0.1:1/x"}}, "invalid_options", "not part of it"),
        ({"max_documents": 0, "version": "1"}, "limit_exceeded", "`max_documents` allows 0"),
    ],
)
def test_a_wrong_request_is_refused_and_changes_nothing(
    published: Platform, options: Options, kind: str, message: str
) -> None:
    before = published.everything()
    with pytest.raises(ModuleFailed) as caught:
        run_module("course_version_restore", {**published.options, "documents": ["algebra"], "version": "1", **options})
    assert caught.value.result["error_kind"] == kind, caught.value
    assert message in caught.value.result["msg"]
    assert published.everything() == before


TOKEN = "a-bearer-token-of-the-service"


@pytest.fixture
def service(platform: Platform) -> t.Iterator[HttpSink]:
    """The service of the application: it writes the tables, and leaves the published copy to others."""

    def restore(seen: Seen) -> None:
        if seen.path == "/restore":
            body = json.loads(seen.body)
            claim = f"SELECT set_config('request.jwt.claim.sub', '{PUBLISHER}', false)"
            with platform.server.session(platform.database) as cursor:
                cursor.execute(claim)
                cursor.execute(
                    "SELECT restore_course_version(%s, %s, %s)", (body["courseId"], body["version"], body["changelog"])
                )

    with http_sink(keep=restore) as sink:
        yield sink


def test_the_service_restores_and_the_published_copy_follows(platform: Platform, service: HttpSink) -> None:
    platform.publish("algebra", {"v": 1}, {"v": 2})
    restored = platform.restore("algebra", version="1", via="http", url=f"{service.url}/restore", token=TOKEN)
    assert restored["documents"][0]["version"] == 3
    assert json.loads(service.seen[0].body) == {
        "courseId": "algebra", "version": 1, "changelog": "Restored by lifeline.recovery"
    }  # fmt: skip
    assert json.loads(platform.published("algebra")) == {"v": 1}
    assert platform.info()["damaged"] == []
    assert TOKEN not in json.dumps(restored)


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (Reply(401, body='{"error": "invalid token"}'), "access_denied"),
        (Reply(404), "object_missing"),
        (Reply(409), "conflict"),
        (Reply(500, body=f'{{"error": "failed with {TOKEN}"}}'), "service_failed"),
        (Reply(slow=3), "timeout"),
        (Reply(200, body="{}"), "not_equal"),
    ],
)
def test_an_error_of_the_service_is_one_error_and_nothing_is_half_done(
    published: Platform, reply: Reply, kind: str
) -> None:
    before = published.everything()
    with http_sink() as service:
        service.replies["/refuse"] = [reply]
        with pytest.raises(ModuleFailed) as caught:
            published.restore("algebra", version="1", via="http", url=f"{service.url}/refuse", token=TOKEN, timeout=1)
    assert caught.value.result["error_kind"] == kind, caught.value
    assert TOKEN not in json.dumps(caught.value.result)
    assert published.everything() == before


def test_a_lost_answer_of_a_service_that_restored_is_a_success(platform: Platform, service: HttpSink) -> None:
    platform.publish("algebra", {"v": 1}, {"v": 2})
    service.replies["/restore"] = [Reply(slow=3)]
    restored = platform.restore(
        "algebra", version="1", via="http", url=f"{service.url}/restore", token=TOKEN, timeout=1
    )
    assert restored["documents"][0]["version"] == 3
    assert platform.info()["damaged"] == []


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ("RAISE EXCEPTION 'there is no such version'", "query_failed"),
        ("RAISE insufficient_privilege", "access_denied"),
        ("RAISE unique_violation", "conflict"),
        ("PERFORM pg_sleep(30)", "timeout"),
        ("RETURN", "not_equal"),
        ("UPDATE course_metadata SET content_version = 3; INSERT INTO course_versions (course_id, version, snapshot, "
         "published_by) SELECT course_id, 3, '{\"title\": \"metadata\"}', published_by FROM course_versions LIMIT 1",
         "not_equal"),
        ("INSERT INTO course_versions (course_id, version, snapshot, published_by) "
         "SELECT course_id, 3, snapshot, published_by FROM course_versions WHERE version = 1", "not_equal"),
    ],
    ids=["refused", "no right", "duplicate", "slow", "does nothing", "other content", "rows do not agree"],
)  # fmt: skip
def test_an_error_of_the_function_is_one_error_and_nothing_is_half_done(
    published: Platform, body: str, kind: str
) -> None:
    before = published.everything()
    name = f"fails_{secrets.token_hex(4)}"
    published.run(f"CREATE FUNCTION {name}(text, int, text) RETURNS void LANGUAGE plpgsql AS $f$ BEGIN {body}; END $f$")
    with pytest.raises(ModuleFailed) as caught:
        published.restore("algebra", version="1", via="function", function=name, timeout=1)
    assert caught.value.result["error_kind"] == kind, caught.value
    assert "The document is unchanged." in caught.value.result["msg"]
    assert published.everything() == before


def as_objects(platform: Platform, course: str, *contents: t.Any, prefix: str = "versions") -> None:
    """Publish versions whose content is an object of the bucket, beside metadata that is no content."""
    for number, content in enumerate(contents, 1):
        path = f"{prefix}/{course}/{number}.json"
        platform.bucket.client().put_object(
            Bucket=platform.bucket.bucket, Key=f"{platform.prefix}/{path}", Body=json.dumps(content).encode()
        )
        platform.run(
            "INSERT INTO course_metadata (id, content_version, etag) VALUES (%(id)s, %(n)s, %(n)s) "
            "ON CONFLICT (id) DO UPDATE SET content_version = %(n)s, etag = %(n)s",
            {"id": course, "n": number},
        )
        platform.run(
            "INSERT INTO course_versions (course_id, version, storage_path, metadata_snapshot, published_by, etag) "
            "VALUES (%s, %s, %s, %s, %s, %s)",
            (course, number, path, json.dumps({"title": "metadata"}), PUBLISHER, number),
        )
        platform.upload(course, json.dumps(content).encode())


@pytest.mark.parametrize("via", ["sql", "http"])
@pytest.mark.parametrize("mixed", [False, True], ids=["objects only", "objects and rows"])
def test_a_version_in_an_object_is_restored_and_metadata_is_never_content(
    platform: Platform, service: HttpSink, mixed: bool, via: str
) -> None:
    platform.run("ALTER TABLE course_versions ADD storage_path text, ADD metadata_snapshot jsonb")
    change = "ALTER snapshot DROP NOT NULL" if mixed else "DROP snapshot"
    platform.run(f"ALTER TABLE course_versions {change}")
    platform.run("DROP FUNCTION restore_course_version")
    platform.run(
        "CREATE FUNCTION restore_course_version(c text, v int, why text) RETURNS void LANGUAGE sql AS $$ "
        "UPDATE course_metadata SET content_version = content_version + 1, etag = etag + 1 WHERE id = c; "
        "INSERT INTO course_versions (course_id, version, storage_path, metadata_snapshot, published_by, etag) "
        "SELECT c, m.content_version, o.storage_path, o.metadata_snapshot, o.published_by, m.etag "
        "FROM course_versions o JOIN course_metadata m ON m.id = c WHERE o.course_id = c AND o.version = v $$"
    )
    as_objects(platform, "o'brien/1", HOSTILE, {"v": 2}, {"v": 3})
    as_objects(platform, "lost", {"v": 1}, {"v": 2})
    client, bucket = platform.bucket.client(), platform.bucket.bucket
    client.delete_object(Bucket=bucket, Key=f"{platform.prefix}/versions/lost/2.json")
    client.delete_object(Bucket=bucket, Key=platform.key("o'brien/1"))
    platform.run(
        "UPDATE course_versions SET storage_path = '../../etc/passwd' WHERE course_id = 'lost' AND version = 1"
    )
    found = {one["document"]: one for one in platform.info("o'brien/1", "lost")["documents"]}
    assert found["o'brien/1"]["findings"] == ["the published copy is missing"]
    assert [(one["valid"], one["size"] > 0) for one in found["o'brien/1"]["versions"]] == [(True, True)] * 3
    assert found["lost"]["findings"] == ["version 2 is not valid: of its object versions/lost/2.json, it is missing"]
    rows = platform.run("SELECT course_id, version, storage_path FROM course_versions ORDER BY 1, 2")
    with pytest.raises(ModuleFailed, match="nor is any of the 1 before it") as caught:
        platform.restore("lost", version="last_good")
    assert caught.value.result["error_kind"] == "damaged"
    assert platform.run("SELECT course_id, version, storage_path FROM course_versions ORDER BY 1, 2") == rows
    assert json.loads(platform.published("lost")) == {"v": 2}
    service_options = {"url": f"{service.url}/restore", "token": TOKEN} if via == "http" else {}
    platform.restore("o'brien/1", version="1", via=via, **service_options)
    assert json.loads(platform.published("o'brien/1")) == HOSTILE
    ((path, metadata),) = platform.run(
        "SELECT storage_path, metadata_snapshot FROM course_versions WHERE course_id = 'o''brien/1' AND version = 4"
    )
    assert (path, metadata) == ("versions/o'brien/1/1.json", {"title": "metadata"})
    assert platform.info("o'brien/1")["documents"][0]["findings"] == []
    if mixed:
        # The content in the row has priority over the object.
        platform.run('UPDATE course_versions SET snapshot = \'{"v": "inline"}\' WHERE version = 2')
        platform.restore("o'brien/1", version="2")
        assert json.loads(platform.published("o'brien/1")) == {"v": "inline"}
    else:
        # The edited copy cannot become a row, so that it is kept beside.
        platform.upload("o'brien/1", b'{"v": "edited"}')
        restored = platform.restore("o'brien/1", version="2")["documents"][0]
        kept = client.get_object(Bucket=bucket, Key=f"{platform.prefix}/{restored['kept_copy']}")["Body"].read()
        assert (kept, json.loads(platform.published("o'brien/1"))) == (b'{"v": "edited"}', {"v": 2})
        with pytest.raises(ModuleFailed, match="has only keys of objects"):
            run_module("course_version_restore", {**platform.options, "state": "rebuilt", "publisher": PUBLISHER})


def test_lost_versions_are_rebuilt_once_from_the_published_copies(platform: Platform) -> None:
    courses = {f"course-{number}": {"title": f"It's {number}", "text": "\\ \U0001f600"} for number in range(30)}
    for course, content in courses.items():
        platform.publish(course, content)
    platform.publish("edited", {"v": 1}, {"v": 2})
    platform.run("DELETE FROM course_versions WHERE course_id <> 'edited'")
    platform.upload("orphan", b"{}")
    arguments = {**platform.options, "state": "rebuilt", "publisher": PUBLISHER}
    before = platform.everything()
    planned = run_module("course_version_restore", arguments, check_mode=True)
    assert (planned["rebuilt"], platform.everything()) == (30, before)
    rebuilt = run_module("course_version_restore", arguments)
    assert (rebuilt["rebuilt"], rebuilt["without_row"], rebuilt["with_versions"]) == (30, ["orphan"], 1)
    assert {course: platform.versions(course) for course in courses} == {
        course: [(1, content)] for course, content in courses.items()
    }
    assert platform.run("SELECT DISTINCT changelog FROM course_versions WHERE course_id <> 'edited'") == [
        ("Rebuilt from storage backup",)
    ]
    assert len(platform.versions("edited")) == 2
    assert platform.info()["damaged"] == []
    assert run_module("course_version_restore", arguments)["changed"] is False


def test_the_lost_current_version_of_a_document_with_older_ones_is_rebuilt(platform: Platform) -> None:
    """The table of versions comes from a backup that is older than the last publication."""
    contents = [{"v": 1}, {"v": 2}, {"v": 3}]
    platform.publish("recent", *contents)
    platform.publish("sound", *contents)
    platform.publish("without", {"v": 1})
    platform.run("DELETE FROM course_versions WHERE (course_id, version) IN (('recent', 3), ('without', 1))")
    arguments = {**platform.options, "state": "rebuilt", "publisher": PUBLISHER}
    for check_mode in (True, False):
        rebuilt = run_module("course_version_restore", arguments, check_mode=check_mode)
        assert (rebuilt["rebuilt"], rebuilt["current"], rebuilt["with_versions"]) == (2, 1, 1)
        assert "the first version of 1 document and the current version of 1 document" in rebuilt["summary"]
    assert sorted(platform.versions("recent")) == [(number, {"v": number}) for number in (1, 2, 3)]
    assert platform.info()["damaged"] == []
    assert run_module("course_version_restore", arguments)["changed"] is False


def test_copies_that_are_no_version_are_named_and_the_others_are_rebuilt(platform: Platform) -> None:
    for course in ("good", "broken", "nul"):
        platform.publish(course, {"v": course})
    platform.run("DELETE FROM course_versions")
    platform.upload("broken", b"{")
    platform.upload("nul", b'{"v": "\\u0000"}')
    arguments = {**platform.options, "state": "rebuilt"}
    with pytest.raises(ModuleFailed, match="`publisher` is required"):
        run_module("course_version_restore", arguments)
    with pytest.raises(ModuleFailed, match="2 published documents cannot be a version") as caught:
        run_module("course_version_restore", {**arguments, "publisher": PUBLISHER})
    assert sorted(one["document"] for one in caught.value.result["not_rebuilt"]) == ["broken", "nul"]
    assert platform.versions("good") == [(1, {"v": "good"})]


def test_damaged_documents_without_a_valid_version_do_not_stop_the_others(platform: Platform) -> None:
    platform.publish("good", {"v": 1})
    platform.publish("hopeless", {"v": 1})
    platform.run("DELETE FROM course_versions WHERE course_id = 'hopeless'")
    for course in ("good", "hopeless"):
        platform.upload(course, b"")
    with pytest.raises(ModuleFailed, match=r"1 of 2 documents were not restored. hopeless: .* no version") as caught:
        platform.restore("damaged")
    assert "Restored: good." in caught.value.result["msg"]
    assert json.loads(platform.published("good")) == {"v": 1}


def test_versions_are_ordered_by_number(platform: Platform) -> None:
    # As texts, 9 is after 10 and 12.
    platform.publish("algebra", *({"v": number} for number in range(1, 13)))
    listed = platform.info("algebra")["documents"][0]
    assert [row["version"] for row in listed["versions"]] == list(range(12, 0, -1))
    assert (listed["version"], listed["findings"]) == (12, [])
    platform.upload("algebra", b"not JSON")
    restored = platform.restore("algebra", version="last_good")
    assert (restored["documents"][0]["restored_from"], restored["documents"][0]["version"]) == (12, 13)
    assert (platform.versions("algebra")[-1], platform.current("algebra")) == ((13, {"v": 12}), (13, 13))


def test_a_version_with_two_rows_is_no_version_to_restore(platform: Platform) -> None:
    platform.publish("algebra", {"v": 1}, {"v": 2})
    platform.run("ALTER TABLE course_versions DROP CONSTRAINT course_versions_course_id_version_key")
    repeat = (
        "INSERT INTO course_versions (course_id, version, snapshot, published_by, etag) "
        "SELECT course_id, version, '{\"v\": 99}', published_by, etag FROM course_versions WHERE version = 2"
    )
    platform.run(repeat)
    before = platform.everything()
    with pytest.raises(ModuleFailed) as refused:
        platform.restore("algebra", version="2")
    assert (refused.value.result["error_kind"], "2 rows" in str(refused.value)) == ("damaged", True)
    assert platform.everything() == before
    assert "2 rows of version 2" in platform.info("algebra")["documents"][0]["findings"][0]
    restored = platform.restore("algebra", version="last_good")
    # The published content is kept as a version first, because it is not known which row it comes from.
    assert restored["documents"][0]["restored_from"] == 1
    assert [content for version, content in platform.versions("algebra") if version > 2] == [{"v": 2}, {"v": 1}]


def test_a_compressed_copy_is_compared_by_its_content(platform: Platform) -> None:
    platform.publish("algebra", {"v": 1}, {"v": 2})
    platform.upload("algebra", gzip.compress(b'{"v": 2}'), ContentEncoding="gzip")
    assert platform.info("algebra")["documents"][0]["findings"] == []
    restored = platform.restore("algebra", version="1")
    assert (restored["documents"][0]["kept_version"], restored["documents"][0]["kept_copy"]) == (None, None)
    # The new copy is plain, and a client that was sent the old encoding with it could not read it.
    head = platform.bucket.client().head_object(Bucket=platform.bucket.bucket, Key=platform.key("algebra"))
    assert (head.get("ContentEncoding"), json.loads(platform.published("algebra"))) == (None, {"v": 1})
    for data, encoding, found in (
        (gzip.compress(b'{"v": 1}')[:-4], "gzip", "ends too early"),
        (b'{"v": 1}', "gzip", "Content-Encoding states: The gzip data is damaged"),
    ):
        platform.upload("algebra", data, ContentEncoding=encoding)
        assert found in platform.info("algebra")["documents"][0]["findings"][0]
    platform.upload("algebra", b"\x8b\x03\x80", ContentEncoding="br")
    with pytest.raises(ModuleFailed) as refused:
        platform.restore(version="last_good", documents=["damaged"])
    assert refused.value.result["error_kind"] == "unsupported"


def test_a_restored_version_has_the_other_columns_of_its_row(platform: Platform) -> None:
    platform.publish("algebra", {"v": 1}, {"v": 2})
    platform.run(
        "ALTER TABLE course_versions ADD tenant varchar(10) DEFAULT 'none (yet)', ADD required text, "
        "ADD made_at timestamptz DEFAULT now(), ADD number bigint GENERATED ALWAYS AS IDENTITY, "
        "ADD digest text GENERATED ALWAYS AS (md5(snapshot::text)) STORED"
    )
    platform.run("UPDATE course_versions SET tenant = 'school', required = 'x', made_at = '2020-01-01'")
    platform.run("ALTER TABLE course_versions ALTER required SET NOT NULL")
    platform.restore("algebra", version="1")
    others = "SELECT tenant, required, made_at > '2026-01-01', number FROM course_versions WHERE version = 3"
    assert platform.run(others) == [("school", "x", True, 3)]


@pytest.mark.parametrize(("kind", "ids"), [("integer", ("12", "9")), ("uuid", (PUBLISHER,))])
def test_a_key_that_is_no_id_stops_no_other_document(platform: Platform, kind: str, ids: tuple[str, ...]) -> None:
    for table, name in platform.run(
        "SELECT conrelid::regclass::text, conname FROM pg_constraint "
        "WHERE contype = 'f' AND confrelid = 'course_metadata'::regclass"
    ):
        platform.run(f"ALTER TABLE {table} DROP CONSTRAINT {name}")
    for table, column in (("course_metadata", "id"), ("course_versions", "course_id")):
        platform.run(f"ALTER TABLE {table} ALTER {column} TYPE {kind} USING {column}::{kind}")
    for course in ids:
        platform.publish(course, {"v": 1}, {"v": 2})
    for wrong in ("not an id", "012", "1" * 30):
        with pytest.raises(ModuleFailed) as refused:
            platform.restore(wrong, version="1")
        assert refused.value.result["error_kind"] == "rows_missing"
        platform.upload(wrong, b'{"v": 1}')
    platform.run("DELETE FROM course_versions")
    with pytest.raises(ModuleFailed) as partly:
        run_module("course_version_restore", {**platform.options, "state": "rebuilt", "publisher": PUBLISHER})
    assert [one["document"] for one in partly.value.result["not_rebuilt"]] == ["012", "1" * 30, "not an id"]
    assert platform.run("SELECT count(*) FROM course_versions") == [(len(ids),)]
    with pytest.raises(ModuleFailed, match="3 published documents cannot be a version"):
        run_module("course_version_restore", {**platform.options, "state": "rebuilt", "publisher": PUBLISHER})


class ReadsOnceWrong(DirectoryStore):
    """A folder on a disk that fails once, at the first read after a write."""

    failure: t.ClassVar[str] = ""
    wrote = False

    def put(self, key: str, *arguments: t.Any, **options: t.Any) -> ObjectInfo:
        self.wrote = not key.endswith("Z") and type(self).failure != ""
        return super().put(key, *arguments, **options)

    def open_small(self, key: str, *, size: int | None = None) -> Opened:
        if not self.wrote:
            return super().open_small(key, size=size)
        type(self).failure, failure = "", type(self).failure
        self.wrote = False
        if failure == "unreadable":
            raise RecoveryError(
                ErrorKind.STORE_FAILED, f"{self.location} failed at {key}: Input/output error.", left=""
            )
        return Opened(t.cast(ObjectInfo, self.head(key)), iter([b"{}"]))


def after_a_write(fault: Fault) -> Rule:
    """The fault for the first reading of a document after it was written, which is two requests if the first fails."""
    seen: list[str] = []

    def fault_for(line: str) -> Fault | None:
        if not line.endswith(".json HTTP/1.1"):
            return None
        seen.append(line.split()[0])
        return fault if "PUT" in seen and seen[-1] == "GET" and seen[seen.index("PUT") :].count("GET") <= 2 else None

    return fault_for


@pytest.mark.parametrize(
    ("fault", "published"),
    [(refusal(403, "AccessDenied"), b'{"v": "damaged'), (listing_with(b'{"v": 1}', b'{"v": 7}'), None)],
    ids=["refused", "other bytes"],
)
def test_a_bucket_that_fails_after_the_write_gets_its_copy_back(
    platform: Platform, fault: Fault, published: bytes | None
) -> None:
    platform.publish("algebra", {"v": 1}, {"v": 2})
    name = {"Bucket": platform.bucket.bucket, "Key": platform.key("algebra")}
    if published is None:
        platform.bucket.client().delete_object(**name)
    else:
        platform.upload("algebra", published, Tagging="kind=course")
    before = platform.everything()
    with faulty(platform.bucket, after_a_write(fault)) as url, pytest.raises(ModuleFailed) as caught:
        platform.restore("algebra", version="1", files={**platform.options["files"], "endpoint_url": url})
    assert "may have" not in caught.value.result["left"], caught.value.result
    assert platform.everything() == before
    if published is not None:
        tags = platform.bucket.client().get_object_tagging(**name)["TagSet"]
        assert tags == [{"Key": "kind", "Value": "course"}]


@pytest.mark.parametrize(("failure", "published"), [("other bytes", b'{"v": "damaged'), ("unreadable", None)])
def test_a_folder_that_fails_after_the_write_gets_its_copy_back(
    platform: Platform, tmp_path: Path, failure: str, published: bytes | None
) -> None:
    platform.publish("algebra", {"v": 1}, {"v": 2})
    before = platform.everything()
    if published is not None:
        (tmp_path / "algebra.json").write_bytes(published)
    ReadsOnceWrong.failure = failure
    login = platform.server.options(platform.database)
    layout = Layout(login, VersionsTable(), MetadataTable(), ReadsOnceWrong(str(tmp_path)))
    request = DocumentsRequest(layout, ["algebra"], 1, PublishOptions(), 1, Safeguards())
    with pytest.raises(RecoveryError) as error:
        perform(DocumentsRestore(request, None))
    assert (error.value.kind, "unchanged" in error.value.left) == ("store_failed", True)
    assert platform.everything() == before
    files = {one.name: one.read_bytes() for one in tmp_path.iterdir()}
    assert files == ({} if published is None else {"algebra.json": published})


def test_a_document_without_a_row_of_its_own_is_restored_with_it_or_refused_by_name(platform: Platform) -> None:
    platform.publish("algebra", {"v": 1}, {"v": 2})
    platform.publish("biology", {"v": 1})
    platform.run("ALTER TABLE course_versions DROP CONSTRAINT course_versions_course_id_fkey")
    platform.run("DELETE FROM course_metadata")
    assert platform.info()["damaged"] == ["algebra", "biology"]
    platform.restore("algebra", version="1")
    assert platform.current("algebra") == (3, 3)
    platform.run("ALTER TABLE course_metadata ADD title text")
    platform.run("UPDATE course_metadata SET title = 'x'; ALTER TABLE course_metadata ALTER title SET NOT NULL")
    before = platform.everything()
    with pytest.raises(ModuleFailed, match="has no row of biology, and a new row needs values of title"):
        platform.restore("damaged")
    assert platform.everything() == before
    assert platform.info()["damaged"] == ["biology"]


def test_numbers_are_raised_above_those_that_clients_know(platform: Platform) -> None:
    for course in ("algebra", "biology"):
        platform.publish(course, {"v": 1}, {"v": course})
    platform.publish("chemistry", *({"v": number} for number in range(9)))
    copies = platform.everything()[2]
    above = {"version_above": 7, "etag_above": 8}
    planned = platform.restore("all", check_mode=True, **above)
    assert (planned["plan"], platform.current("algebra")) == ({"algebra": 2, "biology": 2}, (2, 2))
    platform.restore("all", **above)
    assert [platform.current(course) for course in ("algebra", "biology", "chemistry")] == [(8, 9), (8, 9), (9, 9)]
    assert platform.versions("biology")[-1] == (8, {"v": "biology"})
    assert platform.everything()[2] == copies
    assert platform.restore("all", **above)["changed"] is False
    assert platform.info()["damaged"] == []


def test_the_copy_that_a_restore_replaced_is_put_back(platform: Platform) -> None:
    platform.publish("algebra", {"v": 1}, {"v": 2})
    with pytest.raises(ModuleFailed, match="has no former copy of algebra"):
        platform.restore("algebra", version="before")
    for damaged in (b"first damage", b"second damage"):
        platform.upload("algebra", damaged, Tagging="kind=course")
        platform.restore("damaged")
    before = platform.everything()
    planned = platform.restore("algebra", version="before", check_mode=True)
    assert (".before-" in planned["plan"]["algebra"], platform.everything()) == (True, before)
    restored = platform.restore("algebra", version="before")["documents"][0]
    assert (restored["restored_copy"], restored["kept_copy"]) == (planned["plan"]["algebra"], None)
    assert platform.published("algebra") == b"second damage"
    assert platform.everything()[:2] == before[:2]
    name = {"Bucket": platform.bucket.bucket, "Key": platform.key("algebra")}
    head = platform.bucket.client().head_object(**name)
    assert (head["CacheControl"], platform.bucket.client().get_object_tagging(**name)["TagSet"]) == (
        "max-age=60", [{"Key": "kind", "Value": "course"}]
    )  # fmt: skip
    assert platform.restore("algebra", version="before")["changed"] is False
    # The content that is replaced now is in no version, so that it is kept too.
    platform.upload("algebra", b"third damage")
    assert platform.restore("algebra", version="before")["documents"][0]["kept_copy"]
    platform.restore("algebra", version="before")
    assert platform.published("algebra") == b"third damage"


def test_former_copies_are_pruned_by_age_and_the_newest_of_each_document_stays(platform: Platform) -> None:
    keys = {
        "algebra.json.before-20200101T000000Z", "algebra.json.before-20200102T000000Z",
        "algebra.json.before-20200102T000000Z-2", "biology.json.before-20200101T000000Z",
        "chemistry.json.before-20991231T235959Z", "algebra.json", "notes.before-20200101T000000Z",
        "algebra.json.before-x",
    }  # fmt: skip

    def stored() -> set[str]:
        return {key.partition("/")[2] for key in platform.everything()[2]}

    for key in keys:
        platform.bucket.client().put_object(Bucket=platform.bucket.bucket, Key=f"{platform.prefix}/{key}", Body=b"x")
    arguments = {"files": platform.options["files"]}
    planned = run_module("course_version_prune", arguments, check_mode=True)
    assert stored() == keys
    run_module("course_version_prune", {**arguments, "minimum": 0, "keep_forever": True})
    assert stored() == keys
    done = run_module("course_version_prune", arguments)
    removed = {"algebra.json.before-20200101T000000Z", "algebra.json.before-20200102T000000Z"}
    assert set(planned["removed"]) == set(done["removed"]) == removed
    assert stored() == keys - removed
    assert run_module("course_version_prune", arguments)["changed"] is False
    run_module("course_version_prune", {**arguments, "minimum": 0})
    assert stored() == {
        "algebra.json", "notes.before-20200101T000000Z", "algebra.json.before-x",
        "chemistry.json.before-20991231T235959Z",
    }  # fmt: skip
