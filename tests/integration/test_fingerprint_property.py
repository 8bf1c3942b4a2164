# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The digest of a table differs exactly when its rows differ, as COPY writes them."""

from __future__ import annotations

import io
import os
import random
import typing as t

import pytest

from ansible_collections.lifeline.recovery.plugins.module_utils._engines.postgresql.server import catalog
from ansible_collections.lifeline.recovery.plugins.module_utils._engines.postgresql.server.connection import connection
from ansible_collections.lifeline.recovery.plugins.module_utils._engines.postgresql.server.row_hash import (
    ALGORITHM,
    LEGACY_ALGORITHM,
    table_statement,
)
from tests.support.data.random_schemas import PREPARED_TYPES, TYPES
from tests.support.servers.postgres import PostgresServer, available_versions

#: Random tables for each server, each with five random changes.
EXAMPLES = int(os.environ.get("LIFELINE_PROPERTY_EXAMPLES", "60"))


@pytest.fixture(scope="module", params=available_versions())
def session(request: pytest.FixtureRequest, servers: t.Callable[[str], PostgresServer]) -> t.Iterator[t.Any]:
    """A session as the fingerprint has it, in a database with types of users."""
    server = servers(request.param)
    name = server.create_database()
    server.psql(name, PREPARED_TYPES)
    with connection(server.options(name)) as conn:
        yield conn
    server.drop_database(name)


@pytest.mark.parametrize("seed", range(EXAMPLES // 10))
def test_every_change_of_rows_is_seen_and_nothing_else(session: t.Any, seed: int) -> None:
    rng = random.Random(f"{seed} {session.server_version}")
    for _table in range(10):
        with session.cursor() as cursor:
            cursor.execute("BEGIN")
            columns = _make_table(cursor, rng)
            for _change in range(5):
                before = _rows(cursor), _digest(session, ALGORITHM)
                _change_rows(cursor, rng, columns)
                after = _rows(cursor), _digest(session, ALGORITHM)
                assert (before[0] == after[0]) == (before[1] == after[1]), columns
            cursor.execute("ROLLBACK")


def test_values_that_two_rows_exchange_are_seen_by_the_digest_but_not_by_the_former_one(session: t.Any) -> None:
    with session.cursor() as cursor:
        cursor.execute("BEGIN; CREATE TABLE public.t (id int, name text, is_admin boolean)")
        cursor.execute("INSERT INTO public.t SELECT g, 'u' || g, g = 1 FROM generate_series(1, 8) g")
        before = {name: _digest(session, name) for name in (ALGORITHM, LEGACY_ALGORITHM)}
        cursor.execute("UPDATE public.t SET is_admin = NOT is_admin WHERE id IN (1, 2)")
        after = {name: _digest(session, name) for name in (ALGORITHM, LEGACY_ALGORITHM)}
        cursor.execute("ROLLBACK")
    assert before[ALGORITHM] != after[ALGORITHM]
    # A set of an earlier version is compared by its own digest, which the result calls weaker.
    assert before[LEGACY_ALGORITHM] == after[LEGACY_ALGORITHM]


@pytest.mark.parametrize(
    ("kind", "value", "other"),
    [
        ("bigint", "1", "4294967296"),
        ("time", "00:00", "01:11:34.967297"),
        ("timestamptz", "2000-01-01 00:00+00", "2000-01-01 01:11:34.967297+00"),
        ("pg_lsn", "0/1", "1/0"),
        ("bigint[]", "{1}", "{4294967296}"),
        ("int8range", "[0,1)", "[0,4294967296)"),
        ("numeric", "1.0", "1.00"),
        ("double precision", "0", "-0"),
        ("interval", "30 days", "1 mon"),
        ("char(3)", "a", "b"),
        ("jsonb", "1.0", "1.00"),
        ("regtype", "integer", "bigint"),
    ],
)
def test_values_that_hash_alike_are_distinguished(session: t.Any, kind: str, value: str, other: str) -> None:
    digests = []
    for text in (value, other):
        with session.cursor() as cursor:
            cursor.execute(f"BEGIN; CREATE TABLE public.t (v {kind}); INSERT INTO public.t VALUES (%s)", (text,))
            digests.append(_digest(session, ALGORITHM))
            cursor.execute("ROLLBACK")
    assert digests[0] != digests[1]


def _make_table(cursor: t.Any, rng: random.Random) -> list[str]:
    columns = [rng.choice(sorted(TYPES)) for _column in range(rng.randrange(1, 7))]
    described = ", ".join(f"c{number} {kind}" for number, kind in enumerate(columns))
    cursor.execute(f"SET LOCAL search_path = public; CREATE TABLE public.t ({described})")
    cursor.execute("SET LOCAL search_path = pg_catalog, pg_temp")
    for _row in range(rng.randrange(2, 9)):
        _insert(cursor, rng, columns)
    return columns


def _value(rng: random.Random, kind: str) -> str | None:
    return None if rng.random() < 0.15 else TYPES[kind](rng)


def _insert(cursor: t.Any, rng: random.Random, columns: list[str]) -> None:
    marks = ", ".join(["%s"] * len(columns))
    cursor.execute("SET LOCAL search_path = public")
    cursor.execute(f"INSERT INTO public.t VALUES ({marks})", [_value(rng, kind) for kind in columns])
    cursor.execute("SET LOCAL search_path = pg_catalog, pg_temp")


def _change_rows(cursor: t.Any, rng: random.Random, columns: list[str]) -> None:
    number = rng.randrange(len(columns))
    positions = _positions(cursor)
    one, other = (rng.choice(positions) for _place in range(2)) if positions else (None, None)
    action = rng.choice(("exchange", "exchange", "shuffle", "change", "drop", "add", "double"))
    if one is None or action == "add":
        _insert(cursor, rng, columns)
    elif action == "exchange":
        cursor.execute(
            f"UPDATE public.t x SET c{number} = y.c{number} FROM public.t y "
            "WHERE (x.ctid, y.ctid) IN ((%(one)s, %(other)s), (%(other)s, %(one)s)) AND x.ctid <> y.ctid",
            {"one": one, "other": other},
        )
    elif action == "shuffle":
        cursor.execute(
            f"UPDATE public.t x SET c{number} = y.v FROM "
            "(SELECT a.ctid, b.v FROM (SELECT ctid, row_number() OVER (ORDER BY ctid) n FROM public.t) a JOIN "
            f"(SELECT c{number} v, row_number() OVER (ORDER BY random()) n FROM public.t) b USING (n)) y "
            "WHERE x.ctid = y.ctid"
        )
    elif action == "change":
        cursor.execute("SET LOCAL search_path = public")
        cursor.execute(f"UPDATE public.t SET c{number} = %s WHERE ctid = %s", (_value(rng, columns[number]), one))
        cursor.execute("SET LOCAL search_path = pg_catalog, pg_temp")
    elif action == "drop":
        cursor.execute("DELETE FROM public.t WHERE ctid = %s", (one,))
    else:
        cursor.execute("INSERT INTO public.t SELECT * FROM public.t WHERE ctid = %s", (one,))


def _positions(cursor: t.Any) -> list[str]:
    cursor.execute("SELECT ctid::text FROM public.t")
    return [row[0] for row in cursor.fetchall()]


def _rows(cursor: t.Any) -> list[bytes]:
    """The rows as COPY writes them, which is what a set holds, sorted."""
    stream = io.BytesIO()
    cursor.copy_expert("COPY public.t TO STDOUT", stream)
    return sorted(stream.getvalue().split(b"\n"))


def _digest(session: t.Any, algorithm: str) -> tuple[int, str]:
    table = next(item for item in catalog.user_tables(session) if item.name == "t")
    with session.cursor() as cursor:
        cursor.execute(table_statement(table, catalog.column_types(session, [table.oid])[table.oid], "full", algorithm))
        return t.cast("tuple[int, str]", cursor.fetchone())
