# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A restore within a live database is compared before it is committed, and loses no write of another session."""

from __future__ import annotations

import secrets
import typing as t
from pathlib import Path

import psycopg2
import pytest

from ansible_collections.lifeline.recovery.plugins.module_utils._core.errors import RecoveryError
from ansible_collections.lifeline.recovery.plugins.module_utils._engines.postgresql.backup.backup import (
    PostgresBackup,
    PostgresBackupRequest,
)
from ansible_collections.lifeline.recovery.plugins.module_utils._engines.postgresql.restore import restore_in_place
from ansible_collections.lifeline.recovery.plugins.module_utils._engines.postgresql.restore.in_place import (
    LockedDatabase,
)
from ansible_collections.lifeline.recovery.plugins.module_utils._engines.postgresql.restore.restore import restore_of
from ansible_collections.lifeline.recovery.plugins.module_utils._engines.postgresql.restore.restore_request import (
    RestoreRequest,
    RestoreResult,
)
from ansible_collections.lifeline.recovery.plugins.module_utils._engines.postgresql.server.connection import (
    ConnectionOptions,
)
from ansible_collections.lifeline.recovery.plugins.module_utils._operations.backup import back_up
from ansible_collections.lifeline.recovery.plugins.module_utils._operations.change import perform
from ansible_collections.lifeline.recovery.plugins.module_utils._repository.change import Safeguards
from ansible_collections.lifeline.recovery.plugins.module_utils._store.base import ObjectStore
from ansible_collections.lifeline.recovery.plugins.module_utils._store.open import StoreOptions, open_store
from tests.support.data.identity import make_identity
from tests.support.databases import record
from tests.support.servers.postgres import PostgresServer, available_versions

Options = dict[str, t.Any]

CONTENT = """
    CREATE TABLE public.account (id int PRIMARY KEY, owner text);
    INSERT INTO public.account SELECT g, 'owner ' || g FROM generate_series(1, 50) g;
    CREATE TABLE public.entry (id int GENERATED ALWAYS AS IDENTITY, account_id int REFERENCES public.account);
    INSERT INTO public.entry (account_id) SELECT 1 + g % 50 FROM generate_series(1, 200) g;
    CREATE MATERIALIZED VIEW public.total AS SELECT account_id, count(*) FROM public.entry GROUP BY 1;
"""


@pytest.fixture
def store(folder_store: Options) -> ObjectStore:
    return open_store(StoreOptions(**folder_store))


def saved(options: ConnectionOptions, store: ObjectStore) -> None:
    back_up(PostgresBackup(options, PostgresBackupRequest("app")), store)


def in_place(options: ConnectionOptions, store: ObjectStore, archive: str | None = None) -> RestoreResult:
    request = RestoreRequest(
        connection=options, target_db=options.database, mode="in_place", source="app",
        safeguards=Safeguards(confirm=options.database),
        archive=archive,
    )  # fmt: skip
    return perform(restore_of(request, store))


def value(server: PostgresServer, database: str, sql: str) -> t.Any:
    with server.session(database) as cursor:
        cursor.execute(sql)
        return cursor.fetchone()[0]


def after(monkeypatch: pytest.MonkeyPatch, owner: t.Any, name: str, act: t.Callable[..., None]) -> None:
    """Run act with the first argument of each call of a function, when the function has ended."""
    real = getattr(owner, name)

    def run(*arguments: t.Any, **named: t.Any) -> t.Any:
        result = real(*arguments, **named)
        act(arguments[0])
        return result

    monkeypatch.setattr(owner, name, run)


@pytest.mark.parametrize("version", available_versions())
def test_rows_written_right_after_the_commit_are_no_difference(
    servers: t.Callable[[str], PostgresServer], store: ObjectStore, monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    server = servers(version)
    database = server.create_database()
    try:
        server.psql(database, CONTENT)
        saved(server.options(database), store)
        server.psql(database, "DELETE FROM public.entry WHERE id < 100")
        written = "INSERT INTO public.account VALUES (999, 'x'); INSERT INTO public.entry (account_id) VALUES (999)"
        after(monkeypatch, LockedDatabase, "commit", lambda _locked: server.psql(database, written))
        done = in_place(server.options(database), store)
        assert done.fingerprint["equal"] is True
        assert (done.fingerprint["rows"], done.replaced_equal) == (250, False)
        assert value(server, database, "SELECT count(*) FROM public.entry") == 201
        assert value(server, database, "SELECT sum(count) FROM public.total") == 201
        assert value(server, database, "SELECT count(*) FROM pg_roles WHERE rolname ~ '^lifeline_'") == 0
        monkeypatch.undo()
        assert [in_place(server.options(database), store).replaced_equal for _run in range(2)] == [False, True]
    finally:
        server.drop_database(database)


def test_rows_that_are_not_equal_leave_the_database_unchanged(
    postgres: PostgresServer, database: str, store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    postgres.psql(database, CONTENT)
    saved(postgres.options(database), store)
    postgres.psql(database, "INSERT INTO public.account VALUES (51, 'new')")

    def damage(locked: LockedDatabase) -> None:
        with locked._conn.cursor() as cursor:
            cursor.execute("UPDATE public.account SET owner = 'another' WHERE id = 7")

    after(monkeypatch, LockedDatabase, "replace", damage)
    with pytest.raises(RecoveryError) as caught:
        in_place(postgres.options(database), store)
    assert caught.value.kind == "not_equal"
    assert "table public.account" in caught.value.what
    assert "is unchanged; the undo set" in caught.value.left
    assert value(postgres, database, "SELECT owner FROM public.account WHERE id = 51") == "new"
    assert value(postgres, database, "SELECT owner FROM public.account WHERE id = 7") == "owner 7"


def test_an_undo_set_that_only_its_owner_can_read_takes_part(
    postgres: PostgresServer, database: str, folder_store: Options, tmp_path: Path
) -> None:
    postgres.psql(database, CONTENT)
    postgres.psql(database, "SELECT lo_from_bytea(9001, 'first')")
    archive = str(record(postgres, database, tmp_path / "dump").folder)
    postgres.psql(database, "UPDATE public.account SET owner = 'another'")
    recipient = make_identity(tmp_path / "owner.key").recipient
    sealed = open_store(StoreOptions(**folder_store, encrypt_to=[recipient]))
    done = in_place(postgres.options(database), sealed, archive=archive)
    assert done.foreign_keys == {"checked": 1, "violated": []}
    assert value(postgres, database, "SELECT count(*) FROM public.account WHERE owner = 'another'") == 0
    assert value(postgres, database, "SELECT encode(lo_get(9001), 'escape')") == "first"


def test_functions_of_users_run_confined_while_rows_are_compared(
    postgres: PostgresServer, database: str, store: ObjectStore
) -> None:
    owner = f"owner_{secrets.token_hex(4)}"
    with postgres.session(database) as cursor:
        # The planner evaluates the predicate of the index for every query over the table.
        cursor.execute(
            f"CREATE ROLE {owner}; GRANT CREATE, USAGE ON SCHEMA public TO {owner}; SET ROLE {owner};"
            "CREATE TABLE public.t (id int); INSERT INTO public.t VALUES (1);"
            "CREATE FUNCTION public.spy(int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$BEGIN"
            " IF current_setting('transaction_read_only')::bool"
            " AND (SELECT rolsuper FROM pg_roles WHERE rolname = current_user)"
            " THEN RAISE 'runs as a superuser'; END IF; RETURN $1; END$$;"
            "CREATE INDEX ON public.t (id) WHERE public.spy(1) = 1; RESET ROLE"
        )
    try:
        saved(postgres.options(database), store)
        assert in_place(postgres.options(database), store).fingerprint["equal"] is True
    finally:
        with postgres.session(database) as cursor:
            cursor.execute(f"DROP OWNED BY {owner} CASCADE; DROP ROLE {owner}")


@pytest.mark.parametrize("version", [available_versions()[0], available_versions()[-1]])
@pytest.mark.parametrize("superuser", [True, False])
def test_no_write_to_a_large_object_is_lost(
    servers: t.Callable[[str], PostgresServer],
    store: ObjectStore,
    monkeypatch: pytest.MonkeyPatch,
    version: str,
    superuser: bool,
) -> None:
    server, owner = servers(version), f"owner_{secrets.token_hex(4)}"
    database = server.create_database()
    login = {} if superuser else {"user": owner, "password": "secret"}
    options = server.options(database, **login)
    with server.session(database) as cursor:
        cursor.execute(f"CREATE ROLE {owner} LOGIN PASSWORD 'secret'; ALTER DATABASE {database} OWNER TO {owner}")
    try:
        with server.session(database, **login) as cursor:
            cursor.execute("SELECT lo_from_bytea(9001, 'first'), lo_from_bytea(9002, repeat('x', 9000)::bytea)")
        saved(options, store)

        def write(sql: str) -> None:
            with server.session(database, **login) as cursor:
                cursor.execute(f"SET lock_timeout = '300ms'; {sql}")

        def refused(sql: str) -> None:
            with pytest.raises(psycopg2.errors.LockNotAvailable):
                write(sql)

        def meanwhile(act: t.Callable[[str], None], sql: str) -> str:
            """The kind of error of a restore, between whose undo set and replacement another session acts."""
            with monkeypatch.context() as patch:
                after(patch, restore_in_place, "take_undo_set", lambda _engine: act(sql))
                try:
                    in_place(options, store)
                except RecoveryError as error:
                    return error.kind
                return "none"

        assert meanwhile(write, "SELECT lo_put(9001, 0, 'later')") == "conflict"
        assert value(server, database, "SELECT encode(lo_get(9001), 'escape')") == "later"
        # Only a superuser may lock the catalog against sessions that create large objects.
        create = "SELECT lo_from_bytea(9003, 'new')"
        assert meanwhile(refused if superuser else write, create) == ("none" if superuser else "conflict")
        exists = value(server, database, "SELECT count(*) FROM pg_largeobject_metadata WHERE oid = 9003")
        assert exists == (0 if superuser else 1)
        assert in_place(options, store).fingerprint["equal"] is True
        assert value(server, database, "SELECT encode(lo_get(9001), 'escape')") == "first"
    finally:
        server.drop_database(database)
        with server.session() as cursor:
            cursor.execute(f"DROP ROLE {owner}")
