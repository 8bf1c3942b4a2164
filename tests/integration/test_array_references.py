# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ids in arrays that refer to no row are removed, and nothing else is."""

from __future__ import annotations

import json
import time
import typing as t
import uuid

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.data.learnplay import SCHEMA
from tests.support.runner.modules import ModuleFailed, run_module, start_module
from tests.support.servers.postgres import PostgresServer

Options = dict[str, t.Any]

TYPE = "00000000-0000-0000-0000-0000000000aa"
TAGS = [str(uuid.UUID(int=number)) for number in range(1, 7)]


class Catalog:
    """The database of an application whose courses have tags."""

    def __init__(self, server: PostgresServer, database: str, store: Options) -> None:
        self.server, self.database, self.store = server, database, store

    def run(self, sql: str, parameters: t.Any = None) -> list[t.Any]:
        with self.server.session(self.database) as cursor:
            cursor.execute(sql, parameters)
            return list(cursor.fetchall()) if cursor.description else []

    def fill(self, courses: t.Mapping[str, t.Sequence[str | None] | str]) -> None:
        """Six tags, and courses with these ids of tags, whether or not there are such tags."""
        with self.server.session(self.database) as cursor:
            cursor.execute("INSERT INTO tag_types VALUES (%s, 'subject')", (TYPE,))
            for tag in TAGS:
                cursor.execute(
                    "INSERT INTO tags (id, type_id, name, slug) VALUES (%s, %s, %s, %s)", (tag, TYPE, tag, tag)
                )
            cursor.execute("SET session_replication_role = replica")
            for course, ids in courses.items():
                cursor.execute("INSERT INTO course_metadata (id, tag_ids) VALUES (%s, %s::uuid[])", (course, ids))

    def courses(self) -> dict[str, list[str]]:
        return dict(self.run("SELECT id, tag_ids::text[] FROM course_metadata"))

    def repair(self, *, check_mode: bool = False, **options: t.Any) -> Options:
        arguments = {
            "state": "repaired", "table": "course_metadata", "column": "tag_ids", "references": {"table": "tags"},
            "source": "learnplay", "store": self.store, "recovery_environment": "sandbox", **options,
        }  # fmt: skip
        return run_module(
            "pg_array_references", {**self.server.module_options(self.database), **arguments}, check_mode=check_mode
        )

    def undo(self, undo: t.Mapping[str, str]) -> Options:
        given = {"source": "learnplay", "store": self.store, "recovery_environment": "sandbox", **undo}
        return run_module("pg_restore_table", {**self.server.module_options(self.database), **given})


@pytest.fixture
def catalog(postgres: PostgresServer, database: str, folder_store: Options) -> Catalog:
    postgres.psql(database, SCHEMA)
    return Catalog(postgres, database, folder_store)


def test_only_dangling_ids_are_removed_and_the_undo_restores_them(catalog: Catalog) -> None:
    catalog.fill({
        "algebra": [TAGS[3], TAGS[0], TAGS[5], TAGS[1], TAGS[0]],
        "it's 100% \"odd\" \\": [TAGS[5]],
        "biology": [TAGS[2], TAGS[1]],
        "empty": [],
        "null element": [TAGS[1], None],
    })  # fmt: skip
    catalog.run("DELETE FROM tags WHERE id IN (%s, %s)", (TAGS[3], TAGS[5]))
    before = catalog.courses()
    versions = dict(catalog.run("SELECT id, xmin::text FROM course_metadata"))

    reported = catalog.repair(state="reported", undo=False, source=None, store=None)
    planned = catalog.repair(check_mode=True, _ansible_diff=True)
    assert (reported["changed"], planned["changed"], catalog.courses()) == (False, True, before)
    assert reported["plan_digest"] == planned["plan_digest"]
    assert {row["key"]["id"]: (row["dropped"], row["kept"]) for row in planned["rows"]} == {
        "algebra": ([TAGS[3], TAGS[5]], 3), "it's 100% \"odd\" \\": ([TAGS[5]], 0), "null element": ([None], 1),
    }  # fmt: skip
    assert f"id=algebra, tag_ids={{{TAGS[0]},{TAGS[1]},{TAGS[0]}}}" in planned["diff"]["after"]

    with pytest.raises(ModuleFailed, match="was not confirmed"):
        catalog.repair(recovery_environment="production")
    repaired = catalog.repair(recovery_environment="production", recovery_confirm=planned["plan_digest"])
    assert repaired["summary"].startswith("Removed 4 dangling ids from 3 rows of public.course_metadata.tag_ids")
    after = {**before, "algebra": [TAGS[0], TAGS[1], TAGS[0]], 'it\'s 100% "odd" \\': [], "null element": [TAGS[1]]}
    assert catalog.courses() == after
    now = dict(catalog.run("SELECT id, xmin::text FROM course_metadata"))
    assert {course for course in now if now[course] != versions[course]} == {
        row["key"]["id"] for row in planned["rows"]
    }
    assert catalog.repair()["changed"] is False

    assert catalog.undo(repaired["undo"])["changed"] is True
    assert catalog.courses() == before


def test_ids_are_not_removed_while_the_referenced_table_is_empty(catalog: Catalog) -> None:
    catalog.fill({"algebra": TAGS})
    catalog.run("DELETE FROM tags")
    with pytest.raises(ModuleFailed, match=r"public\.tags has no row, so that all 6 ids in 1 rows") as caught:
        catalog.repair(check_mode=True)
    assert caught.value.result["error_kind"] == "rows_missing"
    assert catalog.repair(state="reported")["count"] == 1
    assert catalog.courses() == {"algebra": TAGS}


def test_a_tag_that_comes_back_during_the_repair_keeps_its_ids(catalog: Catalog) -> None:
    catalog.fill({"algebra": TAGS[:2]})
    catalog.run("DELETE FROM tags WHERE id = %s", (TAGS[0],))
    with catalog.server.session(catalog.database) as editor:
        editor.execute("BEGIN")
        editor.execute("INSERT INTO tags (id, type_id, name, slug) VALUES (%s, %s, 'x', 'x')", (TAGS[0], TYPE))
        arguments = {
            "state": "repaired", "table": "course_metadata", "column": "tag_ids", "references": {"table": "tags"},
            "undo": False, "lock_timeout": 60, "recovery_environment": "sandbox",
        }  # fmt: skip
        process = start_module("pg_array_references", {**catalog.server.module_options(catalog.database), **arguments})
        waiting = (
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        )
        while catalog.run(waiting) == [(0,)]:
            assert process.poll() is None
            time.sleep(0.02)
        editor.execute("COMMIT")
    output, _errors = process.communicate(timeout=60)
    assert json.loads(output)["changed"] is False
    assert catalog.courses() == {"algebra": TAGS[:2]}


@pytest.mark.parametrize(("table", "word"), [("tags", "tags"), ("course_metadata", "course_metadata")])
def test_hidden_rows_are_refused_and_not_taken_for_missing(catalog: Catalog, table: str, word: str) -> None:
    catalog.fill({"algebra": TAGS[:1]})
    role = f"reader_{uuid.uuid4().hex[:12]}"
    catalog.run(
        f"CREATE ROLE {role} LOGIN PASSWORD 'x'; GRANT ALL ON ALL TABLES IN SCHEMA public TO {role}; "
        f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY"
    )
    try:
        with pytest.raises(ModuleFailed, match=f"Row level security hides rows of public.{word}") as caught:
            catalog.repair(login_user=role, login_password="x")
        assert caught.value.result["error_kind"] == "rls_blind"
    finally:
        catalog.run(f"DROP OWNED BY {role}; DROP ROLE {role}")


def test_tables_and_columns_that_cannot_be_judged_are_refused(catalog: Catalog) -> None:
    catalog.fill({"algebra": "{{%s,%s}}" % (TAGS[0], TAGS[1]), "biology": TAGS[:1]})
    catalog.run("CREATE TABLE numbers (id uuid PRIMARY KEY, n int[], j json[], t text); CREATE TABLE bare (ids uuid[])")
    for match, options in (
        ("must hold arrays of one dimension, but public.course_metadata.tag_ids has others in 1 row", {}),
        ("No element of n .integer... can be a value of id .uuid.", {"table": "numbers", "column": "n"}),
        ("Ids must be whole numbers, texts or UUIDs, got json", {"table": "numbers", "column": "j"}),
        ("`column` must be an array, got t", {"table": "numbers", "column": "t"}),
        ("has no column missing", {"table": "numbers", "column": "missing"}),
        ("must have a primary key", {"table": "bare", "column": "ids"}),
        ("`table` must be a table of the database, got public.gone", {"table": "gone"}),
        ("`references.table` must be a table of the database", {"references": {"table": "gone"}}),
        ("`source` and `store` are required", {"source": None}),
        ("`max_rows` allows 0", {"table": "one", "column": "ids", "max_rows": 0}),
    ):
        if "max_rows" in options:
            catalog.run("CREATE TABLE one (id int PRIMARY KEY, ids text[]); INSERT INTO one VALUES (1, '{x}')")
        with pytest.raises(ModuleFailed, match=match):
            catalog.repair(**options)


def test_a_trigger_that_puts_ids_back_fails_the_repair(catalog: Catalog) -> None:
    catalog.fill({"algebra": TAGS})
    catalog.run("DELETE FROM tags WHERE id = %s", (TAGS[0],))
    catalog.run(
        "CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS "
        "'BEGIN NEW.tag_ids := OLD.tag_ids; RETURN NEW; END'; "
        "CREATE TRIGGER a_keep BEFORE UPDATE ON course_metadata FOR EACH ROW EXECUTE FUNCTION keep()"
    )
    catalog.run("DROP TRIGGER validate_tag_ids ON course_metadata")
    with pytest.raises(ModuleFailed, match="set `triggers` to disable"):
        catalog.repair()
    assert catalog.courses() == {"algebra": TAGS}
    catalog.repair(triggers="disable")
    assert catalog.courses() == {"algebra": TAGS[1:]}
    assert catalog.run("SELECT tgenabled FROM pg_trigger WHERE tgname = 'a_keep'") == [("O",)]


IDS = {
    "int": st.integers(-3, 3),
    "bigint": st.integers(-(2**63), 2**63 - 1),
    "text": st.text("a'\"\\{},é ", max_size=3),
}


@pytest.mark.parametrize("kind", IDS)
def test_arrays_equal_those_of_a_model(postgres: PostgresServer, catalog: Catalog, kind: str) -> None:
    """Types, NULL arrays, hostile names and duplicates, compared with the same rule in Python."""
    catalog.run(
        f'CREATE TABLE "Odd.%s" ("i""d" {kind} PRIMARY KEY); CREATE TABLE "a b" ("k""y" int PRIMARY KEY, "%s" {kind}[])'
    )
    arrays = st.lists(st.none() | IDS[kind], max_size=5) | st.none()

    @settings(max_examples=8)
    @given(parents=st.sets(IDS[kind], min_size=1, max_size=4), rows=st.lists(arrays, max_size=5), drop=st.booleans())
    def check(parents: set[t.Any], rows: list[t.Any], drop: bool) -> None:
        with postgres.session(catalog.database) as cursor:
            cursor.execute('TRUNCATE "Odd.%s", "a b"')
            for parent in parents:
                cursor.execute('INSERT INTO "Odd.%%s" VALUES (%s)', (parent,))
            for number, row in enumerate(rows):
                cursor.execute(f'INSERT INTO "a b" VALUES (%s, %s::{kind}[])', (number, row))
        catalog.repair(
            table='"a b"', column="%s", references={"table": '"Odd.%s"', "column": 'i"d'}, undo=False,
            duplicates="drop" if drop else "keep",
        )  # fmt: skip
        kept = [row if row is None else [one for one in row if one in parents] for row in rows]
        if drop:
            kept = [row if row is None else list(dict.fromkeys(row)) for row in kept]
        with postgres.session(catalog.database) as cursor:
            cursor.execute('SELECT "%s" FROM "a b" ORDER BY "k""y"')
            assert [row[0] for row in cursor.fetchall()] == kept

    check()
