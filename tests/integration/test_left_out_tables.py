# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A backup leaves out a table with its partitions and inheritance children, and refuses names of no table."""

from __future__ import annotations

import typing as t

import pytest

from tests.support.runner.modules import ModuleFailed, run_module
from tests.support.servers.postgres import PostgresServer, available_versions

Options = dict[str, t.Any]

#: Two levels of partitions, one of them in another schema and with a name that is a pattern; inheritance children.
_TABLES = """
    CREATE SCHEMA app; CREATE SCHEMA "Old";
    CREATE TABLE app.events (id int, day int) PARTITION BY RANGE (day);
    CREATE TABLE app.events_1 PARTITION OF app.events FOR VALUES FROM (1) TO (10) PARTITION BY LIST (day);
    CREATE TABLE app."Ev.1*""x" PARTITION OF app.events_1 FOR VALUES IN (1);
    CREATE TABLE app.events_1_rest PARTITION OF app.events_1 DEFAULT;
    CREATE TABLE "Old".events PARTITION OF app.events FOR VALUES FROM (10) TO (20);
    INSERT INTO app.events SELECT n, n FROM generate_series(1, 19) n;
    CREATE TABLE logs (id int); CREATE TABLE app.logs_old () INHERITS (logs);
    CREATE TABLE app.logs_older () INHERITS (app.logs_old);
    INSERT INTO logs VALUES (1); INSERT INTO app.logs_old VALUES (2), (3); INSERT INTO app.logs_older VALUES (4);
    CREATE TABLE kept (id int PRIMARY KEY); INSERT INTO kept SELECT generate_series(1, 5);
    CREATE TABLE "Audit_Log" (id int);
"""


def backup(server: PostgresServer, database: str, store: Options, **extra: t.Any) -> Options:
    return run_module("pg_backup", {"source": "shop", "store": store, **server.module_options(database), **extra})


def rows_by_table(server: PostgresServer, database: str) -> dict[str, int]:
    """The tables of a database with the number of their own rows."""
    with server.session(database) as cursor:
        cursor.execute(
            "SELECT oid::regclass::text FROM pg_class WHERE relkind IN ('r', 'p') AND relnamespace::regnamespace::text "
            "IN ('public', 'app', '\"Old\"')"
        )
        names = [row[0] for row in cursor.fetchall()]
        found = {}
        for name in names:
            cursor.execute(f"SELECT count(*) FROM ONLY {name}")
            found[name] = cursor.fetchone()[0]
    return found


@pytest.mark.parametrize("version", available_versions())
@pytest.mark.parametrize("option", ["exclude_table_data", "exclude_tables"])
def test_partitions_and_inheritance_children_are_left_out_with_their_table(
    servers: t.Callable[[str], PostgresServer], folder_store: Options, version: str, option: str
) -> None:
    server = servers(version)
    source, restored = server.create_database(), f"restored_{option}"
    server.psql(source, _TABLES)
    before = rows_by_table(server, source)
    assert sum(before.values()) == 28
    taken = backup(server, source, folder_store, **{option: ["app.events", "log?"]})
    assert taken["rows"] == 5
    left_out = {name for name in before if name not in ("kept", '"Audit_Log"')}
    [*named] = [item for item in taken["coverage"]["not_covered"] if "which the backup leaves out" in item]
    if option == "exclude_table_data":
        assert all(name in named[0] for name in left_out)
    done = run_module(
        "pg_restore",
        {"source": "shop", "store": folder_store, "mode": "new", "target_db": restored,
         **server.module_options(source)},
    )  # fmt: skip
    try:
        assert done["fingerprint"]["equal"] is True
        expected = {name: rows * (name not in left_out) for name, rows in before.items()}
        if option == "exclude_tables":
            expected = {name: rows for name, rows in expected.items() if name not in left_out}
        assert rows_by_table(server, restored) == expected
    finally:
        server.drop_database(restored)
        server.drop_database(source)


@pytest.mark.parametrize("option", ["exclude_table_data", "exclude_tables"])
def test_rows_of_a_partition_that_is_left_out_are_not_restored_as_missing(
    postgres: PostgresServer, database: str, folder_store: Options, option: str
) -> None:
    postgres.psql(database, _TABLES)
    taken = backup(postgres, database, folder_store, **{option: ["app.events_1"]})
    assert taken["rows"] == 28 - 9
    before = rows_by_table(postgres, database)
    with pytest.raises(ModuleFailed) as caught:
        run_module(
            "pg_restore_table",
            {"source": "shop", "store": folder_store, "tables": ["app.events"], "mode": "exact",
             **postgres.module_options(database)},
        )  # fmt: skip
    assert caught.value.result["error_kind"] == "table_missing"
    assert "app.events without the rows of its partition" in caught.value.result["msg"]
    assert rows_by_table(postgres, database) == before


@pytest.mark.parametrize(
    ("option", "name", "suggested"),
    [
        ("exclude_table_data", "app.event", "app.events"),
        ("exclude_tables", "events", '"Old".events'),
        ("exclude_tables", "public.Audit_Log", 'public."Audit_Log"'),
        ("exclude_schemas", "apps", "app"),
        ("include_schemas", "apps", "app"),
    ],
)
def test_a_name_that_leaves_out_nothing_is_refused_with_the_nearest_name(
    postgres: PostgresServer, database: str, folder_store: Options, option: str, name: str, suggested: str
) -> None:
    postgres.psql(database, _TABLES)
    with pytest.raises(ModuleFailed) as caught:
        backup(postgres, database, folder_store, **{option: [*(["public"] if "in" in option[:2] else []), name]})
    assert caught.value.result["error_kind"] == "invalid_options"
    noun = "schema" if "schemas" in option else "table"
    assert caught.value.result["msg"] == (
        f"`{option}` must name {noun}s that exist, and the database has no {noun} {name}. "
        "No backup set was written; earlier sets are unchanged. "
        f"Did you mean {suggested}? Correct the name, or remove it from the list."
    )
    assert run_module("backup_info", {"source": "shop", "store": folder_store})["sets"] == []


def test_a_pattern_that_leaves_out_nothing_is_reported(
    postgres: PostgresServer, database: str, folder_store: Options
) -> None:
    postgres.psql(database, _TABLES + 'ALTER DATABASE :"DBNAME" SET search_path = app;')
    taken = backup(postgres, database, folder_store, exclude_table_data=["no_*", "events"])
    assert "The pattern 'no_*' of `exclude_table_data` matches no table." in taken["coverage"]["notes"]
    # The name without a schema is found as pg_dump finds it: by the search path of the database.
    assert taken["rows"] == 28 - 19
