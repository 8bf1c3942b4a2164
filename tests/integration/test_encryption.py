# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An encrypted set reveals nothing without a key, and is restored with it."""

from __future__ import annotations

import json
import shutil
import typing as t
from pathlib import Path

import pytest

from tests.support.data.identity import Identity, make_identity
from tests.support.data.school import load_school
from tests.support.runner.modules import ModuleFailed, run_module
from tests.support.servers.postgres import PostgresServer

Options = dict[str, t.Any]


@pytest.fixture
def owner(tmp_path: Path) -> Identity:
    return make_identity(tmp_path / "owner.key")


@pytest.fixture
def sealed(folder_store: Options, owner: Identity) -> Options:
    """A store as a backup host has it: it can encrypt, and not read."""
    return {**folder_store, "encrypt_to": [owner.recipient]}


@pytest.fixture
def school(postgres: PostgresServer, database: str) -> str:
    load_school(postgres, database)
    return database


def back_up(server: PostgresServer, database: str, store: Options, source: str = "school") -> Options:
    return run_module("pg_backup", {"source": source, "store": store, **server.module_options(database)})


def objects_of(store: Options, source: str) -> set[str]:
    return {path.name for path in Path(store["path"], source).rglob("objects/*/*")}


def contents(store: Options) -> bytes:
    return b"".join(path.read_bytes() for path in Path(store["path"]).rglob("*") if path.is_file())


def test_an_encrypted_set_is_restored_with_the_identity_alone(
    postgres: PostgresServer, school: str, sealed: Options, folder_store: Options, owner: Identity
) -> None:
    taken = back_up(postgres, school, sealed)
    reading = {**folder_store, "identity_file": str(owner.file)}
    verified = run_module("backup_verify", {"source": "school", "store": reading, **bin_dir(postgres)})
    assert verified["rows"] == taken["rows"]
    target = f"{school}_copy"
    arguments = {"source": "school", "target_db": target, **postgres.module_options()}
    restored = run_module("pg_restore", {**arguments, "store": reading})
    postgres.drop_database(target)
    assert restored["fingerprint"]["equal"] is True
    assert restored["fingerprint"]["rows"] == taken["rows"]


@pytest.mark.parametrize("wrong", ["none", "another", "missing", "no key"])
def test_without_the_right_identity_nothing_is_restored_and_the_error_names_the_reason(
    postgres: PostgresServer, school: str, sealed: Options, tmp_path: Path, wrong: str
) -> None:
    back_up(postgres, school, sealed)
    file = tmp_path / "wrong.key"
    if wrong == "another":
        make_identity(file)
    elif wrong == "no key":
        file.write_text("AGE-SECRET-KEY-1NONSENSE\n")
    given = {} if wrong == "none" else {"identity_file": str(file)}
    target = f"{school}_copy"
    with pytest.raises(ModuleFailed) as caught:
        run_module(
            "pg_restore",
            {"source": "school", "store": {**sealed, **given}, "target_db": target, **postgres.module_options()},
        )
    assert caught.value.result["error_kind"] == "no_identity"
    assert "identity" in caught.value.result["msg"]
    assert "NONSENSE" not in json.dumps(caught.value.result)
    with postgres.session() as cursor:
        cursor.execute("SELECT count(*) FROM pg_database WHERE datname LIKE %s", (f"%{target}%",))
        assert cursor.fetchone() == (0,)


def test_a_host_without_a_key_backs_up_again_and_reuses_what_did_not_change(
    postgres: PostgresServer, school: str, sealed: Options, owner: Identity
) -> None:
    first = back_up(postgres, school, sealed)
    second = back_up(postgres, school, sealed)
    assert second["bytes_reused"] > 0.5 * first["bytes_stored"]
    quick = run_module("backup_verify", {"source": "school", "store": sealed, "depth": "digests"})
    assert quick["status"] == "passed"
    assert quick["rows"] is None
    assert "as stored" in quick["summary"]
    reading = {**sealed, "identity_file": str(owner.file)}
    assert run_module("backup_verify", {"source": "school", "store": reading, **bin_dir(postgres)})["rows"] > 1000


def test_the_store_holds_neither_rows_nor_their_digests(
    postgres: PostgresServer, school: str, sealed: Options, folder_store: Options, tmp_path: Path
) -> None:
    plain = {**folder_store, "path": str(tmp_path / "plain")}
    back_up(postgres, school, plain)
    back_up(postgres, school, sealed)
    (manifest,) = Path(plain["path"]).glob("school/daily/sets/*.json")
    document = json.loads(manifest.read_text())
    everything = contents(sealed)
    for entry in document["objects"]:
        assert entry["plain_sha256"].encode() not in everything
    for table in document["fingerprint"]["tables"]:
        # A table without columns has nothing to digest.
        if table["rows"] and table["name"] != "no_columns":
            assert table["digest"].encode() not in everything
    assert objects_of(plain, "school") & objects_of(sealed, "school") == set()


def test_equal_tables_of_different_owners_have_different_names(
    postgres: PostgresServer, school: str, sealed: Options, folder_store: Options, tmp_path: Path
) -> None:
    back_up(postgres, school, sealed)
    back_up(postgres, school, sealed, source="academy")
    keyed = {**sealed, "path": str(tmp_path / "keyed"), "name_key": "only this host knows it"}
    back_up(postgres, school, keyed)
    other = {**sealed, "path": str(tmp_path / "other"), "encrypt_to": [make_identity(tmp_path / "x").recipient]}
    back_up(postgres, school, other)
    names = [
        objects_of(sealed, "school"), objects_of(sealed, "academy"), objects_of(keyed, "school"),
        objects_of(other, "school"),
    ]  # fmt: skip
    assert sum(len(one) for one in names) == len(set().union(*names))


def test_every_recipient_can_read(
    postgres: PostgresServer, school: str, folder_store: Options, owner: Identity, tmp_path: Path
) -> None:
    second = make_identity(tmp_path / "second.key")
    back_up(postgres, school, {**folder_store, "encrypt_to": [owner.recipient, second.recipient]})
    for identity in (owner, second):
        reading = {**folder_store, "identity_file": str(identity.file)}
        assert run_module("backup_verify", {"source": "school", "store": reading, **bin_dir(postgres)})["rows"] > 1000


def test_a_new_recipient_gets_every_object_again(
    postgres: PostgresServer, school: str, sealed: Options, folder_store: Options, tmp_path: Path
) -> None:
    back_up(postgres, school, sealed)
    second = make_identity(tmp_path / "second.key")
    taken = back_up(postgres, school, {**sealed, "encrypt_to": [*sealed["encrypt_to"], second.recipient]})
    assert taken["bytes_reused"] == 0
    reading = {**folder_store, "identity_file": str(second.file)}
    assert run_module("backup_verify", {"source": "school", "store": reading, **bin_dir(postgres)})["rows"] > 1000


def test_damage_in_an_encrypted_object_is_found_and_healed_by_the_next_backup(
    postgres: PostgresServer, school: str, sealed: Options, owner: Identity
) -> None:
    back_up(postgres, school, sealed)
    largest = max(Path(sealed["path"]).rglob("objects/*/*"), key=lambda path: path.stat().st_size)
    data = bytearray(largest.read_bytes())
    data[-5] ^= 1
    largest.write_bytes(data)
    reading = {**sealed, "identity_file": str(owner.file)}
    for options in (sealed, reading):
        with pytest.raises(ModuleFailed) as caught:
            run_module("backup_verify", {"source": "school", "store": options, "depth": "digests"})
        assert caught.value.result["error_kind"] == "damaged"
    back_up(postgres, school, sealed)
    assert run_module("backup_verify", {"source": "school", "store": reading, **bin_dir(postgres)})["rows"] > 1000


def test_undo_sets_of_rows_are_encrypted_too(
    postgres: PostgresServer, school: str, sealed: Options, owner: Identity
) -> None:
    back_up(postgres, school, sealed)
    with postgres.session(school) as cursor:
        cursor.execute("UPDATE public.lessons SET title = 'spoiled beyond recognition'")
    reading = {**sealed, "identity_file": str(owner.file)}
    restored = run_module(
        "pg_restore_table",
        {
            "source": "school", "store": reading, "tables": ["public.lessons"], "mode": "merge",
            "recovery_environment": "sandbox", **postgres.module_options(school),
        },
    )  # fmt: skip
    undo = Path(sealed["path"], "school/undo")
    stored = b"".join(path.read_bytes() for path in undo.rglob("objects/*/*"))
    assert restored["changed"]
    assert b"spoiled" not in stored
    assert stored.count(b"age-encryption.org/v1") == len(list(undo.rglob("objects/*/*")))


@pytest.mark.parametrize("recipient", ["age1nonsense", "a private key"])
def test_an_invalid_recipient_is_refused_before_anything_is_written(
    postgres: PostgresServer, database: str, folder_store: Options, owner: Identity, recipient: str
) -> None:
    given = owner.secret if recipient == "a private key" else recipient
    with pytest.raises(ModuleFailed) as caught:
        back_up(postgres, database, {**folder_store, "encrypt_to": [given]})
    assert recipient in caught.value.result["msg"]
    assert owner.secret not in json.dumps(caught.value.result["msg"])
    assert not Path(folder_store["path"]).exists()


def bin_dir(server: PostgresServer) -> Options:
    return {"client_bin_dir": str(server.bin_dir)}


def test_a_lost_first_store_is_replaced_by_its_copy(
    postgres: PostgresServer, school: str, sealed: Options, owner: Identity, tmp_path: Path
) -> None:
    """The second store gets each set, and everything reads from it when the first is gone."""
    copy = {"provider": "directory", "path": str(tmp_path / "copy")}
    both = {**sealed, "copies": [copy], "identity_file": str(owner.file)}
    taken = back_up(postgres, school, both)
    assert objects_of(copy, "school") == objects_of(sealed, "school")
    shutil.rmtree(sealed["path"])
    verified = run_module("backup_verify", {"source": "school", "store": both, **bin_dir(postgres)})
    assert (verified["set_id"], verified["rows"]) == (taken["set_id"], taken["rows"])
    target = f"{school}_copy"
    restored = run_module(
        "pg_restore", {"source": "school", "store": both, "target_db": target, **postgres.module_options()}
    )
    postgres.drop_database(target)
    assert restored["fingerprint"]["equal"] is True
    assert copy["path"] in str(restored["warnings"][0])
