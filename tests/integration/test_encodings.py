# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Databases whose encoding is not UTF-8 are restored unchanged, byte by byte."""

from __future__ import annotations

import typing as t

import psycopg2
import pytest

from tests.support.runner.modules import ModuleFailed, run_module
from tests.support.servers.postgres import PostgresServer

Options = dict[str, t.Any]

#: Encoding to the codec of Python that writes its texts.
_TEXTS = {
    "SQL_ASCII": b"caf\xe9 \xff\xfe \xe2\x82\xac",
    "LATIN1": "café ÿ".encode("latin-1"),
    "EUC_JP": "日本語".encode("euc_jp"),
    "WIN1251": "Привет".encode("cp1251"),
}


def in_bytes(server: PostgresServer, database: str, encoding: str, statement: bytes) -> list[t.Any]:
    """A statement whose bytes reach the server unchanged; texts come back as bytes in hexadecimal."""
    with (
        psycopg2.connect(**server.options(database).keywords, client_encoding=encoding) as conn,
        conn.cursor() as cursor,
    ):
        cursor.execute(statement)
        return list(cursor.fetchall()) if cursor.description else []


def fill(server: PostgresServer, database: str, encoding: str) -> None:
    text = _TEXTS[encoding]
    in_bytes(
        server,
        database,
        encoding,
        b"CREATE TABLE t (id int PRIMARY KEY, x text, y varchar(40), z text[]);"
        b"INSERT INTO t SELECT n, '%s', '%s' || n, ARRAY['%s', 'plain'] FROM generate_series(1, 50) n;"
        b"COMMENT ON TABLE t IS '%s'; CREATE VIEW v AS SELECT '%s'::text AS c" % ((text,) * 5),
    )


@pytest.fixture(params=sorted(_TEXTS), scope="module")
def encoded(
    request: pytest.FixtureRequest, postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> t.Iterator[tuple[str, str, Options]]:
    """(name, encoding, source and store) of a database that has been backed up."""
    name = postgres.create_database(properties=f"ENCODING '{request.param}' LOCALE 'C'")
    fill(postgres, name, request.param)
    store = {"provider": "directory", "path": str(tmp_path_factory.mktemp("encoded") / "store")}
    source = {"source": "old", "store": store}
    run_module("pg_backup", {**source, **postgres.module_options(name)})
    yield name, request.param, source
    postgres.drop_database(name)


def test_a_restored_copy_has_the_same_bytes(postgres: PostgresServer, encoded: tuple[str, str, Options]) -> None:
    database, encoding, source = encoded
    copy = f"{database}_copy"
    try:
        run_module("backup_verify", source)
        restored = run_module("pg_restore", {**source, **postgres.module_options("postgres"), "target_db": copy})
        assert restored["fingerprint"]["equal"] is True
        rows = b"SELECT id, encode(textsend(x), 'hex'), encode(textsend(y::text), 'hex') FROM t ORDER BY id"
        there = in_bytes(postgres, copy, encoding, rows)
        assert there == in_bytes(postgres, database, encoding, rows) and len(there) == 50
        assert bytes.fromhex(there[0][1]) == _TEXTS[encoding]
        shown = b"SELECT pg_encoding_to_char(encoding) FROM pg_database WHERE datname = current_database()"
        assert in_bytes(postgres, copy, encoding, shown) == [(encoding,)]
    finally:
        postgres.drop_database(copy)


def test_rows_come_back_into_a_database_of_another_encoding(
    postgres: PostgresServer, encoded: tuple[str, str, Options]
) -> None:
    database, encoding, source = encoded
    in_bytes(postgres, database, encoding, b"DELETE FROM t WHERE id < 10")
    run_module("pg_restore_table", {**source, **postgres.module_options(database), "tables": ["public.t"]})
    rows = b"SELECT count(*), count(DISTINCT textsend(x)) FROM t"
    assert in_bytes(postgres, database, encoding, rows) == [(50, 1)]


@pytest.mark.parametrize("kind", ["TABLE %s (id int)", "SCHEMA %s", "TYPE %s AS ENUM ('a')"])
def test_a_name_that_is_not_utf_8_is_refused_by_its_name(
    postgres: PostgresServer, folder_store: Options, kind: str
) -> None:
    name = postgres.create_database(properties="ENCODING 'SQL_ASCII' LOCALE 'C'")
    try:
        in_bytes(postgres, name, "SQL_ASCII", b"CREATE " + kind.encode() % b'"caf\xe9"')
        with pytest.raises(ModuleFailed) as caught:
            run_module("pg_backup", {"source": "old", "store": folder_store, **postgres.module_options(name)})
        assert caught.value.result["error_kind"] == "unsupported"
        assert "caf\\xe9" in caught.value.result["msg"]
    finally:
        postgres.drop_database(name)


def test_a_name_in_utf_8_is_kept_in_sql_ascii(postgres: PostgresServer, folder_store: Options) -> None:
    name = postgres.create_database(properties="ENCODING 'SQL_ASCII' LOCALE 'C'")
    try:
        in_bytes(postgres, name, "SQL_ASCII", 'CREATE TABLE "größe" AS SELECT 1 AS "spalte_ü"'.encode())
        source = {"source": "old", "store": folder_store}
        run_module("pg_backup", {**source, **postgres.module_options(name)})
        target = {**source, **postgres.module_options("postgres"), "target_db": f"{name}_copy"}
        assert run_module("pg_restore", target)["fingerprint"]["equal"] is True
    finally:
        postgres.drop_database(name)
        postgres.drop_database(f"{name}_copy")
