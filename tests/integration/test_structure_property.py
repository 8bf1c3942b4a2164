# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The comparison of structure: no false alarm after plain pg_dump and pg_restore, no change of a catalog unnoticed."""

from __future__ import annotations

import contextlib
import os
import random
import subprocess
import typing as t
from pathlib import Path

import pytest

from ansible_collections.lifeline.recovery.plugins.module_utils._core.errors import RecoveryError
from ansible_collections.lifeline.recovery.plugins.module_utils._engines.postgresql.archive.toc import (
    TocEntry,
    parse_toc,
)
from ansible_collections.lifeline.recovery.plugins.module_utils._engines.postgresql.restore import proof
from ansible_collections.lifeline.recovery.plugins.module_utils._engines.postgresql.server.connection import (
    ConnectionOptions,
)
from tests.support.data.random_schemas import PREPARED_PARENT, PREPARED_TYPES, table_of_conditions
from tests.support.databases import plain_restore, record
from tests.support.servers.postgres import PostgresServer, available_versions

#: Random tables of the test, each with about fifteen objects.
EXAMPLES = int(os.environ.get("LIFELINE_PROPERTY_EXAMPLES", "60"))

#: Objects of every kind that pg_dump writes and a server without further files can make.
_EVERYTHING = """
    CREATE SCHEMA app; COMMENT ON SCHEMA app IS 'a schema';
    CREATE EXTENSION IF NOT EXISTS pg_trgm SCHEMA app;
    CREATE TYPE app.stage AS ENUM ('a', 'b'); CREATE TYPE app.pair AS (x int, y text);
    CREATE TYPE app.span AS RANGE (subtype = float8);
    CREATE DOMAIN app.amount AS numeric CHECK (VALUE > 0) DEFAULT 1 NOT NULL;
    CREATE COLLATION app.plain FROM "C";
    CREATE FUNCTION app.f(a int, b text DEFAULT 'x') RETURNS int LANGUAGE plpgsql STABLE SECURITY DEFINER
      SET search_path = pg_catalog AS 'BEGIN RETURN 1; END';
    CREATE FUNCTION app.atomic(a int) RETURNS int IMMUTABLE BEGIN ATOMIC SELECT a + 1; END;
    CREATE PROCEDURE app.p() LANGUAGE sql AS 'SELECT 1';
    CREATE FUNCTION app.trg() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
    CREATE FUNCTION app.evt() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
    CREATE FUNCTION app.eq(app.pair, app.pair) RETURNS boolean LANGUAGE sql AS 'SELECT ($1).x = ($2).x';
    CREATE OPERATOR app.=== (LEFTARG = app.pair, RIGHTARG = app.pair, FUNCTION = app.eq);
    CREATE AGGREGATE app.total(int) (SFUNC = int4pl, STYPE = int, INITCOND = '0');
    CREATE CAST (app.stage AS app.amount) WITH INOUT;
    CREATE TEXT SEARCH DICTIONARY app.dict (TEMPLATE = pg_catalog.simple);
    CREATE TEXT SEARCH CONFIGURATION app.cfg (COPY = pg_catalog.simple);
    CREATE SEQUENCE app.numbers INCREMENT 3 MINVALUE 2 MAXVALUE 900 START 5 CACHE 4 CYCLE;
    CREATE TABLE app.parent (id int PRIMARY KEY, code varchar(5) UNIQUE);
    CREATE TABLE app.t (
        id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, parent int REFERENCES app.parent ON DELETE CASCADE,
        name text NOT NULL DEFAULT 'n' COLLATE app.plain, amount app.amount, s app.stage, n int CHECK (n > 0),
        doubled int GENERATED ALWAYS AS (n * 2) STORED, EXCLUDE USING btree (name WITH =)
    ) WITH (fillfactor = 70);
    ALTER TABLE app.t ALTER name SET STORAGE EXTERNAL, ALTER n SET STATISTICS 50, ENABLE ROW LEVEL SECURITY;
    ALTER TABLE app.t REPLICA IDENTITY FULL;
    CREATE TABLE app.child (extra int) INHERITS (app.parent);
    CREATE UNLOGGED TABLE app.scratch (id int);
    CREATE TABLE app.ev (id int, d date, PRIMARY KEY (id, d)) PARTITION BY RANGE (d);
    CREATE TABLE app.ev_1 PARTITION OF app.ev FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
    CREATE TABLE app.ev_2 PARTITION OF app.ev DEFAULT;
    CREATE INDEX partial ON app.t (lower(name)) INCLUDE (n) WHERE n IN (1, 2);
    ALTER TABLE app.t CLUSTER ON t_pkey;
    CREATE STATISTICS app.stats (ndistinct, mcv) ON name, n FROM app.t;
    CREATE POLICY pol ON app.t FOR SELECT TO PUBLIC USING (n > 0); CREATE RULE ru AS ON DELETE TO app.t DO ALSO NOTHING;
    CREATE TRIGGER g BEFORE INSERT ON app.t FOR EACH ROW WHEN (NEW.n > 1) EXECUTE FUNCTION app.trg();
    ALTER TABLE app.t DISABLE TRIGGER g;
    CREATE VIEW app.v WITH (security_barrier) AS SELECT id, name FROM app.t WHERE n > 0 WITH LOCAL CHECK OPTION;
    CREATE MATERIALIZED VIEW app.mv AS SELECT n, count(*) AS c FROM app.t GROUP BY n;
    CREATE FOREIGN DATA WRAPPER fdw; CREATE SERVER srv FOREIGN DATA WRAPPER fdw OPTIONS (a 'b');
    CREATE FOREIGN TABLE app.ft (a int NOT NULL) SERVER srv OPTIONS (x 'y');
    CREATE USER MAPPING FOR postgres SERVER srv OPTIONS (u 'v');
    CREATE PUBLICATION pub FOR TABLE app.parent (id) WHERE (id > 1);
    CREATE PUBLICATION everything FOR TABLES IN SCHEMA app WITH (publish = 'insert');
    CREATE EVENT TRIGGER et ON ddl_command_end WHEN TAG IN ('CREATE TABLE') EXECUTE FUNCTION app.evt();
    ALTER EVENT TRIGGER et DISABLE;
    CREATE TRANSFORM FOR int LANGUAGE sql (FROM SQL WITH FUNCTION pg_catalog.prsd_lextype(internal));
    CREATE ACCESS METHOD heap2 TYPE TABLE HANDLER heap_tableam_handler;
    COMMENT ON COLUMN app.t.name IS 'a column'; COMMENT ON POLICY pol ON app.t IS 'a policy';
    GRANT SELECT ON app.t TO PUBLIC; GRANT UPDATE (name) ON app.t TO PUBLIC;
    REVOKE EXECUTE ON FUNCTION app.f FROM PUBLIC;
    GRANT USAGE ON SCHEMA app TO PUBLIC; REVOKE USAGE ON TYPE app.stage FROM PUBLIC;
    ALTER DEFAULT PRIVILEGES IN SCHEMA app GRANT SELECT ON TABLES TO PUBLIC;
    INSERT INTO app.t (name, n) OVERRIDING USER VALUE VALUES ('one', 1); REFRESH MATERIALIZED VIEW app.mv;
"""


@contextlib.contextmanager
def databases(*servers: PostgresServer) -> t.Iterator[list[str]]:
    names = [server.create_database() for server in servers]
    try:
        yield names
    finally:
        for server, name in zip(servers, names, strict=True):
            server.drop_database(name)


@pytest.mark.parametrize(
    ("source", "target"), [(version, version) for version in available_versions()] + [("15", "18")]
)
def test_a_plain_restore_of_random_definitions_differs_in_nothing(
    servers: t.Callable[[str], PostgresServer], tmp_path: Path, source: str, target: str
) -> None:
    if source not in available_versions():
        pytest.skip("PostgreSQL 15 is not installed")
    rng = random.Random(f"{source} {target}")
    one, other = servers(source), servers(target)
    for start in range(0, max(1, EXAMPLES // 3), 100):
        with databases(one, other) as (database, copy):
            script = "".join(table_of_conditions(rng, f"t{number}") for number in range(min(100, EXAMPLES // 3)))
            one.psql(database, PREPARED_TYPES + PREPARED_PARENT + script)
            recorded = record(one, database, tmp_path / f"dump{start}")
            assert recorded.differences(one, database) == []
            plain_restore(other, recorded, copy)
            assert recorded.differences(other, copy) == []


def test_partitioned_foreign_keys_are_compared_through_their_parent(postgres: PostgresServer, tmp_path: Path) -> None:
    with databases(postgres, postgres) as (database, copy):
        postgres.psql(
            database,
            """
            CREATE TABLE ev (id int, d date, PRIMARY KEY (id, d)) PARTITION BY RANGE (d);
            CREATE TABLE ev_1 PARTITION OF ev FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
            CREATE TABLE ev_2 PARTITION OF ev FOR VALUES FROM ('2021-01-01') TO ('2022-01-01');
            CREATE TABLE note (nid int PRIMARY KEY, id int, d date, FOREIGN KEY (id, d) REFERENCES ev (id, d));
            CREATE TABLE ev_3 PARTITION OF ev FOR VALUES FROM ('2022-01-01') TO ('2023-01-01');
            ALTER TABLE ev DETACH PARTITION ev_1; DROP TABLE ev_1;
            """,
        )
        recorded = record(postgres, database, tmp_path / "dump")
        plain_restore(postgres, recorded, copy)
        assert recorded.differences(postgres, copy) == []


@pytest.fixture(scope="module")
def everything(postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[t.Any]:
    """A database with an object of every kind, and what was recorded of it."""
    with databases(postgres) as (database,):
        postgres.psql(database, _EVERYTHING)
        yield database, record(postgres, database, tmp_path_factory.mktemp("everything") / "dump")


@pytest.fixture
def one_replay(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replays the definitions of a set once, although it is compared often: the compared database has no part in it."""
    replays: dict[tuple[t.Any, ...], t.Any] = {}
    replay = proof.replayed_structure

    def replayed_once(options: ConnectionOptions, toc: bytes, *selected: t.Any, **scope: bool) -> t.Any:
        key = (options.keywords["port"], toc, *selected, *scope.items())
        if key not in replays:
            replays[key] = replay(options, toc, *selected, **scope)
        return replays[key]

    monkeypatch.setattr(proof, "replayed_structure", replayed_once)


@pytest.mark.usefixtures("one_replay")
def test_every_entry_that_a_restore_leaves_out_is_named(
    postgres: PostgresServer, everything: t.Any, tmp_path: Path
) -> None:
    """The kinds of objects are those of the archive: of each kind one entry is left out, with what depends on it."""
    _database, recorded = everything
    listing = subprocess.run(
        [str(postgres.bin_dir / "pg_restore"), "--list", str(recorded.folder)],
        check=True, capture_output=True, text=True,
    ).stdout.splitlines()  # fmt: skip
    kinds = {kind: line for line in listing for kind in [_kind(line)] if kind}
    assert len(kinds) > 30
    entries = {entry.dump_id: entry for entry in parse_toc((recorded.folder / "toc.dat").read_bytes()).entries}
    chosen = {int(line.partition(";")[0]): line for line in kinds.values()}
    for left_out in _independent(chosen, entries):
        kept = tmp_path / "kept.list"
        kept.write_text("\n".join(line for line in listing if line not in {chosen[number] for number in left_out}))
        with databases(postgres) as (copy,):
            subprocess.run(
                [str(postgres.bin_dir / "pg_restore"), f"--dbname={copy}", f"--use-list={kept}", str(recorded.folder)],
                env=postgres.options(copy).environment(), check=False, capture_output=True,
            )  # fmt: skip
            named = recorded.differences(postgres, copy)
            assert [entries[number].title for number in left_out if _difference(entries[number]) not in named] == []


def _independent(chosen: t.Iterable[int], entries: t.Mapping[int, TocEntry]) -> list[list[int]]:
    """The chosen entries in groups of which none needs another, so that each is missing for its own sake."""
    groups: list[list[int]] = []
    for one in chosen:
        for group in groups:
            if not any(one in _needed(other, entries) or other in _needed(one, entries) for other in group):
                group.append(one)
                break
        else:
            groups.append([one])
    return groups


def _needed(number: int, entries: t.Mapping[int, TocEntry]) -> set[int]:
    found, open_ends = set[int](), [number]
    while open_ends:
        entry = entries.get(open_ends.pop())
        new = set(entry.dependencies if entry else ()) - found
        found |= new
        open_ends += new
    return found


def _difference(entry: TocEntry) -> str:
    """The name of the difference where a database lacks the entry."""
    rows = {"TABLE DATA": "table", "SEQUENCE SET": "sequence", "MATERIALIZED VIEW DATA": "materialized view"}
    identity = f"{entry.schema}.{entry.tag}" if entry.schema else entry.tag
    return f"{rows[entry.kind]} {identity}" if entry.kind in rows else f"{entry.kind}: {identity}"


def _kind(line: str) -> str | None:
    """The kind of an entry in a list of pg_restore: its words in capitals."""
    if line.startswith(";") or not line.strip():
        return None
    message = line.split(" ")[3:]
    kind = " ".join(word for word in message if word.isupper() and word.isalpha())
    # The comment of an extension is made by CREATE EXTENSION as well.
    return None if kind == "COMMENT EXTENSION" else kind


#: Columns of catalogs whose change alone pg_dump does not write: PostgreSQL derives them from other catalogs.
_DERIVED = frozenset(
    (
        "pg_class.relhasindex", "pg_class.relhasrules", "pg_class.relhastriggers", "pg_class.relhassubclass",
        "pg_class.relispartition", "pg_class.relisshared", "pg_index.indimmediate", "pg_index.indcheckxmin",
        "pg_index.indisready", "pg_index.indislive", "pg_index.indisprimary", "pg_index.indisexclusion",
        "pg_attribute.attbyval", "pg_attribute.atthasdef", "pg_attribute.atthasmissing", "pg_attribute.attisdropped",
        "pg_type.typbyval", "pg_type.typisdefined", "pg_constraint.conislocal", "pg_trigger.tgdeferrable",
        "pg_trigger.tginitdeferred",
        # Only functions in C make these; the owner of an extension is who restores it.
        "pg_type.typispreferred", "pg_extension.extowner", "pg_extension.extrelocatable",
    )
)  # fmt: skip

#: Objects that have the property, where the newest object of the catalog has not.
_WITH_PROPERTY = {
    "pg_class": "oid = 'app.t'::regclass",
    "pg_attribute": "attrelid = 'app.t'::regclass AND attnum > 0",
    "pg_constraint": "conrelid = 'app.t'::regclass AND contype = 'f'",
    "pg_constraint.connoinherit": "conrelid = 'app.t'::regclass AND contype = 'c'",
    "pg_proc": "proname = 'f'",
    "pg_trigger": "tgname = 'g'",
}

_NEW_VALUES = {
    "boolean": "NOT {column}",
    "aclitem[]": "'{another=r/postgres}'",
    "oid": "'another'::regrole",
}

_CHANGEABLE = """
    SELECT c.relname, a.attname, a.atttypid::regtype::text, k.attname
    FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
    JOIN pg_attribute k ON k.attrelid = c.oid AND k.attname IN ('oid', 'indexrelid', 'attrelid')
    WHERE c.relnamespace = 'pg_catalog'::regnamespace AND c.relkind = 'r' AND NOT c.relisshared AND a.attnum > 0
      AND (a.atttypid IN ('boolean'::regtype, 'aclitem[]'::regtype)
           OR (a.atttypid = 'oid'::regtype AND a.attname ~ 'owner$'))
    ORDER BY c.relname, a.attnum
"""


@pytest.mark.usefixtures("one_replay")
def test_every_flag_right_and_owner_in_the_catalogs_is_compared(postgres: PostgresServer, everything: t.Any) -> None:
    """The catalogs themselves list the changes: each boolean column, each list of rights, each owner."""
    database, recorded = everything
    unnoticed, tried = [], []
    with postgres.session(database) as cursor:
        cursor.execute("DROP ROLE IF EXISTS another; CREATE ROLE another; SET allow_system_table_mods = on")
        cursor.execute(_CHANGEABLE)
        for catalog, column, kind, key in cursor.fetchall():
            name = f"{catalog}.{column}"
            place = None if name in _DERIVED else _object_of_user(cursor, catalog, column, key)
            if place is None:
                continue
            tried.append(name)
            with _changed(cursor, catalog, column, _NEW_VALUES[kind].replace("{column}", column), place):
                try:
                    noticed = bool(recorded.differences(postgres, database))
                except RecoveryError:
                    # pg_dump refuses a catalog that contradicts itself.
                    noticed = True
            if not noticed:
                unnoticed.append(name)
        cursor.execute("DROP ROLE another")
    assert not unnoticed, " ".join(unnoticed)
    assert len(tried) > 40


def _object_of_user(cursor: t.Any, catalog: str, column: str, key: str) -> str | None:
    """The row, as ctid, of an object that is neither an extension's nor a part of another object."""
    own = _WITH_PROPERTY.get(f"{catalog}.{column}") or _WITH_PROPERTY.get(catalog, "true")
    cursor.execute(
        f"SELECT ctid::text FROM {catalog} c WHERE {key} >= 16384 AND {own} AND NOT EXISTS (SELECT FROM pg_depend d "
        f"WHERE d.classid = '{catalog}'::regclass AND d.objid = c.{key} AND d.deptype IN ('e', 'i')) "
        f"ORDER BY {key} DESC LIMIT 1"
    )
    row = cursor.fetchone()
    return row[0] if row else None


@contextlib.contextmanager
def _changed(cursor: t.Any, catalog: str, column: str, value: str, place: str) -> t.Iterator[None]:
    cursor.execute(f"SELECT {column}::text FROM {catalog} WHERE ctid = %s", (place,))
    former = cursor.fetchone()[0]
    cursor.execute(f"UPDATE {catalog} SET {column} = {value} WHERE ctid = %s RETURNING ctid::text", (place,))
    moved = cursor.fetchone()[0]
    try:
        yield
    finally:
        cursor.execute(f"UPDATE {catalog} SET {column} = %s WHERE ctid = %s", (former, moved))


@pytest.mark.parametrize(
    "change",
    [
        "ALTER LARGE OBJECT {loid} OWNER TO pg_monitor",
        "GRANT SELECT ON LARGE OBJECT {loid} TO PUBLIC",
        "COMMENT ON LARGE OBJECT {loid} IS 'another'",
        "SELECT lo_put({loid}, 300000, 'z')",
        "SELECT lo_unlink({loid})",
    ],
)
def test_rights_and_content_of_large_objects_are_compared(
    postgres: PostgresServer, database: str, tmp_path: Path, change: str
) -> None:
    with postgres.session(database) as cursor:
        cursor.execute("SELECT lo_from_bytea(0, repeat('x', 400000)::bytea), lo_from_bytea(0, 'b')")
        loid = cursor.fetchone()[0]
        cursor.execute(f"GRANT UPDATE ON LARGE OBJECT {loid} TO pg_monitor")
    recorded = record(postgres, database, tmp_path / "dump")
    with databases(postgres) as (copy,):
        plain_restore(postgres, recorded, copy)
        assert recorded.differences(postgres, copy) == []
        with postgres.session(copy) as cursor:
            cursor.execute(change.format(loid=loid))
        assert recorded.differences(postgres, copy) != []
