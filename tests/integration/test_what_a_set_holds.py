# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Objects that a set names as not held, and the report on a set of an earlier version."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

import pytest

from ansible_collections.lifeline.recovery.plugins.module_utils._engines.postgresql.backup.fingerprint import (
    take_fingerprint,
)
from ansible_collections.lifeline.recovery.plugins.module_utils._engines.postgresql.server.row_hash import (
    LEGACY_ALGORITHM,
)
from tests.support.runner.modules import ModuleFailed, run_module
from tests.support.servers.postgres import PostgresServer

Options = dict[str, t.Any]

_QUEUE = """
    CREATE EXTENSION citext; CREATE SCHEMA q; CREATE TABLE q.q_orders (id int PRIMARY KEY, message jsonb);
    INSERT INTO q.q_orders SELECT g, '{}' FROM generate_series(1, 25) g;
    ALTER EXTENSION citext ADD TABLE q.q_orders; CREATE TABLE q.empty (id int);
    ALTER EXTENSION citext ADD TABLE q.empty;
    CREATE TABLE own (id int); INSERT INTO own VALUES (1);
"""


@pytest.mark.parametrize("fingerprint", ["full", "counts", "none"])
def test_rows_that_belong_to_an_extension_are_named_with_their_number(
    postgres: PostgresServer, database: str, folder_store: Options, fingerprint: str
) -> None:
    postgres.psql(database, _QUEUE)
    taken = run_module(
        "pg_backup",
        {"source": "q", "store": folder_store, "fingerprint": fingerprint, **postgres.module_options(database)},
    )
    named = [item for item in taken["coverage"]["not_covered"] if "extension" in item]
    assert named == ["25 rows of q.q_orders, a table of the extension citext"]
    assert "NOT in the set: 25 rows of q.q_orders" in taken["summary"]
    assert "Not in the set: 25 rows of q.q_orders, a table of the extension citext." in str(taken["warnings"])


def test_rows_of_a_configuration_table_are_in_the_fingerprint(
    postgres: PostgresServer, database: str, folder_store: Options
) -> None:
    postgres.psql(database, _QUEUE)
    with postgres.session(database) as cursor:
        cursor.execute(
            "UPDATE pg_extension SET extconfig = ARRAY['q.q_orders'::regclass::oid], "
            "extcondition = ARRAY['WHERE id > 5'] WHERE extname = 'citext'"
        )
    taken = run_module("pg_backup", {"source": "q", "store": folder_store, **postgres.module_options(database)})
    assert [item for item in taken["coverage"]["not_covered"] if "extension" in item] == []
    assert taken["rows"] == 20 + 1
    check = {"source": "q", "store": folder_store, "checks": [{"type": "fingerprint"}], "fail_on": "never"}
    assert run_module("integrity_check", {**check, **postgres.module_options(database)})["verdict"] == "passed"
    with postgres.session(database) as cursor:
        cursor.execute("UPDATE q.q_orders SET message = '[]' WHERE id = 9")
    assert run_module("integrity_check", {**check, **postgres.module_options(database)})["verdict"] == "failed"


def test_a_set_of_an_earlier_version_is_compared_by_its_own_digest_which_is_called_weaker(
    postgres: PostgresServer, database: str, folder_store: Options
) -> None:
    postgres.psql(database, "CREATE TYPE m AS ENUM ('a'); CREATE TABLE t (id int, b bigint, m m, x text[], n numeric)")
    postgres.psql(database, "INSERT INTO t SELECT g, g, 'a', ARRAY['x'], g FROM generate_series(1, 9) g")
    run_module("pg_backup", {"source": "old", "store": folder_store, **postgres.module_options(database)})
    _as_earlier_version(postgres, database, Path(folder_store["path"]))
    restored = {"source": "old", "store": folder_store, "target_db": f"{database}_copy", **postgres.module_options()}
    try:
        done = run_module("pg_restore", restored)
        assert done["fingerprint"]["equal"] is True
        assert done["fingerprint"]["weaker"] is True
        assert "weaker" in done["summary"]
        with postgres.session(f"{database}_copy") as cursor:
            cursor.execute("UPDATE t SET x = '{y}' WHERE id = 3; CREATE POLICY p ON t")
        checks = {"source": "old", "store": folder_store, "checks": [{"type": "fingerprint"}]}
        with pytest.raises(ModuleFailed) as caught:
            run_module("integrity_check", {**checks, **postgres.module_options(f"{database}_copy")})
        assert {item["what"] for item in caught.value.result["checks"][0]["sample"]} >= {
            "table public.t", "POLICY: public.t p",
        }  # fmt: skip
    finally:
        postgres.drop_database(f"{database}_copy")


def _as_earlier_version(server: PostgresServer, database: str, store: Path) -> None:
    """Write the manifest as an earlier version did: the former digest, and structure by names of its own."""
    path = next(store.glob("**/sets/*.json"))
    document = json.loads(path.read_text())
    former = take_fingerprint(server.options(database), "full", structure={}, algorithm=LEGACY_ALGORITHM)
    fingerprint = former.as_dict() | {"structure": {"relations": {"public.t": "0123456789abcdef"}}}
    del fingerprint["views"], fingerprint["object_rights"]
    fingerprint["large_objects"] = None
    document["fingerprint"] = fingerprint
    path.write_text(json.dumps(document))
