# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every kind of check against a real server: sound, damaged, and odd."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import ssl
import subprocess
import sys
import typing as t
import xml.etree.ElementTree as ET

import pytest

from ansible_collections.lifeline.recovery.plugins.module_utils._core.errors import ErrorKind, RecoveryError
from ansible_collections.lifeline.recovery.plugins.module_utils._integrity import row_sample
from ansible_collections.lifeline.recovery.plugins.module_utils._integrity.run import IntegrityRequest, check_integrity
from ansible_collections.lifeline.recovery.plugins.module_utils._store.open import StoreOptions, open_store
from tests.support.fakes.sinks import Reply, http_sink
from tests.support.runner.modules import ModuleFailed, run_module, start_module
from tests.support.servers.certificate import make_certificate
from tests.support.servers.postgres import PostgresServer, available_versions

ODD = '''"Sch ema"."Ta.ble %s ""q"""'''


@pytest.fixture
def run(postgres, database):
    """Run checks on the test's database and give their results; the module would fail only afterwards."""

    def run_checks(*descriptions, login=None, **settings):
        options = postgres.options(database, **(login or {}))
        return check_integrity(IntegrityRequest(options, list(descriptions), fail_on="never", **settings)).checks

    return run_checks


@pytest.fixture
def sql(postgres, database):
    def execute(script):
        with postgres.session(database) as cursor:
            cursor.execute(script)

    return execute


@pytest.fixture
def reader(postgres, database):
    """A role without rights of its own, as a login for run."""
    name, password = f"reader_{secrets.token_hex(4)}", secrets.token_hex(8)
    with postgres.session(database) as cursor:
        cursor.execute(f"CREATE ROLE {name} LOGIN PASSWORD '{password}'")
    yield {"user": name, "password": password}
    with postgres.session(database) as cursor:
        cursor.execute(f"DROP OWNED BY {name}; DROP ROLE {name}")


def statuses(results):
    return [result.status for result in results]


# Counts


def test_row_count_holds_fails_and_knows_an_empty_table(run, sql):
    sql("CREATE TABLE tags (id int); INSERT INTO tags SELECT generate_series(1, 10); CREATE TABLE empty ()")

    results = run(
        {"type": "row_count", "table": "tags", "min": 10, "max": 10},
        {"type": "row_count", "table": "public.tags", "min": 11},
        {"type": "row_count", "table": "empty", "equals": 0},
        {"type": "row_count", "table": "empty", "min": 1},
    )

    assert statuses(results) == ["passed", "failed", "passed", "failed"]
    assert results[1].actual == 10
    assert results[1].message == "public.tags has 10 rows; expected at least 11."


def test_odd_names_are_found_everywhere(run, sql):
    sql(f"""
        CREATE SCHEMA "Sch ema";
        CREATE TABLE {ODD} ("I D" int PRIMARY KEY, "par%ent" int, "J" jsonb, "At" timestamptz, "ids" int[]);
        INSERT INTO {ODD} VALUES (1, NULL, '{{}}', now(), '{{1}}'), (2, 7, '[]', now(), '{{1,9}}')
    """)

    results = run(
        {"type": "row_count", "table": ODD, "equals": 2},
        {"type": "orphans", "table": ODD, "columns": "par%ent", "parent": ODD, "parent_columns": "I D"},
        {"type": "json", "table": ODD, "column": "J", "shape": {"type": "object"}},
        {"type": "freshness", "table": ODD, "column": "At", "max_age": 600},
        {"type": "references", "table": ODD, "column": "ids", "parent": ODD, "parent_column": "I D"},
        {"type": "rls", "tables": ODD, "enabled": False},
        {"type": "tables", "present": [ODD]},
    )

    assert statuses(results) == ["passed", "failed", "failed", "passed", "failed", "passed", "passed"]
    assert results[1].sample == [{"I D": 2, "par%ent": 7}]
    assert results[2].sample == [{"I D": 2, "problem": "$ is of type array, not object"}]
    assert results[4].sample == [{"I D": 2, "dangling_id": 9}]


def test_tables_names_what_is_missing_and_counts_a_schema(run, sql):
    sql("CREATE TABLE a (); CREATE TABLE b (); CREATE VIEW v AS SELECT 1")

    results = run(
        {"type": "tables", "present": ["a", "b", "v"], "min_count": 2},
        {"type": "tables", "present": ["a", "course_versions"]},
        {"type": "tables", "min_count": 3},
        {"type": "tables", "schema": "nowhere", "min_count": 1},
    )

    assert statuses(results) == ["passed", "failed", "failed", "failed"]
    assert results[1].actual == {"missing": ["public.course_versions"]}
    assert results[2].actual == {"count": 2}


# Rows that point to rows


def test_orphans_counts_filled_rows_without_parent(run, sql):
    sql("""
        CREATE TABLE parents (a int, b text, PRIMARY KEY (a, b));
        CREATE TABLE children (id int PRIMARY KEY, x int, y text);
        INSERT INTO parents VALUES (1, 'one');
        INSERT INTO children VALUES (1, 1, 'one'), (2, NULL, 'lost'), (3, 1, NULL), (4, NULL, NULL)
    """)
    check = {
        "type": "orphans", "table": "children", "columns": ["x", "y"],
        "parent": "parents", "parent_columns": ["a", "b"],
    }  # fmt: skip
    assert statuses(run(check)) == ["passed"]

    sql("INSERT INTO children VALUES (5, 1, 'two')")

    (result,) = run(check)
    assert (result.status, result.actual) == ("failed", 1)
    assert result.sample == [{"id": 5, "x": 1, "y": "two"}]


def test_orphans_compares_a_uuid_kept_as_text(run, sql):
    sql("""
        CREATE TABLE users (id uuid PRIMARY KEY);
        CREATE TABLE progress (user_id text);
        INSERT INTO users VALUES ('6b1b36cb-70f0-4d3c-8a22-0a0f6b0a1d11');
        INSERT INTO progress VALUES ('6B1B36CB-70F0-4D3C-8A22-0A0F6B0A1D11'), ('not even a uuid')
    """)

    (result,) = run(
        {"type": "orphans", "table": "progress", "columns": "user_id", "parent": "users", "parent_columns": "id"}
    )

    assert (result.status, result.actual) == ("failed", 1)


def test_foreign_keys_finds_orphans_behind_a_constraint_that_claims_to_be_valid(run, sql):
    sql("""
        CREATE TABLE profiles (id int PRIMARY KEY);
        CREATE TABLE children (id int PRIMARY KEY, parent_id int REFERENCES profiles);
        INSERT INTO profiles VALUES (1);
        INSERT INTO children VALUES (1, 1), (2, NULL)
    """)
    assert statuses(run({"type": "foreign_keys"})) == ["passed"]

    sql("SET session_replication_role = replica; INSERT INTO children VALUES (3, 99), (4, 98)")

    (result,) = run({"type": "foreign_keys"})
    assert result.status == "failed"
    assert result.actual == [
        {
            "constraint": "children_parent_id_fkey", "table": "public.children", "columns": ["parent_id"],
            "parent": "public.profiles", "parent_columns": ["id"], "orphans": 2, "claims_valid": True,
        }
    ]  # fmt: skip
    assert [row["row"] for row in result.sample] == [{"id": 3, "parent_id": 99}, {"id": 4, "parent_id": 98}]
    assert "claims to be valid" in result.message


def test_foreign_keys_knows_match_simple_and_match_full(run, sql):
    sql("""
        CREATE TABLE parents (a int, b int, PRIMARY KEY (a, b));
        CREATE TABLE simple (x int, y int, FOREIGN KEY (x, y) REFERENCES parents);
        CREATE TABLE "full" (x int, y int, FOREIGN KEY (x, y) REFERENCES parents MATCH FULL);
        SET session_replication_role = replica;
        INSERT INTO simple VALUES (1, NULL), (NULL, NULL);
        INSERT INTO "full" VALUES (NULL, NULL), (1, NULL), (2, 2)
    """)

    (result,) = run({"type": "foreign_keys"})

    assert [(item["table"], item["orphans"]) for item in result.actual] == [("public.full", 2)]


def test_foreign_keys_follows_partitions_self_references_and_not_valid(run, sql):
    sql("""
        CREATE TABLE parents (id int PRIMARY KEY) PARTITION BY RANGE (id);
        CREATE TABLE parents_1 PARTITION OF parents FOR VALUES FROM (0) TO (100);
        CREATE TABLE parents_2 PARTITION OF parents FOR VALUES FROM (100) TO (200);
        CREATE TABLE children (id int, parent_id int REFERENCES parents) PARTITION BY RANGE (id);
        CREATE TABLE children_1 PARTITION OF children FOR VALUES FROM (0) TO (100);
        CREATE TABLE nodes (id int PRIMARY KEY, up int REFERENCES nodes);
        CREATE TABLE late (id int PRIMARY KEY, parent_id int);
        INSERT INTO parents VALUES (1), (150);
        INSERT INTO children VALUES (1, 1), (2, 150);
        INSERT INTO nodes VALUES (1, NULL), (2, 1);
        INSERT INTO late VALUES (1, 7);
        ALTER TABLE late ADD FOREIGN KEY (parent_id) REFERENCES nodes NOT VALID;
        SET session_replication_role = replica;
        INSERT INTO children VALUES (3, 151);
        INSERT INTO nodes VALUES (3, 33)
    """)

    (result,) = run({"type": "foreign_keys"})

    assert {item["table"]: (item["orphans"], item["claims_valid"]) for item in result.actual} == {
        "public.children": (1, True),
        "public.late": (1, False),
        "public.nodes": (1, True),
    }
    assert "Broken foreign keys: 3 of 3" in result.message


def test_foreign_keys_reads_what_the_constraint_reads(run, sql):
    """A row of an inheritance child is no parent, and citext compares as citext."""
    sql("""
        CREATE SCHEMA extensions; CREATE EXTENSION citext SCHEMA extensions;
        CREATE TABLE mails (mail extensions.citext PRIMARY KEY);
        CREATE TABLE logins (mail extensions.citext REFERENCES mails);
        INSERT INTO mails VALUES ('A@example.com');
        INSERT INTO logins VALUES ('a@EXAMPLE.com');
        CREATE TABLE base (id int PRIMARY KEY);
        CREATE TABLE derived () INHERITS (base);
        CREATE TABLE users (base_id int REFERENCES base);
        INSERT INTO derived VALUES (1)
    """)
    assert statuses(run({"type": "foreign_keys"})) == ["passed"]
    assert statuses(
        run({"type": "orphans", "table": "logins", "columns": "mail", "parent": "mails", "parent_columns": "mail"})
    ) == ["passed"]

    sql("SET session_replication_role = replica; INSERT INTO users VALUES (1)")

    assert [item["table"] for item in run({"type": "foreign_keys"})[0].actual] == ["public.users"]


def test_foreign_keys_keeps_to_its_schemas_and_names_a_missing_one(run, sql):
    sql("""
        CREATE SCHEMA app; CREATE TABLE app.p (id int PRIMARY KEY); CREATE TABLE app.c (id int REFERENCES app.p);
        SET session_replication_role = replica; INSERT INTO app.c VALUES (1)
    """)

    results = run(
        {"type": "foreign_keys", "schemas": ["public"]},
        {"type": "foreign_keys", "exclude_schemas": ["app"]},
        {"type": "foreign_keys", "schemas": ["app"]},
        {"type": "foreign_keys", "schemas": ["gone"]},
    )

    assert statuses(results) == ["passed", "passed", "failed", "failed"]
    assert results[3].message == "There is no schema gone."


def test_references_looks_into_arrays_and_json(run, sql):
    sql("""
        CREATE TABLE tags (id uuid PRIMARY KEY, number int UNIQUE);
        CREATE TABLE lessons (id int PRIMARY KEY, numbers int[], content jsonb, old json);
        INSERT INTO tags VALUES ('6b1b36cb-70f0-4d3c-8a22-0a0f6b0a1d11', 1);
        INSERT INTO lessons VALUES
          (1, '{1,1,NULL}', '{"parts": [{"tag": "6B1B36CB-70F0-4D3C-8A22-0A0F6B0A1D11"}, {"tag": null}]}', '[1]'),
          (2, NULL, NULL, NULL), (3, '{}', '{}', '[]')
    """)
    checks = [
        {"type": "references", "table": "lessons", "column": "numbers", "parent": "tags", "parent_column": "number"},
        {
            "type": "references", "table": "lessons", "column": "content", "path": "$.parts[*].tag",
            "parent": "tags", "parent_column": "id",
        },
        {"type": "references", "table": "lessons", "column": "old", "parent": "tags", "parent_column": "number"},
    ]  # fmt: skip
    assert statuses(run(*checks)) == ["passed"] * 3

    sql("""INSERT INTO lessons VALUES (4, '{1,5,5}', '{"parts": [{"tag": "gone"}]}', '["x"]')""")

    results = run(*checks)
    assert [(result.status, result.actual) for result in results] == [("failed", 2), ("failed", 1), ("failed", 1)]
    assert results[1].sample == [{"id": 4, "dangling_id": "gone"}]


def test_references_into_a_column_without_elements_could_not_be_verified(run, sql):
    sql("CREATE TABLE t (id int PRIMARY KEY, plain text)")

    (result,) = run({"type": "references", "table": "t", "column": "plain", "parent": "t", "parent_column": "id"})

    assert result.status == "error"
    assert "neither an array nor JSON" in result.message


# Documents


def test_json_names_the_rows_that_are_not_of_the_shape(run, sql):
    sql("""
        CREATE TABLE versions (course int, version int, content text, PRIMARY KEY (course, version));
        INSERT INTO versions VALUES (1, 1, '{"lessons": [1]}'), (1, 2, NULL)
    """)
    check = {
        "type": "json", "table": "versions", "column": "content",
        "shape": {"type": "object", "required": ["lessons"], "properties": {"lessons": {"min_items": 1}}},
    }  # fmt: skip
    assert statuses(run(check, {**check, "nullable": False})) == ["passed", "failed"]

    sql("""INSERT INTO versions VALUES (2, 1, '{"lessons": []}'), (2, 2, 'oops'), (2, 3, '{"lesso')""")

    (result,) = run(check)
    assert (result.status, result.actual) == ("failed", 3)
    assert result.sample == [
        {"course": 2, "version": 1, "problem": "$.lessons has 0 items, not at least 1"},
        {"course": 2, "version": 2, "problem": "is not JSON"},
        {"course": 2, "version": 3, "problem": "is not JSON"},
    ]


def test_json_of_many_rows_comes_in_batches(run, sql):
    sql("CREATE TABLE d (id int PRIMARY KEY, j jsonb); INSERT INTO d SELECT i, '1' FROM generate_series(1, 1777) i")

    results = run(
        {"type": "json", "table": "d", "column": "j", "shape": {"type": "integer"}},
        {"type": "json", "table": "d", "column": "j", "shape": {"type": "string"}},
    )

    assert results[0].message == "All 1777 documents in public.d (j) are of the expected shape."
    assert (results[1].actual, len(results[1].sample)) == (1777, 5)


# Queries


@pytest.mark.parametrize(
    ("query", "expectation", "status"),
    [
        ("SELECT count(*) FROM t", {"equals": 2}, "passed"),
        ("SELECT count(*) FROM t", {"equals": "3"}, "failed"),
        ("SELECT 'it''s 100 %'", {"equals": "it's 100 %"}, "passed"),
        ("SELECT NULL", {"equals": None}, "passed"),
        ("SELECT NULL::int", {"min": 1}, "failed"),
        ("SELECT 5", {"min": 1, "max": 5}, "passed"),
        ("SELECT 5.01", {"max": 5}, "failed"),
        ("SELECT 'many'", {"min": 1}, "error"),
        ("SELECT 1, 2", {"equals": 1}, "error"),
        ("SELECT id FROM t", {"equals": 1}, "failed"),
        ("SELECT id FROM t WHERE id > 9;", {"empty": True}, "passed"),
        ("SELECT id FROM t -- all", {"empty": True}, "failed"),
        ("SELECT id FROM t", {"empty": False}, "passed"),
        ("SELECT id FROM t", {"rows": 2}, "passed"),
        ("SELECT id FROM t", {"rows": "3"}, "failed"),
        ("SELECT id, name FROM t ORDER BY id", {"rows": [[1, "a"], [2, None]]}, "passed"),
        ("SELECT id, name FROM t ORDER BY id", {"rows": [{"id": 1, "name": "a"}, {"id": 2, "name": None}]}, "passed"),
        ("SELECT id FROM t ORDER BY id", {"rows": [1, 2]}, "passed"),
        ("SELECT id FROM t ORDER BY id", {"rows": [1, 2, 3]}, "failed"),
        ("SELECT id FROM t ORDER BY id", {"rows": [2, 1]}, "failed"),
        ("WITH w AS (SELECT id FROM t) SELECT sum(id) FROM w", {"equals": 3}, "passed"),
        ("SHOW server_encoding", {"equals": "UTF8"}, "passed"),
        ("SELECT 'infinity'::timestamptz, '0044-03-15 BC'::date", {"rows": 1}, "passed"),
        ("SELECT * FROM gone", {"empty": True}, "failed"),
        ("SELECT gone FROM t", {"empty": True}, "failed"),
        ("SELEKT 1", {"empty": True}, "error"),
        ("SELECT 1 / 0", {"equals": 1}, "error"),
    ],
)
def test_sql_judges_what_a_query_gives(run, sql, query, expectation, status):
    sql("CREATE TABLE t (id int, name text); INSERT INTO t VALUES (1, 'a'), (2, NULL)")

    (result,) = run({"type": "sql", "query": query, **expectation})

    assert result.status == status, result.message


def test_sql_finds_names_through_the_search_path_asked_for(run, sql):
    sql('CREATE SCHEMA "App"; CREATE TABLE "App".t (); CREATE TABLE only_public ()')

    results = run(
        {"type": "sql", "query": "SELECT FROM only_public", "empty": True},
        {"type": "sql", "query": "SELECT FROM t", "empty": True, "search_path": ["App"]},
        {"type": "sql", "query": "SELECT FROM t", "empty": True},
    )

    assert statuses(results) == ["passed", "passed", "failed"]


@pytest.mark.parametrize(
    "query",
    [
        "DELETE FROM t RETURNING id",
        "WITH gone AS (DELETE FROM t RETURNING id) SELECT * FROM gone",
        "SELECT 1; COMMIT; DELETE FROM t",
        "COMMIT; DELETE FROM t; SELECT 1",
        "COMMIT",
        "ROLLBACK; BEGIN READ WRITE; DELETE FROM t",
        "SET TRANSACTION READ WRITE; DELETE FROM t",
        "SELECT set_config('transaction_read_only', 'off', false)",
        "SELECT nextval('t_id_seq')",
        "SELECT wipe()",
        "TRUNCATE t",
        "COPY t FROM PROGRAM 'echo 9'",
    ],
)
def test_sql_cannot_write(postgres, database, run, sql, query):
    sql("""
        CREATE TABLE t (id serial); INSERT INTO t VALUES (1), (2);
        CREATE FUNCTION public.wipe() RETURNS int LANGUAGE plpgsql AS 'BEGIN DELETE FROM public.t; RETURN 1; END'
    """)

    results = run({"type": "sql", "query": query, "empty": False}, {"type": "row_count", "table": "t", "equals": 2})

    assert statuses(results) == ["error", "passed"]
    with postgres.session(database) as cursor:
        cursor.execute("SELECT count(*), (SELECT is_called FROM t_id_seq) FROM t")
        assert cursor.fetchone() == (2, False)


def test_sql_shows_no_more_rows_than_asked_and_counts_all(run):
    query = {"type": "sql", "query": "SELECT i AS id FROM generate_series(1, 1000) i", "empty": True}

    assert [(result.actual, len(result.sample)) for result in run(query, sample=3)] == [(1000, 3)]
    assert [(result.actual, len(result.sample)) for result in run(query, sample=0)] == [(1000, 0)]


def test_freshness_wants_a_young_row_and_an_empty_table_fails(run, sql):
    sql("""
        CREATE TABLE young (at timestamptz); INSERT INTO young VALUES (now() - interval '10 min'), (NULL), ('infinity');
        CREATE TABLE zoneless (at timestamp); INSERT INTO zoneless VALUES (now() AT TIME ZONE 'UTC');
        CREATE TABLE dated (at date); INSERT INTO dated VALUES (current_date - 3);
        CREATE TABLE empty (at timestamptz);
        CREATE TABLE ahead (at timestamptz); INSERT INTO ahead VALUES (now() + interval '1 day');
        CREATE TABLE worded (at text)
    """)

    results = run(
        {"type": "freshness", "table": "young", "column": "at", "max_age": 3600},
        {"type": "freshness", "table": "young", "column": "at", "max_age": 60},
        {"type": "freshness", "table": "zoneless", "column": "at", "max_age": 60},
        {"type": "freshness", "table": "dated", "column": "at", "max_age": 86400},
        {"type": "freshness", "table": "empty", "column": "at", "max_age": 86400},
        {"type": "freshness", "table": "ahead", "column": "at", "max_age": 86400},
        {"type": "freshness", "table": "ahead", "column": "at", "max_age": 86400, "max_future": 100000},
        {"type": "freshness", "table": "worded", "column": "at", "max_age": 86400},
    )

    assert statuses(results) == ["passed", "failed", "passed", "failed", "failed", "failed", "passed", "error"]
    assert 600 <= results[0].actual["age"] < 3600
    assert results[0].actual["newest"].endswith("+00:00")


def test_freshness_of_a_query_may_be_measured_from_another_moment(run):
    check = {"type": "freshness", "query": "SELECT '2026-03-01 02:00:00+00'::timestamptz", "max_age": 3600}

    results = run(
        {**check, "at": "2026-03-01T02:59:00Z"},
        {**check, "at": "2026-03-01T03:01:00Z"},
        {**check, "query": "SELECT max(now()) WHERE false"},
        {**check, "query": "SELECT now() FROM generate_series(1, 2)"},
        {**check, "query": "SELECT 1"},
        {**check, "query": "SELECT 'soon'"},
    )

    assert statuses(results) == ["passed", "failed", "failed", "error", "error", "error"]
    assert results[0].actual == {"newest": "2026-03-01T02:00:00.000+00:00", "age": 3540.0}


# Security


def test_rls_wants_it_enabled_forced_and_its_policies_present(run, sql):
    sql("""
        CREATE TABLE guarded (id int); ALTER TABLE guarded ENABLE ROW LEVEL SECURITY;
        CREATE POLICY "own rows" ON guarded USING (true);
        CREATE TABLE forced (id int); ALTER TABLE forced ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
        CREATE TABLE open (id int);
        CREATE SCHEMA bare
    """)

    results = run(
        {"type": "rls", "tables": ["guarded"], "policies": ["own rows"], "min_policies": 1},
        {"type": "rls", "tables": ["forced"], "forced": True},
        {"type": "rls", "tables": ["guarded"], "forced": True, "policies": ["gone"], "min_policies": 2},
        {"type": "rls", "schemas": ["public"]},
        {"type": "rls", "schemas": ["public"], "exclude_tables": ["open"]},
        {"type": "rls", "schemas": ["bare"]},
        {"type": "rls", "tables": ["gone"]},
    )

    assert statuses(results) == ["passed", "passed", "failed", "failed", "passed", "failed", "failed"]
    assert [item["problem"] for item in results[2].actual] == [
        "it is not forced", "missing policies: gone", "1 policies instead of at least 2",
    ]  # fmt: skip
    assert results[3].actual == [{"table": "public.open", "problem": "it is not enabled"}]


def test_grants_are_as_they_should_be(run, sql, reader):
    role = reader["user"]
    sql(f"""
        CREATE TABLE seen (id int); CREATE TABLE hidden (id serial);
        CREATE FUNCTION public.work(int) RETURNS int LANGUAGE sql AS 'SELECT 1';
        REVOKE ALL ON FUNCTION public.work(int) FROM public;
        GRANT SELECT, INSERT ON seen TO {role}
    """)

    results = run(
        {"type": "grants", "role": role, "privileges": ["select", "INSERT"], "objects": "seen"},
        {"type": "grants", "role": role, "privileges": "SELECT", "objects": ["hidden"], "granted": False},
        {"type": "grants", "role": role, "privileges": "SELECT", "objects": ["public.*"]},
        {"type": "grants", "role": role, "privileges": "USAGE", "object_type": "schema", "objects": "public"},
        {
            "type": "grants",
            "role": role,
            "privileges": "EXECUTE",
            "object_type": "function",
            "objects": "public.work(int)",
        },
        {"type": "grants", "role": role, "privileges": "USAGE", "object_type": "sequence", "objects": "hidden_id_seq"},
        {"type": "grants", "role": "public", "privileges": "SELECT", "objects": "seen", "granted": False},
        {"type": "grants", "role": "nobody_at_all", "privileges": "SELECT", "objects": "seen"},
        {"type": "grants", "role": role, "privileges": "SELECT", "objects": "gone"},
    )

    assert statuses(results) == [
        "passed", "passed", "failed", "passed", "failed", "failed", "passed", "failed", "failed",
    ]  # fmt: skip
    assert results[2].actual == [{"object": "public.hidden", "privilege": "SELECT", "granted": False}]
    assert results[7].message == "The role nobody_at_all does not exist."


# Structure


def test_sequences_must_be_ahead_of_their_columns(run, sql):
    sql("""
        CREATE TABLE owned (id serial PRIMARY KEY);
        CREATE TABLE identified (id int GENERATED ALWAYS AS IDENTITY);
        CREATE TABLE empty (id bigserial);
        CREATE SEQUENCE shared; CREATE TABLE "By Default" ("N o" int DEFAULT nextval('shared'));
        CREATE SEQUENCE down INCREMENT -1; CREATE TABLE falling (id int DEFAULT nextval('down'));
        CREATE TABLE coded (id text DEFAULT 'INV-' || nextval('shared'));
        CREATE TABLE parted (id serial, at int) PARTITION BY RANGE (at);
        CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (10);
        INSERT INTO owned VALUES (DEFAULT), (DEFAULT);
        INSERT INTO identified VALUES (DEFAULT);
        INSERT INTO "By Default" VALUES (DEFAULT);
        INSERT INTO falling VALUES (DEFAULT), (DEFAULT);
        INSERT INTO parted VALUES (DEFAULT, 1)
    """)
    (result,) = run({"type": "sequences"})
    assert result.status == "passed", result.message
    assert result.message == "Sequences looked up: 6; all are ahead of their columns."

    sql("""
        SELECT setval('owned_id_seq', 2, false), setval('down', -1);
        SELECT setval('shared', 1, false), setval('parted_id_seq', 1, false);
        INSERT INTO identified OVERRIDING SYSTEM VALUE VALUES (7)
    """)

    (result,) = run({"type": "sequences"})
    assert {(item["table"], item["column"], item["next_value"]) for item in result.actual} == {
        ("public.owned", "id", 2),
        ("public.falling", "id", -2),
        ('public."By Default"', "N o", 1),
        ("public.parted", "id", 1),
        ("public.identified", "id", 2),
    }
    falling = next(item for item in result.actual if item["table"] == "public.falling")
    assert falling["column_min"] == -2


def test_a_sequence_without_a_value_left_fails(run, sql):
    sql("CREATE SEQUENCE s MAXVALUE 3; CREATE TABLE t (id int DEFAULT nextval('s')); SELECT setval('s', 3)")

    (result,) = run({"type": "sequences"})

    assert result.status == "failed"
    assert "no value left" in result.message


def test_indexes_must_be_valid_and_named_ones_present(postgres, database, run, sql):
    sql("CREATE TABLE t (id int PRIMARY KEY, n int); INSERT INTO t VALUES (1, 1), (2, 1); CREATE INDEX by_n ON t (n)")
    present = {"type": "indexes", "present": ["by_n", "t_pkey"]}
    assert statuses(run(present, {**present, "present": ["gone"]})) == [
        "passed", "failed",
    ]  # fmt: skip

    with postgres.session(database) as cursor, pytest.raises(Exception, match="could not create unique index"):
        cursor.execute("CREATE UNIQUE INDEX CONCURRENTLY broken ON t (n)")
    sql("UPDATE pg_index SET indisready = false WHERE indexrelid = 't_pkey'::regclass")

    (result,) = run({"type": "indexes"})
    assert {(item["index"], item["constraint"]) for item in result.actual} == {
        ("public.broken", None),
        ("public.t_pkey", "t_pkey"),
    }
    assert "is not valid" in result.message


def test_constraints_left_not_valid_are_reported_with_the_rows_that_break_them(run, sql):
    sql("CREATE TABLE t (id int CHECK (id > 0)); INSERT INTO t VALUES (1), (50), (60)")
    assert statuses(run({"type": "constraints"})) == ["passed"]

    sql("""
        ALTER TABLE t ADD CONSTRAINT small CHECK (id < 40) NOT VALID;
        ALTER TABLE t ADD CONSTRAINT positive CHECK (id > 0) NOT VALID
    """)

    results = run({"type": "constraints"}, {"type": "constraints", "allow_not_valid": True})
    assert statuses(results) == ["failed", "failed"]
    assert results[0].actual == [
        {"constraint": "positive", "of": "public.t", "rows_breaking_it": 0},
        {"constraint": "small", "of": "public.t", "rows_breaking_it": 2},
    ]
    sql("ALTER TABLE t DROP CONSTRAINT small")
    assert statuses(run({"type": "constraints", "allow_not_valid": True})) == ["passed"]


# Checks that cannot be verified, and complete runs


def test_a_missing_table_or_column_fails_with_the_nearest_name(run, sql):
    sql('CREATE SCHEMA app; CREATE TABLE app."Bookings" ("createdAt" timestamptz)')

    results = run(
        {"type": "row_count", "table": "bookings", "min": 1},
        {"type": "freshness", "table": "app.Bookings", "column": "createdat", "max_age": 5},
        {"type": "row_count", "table": "nothing_like_it", "min": 1},
    )

    assert statuses(results) == ["failed"] * 3
    assert [result.message for result in results] == [
        'The table public.bookings does not exist. There is app."Bookings".',
        'The column createdat of app."Bookings" does not exist. There is createdAt.',
        "The table public.nothing_like_it does not exist.",
    ]


def test_a_right_that_is_missing_is_an_error_that_names_it(run, sql, reader):
    sql("""
        CREATE SCHEMA shut; CREATE TABLE shut.t (id int);
        CREATE TABLE secret (id int PRIMARY KEY); CREATE TABLE c (id int REFERENCES secret); CREATE TABLE s (id serial)
    """)

    results = run(
        {"type": "row_count", "table": "secret", "min": 0},
        {"type": "row_count", "table": "shut.t", "min": 0},
        {"type": "sql", "query": "SELECT * FROM secret", "empty": True},
        {"type": "foreign_keys"},
        {"type": "sequences"},
        {"type": "sql", "query": "SELECT 1", "equals": 1},
        login=reader,
    )

    role = reader["user"]
    assert statuses(results) == ["error"] * 5 + ["passed"]
    assert results[0].message == f"The role {role} lacks SELECT on public.secret."
    assert results[1].message == f"The role {role} lacks USAGE on the schema shut."
    assert "permission denied for table secret" in results[2].message
    assert (
        results[3].message
        == f"The role {role} lacks SELECT on public.c. The role {role} lacks SELECT on public.secret."
    )
    assert "lacks SELECT on public.s_id_seq" in results[4].message


def test_rows_hidden_by_row_level_security_are_an_error_and_no_empty_table(run, sql, reader):
    sql(f"""
        CREATE TABLE rows (id int PRIMARY KEY); INSERT INTO rows VALUES (1); ALTER TABLE rows ENABLE ROW LEVEL SECURITY;
        CREATE TABLE c (id int REFERENCES rows); GRANT SELECT ON rows, c TO {reader["user"]}
    """)

    results = run(
        {"type": "row_count", "table": "rows", "max": 0},
        {"type": "sql", "query": "SELECT * FROM rows", "empty": True},
        {"type": "foreign_keys"},
        login=reader,
    )

    assert statuses(results) == ["error"] * 3
    assert all("BYPASSRLS" in result.message for result in results)
    hidden = f"Row-level security would hide rows of public.rows from the role {reader['user']}"
    assert results[0].message.startswith(hidden)
    assert results[2].message.startswith(hidden)


def test_a_check_that_takes_too_long_is_an_error_and_the_others_continue(run, sql):
    sql("CREATE TABLE t ()")

    results = run(
        {"type": "sql", "query": "SELECT pg_sleep(60)", "rows": 1, "timeout": 1},
        {"type": "row_count", "table": "t", "equals": 0},
    )

    assert statuses(results) == ["error", "passed"]
    assert "time limit of 1 s" in results[0].message


def test_a_connection_lost_in_one_check_is_replaced_for_the_next(run, sql):
    sql("CREATE TABLE t ()")

    results = run(
        {"type": "sql", "query": "SELECT pg_terminate_backend(pg_backend_pid())", "rows": 1},
        {"type": "row_count", "table": "t", "equals": 0},
    )

    assert statuses(results) == ["error", "passed"]


def test_sample_zero_keeps_every_value_of_a_row_out_of_the_result(run, sql):
    sql("""
        CREATE TABLE people (mail text PRIMARY KEY, boss text, doc text, tags text[]);
        INSERT INTO people VALUES ('ada@example.com', 'eve@example.com', 'eve@example.com', '{eve@example.com}');
        CREATE FUNCTION printing(text) RETURNS int LANGUAGE plpgsql AS $$ BEGIN RAISE 'bad row %', $1; END $$
    """)

    results = run(
        {"type": "orphans", "table": "people", "columns": "boss", "parent": "people", "parent_columns": "mail"},
        {"type": "json", "table": "people", "column": "doc"},
        {"type": "references", "table": "people", "column": "tags", "parent": "people", "parent_column": "mail"},
        {"type": "sql", "name": "a", "query": "SELECT mail FROM people", "empty": True},
        {"type": "sql", "name": "b", "query": "SELECT mail FROM people", "equals": "x"},
        {"type": "sql", "name": "c", "query": "SELECT mail FROM people", "rows": ["x"]},
        {"type": "sql", "name": "d", "query": "SELECT mail::int FROM people", "equals": 1},
        {"type": "freshness", "query": "SELECT mail FROM people", "max_age": 1},
        {"type": "sql", "name": "e", "query": "SELECT printing(mail) FROM people", "equals": 1},
        {"type": "sql", "name": "f", "query": "SELECT mail::regclass::text FROM people", "equals": 1},
        {"type": "sql", "name": "g", "query": "SELECT current_setting(mail) FROM people", "equals": 1},
        sample=0,
    )

    assert statuses(results) == ["failed"] * 6 + ["error"] * 3 + ["failed"] + ["error"]
    assert "example.com" not in repr(results)


def test_a_fingerprint_that_differs_fails_with_the_differences(run):
    check = {"type": "fingerprint"}

    assert statuses(run(check, compare_fingerprint=lambda conn: [])) == ["passed"]
    (result,) = run(check, compare_fingerprint=lambda conn: [{"table": f"t{n}", "what": "rows"} for n in range(9)])
    assert (result.status, result.actual, len(result.sample)) == ("failed", 9, 5)


def test_the_error_carries_the_whole_report(postgres, database, tmp_path):
    junit = tmp_path / "integrity.xml"
    checks = [
        {"type": "tables", "name": "Good", "min_count": 0},
        {"type": "tables", "name": "Bad", "present": "gone"},
        {"type": "tables", "name": "Warned", "present": "gone", "severity": "warning"},
        {"type": "tables", "name": "Off", "present": "gone", "skip": True},
    ]

    with pytest.raises(RecoveryError) as caught:
        check_integrity(IntegrityRequest(postgres.options(database), checks, junit_path=str(junit)))

    error = caught.value
    assert error.kind == ErrorKind.CHECK_FAILED
    assert "1 failed (Bad); 1 gave a warning (Warned)" in error.what
    assert error.details["verdict"] == "failed"
    assert error.details["counts"] == {"passed": 1, "failed": 1, "warning": 1, "error": 0, "skipped": 1}
    suite = ET.parse(junit).getroot().find("testsuite")
    assert [suite.get(key) for key in ("tests", "failures", "errors", "skipped")] == ["4", "1", "0", "1"]


@pytest.mark.parametrize(
    ("severity", "present", "fail_on", "verdict"),
    [
        ("warning", "gone", "error", "passed"),
        ("warning", "gone", "warning", "failed"),
        ("error", "gone", "error", "failed"),
        ("error", "t", "warning", "passed"),
    ],
)
def test_fail_on_decides_what_makes_a_run_fail(postgres, database, sql, severity, present, fail_on, verdict):
    sql("CREATE TABLE t ()")
    check = {"type": "tables", "present": present, "severity": severity}
    request = IntegrityRequest(postgres.options(database), [check], fail_on=fail_on)

    if verdict == "passed":
        assert check_integrity(request).verdict == verdict
    else:
        with pytest.raises(RecoveryError):
            check_integrity(request)


def test_an_unreachable_server_leaves_every_check_unverified_in_junit(postgres, database, tmp_path):
    junit = tmp_path / "integrity.xml"
    options = postgres.options(database).with_database("not_there_at_all")

    with pytest.raises(RecoveryError) as caught:
        check_integrity(IntegrityRequest(options, [{"type": "indexes"}], fail_on="never", junit_path=str(junit)))

    assert caught.value.kind == ErrorKind.TARGET_MISSING
    assert statuses(caught.value.details["checks"]) == ["error"]
    assert ET.parse(junit).getroot().find("testsuite").get("errors") == "1"


def test_a_junit_file_that_cannot_be_written_is_reported_before_anything_runs(postgres, database, tmp_path):
    with pytest.raises(RecoveryError, match="No check was run"):
        check_integrity(
            IntegrityRequest(
                postgres.options(database), [{"type": "indexes"}], junit_path=str(tmp_path / "no" / "x.xml")
            )
        )


@pytest.mark.parametrize("version", available_versions())
def test_every_kind_of_check_runs_on_every_version(servers, version):
    server = servers(version)
    database = server.create_database()
    with server.session(database) as cursor:
        cursor.execute("""
            CREATE TABLE p (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, at timestamptz DEFAULT now());
            CREATE TABLE c (id serial PRIMARY KEY, p_id int REFERENCES p, ids int[], doc jsonb);
            ALTER TABLE c ENABLE ROW LEVEL SECURITY; CREATE POLICY all_rows ON c USING (true);
            INSERT INTO p DEFAULT VALUES; INSERT INTO c (p_id, ids, doc) VALUES (1, '{1}', '{"a": [1]}')
        """)
    checks = [
        {"type": "row_count", "table": "c", "equals": 1},
        {"type": "tables", "present": ["p", "c"], "min_count": 2},
        {"type": "orphans", "table": "c", "columns": "p_id", "parent": "p", "parent_columns": "id"},
        {"type": "foreign_keys"},
        {"type": "references", "table": "c", "column": "doc", "path": "$.a[*]", "parent": "p", "parent_column": "id"},
        {"type": "rls", "tables": "c", "policies": "all_rows"},
        {"type": "grants", "role": "public", "privileges": "SELECT", "objects": "c", "granted": False},
        {"type": "sql", "query": "SELECT count(*) FROM c", "equals": 1},
        {"type": "freshness", "table": "p", "column": "at", "max_age": 3600},
        {"type": "sequences"},
        {"type": "indexes"},
        {"type": "constraints"},
        {"type": "json", "table": "c", "column": "doc", "shape": {"required": ["a"]}},
        {"type": "sample", "table": "c", "columns": "id"},
        {"type": "fingerprint"},
    ]

    def run():
        request = IntegrityRequest(
            server.options(database), checks, fail_on="never", compare_fingerprint=lambda conn: []
        )
        return {result.type: result.status for result in check_integrity(request).checks}

    assert set(run().values()) == {"passed"}
    with server.session(database) as cursor:
        cursor.execute(
            "SET session_replication_role = replica; INSERT INTO c (p_id) VALUES (9); SELECT setval('c_id_seq', 1)"
        )
    found = run()
    assert {kind for kind, status in found.items() if status == "failed"} == {
        "row_count", "orphans", "foreign_keys", "sql", "sequences",
    }  # fmt: skip
    server.drop_database(database)


@pytest.mark.skipif("18" not in available_versions(), reason="temporal and unenforced keys are of PostgreSQL 18")
def test_foreign_keys_of_postgresql_18(servers):
    server = servers("18")
    database = server.create_database()
    with server.session(database) as cursor:
        cursor.execute("""
            CREATE TABLE rooms (r int4range, valid daterange, PRIMARY KEY (r, valid WITHOUT OVERLAPS));
            CREATE TABLE stays (r int4range, valid daterange,
              FOREIGN KEY (r, PERIOD valid) REFERENCES rooms (r, PERIOD valid));
            INSERT INTO rooms VALUES ('[1,1]', '[2026-01-01,2026-02-01)'), ('[1,1]', '[2026-02-01,2026-03-01)');
            INSERT INTO stays VALUES ('[1,1]', '[2026-01-20,2026-02-10)'), (NULL, '[2026-01-20,2026-02-10)');
            CREATE TABLE p (id int PRIMARY KEY); CREATE TABLE c (id int REFERENCES p NOT ENFORCED);
            INSERT INTO c VALUES (1);
            CREATE TABLE n (id int); INSERT INTO n VALUES (NULL);
            ALTER TABLE n ADD CONSTRAINT filled NOT NULL id NOT VALID
        """)
    checks = [{"type": "foreign_keys"}, {"type": "constraints"}]
    request = IntegrityRequest(server.options(database), checks, fail_on="never")
    keys, constraints = check_integrity(request).checks
    assert keys.status == "passed", keys.message
    assert constraints.actual == [{"constraint": "filled", "of": "public.n", "rows_breaking_it": 1}]

    with server.session(database) as cursor:
        cursor.execute("""
            SET session_replication_role = replica;
            INSERT INTO stays VALUES ('[1,1]', '[2026-02-20,2026-03-10)'), ('[2,2]', '[2026-01-01,2026-01-02)')
        """)

    result = check_integrity(request).checks[0]
    assert [(item["table"], item["orphans"]) for item in result.actual] == [("public.stays", 2)]
    server.drop_database(database)


# The module


def call_module(options, *, check_mode=False):
    arguments = {"ANSIBLE_MODULE_ARGS": {**options, "_ansible_check_mode": check_mode}}
    done = subprocess.run(
        [sys.executable, "-m", "ansible_collections.lifeline.recovery.plugins.modules.integrity_check"],
        input=json.dumps(arguments),
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.stdout, done.stderr
    return json.loads(done.stdout)


def test_the_module_gives_the_report_when_it_passes_and_when_it_fails(postgres, database, tmp_path):
    login = postgres.module_options(database)
    junit = tmp_path / "integrity.xml"

    good = call_module({**login, "checks": [{"type": "foreign_keys"}], "junit_path": str(junit)}, check_mode=True)
    bad = call_module({**login, "checks": [{"type": "tables", "present": "gone"}], "junit_path": str(junit)})
    quiet = call_module({**login, "checks": [{"type": "tables", "present": "gone"}], "fail_on": "never"})

    assert (good["verdict"], good["changed"], good["junit_path"]) == ("passed", False, None)
    assert bad["failed"] is True
    assert bad["error_kind"] == "check_failed"
    assert bad["msg"].startswith("Of 1 check, 1 failed (tables public.gone).")
    assert bad["checks"][0]["message"] == "1 of 1 tables are missing: public.gone."
    assert quiet.keys() >= {"verdict", "summary", "counts", "checks", "timings", "junit_path"}
    assert (quiet.get("failed", False), quiet["verdict"]) == (False, "failed")
    assert "gone" in junit.read_text()
    assert postgres.password not in json.dumps([{**outcome, "invocation": None} for outcome in (good, bad, quiet)])


def test_the_module_reports_mistakes_with_their_index(postgres, database):
    outcome = call_module({**postgres.module_options(database), "checks": [{"type": "indexes"}, {"type": "row_count"}]})

    assert outcome["error_kind"] == "invalid_options"
    assert {item["index"] for item in outcome["mistakes"]} == {1}


# Files that rows name


def test_rows_and_files_are_reconciled(run, sql, tmp_path):
    bucket = open_store(StoreOptions(provider="directory", path=str(tmp_path)))
    for key in ("courses/1.png", "courses/2.png", "elsewhere/3.png"):
        bucket.put(key, [b"12345"])
    sql(
        "CREATE TABLE media (path text, bytes int); INSERT INTO media VALUES"
        " ('courses/1.png', 5), ('courses/2.png', 5), ('elsewhere/3.png', 5), (NULL, NULL)"
    )
    check = {"type": "objects", "query": "SELECT path, bytes FROM media", "prefix": "courses/"}
    (sound,) = run(check, files=bucket)
    assert (sound.status, sound.actual["rows"]) == ("passed", 3)
    bucket.delete(["courses/1.png"])
    bucket.put("courses/2.png", [b"123"])
    bucket.put("courses/stray.png", [b"x"])
    (found,) = run(check, files=bucket)
    assert found.status == "failed"
    assert found.actual == {"rows": 3, "missing": 1, "other_size": 1, "others": 1}
    assert {item["key"]: item["problem"] for item in found.sample} == {
        "courses/1.png": "there is no such object",
        "courses/2.png": "it has 3 bytes, the row has 5",
        "courses/stray.png": "no row names it",
    }
    (lenient,) = run(
        {**check, "query": "SELECT path FROM media WHERE path LIKE 'e%'", "allow_others": True}, files=bucket
    )
    assert lenient.status == "passed"
    (empty,) = run({**check, "query": "SELECT path FROM media WHERE false"}, files=bucket)
    assert empty.actual == {"rows": 0, "missing": 0, "other_size": 0, "others": 2}


def test_files_cannot_be_judged_without_a_bucket_or_with_other_columns(run, sql, tmp_path):
    sql("CREATE TABLE media (path text, bytes int, digest text, kind text)")
    (without,) = run({"type": "objects", "query": "SELECT path FROM media"})
    assert (without.status, "files" in without.message) == ("error", True)
    bucket = open_store(StoreOptions(provider="directory", path=str(tmp_path)))
    (wide,) = run({"type": "objects", "query": "SELECT * FROM media"}, files=bucket)
    assert (wide.status, "4 columns" in wide.message) == ("error", True)
    (gone,) = run({"type": "objects", "query": "SELECT path FROM nowhere"}, files=bucket)
    assert gone.status == "failed"


def test_digests_of_files_are_compared_by_their_content(run, sql, tmp_path):
    bucket = open_store(StoreOptions(provider="directory", path=str(tmp_path)))
    contents = {f"{number}.png": bytes([number]) * 1000 for number in range(40)}
    for key, data in contents.items():
        bucket.put(key, [data])
    rows = ", ".join(f"('{key}', 1000, '{hashlib.sha256(data).hexdigest()}')" for key, data in contents.items())
    sql(f"CREATE TABLE media (path text, bytes int, digest text); INSERT INTO media VALUES {rows}")
    check = {"type": "objects", "query": "SELECT path, bytes, digest FROM media"}
    (sound,) = run(check, files=bucket)
    assert (sound.status, sound.actual["read"], sound.actual["read_bytes"]) == ("passed", 40, 40000)
    # Another content of the same size.
    bucket.put("7.png", [b"x" * 1000])
    (found,) = run(check, files=bucket)
    assert (found.status, found.actual["other_digest"]) == ("failed", 1)
    assert found.sample == [{"key": "7.png", "problem": "its sha256 is not the one of the row"}]
    (part,) = run({**check, "digest_bytes": 10000, "seed": "one"}, files=bucket)
    (same,) = run({**check, "digest_bytes": 10000, "seed": "one"}, files=bucket)
    assert 0 < part.actual["read"] < 25
    assert part.actual == same.actual
    sql("UPDATE media SET digest = encode(decode(digest, 'hex'), 'base64') WHERE path = '8.png'")
    (other,) = run(check, files=bucket)
    assert other.actual["other_digest"] == 2


# Random rows


def test_random_rows_are_complete_and_the_seed_chooses_them_again(run, sql):
    sql(
        "CREATE TABLE people (id int, part text, email text, age int, PRIMARY KEY (id, part));"
        "INSERT INTO people SELECT g, 'p' || g % 3, 'mail ' || g, g FROM generate_series(1, 500) g"
    )
    check = {"type": "sample", "table": "people", "columns": ["email", "age"], "condition": "age > 0", "seed": "one"}
    first, second, other = run(check, check, {**check, "seed": "two"})
    assert (first.status, first.actual) == ("passed", {"rows": 10, "complete": 10, "seed": "one"})
    sql("UPDATE people SET email = E' \\t\\n' WHERE id <= 250; UPDATE people SET age = -1 WHERE id > 250")
    first, second, other = run(check, check, {**check, "seed": "two"}, sample=20)
    assert (first.status, first.actual["complete"], len(first.sample)) == ("failed", 0, 10)
    assert first.sample == second.sample
    assert {one["row"] for one in first.sample}.isdisjoint(one["row"] for one in other.sample)
    assert {one["problem"] for one in first.sample} <= {"email has no value", "the condition does not hold"}
    assert all(len(one["row"]) == 12 for one in first.sample)
    sql("DELETE FROM people")
    assert statuses(run(check, {**check, "table": "peopel"}, {**check, "columns": ["mail"]})) == [
        "error", "failed", "failed",
    ]  # fmt: skip
    sql("CREATE TABLE keyless (id int); INSERT INTO keyless VALUES (1)")
    (without,) = run({"type": "sample", "table": "keyless"})
    assert (without.status, "primary key" in without.message) == ("error", True)


def test_a_sample_of_a_large_table_does_not_read_all_of_it(run, sql, monkeypatch):
    monkeypatch.setattr(row_sample, "_SMALL", 64 * 1024)
    sql(
        "CREATE TABLE events (id int PRIMARY KEY, note text) PARTITION BY RANGE (id);"
        "CREATE TABLE events_1 PARTITION OF events FOR VALUES FROM (0) TO (20000);"
        "CREATE TABLE events_2 PARTITION OF events FOR VALUES FROM (20000) TO (50000);"
        "INSERT INTO events SELECT g, repeat('x', 100) FROM generate_series(1, 40000) g"
    )
    check = {"type": "sample", "table": "events", "columns": ["note"], "rows": 25, "seed": "one"}
    first, second = run(check, check)
    assert (first.status, first.actual) == ("passed", {"rows": 25, "complete": 25, "seed": "one"})
    sql("UPDATE events SET note = NULL WHERE id % 2 = 0")
    first, second = run(check, check, sample=25)
    assert first.status == "failed"
    assert first.sample == second.sample
    # Deleted rows leave pages without rows, so that a small part of the table may have none.
    sql("DELETE FROM events WHERE id <> 7")
    (last,) = run(check)
    assert (last.status, last.message) == ("passed", "Read 1 random row of public.events: complete are 1 (seed one).")


# Services


@pytest.fixture(scope="module")
def service():
    with http_sink() as sink:
        yield sink


def answers(service, run, check, *replies, **settings):
    service.replies["/"] = list(replies)
    (result,) = run({"type": "http", "url": f"{service.url}/health?key=hidden-query", **check}, **settings)
    return result


def test_an_answer_is_judged_by_status_headers_content_and_time(run, service):
    document = '{"status": "ok", "courses": [{"id": "a"}, {"id": null}]}'
    reply = Reply(200, {"Content-Type": "application/json"}, document)
    for check, status in (
        ({}, "passed"),
        ({"method": "POST", "body": "{}"}, "passed"),
        ({"status": [201, 204]}, "failed"),
        ({"contains": '"status": "ok"'}, "passed"),
        ({"contains": "maintenance"}, "failed"),
        ({"json": "status", "equals": "ok"}, "passed"),
        ({"json": "courses[0].id", "equals": "a"}, "passed"),
        ({"json": "courses[-1].id", "equals": None}, "passed"),
        ({"json": "courses[0].id", "equals": "b"}, "failed"),
        ({"json": "courses[2].id"}, "failed"),
        ({"json": "status.length"}, "failed"),
        ({"answer_headers": {"content-type": "application/json"}}, "passed"),
        ({"answer_headers": {"Cache-Control": "no-store"}}, "failed"),
    ):
        result = answers(service, run, check, reply)
        assert (check, result.status) == (check, status), result.message
        assert "hidden-query" not in str(result)
    slow = answers(service, run, {"max_seconds": 0.1}, Reply(slow=0.3))
    assert (slow.status, "at most 0.10 s" in slow.message) == ("failed", True)
    for broken in (Reply(body="{"), Reply(body="NaN"), Reply(body="")):
        assert "it is not JSON" in answers(service, run, {"json": "status"}, broken).message
    assert answers(service, run, {}, Reply(500)).status == "failed"
    assert answers(service, run, {}, Reply(reset=True)).status == "failed"
    large = answers(service, run, {"contains": "x"}, Reply(body="y" * (1024 * 1024 + 1)))
    assert large.status == "error"


def test_a_redirect_gets_no_secret(run, service):
    with http_sink() as other:
        moved = Reply(302, {"Location": f"{other.url}/elsewhere"})
        check = {"token": "api", "secret_headers": {"X-Key": "key"}}
        secrets_of_run = {"api": "hidden-token", "key": "hidden-key"}
        result = answers(service, run, check, moved, secrets=secrets_of_run)
        assert (result.status, other.seen) == ("failed", [])
        assert answers(service, run, {**check, "status": 302}, moved, secrets=secrets_of_run).status == "passed"
    assert "hidden" not in str(result)


def test_a_secret_is_named_and_reaches_only_the_service(postgres, database, service):
    given = {
        **postgres.module_options(database),
        "engine": "bucket",
        "secrets": {"api": "hidden-token-1"},
        "checks": [{"type": "http", "url": f"{service.url}/me", "token": "api", "contains": "never there"}],
    }
    with pytest.raises(ModuleFailed) as failed:
        run_module("integrity_check", given)
    assert failed.value.result["verdict"] == "failed"
    assert "hidden-token-1" not in str(failed.value.result)
    assert service.at("/me")[-1].authorization == "Bearer hidden-token-1"
    for wrong in ({"token": "hidden-token-1"}, {"secret_headers": {"X-Key": "hidden-token-1"}}):
        with pytest.raises(ModuleFailed) as refused:
            run_module("integrity_check", {**given, "checks": [{"type": "http", "url": service.url, **wrong}]})
        assert "a secret must be named as in the option secrets" in str(refused.value)


@pytest.mark.parametrize(
    ("check", "mistake"),
    [
        ({"url": "ftp://example.org"}, "url must be an address of http"),
        ({"url": "https://user:pass@example.org"}, "url must not contain a user"),
        ({"method": "PUT"}, "method must be one of GET, HEAD, POST"),
        ({"method": "HEAD", "contains": "x"}, "an answer to HEAD has no content"),
        ({"body": "x"}, "body needs the method POST"),
        ({"json": "a..b"}, "is no path"),
        ({"json": "a["}, "is no path"),
        ({"equals": 1}, "equals needs json"),
        ({"status": "2xx"}, "status must be a status"),
        ({"headers": {"X-A\r\nB": "1"}}, "names of headers"),
        ({"headers": ["X"]}, "must be a dictionary of texts"),
        ({"timout": 3}, "unknown option 'timout'"),
    ],
)
def test_an_http_check_that_is_described_wrongly_is_refused(run, check, mistake):
    with pytest.raises(RecoveryError) as refused:
        run({"type": "http", "url": "https://example.org", **check})
    assert mistake in refused.value.what


def test_certificates_are_checked_against_the_given_authority(run, tmp_path):
    certificate, key = make_certificate(tmp_path)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    with http_sink(tls=tls) as sink:
        check = {"type": "http", "url": sink.url}
        (unknown, known, missing) = run(
            check, {**check, "ca_bundle": str(certificate)}, {**check, "ca_bundle": str(tmp_path / "none")}
        )
    assert statuses([unknown, known, missing]) == ["failed", "passed", "error"]


# Files of a bucket


def test_json_files_are_read_and_compared_with_their_shape_and_name(run, tmp_path):
    bucket = open_store(StoreOptions(provider="directory", path=str(tmp_path)))
    check = {
        "type": "json_files", "prefix": "courses/", "id_path": "id",
        "shape": {"type": "object", "required": ["items"], "properties": {"items": {"type": "array", "min_items": 1}}},
    }  # fmt: skip
    (empty,) = run(check, files=bucket)
    assert (empty.status, "expected at least 1" in empty.message) == ("failed", True)
    (allowed,) = run({**check, "min_count": 0}, files=bucket)
    assert allowed.status == "passed"
    for course in ("a", "b/c", "d"):
        bucket.put(f"courses/{course}.json", [json.dumps({"id": course, "items": [1]}).encode()])
    bucket.put("courses/readme.txt", [b"no JSON"])
    (sound,) = run(check, files=bucket)
    assert (sound.status, sound.actual) == ("passed", {"count": 3, "wrong": 0})
    for name, data in {
        "cut": b'{"id": "cut", "items": [',
        "empty": b"",
        "few": b'{"id": "few", "items": []}',
        "latin": b'{"id": "latin", "items": ["\xe9"]}',
        "nan": b'{"id": "nan", "items": [NaN]}',
        "other": b'{"id": "another", "items": [1]}',
        "scalar": b"5",
    }.items():
        bucket.put(f"courses/{name}.json", [data])
    (found,) = run(check, files=bucket, sample=10)
    assert (found.status, found.actual) == ("failed", {"count": 10, "wrong": 7})
    assert {one["key"].split("/")[1]: one["problem"] for one in found.sample} == {
        "cut.json": "it is not JSON",
        "empty.json": "it is not JSON",
        "few.json": "$.items has 0 items, not at least 1",
        "latin.json": "it is not UTF-8",
        "nan.json": "it is not JSON",
        "other.json": "id is not the name of the file",
        "scalar.json": "$ is of type integer, not object",
    }


def test_comparison_with_a_set_ends_on_each_version(
    servers: t.Callable[[str], PostgresServer], folder_store: dict[str, t.Any]
) -> None:
    """From PostgreSQL 16 on, roles that are created in two sessions wait for each other."""
    server = servers(available_versions()[-1])
    database = server.create_database()
    try:
        server.psql(database, "CREATE TABLE notes AS SELECT generate_series(1, 9) AS id")
        login = {**server.module_options(database), "source": "notes", "store": folder_store}
        run_module("pg_backup", login)
        checks = [{"type": "fingerprint"}, {"type": "row_count", "table": "notes", "equals": 9}]
        process = start_module("integrity_check", {**login, "checks": checks})
        try:
            output, _errors = process.communicate(timeout=120)
        finally:
            process.kill()
        assert json.loads(output)["verdict"] == "passed"
    finally:
        server.drop_database(database)
