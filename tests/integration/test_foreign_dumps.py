# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Dumps of other tools are untrusted input: inspected before anything is made, complete, and within their target."""

from __future__ import annotations

import gzip
import secrets
import subprocess
import typing as t
from dataclasses import dataclass
from pathlib import Path

import pytest
import zstandard

from ansible_collections.lifeline.recovery.plugins.module_utils._core.errors import RecoveryError
from ansible_collections.lifeline.recovery.plugins.module_utils._engines.postgresql.foreign.script import inspect_script
from tests.support.data.hostile_sql import HOSTILE
from tests.support.runner.modules import ModuleFailed, run_module
from tests.support.servers.postgres import PostgresServer

Options = dict[str, t.Any]

#: Every kind of object whose text could mislead a reader of scripts.
CONTENT = r"""
CREATE TABLE a (id int PRIMARY KEY, v text DEFAULT E'it''s \\ ; \n', w text[] DEFAULT '{"a;b"}', n numeric);
INSERT INTO a SELECT g, CASE g % 4 WHEN 0 THEN E'\\.' WHEN 1 THEN E'line\n\\connect x\n;' WHEN 2 THEN E'tab\t\\!'
  ELSE 'DROP DATABASE x; -- ''' END, ARRAY['x;', NULL], g * 1.5 FROM generate_series(1, 400) g;
CREATE TABLE "odd ""na;me" ("co;l" int REFERENCES a);
INSERT INTO "odd ""na;me" SELECT g FROM generate_series(1, 50) g;
CREATE FUNCTION f() RETURNS text LANGUAGE plpgsql AS $_$ BEGIN EXECUTE $x$COPY a FROM stdin;$x$; RETURN 'x';
END $_$;
CREATE FUNCTION g(i int) RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT CASE WHEN i > 1 THEN 1 ELSE 2 END; SELECT i; END;
CREATE PROCEDURE p() LANGUAGE sql BEGIN ATOMIC INSERT INTO a (id) VALUES (-1); DELETE FROM a WHERE id = -1; END;
CREATE RULE r AS ON DELETE TO "odd ""na;me" DO ALSO (SELECT 1; SELECT ';'; );
CREATE VIEW v AS SELECT id, w[1:id] AS part, v AS "end", id::text || ':x' AS y FROM a;
CREATE VIEW long_name_of_a_view AS SELECT 1 AS x;
CREATE MATERIALIZED VIEW m AS SELECT count(*) AS rows FROM a;
CREATE INDEX ON a (lower(v)) WHERE v <> ';';
COMMENT ON TABLE a IS 'a; comment -- /* with '' signs \';
CREATE TYPE mood AS ENUM ('ok;', 'bad');
CREATE DOMAIN d AS text CHECK (VALUE <> E'\\');
CREATE SEQUENCE s; SELECT setval('s', 77);
CREATE PUBLICATION pub FOR TABLE a;
ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC;
SELECT lo_from_bytea(7001, '\x00010a5c');
"""


@dataclass(frozen=True)
class Target:
    """A database that a hostile dump must not touch, on its server."""

    server: PostgresServer
    database: str

    def dump(self, path: Path, *options: str, program: str = "pg_dump", bin_dir: Path | None = None) -> Path:
        name = [] if program == "pg_dumpall" else [self.database]
        command = [str((bin_dir or self.server.bin_dir) / program), *options, "-f", str(path), *name]
        subprocess.run(command, env=self.server.options(self.database).environment(), check=True)
        return path

    def restore(self, archive: Path, target: str, *, check_mode: bool = False, **options: t.Any) -> Options:
        arguments = {"archive": str(archive), "target_db": target, **self.server.module_options(), **options}
        return run_module("pg_restore", arguments, check_mode=check_mode)

    def state(self) -> tuple[t.Any, ...]:
        with self.server.session() as cursor:
            cursor.execute("SELECT oid, datname FROM pg_database ORDER BY 1")
            databases = cursor.fetchall()
            cursor.execute("SELECT rolname, rolsuper FROM pg_roles ORDER BY 1")
            roles = cursor.fetchall()
        return databases, roles, self.rows()

    def rows(self, database: str | None = None) -> int:
        with self.server.session(database or self.database) as cursor:
            cursor.execute("SELECT count(*) FROM a")
            return int(cursor.fetchone()[0])

    def refused(self, archive: Path, kind: str, *message: str, mode: str = "new", **options: t.Any) -> Options:
        """Restore and check mode fail alike, and leave the server unchanged."""
        before = self.state()
        target = "copy_of_it" if mode == "new" else self.database
        confirm = {"mode": mode, "recovery_confirm": target, **options}
        results = []
        for check_mode in (True, False):
            with pytest.raises(ModuleFailed) as caught:
                self.restore(archive, target, check_mode=check_mode, **confirm)
            results.append(caught.value.result)
        assert [result["error_kind"] for result in results] == [kind, kind], results
        assert results[0]["msg"] == results[1]["msg"]
        assert self.state() == before
        for word in message:
            assert word in results[0]["msg"], results[0]["msg"]
        return results[0]


@pytest.fixture(scope="module")
def original(postgres: PostgresServer) -> t.Iterator[Target]:
    """One database for all tests: a dump that a test restores or refuses leaves the database unchanged."""
    yield from _target(postgres)


def _target(server: PostgresServer) -> t.Iterator[Target]:
    name = server.create_database(f"live_{secrets.token_hex(4)}")
    server.psql(name, CONTENT)
    yield Target(server, name)
    server.drop_database(name)


def fingerprint(original: Target, database: str) -> str:
    """The dump of a database by the server's own pg_dump, which two equal databases have in common."""
    command = [str(original.server.bin_dir / "pg_dump"), "--no-comments", database]
    text = subprocess.run(
        command, env=original.server.options(database).environment(), check=True, stdout=subprocess.PIPE
    ).stdout.decode()
    return "\n".join(line for line in text.splitlines() if not line.startswith(("\\restrict", "\\unrestrict")))


def test_dump_that_drops_its_database_is_refused(original: Target, tmp_path: Path) -> None:
    plain = original.dump(tmp_path / "plain.sql", "--create", "--clean", "--if-exists")
    packed = tmp_path / "live.sql.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    for mode in ("new", "swap"):
        result = original.refused(packed, "unsafe_dump", "DROP DATABASE", "skip_database_statements", mode=mode)
        assert "line " in result["msg"]


def test_dump_of_a_cluster_is_refused(original: Target, tmp_path: Path) -> None:
    dump = original.dump(tmp_path / "all.sql", "--clean", program="pg_dumpall")
    for mode in ("new", "swap"):
        original.refused(dump, "unsafe_dump", "dump of a cluster", mode=mode)
        original.refused(dump, "unsafe_dump", "dump of a cluster", mode=mode, skip_database_statements=True)


@pytest.mark.parametrize("options", [("--create",), ("--create", "--clean", "--if-exists")])
def test_create_dump_is_restored_without_its_database_statements(
    original: Target, tmp_path: Path, options: tuple[str, ...]
) -> None:
    original.server.psql(
        original.database,
        f"ALTER DATABASE {original.database} SET work_mem = '5MB'; COMMENT ON DATABASE {original.database} IS 'x; y';"
        f"GRANT CONNECT ON DATABASE {original.database} TO postgres",
    )
    dump = original.dump(tmp_path / "dump.sql", *options)
    original.server.psql(original.database, "INSERT INTO a VALUES (0, 'written after the dump')")
    try:
        original.restore(dump, "copy_of_create", skip_database_statements=True)
        assert (original.rows(), original.rows("copy_of_create")) == (401, 400)
    finally:
        original.server.drop_database("copy_of_create")
        original.server.psql(original.database, "DELETE FROM a WHERE id = 0")


EXTRA = [
    "\\connect postgres\n",
    "CREATE DATABASE another;\n",
    'ALTER DATABASE "POSTGRES" SET work_mem = 1;\n',
    "CREATE DATABASE {0} TEMPLATE = postgres;\n",
    "GRANT ALL ON DATABASE {0}, postgres TO PUBLIC;\n",
    "CREATE TABLE before_it ();\n\\connect {0}\n",
    "\\connect \"dbname='{0}' host=example.org\"\n",
]


def test_skipping_covers_one_database_only(original: Target, tmp_path: Path) -> None:
    complete = original.dump(tmp_path / "dump.sql", "--create").read_text()
    dump = tmp_path / "changed.sql"
    for extra in EXTRA:
        dump.write_text(complete.replace("\nCREATE DATABASE", f"\n{extra.format(original.database)}CREATE DATABASE", 1))
        original.refused(dump, "unsafe_dump", skip_database_statements=True)


def test_hostile_statement_is_refused(original: Target, tmp_path: Path) -> None:
    marker, dump = tmp_path / "marker", tmp_path / "dump.sql"
    hostile = [
        sql for sql, word in HOSTILE if word in ("\\!", "\\set", "\\copy", "\\o", "\\connect", "\\q", "\\g", "program")
    ]
    assert len(hostile) > 8
    for number, sql in enumerate(hostile):
        dump.write_text("CREATE TABLE first (id int);\n\n" + sql.format(marker=marker, database=original.database))
        original.refused(dump, "unsafe_dump", "line 3", mode="swap" if number % 2 else "new")
    assert not marker.exists()


def test_hostile_statement_does_not_hide_in_a_real_dump(original: Target, tmp_path: Path) -> None:
    complete = original.dump(tmp_path / "dump.sql").read_text()
    dump = tmp_path / "changed.sql.gz"
    for place, sql in (("\nCOPY", "\\! id"), ("\n-- PostgreSQL database dump complete", "DROP DATABASE postgres;")):
        dump.write_bytes(gzip.compress(complete.replace(place, f"\n{sql}{place}", 1).encode()))
        original.refused(dump, "unsafe_dump", mode="swap")


def test_archive_with_hostile_entry_is_refused(original: Target, tmp_path: Path) -> None:
    archive = original.dump(tmp_path / "dump.custom", "-Fc", "-Z0")
    content = archive.read_bytes()
    found = b"CREATE VIEW public.long_name_of_a_view AS"
    assert found in content
    hostile = b"CREATE ROLE intruder SUPERUSER; SELECT  "
    archive.write_bytes(content.replace(found, hostile + b" " * (len(found) - len(hostile))))
    original.refused(archive, "unsafe_dump", "CREATE ROLE")
    archive.write_bytes(content[: len(content) // 2])
    original.refused(archive, "damaged")


def test_every_cut_of_a_dump_is_refused(original: Target, tmp_path: Path) -> None:
    complete = original.dump(
        tmp_path / "dump.sql", "--no-owner", "--no-privileges", "--clean", "--if-exists", "--schema=public"
    ).read_bytes()
    end = len(complete.rstrip(b"-\n"))
    if b"\\unrestrict" in complete:
        end = len(complete.rstrip())
    cut = tmp_path / "cut.sql"
    # In the preamble, in rows, in the last row, in a function, between statements, before and in the last line.
    positions = [60, complete.index(b"\\."), end // 2, complete.index(b"END $_$"), end - 1]
    for place in positions:
        cut.write_bytes(complete[:place])
        original.refused(cut, "damaged")
    cut.write_bytes(complete[: end * 9 // 10])
    original.refused(cut, "damaged", mode="swap")
    packed = tmp_path / "cut.sql.gz"
    packed.write_bytes(gzip.compress(complete[: end // 2]))
    original.refused(packed, "damaged", mode="swap")
    for content in (gzip.compress(complete)[:-30], zstandard.compress(complete)[:-30]):
        packed.write_bytes(content)
        original.refused(packed, "damaged")
    cut.write_bytes(complete[complete.index(b"\nCOPY ") :])
    original.refused(cut, "damaged")


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("--inserts",),
        ("--inserts", "--rows-per-insert=7"),
        ("--column-inserts", "--no-owner"),
        ("--use-set-session-authorization",),
        ("--disable-dollar-quoting", "--quote-all-identifiers"),
        ("--encoding=LATIN1",),
        ("--clean", "--if-exists"),
        ("-Fc",),
        ("-Fc", "--inserts"),
        ("-Fd", "--inserts"),
    ],
)
def test_honest_dump_is_restored(original: Target, tmp_path: Path, options: tuple[str, ...]) -> None:
    dump = original.dump(tmp_path / "dump", *options)
    original.restore(dump, "copy_of_honest")
    try:
        assert fingerprint(original, "copy_of_honest") == fingerprint(original, original.database)
    finally:
        original.server.drop_database("copy_of_honest")


@pytest.mark.parametrize("version", ["16", "18"])
def test_dump_of_other_versions_is_restored(
    servers: t.Callable[[str], PostgresServer], tmp_path: Path, version: str
) -> None:
    for original in _target(servers(version)):
        for options in ((), ("--inserts",), ("-Fc",)):
            dump = original.dump(tmp_path / f"dump{len(options)}", *options)
            original.restore(dump, "copy_of_version")
            same = fingerprint(original, "copy_of_version") == fingerprint(original, original.database)
            original.server.drop_database("copy_of_version")
            assert same


def test_sections_and_the_dump_of_a_script_without_comments_are_restored(original: Target, tmp_path: Path) -> None:
    parts = [
        original.dump(tmp_path / section, f"--section={section}").read_bytes()
        for section in ("pre-data", "data", "post-data")
    ]
    dump = tmp_path / "joined.sql"
    dump.write_bytes(b"".join(parts))
    original.restore(dump, "copy_of_parts")
    same = fingerprint(original, "copy_of_parts") == fingerprint(original, original.database)
    original.server.drop_database("copy_of_parts")
    assert same
    # The Supabase CLI removes the comments, and appends a statement.
    plain = original.dump(dump).read_text()
    lines = [line for line in plain.splitlines() if not line.startswith(("--", "\\restrict", "\\unrestrict"))]
    dump.write_text("\ufeff" + "\r\n".join(["SET session_replication_role = replica;", *lines, "RESET ALL;", ""]))
    original.restore(dump, "copy_of_parts")
    rows = original.rows("copy_of_parts")
    original.server.drop_database("copy_of_parts")
    assert rows == 400


def test_script_of_unknown_origin_is_one_transaction(original: Target, tmp_path: Path) -> None:
    dump = tmp_path / "script.sql"
    good = "BEGIN;\nCREATE TABLE a (id int);\nINSERT INTO a VALUES (1);\nCOMMIT;\nSELECT txid_current();\n"
    dump.write_text(good + "CREATE TABLE later AS SELECT 1 AS x;\n")
    original.restore(dump, "copy_of_unknown")
    with original.server.session("copy_of_unknown") as cursor:
        cursor.execute("SELECT count(DISTINCT xmin::text) FROM pg_class WHERE relname IN ('a', 'later')")
        assert cursor.fetchone() == (1,)
    original.server.drop_database("copy_of_unknown")
    dump.write_text(good + "CREATE INDEX CONCURRENTLY ON a (id);\nVACUUM a;\n")
    original.restore(dump, "copy_of_unknown")
    assert original.rows("copy_of_unknown") == 1
    original.server.drop_database("copy_of_unknown")
    for damaged in (
        good + "BEGIN;\nINSERT INTO a VALUES (2);\n",
        good + "INSERT INTO a VALUES (2)",
        "",
        "-- nothing\n",
    ):
        dump.write_text(damaged)
        original.refused(dump, "damaged")
    dump.write_text(good + "ROLLBACK;\n")
    original.refused(dump, "unsafe_dump", "takes back")
    dump.write_bytes(("\ufeff" + good).encode("utf-16-le"))
    original.refused(dump, "damaged", "UTF-16")


def test_mode_in_place_refuses_before_the_undo_set_and_keeps_one_transaction(
    postgres: PostgresServer, tmp_path: Path, folder_store: Options
) -> None:
    for original in _target(postgres):
        good = original.dump(tmp_path / "good", "-Fd")
        place: Options = {"mode": "in_place", "source": "x", "store": folder_store, "terminate_sessions": True}
        original.refused(original.dump(tmp_path / "plain.sql", "--create"), "unsupported", **place)
        found, hostile = b"CREATE VIEW public.long_name_of_a_view AS", b"CREATE ROLE intruder SUPERUSER; SELECT  "
        toc = good / "toc.dat"
        content = toc.read_bytes()
        toc.write_bytes(content.replace(found, hostile + b" " * (len(found) - len(hostile))))
        original.refused(good, "unsafe_dump", "CREATE ROLE", **place)
        assert not list((tmp_path / "store").rglob("sets/*"))
        # The large objects of the archive stand between BEGIN and COMMIT; the statement behind them fails.
        index, unknown = b"btree (lower(v))", b"btree (lowex(v))"
        assert index in content
        toc.write_bytes(content.replace(index, unknown))
        before = original.state()
        with pytest.raises(ModuleFailed, match="lowex"):
            original.restore(good, original.database, recovery_confirm=original.database, **place)
        assert original.state() == before


@pytest.mark.parametrize("version", ["15", "18"])
def test_no_cut_of_a_real_dump_is_complete(
    servers: t.Callable[[str], PostgresServer], tmp_path: Path, version: str
) -> None:
    for original in _target(servers(version)):
        original.server.psql(original.database, "DELETE FROM a WHERE id > 60")
        for options in ((), ("--inserts",)):
            complete = original.dump(tmp_path / "dump.sql", *options).read_bytes()
            assert inspect_script([complete]).one_transaction is False
            end = len(complete.rstrip(b"-\n"))
            last = complete.index(b"-- PostgreSQL database dump complete")
            for place in [*range(1, end, 61), *range(last - 60, end)]:
                with pytest.raises(RecoveryError) as caught:
                    inspect_script([complete[:place]])
                assert caught.value.kind == "damaged", (place, str(caught.value))


def test_a_function_cannot_change_how_text_is_read(original: Target, tmp_path: Path) -> None:
    before = original.state()
    dump = tmp_path / "script.sql"
    dump.write_text(
        "CREATE FUNCTION h() RETURNS text LANGUAGE sql AS "
        "$$SELECT set_config('standard_conforming_strings', 'off', false)$$;\nCREATE TABLE x AS SELECT h();\n"
        "SELECT '\\'; CREATE ROLE intruder; --';\n"
    )
    with pytest.raises(ModuleFailed) as caught:
        original.restore(dump, "copy_of_hidden")
    assert caught.value.result["error_kind"] == "unsafe_dump"
    assert original.state() == before


def test_error_of_the_server_names_the_line_and_no_row(original: Target, tmp_path: Path) -> None:
    dump = tmp_path / "script.sql"
    dump.write_text("SET client_encoding = 'LATIN1';\nCREATE TABLE a (id int primary key);\n")
    with dump.open("ab") as stream:
        stream.write(b"COPY a FROM stdin;\n1\n1\n\\.\nSELECT '\xe4\xf6';\n")
    with pytest.raises(ModuleFailed) as caught:
        original.restore(dump, "copy_of_error")
    result = caught.value.result
    assert (result["error_kind"], "line 3, COPY A" in result["msg"]) == ("restore_failed", True), result["msg"]
    assert "(id)=(1)" not in result["msg"]


def test_integrity_check_names_what_pg_restore_refuses(original: Target, tmp_path: Path) -> None:
    dump = original.dump(tmp_path / "all.sql", program="pg_dumpall")
    arguments = {"checks": [{"type": "sql_dump", "path": str(dump)}], "fail_on": "never"}
    found = run_module("integrity_check", arguments)["checks"][0]
    assert (found["status"], "pg_restore refuses it: line" in found["message"]) == ("passed", True), found
