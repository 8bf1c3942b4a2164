# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A script is split where the server splits it, and judged before any statement runs."""

from __future__ import annotations

import typing as t

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.lifeline.recovery.plugins.module_utils._core.errors import RecoveryError
from ansible_collections.lifeline.recovery.plugins.module_utils._engines.postgresql.foreign.script import (
    GuardedScript,
    describe_script,
    inspect_script,
)
from ansible_collections.lifeline.recovery.plugins.module_utils._engines.postgresql.foreign.script_lexer import (
    ScriptReader,
    Statement,
)
from ansible_collections.lifeline.recovery.plugins.module_utils._engines.postgresql.server.names import QualifiedName
from tests.support.data.hostile_sql import HOSTILE

DUMP = rb"""--
-- PostgreSQL database dump
--

\restrict abC1

SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);

--
-- Name: a; Type: TABLE; Schema: public; Owner: owner
--

CREATE TABLE public."a b" (
    x text DEFAULT E'a\\''b;' -- no end
    'joined\'; still'::text
);

CREATE FUNCTION public.f() RETURNS text LANGUAGE sql AS $_$ SELECT ';$$'; COPY a FROM stdin; $_$;
CREATE FUNCTION public.g() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT CASE WHEN a THEN 1 END; SELECT 2 AS "end"; END;
CREATE RULE r AS ON DELETE TO public."a b" DO ALSO (SELECT 1; SELECT ';'; );
/* a comment /* within; */ ' */
ALTER TABLE public."a b" ADD CONSTRAINT c CHECK (((arr)[1:n] <> '{;}'::text[]));
INSERT INTO public."a b" VALUES ('it''s; \', NULL, -1.5, true), ('x', B'01', 1e+20, false);
INSERT INTO public.plain (a, "b c") OVERRIDING SYSTEM VALUE VALUES (1, ');
');
INSERT INTO public.plain VALUES (1 + 1, E'\'');

--
-- Data for Name: a; Type: TABLE DATA; Schema: public; Owner: owner
--

COPY public."a b" (x) FROM stdin;
\.x
-- PostgreSQL database dump complete
CREATE TABLE public.no (
\\.
\.

COPY public.empty (x) FROM stdin;
\.

--
-- PostgreSQL database dump complete
--

\unrestrict abC1

"""


def split(data: bytes, size: int = 1 << 30) -> list[tuple[t.Any, ...]]:
    """The statements of a script that arrives in chunks of a size, with their rows."""
    reader = ScriptReader(data[start : start + size] for start in range(0, len(data), size))
    # A statement that inserts rows is read in one step when its end is at hand, so its names may differ.
    return [(found.line, found.text, found.trouble, *facts(found), b"".join(reader.rows())) for found in reader]


def facts(found: Statement) -> tuple[t.Any, ...]:
    return () if found.tokens[:1] == ["INSERT"] else (tuple(found.tokens), found.calls, found.names)


def refusal(sql: str, **options: bool) -> RecoveryError:
    with pytest.raises(RecoveryError) as caught:
        inspect_script([sql.encode()], **options)
    return caught.value


@given(st.integers(1, 900))
def test_chunks_of_any_size_give_the_same_statements(size: int) -> None:
    assert split(DUMP, size) == split(DUMP)


#: Pieces whose order decides what is a constant, a comment, a name or a command.
_PIECES = st.sampled_from(
    ["'", "''", '"', "E'", "$$", "$a$", "$", "--", "/*", "*/", "\n", "\r", ";", "\\", "\\.", "(", ")", "[", ":", "::",
     "x", "COPY t FROM stdin;\n", "\n\\.\n", "INSERT INTO t VALUES (1);\n", 'U&"', "BEGIN ATOMIC ", "END", "CASE",
     "1", " ", "CREATE FUNCTION ", "SELECT ", "-", "/", "*", "e", "b;"]
)  # fmt: skip


@given(st.lists(_PIECES, max_size=30).map("".join), st.integers(1, 9))
def test_any_text_is_split_alike_in_chunks_of_any_size(text: str, size: int) -> None:
    def outcome(chunk: int) -> t.Any:
        try:
            return split(text.encode(), chunk)
        except RecoveryError as error:
            return error.what

    assert outcome(size) == outcome(1 << 30)


@given(st.lists(_PIECES, max_size=30).map("".join))
def test_statements_and_rows_are_parts_of_the_script(text: str) -> None:
    try:
        found = split(text.encode())
    except RecoveryError:
        return
    place = 0
    for _line, statement, *_rest, rows in found:
        place = text.encode().index(statement, place) + len(statement)
        place = text.encode().index(rows, place) + len(rows)


def test_statements_end_where_the_server_ends_them() -> None:
    found = split(DUMP)
    assert [item[0] for item in found] == [5, 7, 8, 9, 15, 20, 21, 22, 24, 25, 26, 28, 34, 41, 48]
    assert [item[-1] for item in found if item[1].startswith(b"COPY")] == [
        b"\\.x\n-- PostgreSQL database dump complete\nCREATE TABLE public.no (\n\\\\.\n",
        b"",
    ]
    facts = inspect_script([DUMP])
    assert (facts.headed, facts.ended, facts.count, facts.tables) == (True, True, 1, {QualifiedName("public", "a b")})


@given(st.integers(0, len(DUMP.rstrip()) - 1))
def test_a_dump_that_is_cut_off_anywhere_is_damaged(length: int) -> None:
    with pytest.raises(RecoveryError) as caught:
        inspect_script([DUMP[:length]])
    assert caught.value.kind == "damaged"


def test_windows_line_ends_and_a_byte_order_mark_are_read() -> None:
    facts = inspect_script([b"\xef\xbb\xbf" + DUMP.replace(b"\n", b"\r\n")])
    assert (facts.headed, facts.ended, facts.count) == (True, True, 1)


@pytest.mark.parametrize(("sql", "word"), HOSTILE)
def test_hostile_statement_is_refused(sql: str, word: str) -> None:
    error = refusal("CREATE TABLE first (id int);\n\n" + sql.format(marker="/tmp/m", database="live"))
    assert (error.kind, word in error.what) == ("unsafe_dump", True), error.what
    assert error.details["line"] >= 3


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT pg_catalog.setval('public.s', 7, true);",
        "SELECT pg_catalog.lo_create('7001');\nBEGIN;\nSELECT pg_catalog.lowrite(0, '\\x00');\nCOMMIT;",
        "SELECT * FROM pg_catalog.pg_restore_relation_stats('version', '180000'::integer);",
        "SELECT setval(pg_get_serial_sequence('t', 'id'), 3);",
        "CREATE USER MAPPING FOR app SERVER s OPTIONS (user 'x', password ';');",
        "CREATE SUBSCRIPTION s CONNECTION 'host=x' PUBLICATION p WITH (connect = false, slot_name = 's');",
        "CREATE FUNCTION h() RETURNS internal LANGUAGE c AS '$libdir/plpgsql', 'plpgsql_call_handler';",
        "CREATE OR REPLACE PROCEDURAL LANGUAGE plpgsql;",
        "ALTER DEFAULT PRIVILEGES FOR ROLE app GRANT SELECT ON TABLES TO PUBLIC;",
        "GRANT SELECT(a, b),UPDATE(c) ON TABLE t TO app;",
        "SET SESSION AUTHORIZATION 'app';\nRESET SESSION AUTHORIZATION;",
        "SET session_replication_role = replica;",
        "INSERT INTO pg_like (a) VALUES (now());",
        "COMMENT ON EXTENSION x IS 'ALTER ROLE';",
        "CREATE EVENT TRIGGER e ON ddl_command_end EXECUTE FUNCTION f();",
        "CREATE VIEW v AS SELECT a[1:n], b::text, f(x := 1) FROM t;",
        "CREATE OPERATOR !=- (FUNCTION = f, LEFTARG = int);",
        "ALTER TABLE ONLY t REPLICA IDENTITY FULL;",
        "CREATE INDEX CONCURRENTLY i ON t (a);\nVACUUM FULL t;",
    ],
)
def test_statement_of_an_honest_dump_may_run(sql: str) -> None:
    assert inspect_script([sql.encode()]).statements > 0


def test_strings_follow_standard_conforming_strings() -> None:
    on, off = ("SET standard_conforming_strings = {};\n".format(value) for value in ("on", "off"))
    guarded = GuardedScript([f"{off}SELECT 'a\\'; b';\n{on}SELECT 'c\\';".encode()])
    texts = [statement.text for statement in guarded]
    assert texts[1:4:2] == [b"SELECT 'a\\'; b'", b"SELECT 'c\\'"]


def test_refusal_of_a_create_dump_names_the_option_and_the_option_skips_one_database() -> None:
    dump = 'DROP DATABASE IF EXISTS "Live";\nCREATE DATABASE "Live" WITH TEMPLATE = template0;\n' + (
        "\\connect -reuse-previous=on \"dbname='Live'\"\nCREATE TABLE t ();\n"
    )
    assert "skip_database_statements" in refusal(dump).next_step
    guarded = GuardedScript([dump.encode()], skip_database_statements=True)
    assert [statement.text for statement in guarded] == [b"CREATE TABLE t ()"]
    assert "two databases" in refusal(dump + '\\connect "Live"\n', skip_database_statements=True).what
    assert "'live'" in refusal("\\connect live\n" + dump, skip_database_statements=True).what


def test_message_of_a_refusal_shows_no_constant() -> None:
    error = refusal("SELECT 1;\nALTER ROLE app PASSWORD E'secret';\n")
    assert "ALTER ROLE APP PASSWORD '...'" in error.what
    assert "secret" not in str(error) + str(error.details)


def test_text_that_is_not_for_postgresql_is_damaged() -> None:
    for text in ("SELECT 1;\n".encode("utf-16"), b"SELECT 1;\n\0", b"", b"\n-- x\n", b"SELECT 1"):
        with pytest.raises(RecoveryError) as caught:
            inspect_script([text])
        assert caught.value.kind == "damaged"


def test_a_report_lists_the_tables_of_a_dump_of_a_cluster() -> None:
    text = b"-- PostgreSQL database cluster dump\nCREATE ROLE x;\n\\connect db\n" + DUMP
    facts = describe_script([text + b"-- PostgreSQL database cluster dump complete\n"])
    assert (facts.count, facts.damage, facts.refusal is not None) == (1, "", True)


def test_statements_longer_than_a_chunk_take_linear_time() -> None:
    text = (
        b"INSERT INTO t VALUES ('"
        + b"x" * (8 << 20)
        + b"', $$"
        + b"y" * (8 << 20)
        + b"$$);\n/*"
        + b"*" * (1 << 20)
        + b"*/"
    )
    assert [len(item[1]) for item in split(text, 4096)] == [len(text) - (1 << 20) - 6]
