# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Databases that others made come back equal, on every version."""

from __future__ import annotations

import os
import typing as t

import pytest

from ansible_collections.lifeline.recovery.plugins.module_utils._postgres.fingerprint import take_fingerprint
from ansible_collections.lifeline.recovery.plugins.module_utils._sets.fingerprint import compare
from tests.doubles.modules import run_module
from tests.doubles.postgres import PostgresServer, available_versions
from tests.doubles.samples import Sample, samples


@pytest.mark.parametrize("version", available_versions())
@pytest.mark.parametrize("sample", samples(), ids=lambda sample: sample.name)
def test_a_published_database_comes_back_equal(
    servers: t.Callable[[str], PostgresServer], store: dict[str, t.Any], sample: Sample, version: str
) -> None:
    script = sample.script()
    if script is None:
        _leave_out(sample)
    server = servers(version)
    database = server.create_database()
    copy = f"{database}_copy"
    try:
        server.psql(database, script)
        taken = run_module("pg_backup", {"source": "sample", "store": store, **server.module_options(database)})
        done = run_module(
            "pg_restore",
            {"source": "sample", "store": store, "target_db": copy, "create_roles": True, **server.module_options()},
        )
        assert taken["tables"] > 0
        assert done["fingerprint"]["equal"] is True
        assert done["fingerprint"]["tables"] == taken["tables"]
        assert done["fingerprint"]["rows"] == taken["rows"]
        # Tables are dumped by name, so only rows may stand in another order.
        assert sorted(server.plain_dump(copy)) == sorted(server.plain_dump(database))
    finally:
        server.drop_database(copy)
        server.drop_database(database)


#: A row, with what hangs on it, of databases whose foreign keys do not all cascade.
_CUSTOMERS = {
    "zabbix": ("hosts", "hostid", "SELECT hostid FROM hosts WHERE status = 3 ORDER BY hostid LIMIT 1"),
    "pagila": ("customer", "customer_id", "SELECT 148"),
}


@pytest.mark.parametrize("sample", [item for item in samples() if item.name in _CUSTOMERS], ids=lambda item: item.name)
def test_one_row_with_all_that_hangs_on_it_comes_back(
    servers: t.Callable[[str], PostgresServer], folder_store: dict[str, t.Any], sample: Sample
) -> None:
    script = sample.script()
    if script is None:
        _leave_out(sample)
    server = servers(available_versions()[-1])
    database = server.create_database()
    table, column, query = _CUSTOMERS[sample.name]
    login = server.module_options(database)
    try:
        server.psql(database, script)
        run_module("pg_backup", {"source": sample.name, "store": folder_store, **login})
        before = take_fingerprint(server.options(database), "full")
        with server.session(database) as cursor:
            cursor.execute(query)
            key = cursor.fetchone()[0]
            _delete(cursor, f"public.{table}", f"{column} = {key}")
        lost = compare(before, take_fingerprint(server.options(database), "full")).differences
        assert len(lost) > 2
        chosen = {"keys": {table: [key]}, "closure": "children", "recovery_environment": "sandbox"}
        run_module("pg_restore_table", {"source": sample.name, "store": folder_store, **chosen, **login})
        assert compare(before, take_fingerprint(server.options(database), "full")).equal
    finally:
        server.drop_database(database)


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
    """Skip where Debian's packages are out of reach; fail where LIFELINE_REQUIRE_SAMPLES says that they must be."""
    reason = f"the package {sample.package} cannot be downloaded here: apt-get update, and look at apt-get download"
    if os.environ.get("LIFELINE_REQUIRE_SAMPLES") == "1":
        pytest.fail(reason)
    pytest.skip(reason)
