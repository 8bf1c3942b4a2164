# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Databases that others made come back equal, on every version."""

from __future__ import annotations

import os
import secrets
import typing as t
from dataclasses import dataclass

import pytest

from ansible_collections.lifeline.recovery.plugins.module_utils._engines.postgresql.backup.fingerprint import (
    take_fingerprint,
)
from ansible_collections.lifeline.recovery.plugins.module_utils._repository.fingerprint import compare
from tests.support.data.samples import Sample, samples
from tests.support.runner.modules import run_module
from tests.support.servers.postgres import PostgresServer, available_versions
from tests.support.servers.s3 import S3Server


@dataclass(frozen=True)
class BackedUp:
    """A sample in a database, and a set of it."""

    sample: Sample
    server: PostgresServer
    database: str
    store: dict[str, t.Any]
    taken: dict[str, t.Any]


def _cases() -> list[t.Any]:
    """Every sample on every version; zabbix, which is a hundred times larger, on the oldest and on the newest."""
    versions = available_versions()
    return [
        pytest.param((sample, version), id=f"{sample.name}-{version}")
        for sample in samples()
        for version in versions
        if sample.name != "zabbix" or version in (versions[0], versions[-1])
    ]


@pytest.fixture(scope="module", params=_cases())
def backed_up(
    request: pytest.FixtureRequest, servers: t.Callable[[str], PostgresServer], s3: S3Server
) -> t.Iterator[BackedUp]:
    sample, version = request.param
    script = sample.script()
    if script is None:
        _leave_out(sample)
    server = servers(version)
    database = server.create_database()
    try:
        server.psql(database, script)
        store = s3.store_options(prefix=secrets.token_hex(6))
        taken = run_module("pg_backup", {"source": "sample", "store": store, **server.module_options(database)})
        yield BackedUp(sample, server, database, store, taken)
    finally:
        server.drop_database(database)


def test_a_published_database_comes_back_equal(backed_up: BackedUp) -> None:
    server, copy = backed_up.server, f"{backed_up.database}_copy"
    target = {"target_db": copy, "create_roles": True, **server.module_options()}
    try:
        done = run_module("pg_restore", {"source": "sample", "store": backed_up.store, **target})
        assert backed_up.taken["tables"] > 0
        assert done["fingerprint"]["equal"] is True
        assert done["fingerprint"]["tables"] == backed_up.taken["tables"]
        assert done["fingerprint"]["rows"] == backed_up.taken["rows"]
        # Tables are dumped by name, so only rows may stand in another order.
        assert sorted(server.plain_dump(copy)) == sorted(server.plain_dump(backed_up.database))
    finally:
        server.drop_database(copy)


#: A row, with what hangs on it, of databases whose foreign keys do not all cascade.
_CUSTOMERS = {
    "zabbix": ("hosts", "hostid", "SELECT hostid FROM hosts WHERE status = 3 ORDER BY hostid LIMIT 1"),
    "pagila": ("customer", "customer_id", "SELECT 148"),
}


@pytest.mark.parametrize(
    "backed_up",
    [case for case in _cases() if case.id in {f"{name}-{available_versions()[-1]}" for name in _CUSTOMERS}],
    indirect=True,
)
def test_one_row_with_all_that_hangs_on_it_comes_back(backed_up: BackedUp) -> None:
    server, database = backed_up.server, backed_up.database
    table, column, query = _CUSTOMERS[backed_up.sample.name]
    before = take_fingerprint(server.options(database), "full")
    with server.session(database) as cursor:
        cursor.execute(query)
        key = cursor.fetchone()[0]
        _delete(cursor, f"public.{table}", f"{column} = {key}")
    lost = compare(before, take_fingerprint(server.options(database), "full")).differences
    assert len(lost) > 2
    chosen = {"keys": {table: [key]}, "closure": "children", "recovery_environment": "sandbox"}
    login = server.module_options(database)
    run_module("pg_restore_table", {"source": "sample", "store": backed_up.store, **chosen, **login})
    assert compare(before, take_fingerprint(server.options(database), "full")).equal


def _delete(cursor: t.Any, table: str, condition: str) -> None:
    """Delete rows after those that refer to them, however deep."""
    cursor.execute(
        """
        SELECT k.conrelid::regclass::text, k.conrelid = k.confrelid,
          (SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY u.i) FROM unnest(k.conkey) WITH ORDINALITY u (n, i)
           JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.n),
          (SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY u.i) FROM unnest(k.confkey) WITH ORDINALITY u (n, i)
           JOIN pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = u.n)
        FROM pg_constraint k WHERE k.contype = 'f' AND k.confrelid = %s::regclass AND k.conparentid = 0
        """,
        (table,),
    )
    for child, is_itself, mine, theirs in cursor.fetchall():
        if not is_itself:
            _delete(cursor, child, f"({mine}) IN (SELECT {theirs} FROM {table} WHERE {condition})")
    cursor.execute(f"DELETE FROM {table} WHERE {condition}")


def _leave_out(sample: Sample) -> t.NoReturn:
    """Skip where Debian's packages are out of reach; fail where LIFELINE_REQUIRE_SAMPLES requires them."""
    reason = f"the package {sample.package} cannot be downloaded here: apt-get update, and look at apt-get download"
    if os.environ.get("LIFELINE_REQUIRE_SAMPLES") == "1":
        pytest.fail(reason)
    pytest.skip(reason)
