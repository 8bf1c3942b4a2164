# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A store is untrusted: what its owner changes leads to no file elsewhere, no flood, no wrong choice and no stop."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import sqlite3
import typing as t
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from ansible_collections.lifeline.recovery.plugins.module_utils._core.codec import compress
from ansible_collections.lifeline.recovery.plugins.module_utils._store.open import StoreOptions, open_store
from tests.support.data.identity import make_identity
from tests.support.data.school import load_school
from tests.support.runner.modules import ModuleFailed, run_module
from tests.support.servers.postgres import PostgresServer
from tests.support.servers.s3 import S3Server

Options = dict[str, t.Any]

NAME_KEY = "a secret of the hosts of these tests"


class Shop:
    """A source of SQLite in a store whose files the tests change as the owner of the store could."""

    def __init__(self, root: Path, store: Options, folder: Path) -> None:
        self.store, self.folder, self.file = store, folder, root / "live.sqlite"
        self.outside = root / "outside"
        self.outside.mkdir()
        # The owner of the store uses the store, so that no cache of the server hides what was changed.
        self.direct = open_store(StoreOptions(**store))
        with sqlite3.connect(self.file) as made:
            made.executescript(
                "CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT); INSERT INTO item VALUES (1, 'a')"
            )

    def back_up(self, **store: t.Any) -> Options:
        with sqlite3.connect(self.file) as made:
            made.execute("INSERT INTO item (name) VALUES (hex(randomblob(20)))")
        return self.run("d1_backup", {"path": str(self.file)}, **store)

    def run(self, module: str, options: Options, **store: t.Any) -> Options:
        return run_module(module, {"source": "shop", "store": {**self.store, **store}, **options})

    def restore(self, **options: t.Any) -> Options:
        target = self.outside / "restored.sqlite"
        target.unlink(missing_ok=True)
        return self.run("d1_restore", {"path": str(target), **options})

    def verify(self, set_id: str = "latest", **options: t.Any) -> Options:
        return self.run("backup_verify", {"set": set_id, "spool_dir": str(self.outside), **options})

    def write(self, key: str, content: str | bytes) -> None:
        self.direct.put(key, [content.encode() if isinstance(content, str) else content])

    def remove(self, key: str) -> None:
        self.direct.delete([key])

    def manifest(self, set_id: str) -> str:
        return f"shop/daily/sets/{set_id}.json"

    def read(self, set_id: str) -> str:
        return b"".join(self.direct.read(self.manifest(set_id))).decode()

    def change(self, set_id: str, work: t.Callable[[Options], None]) -> None:
        document = json.loads(self.read(set_id))
        work(document)
        self.write(self.manifest(set_id), json.dumps(document))

    def put_object(self, entry: Options, stored: bytes) -> None:
        """Replace the bytes of an object, and correct its entry."""
        self.write(entry["key"], stored)
        entry.update(stored_size=len(stored), stored_sha256=hashlib.sha256(stored).hexdigest())


@pytest.fixture(params=["folder", "s3"])
def shop(request: pytest.FixtureRequest, tmp_path: Path) -> Shop:
    if request.param == "folder":
        store = request.getfixturevalue("folder_store")
        return Shop(tmp_path, store, Path(store["path"]))
    server: S3Server = request.getfixturevalue("s3")
    store = request.getfixturevalue("store")
    return Shop(tmp_path, store, server.folder / store["prefix"])


@pytest.fixture
def local_shop(folder_store: Options, tmp_path: Path) -> Shop:
    return Shop(tmp_path, folder_store, Path(folder_store["path"]))


def refused(work: t.Callable[[], object], kind: str = "damaged") -> Options:
    with pytest.raises(ModuleFailed) as caught:
        work()
    assert caught.value.result["error_kind"] == kind, caught.value.result
    return caught.value.result


def files_below(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_no_name_in_a_manifest_leads_to_a_file_outside(shop: Shop, tmp_path: Path) -> None:
    taken = shop.back_up()["set_id"]
    original = shop.read(taken)
    escape = tmp_path / "escape"
    for name in ("../escape", "../../escape", str(escape), "a/../../escape", "sub/file", "..", ".", "", "a\nb", "-rf"):
        shop.write(shop.manifest(taken), original)
        shop.change(taken, lambda document, name=name: document["objects"][0].update(path=name))
        for depth in ("presence", "decode"):
            assert "path" in refused(lambda depth=depth: shop.verify(depth=depth))["what"]
        refused(shop.restore)
    for key in ("../../../etc/passwd", "shop/daily/sets/x", "other/daily/objects/aa/" + "a" * 64, 5, None):
        shop.write(shop.manifest(taken), original)
        shop.change(taken, lambda document, key=key: document["objects"][0].update(key=key))
        refused(shop.verify)
    assert not escape.exists() and files_below(shop.outside) == set()


@pytest.mark.parametrize("codec", ["zstd", "gzip", "none"])
@pytest.mark.parametrize("encrypted", [False, True])
def test_unpacking_stops_at_the_size_of_the_manifest(
    local_shop: Shop, tmp_path: Path, codec: str, encrypted: bool
) -> None:
    shop = local_shop
    identity = make_identity(tmp_path / "key")
    keys: Options = {"encrypt_to": [identity.recipient], "identity_file": str(identity.file)} if encrypted else {}
    shop.store.update(keys)
    taken = shop.back_up()["set_id"]
    plain_size = 4 * 1024**3 if codec == "zstd" else 64 * 1024**2

    def bomb(document: Options) -> None:
        entry = next(entry for entry in document["objects"] if entry["role"] == "table")
        blocks = (bytes(1024**2) for _block in range(plain_size // 1024**2))
        packed = compress(blocks, codec)
        if encrypted:
            import pyrage

            packed = iter([pyrage.encrypt(b"".join(packed), [pyrage.x25519.Recipient.from_str(identity.recipient)])])
        shop.put_object(entry, b"".join(packed))
        entry.update(codec=codec, plain_size=10)

    shop.change(taken, bomb)
    for depth in ("digests", "decode"):
        assert "plain size" in refused(lambda depth=depth: shop.verify(depth=depth))["what"]
    refused(shop.restore)
    assert files_below(shop.outside) == set()


#: Actions that the statements of a set or a dump must not take, and the refusal.
HOSTILE_STATEMENTS = [
    ("ATTACH '{other}' AS x", "not authorized|authorization denied|no place"),
    ("COMMIT; VACUUM INTO '{other}'; BEGIN", "not authorized|authorization denied|no place"),
    # The blob is an address whose code SQLite would run.
    ("SELECT fts3_tokenizer('simple', x'4141414141414141');\nCREATE VIRTUAL TABLE f USING fts3(x)", "fts3_tokenizer"),
    ("SELECT load_extension('{other}')", "not authorized"),
    # SQLite reads the first statement of a definition; a restore to D1 would send both.
    (
        "PRAGMA writable_schema = ON;\nINSERT INTO sqlite_schema (type, name, tbl_name, rootpage, sql)"
        " VALUES ('view', 'v', 'v', 0, 'CREATE VIEW v AS SELECT 1; DROP TABLE item')",
        "not one CREATE statement",
    ),
    ("INSERT INTO item (name) VALUES (zeroblob(900000000))", "too big"),
]


@pytest.mark.parametrize(("statement", "said"), HOSTILE_STATEMENTS)
def test_statements_of_sets_and_dumps_reach_nothing_but_their_own_file(
    local_shop: Shop, tmp_path: Path, statement: str, said: str
) -> None:
    taken = local_shop.back_up()["set_id"]
    other = tmp_path / "other.sqlite"
    text = f"{statement.format(other=other)};\n"

    def append(document: Options) -> None:
        entry = next(entry for entry in document["objects"] if entry["role"] == "after")
        local_shop.put_object(entry, text.encode())
        entry.update(codec="none", plain_size=len(text), plain_sha256=hashlib.sha256(text.encode()).hexdigest())

    local_shop.change(taken, append)
    dump = tmp_path / "dump.sql"
    dump.write_text(f"CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT);\n{text}")

    for work in (
        local_shop.verify,
        local_shop.restore,
        lambda: run_module("d1_restore", {"path": str(local_shop.outside / "new.sqlite"), "src": str(dump)}),
    ):
        assert re.search(said, refused(work)["what"])
    assert not other.exists() and files_below(local_shop.outside) == set()


def test_a_database_of_postgresql_is_refused_with_the_same_names(
    postgres: PostgresServer, database: str, folder_store: Options, tmp_path: Path
) -> None:
    load_school(postgres, database)
    with postgres.session(database) as cursor:
        cursor.execute("SELECT lo_from_bytea(0, 'x')")
    connection = postgres.module_options(database)
    taken = run_module("pg_backup", {"source": "school", "store": folder_store, **connection})["set_id"]
    path = Path(folder_store["path"]) / f"school/daily/sets/{taken}.json"
    original = path.read_text()

    def verify() -> Options:
        return run_module(
            "backup_verify",
            {"source": "school", "store": folder_store, "set": taken, "client_bin_dir": str(postgres.bin_dir)},
        )

    def change(role: str, work: t.Callable[[bytes], bytes]) -> None:
        document = json.loads(original)
        entry = next(entry for entry in document["objects"] if entry["role"] == role)
        import zstandard

        stored = Path(folder_store["path"]) / entry["key"]
        plain = work(zstandard.ZstdDecompressor().decompressobj().decompress(stored.read_bytes()))
        target = stored.with_name("f" * 64)
        target.write_bytes(plain)
        digest = hashlib.sha256(plain).hexdigest()
        entry.update(key=f"school/daily/objects/{'f' * 64}"[:23] + "/" + "f" * 64)
        entry.update(codec="none", plain_size=len(plain), plain_sha256=digest)
        entry.update(stored_size=len(plain), stored_sha256=digest, key=f"school/daily/objects/ff/{'f' * 64}")
        (Path(folder_store["path"]) / "school/daily/objects/ff").mkdir(exist_ok=True)
        shutil.move(target, Path(folder_store["path"]) / entry["key"])
        path.write_text(json.dumps(document))

    assert verify()["status"] == "passed"
    # pg_restore would open this file, and have its content loaded as a large object.
    change("large_objects", lambda plain: plain.replace(plain.split()[1], b"../../../../etc/passwd"))
    assert "../../../../etc/passwd" in refused(verify)["what"]
    path.write_text(original)
    document = json.loads(original)
    name = next(entry["path"] for entry in document["objects"] if entry["role"] == "data").encode()
    evil = b"../" + b"x" * (len(name) - 3)
    change("toc", lambda plain: plain.replace(name, evil))
    assert evil.decode() in refused(verify)["what"]
    for module, options in (
        ("pg_restore", {"target_db": f"{database}_new", "mode": "new"}),
        ("pg_restore_table", {"tables": ["public.student"]}),
    ):
        given = {"source": "school", "store": folder_store, "set": taken, **connection, **options}
        with pytest.raises(ModuleFailed) as caught:
            run_module(module, given)
        assert caught.value.result["error_kind"] != "unexpected", caught.value.result


#: Manifests as an owner of a store or a broken disk leaves them.
DAMAGE: t.Mapping[str, t.Callable[[str], str]] = {
    "half": lambda text: text[: len(text) // 2],
    "wrong type": lambda text: json.dumps({**json.loads(text), "recovery_point": 5}),
    "newer": lambda text: json.dumps({**json.loads(text), "schema": "lifeline.recovery/backup-set/9"}),
}


@pytest.mark.parametrize("damage", ["half", "wrong type", "newer"])
def test_an_unreadable_manifest_stops_only_what_needs_its_set(shop: Shop, damage: str) -> None:
    bad = shop.back_up()["set_id"]
    good = shop.back_up()["set_id"]
    shop.write(shop.manifest(bad), DAMAGE[damage](shop.read(bad)))
    newest = shop.back_up()["set_id"]
    assert shop.verify(good)["status"] == shop.verify(newest)["status"] == "passed"
    info = shop.run("backup_info", {})
    assert [item["set_id"] for item in info["unreadable"]] == [bad]
    assert bad in json.dumps(info["warnings"])
    assert info["sources"][0]["newest"] == newest
    status = shop.run("recovery_status", {"rpo_seconds": 3600})
    assert any(bad in breach["message"] for breach in status["breaches"])
    objects = sorted((shop.folder / "shop/daily/objects").rglob("*"))
    pruned = shop.run("backup_prune", {"tier": "daily", "keep_daily": 1, "grace_seconds": 0})
    fates = {item["set_id"]: item["fate"] for item in pruned["sets"]}
    assert fates[bad] == fates[newest] == "kept"
    assert [item["set_id"] for item in pruned["unreadable"]] == [bad]
    assert pruned["blocked"] and bad in pruned["summary"]
    assert pruned["objects_removed"] == 0
    assert sorted((shop.folder / "shop/daily/objects").rglob("*")) == objects
    assert shop.restore()["set_id"] == newest
    refused(lambda: shop.restore(set=bad), "unsupported_manifest" if damage == "newer" else "damaged")


def test_the_newest_set_that_cannot_be_read_is_not_passed_over_silently(local_shop: Shop) -> None:
    shop = local_shop
    older, newest = shop.back_up()["set_id"], shop.back_up()["set_id"]
    shop.write(shop.manifest(newest), "{")
    assert older in refused(shop.restore)["next_step"]


def test_objects_that_only_an_unreadable_set_describes_are_not_overwritten(local_shop: Shop) -> None:
    shop = local_shop
    taken = shop.back_up()["set_id"]
    kept = shop.read(taken)
    with sqlite3.connect(shop.file) as made:
        before = made.execute("SELECT * FROM item").fetchall()
    shop.back_up()
    shop.write(shop.manifest(taken), "{")
    # The content of the first set once more, in another codec.
    with sqlite3.connect(shop.file) as made:
        made.execute("DELETE FROM item")
        made.executemany("INSERT INTO item VALUES (?, ?)", before)
    again = shop.run("d1_backup", {"path": str(shop.file), "compression": "gzip"})
    shop.write(shop.manifest(taken), kept)
    for set_id in (taken, again["set_id"]):
        assert shop.verify(set_id)["status"] == "passed"


def test_a_set_of_the_future_is_never_the_latest_and_stays(local_shop: Shop) -> None:
    shop = local_shop
    taken = [shop.back_up()["set_id"] for _number in range(3)]
    ahead = datetime.now(timezone.utc) + timedelta(days=4000)
    future = ahead.strftime("%Y%m%dT%H%M%SZ")
    document = json.loads(shop.read(taken[0]))
    document.update(set_id=future, recovery_point=ahead.replace(microsecond=0).isoformat())
    shop.write(shop.manifest(future), json.dumps(document))
    assert shop.restore()["set_id"] == taken[-1]
    assert shop.verify()["set_id"] == taken[-1]
    assert shop.verify("random", seed=3)["set_id"] in taken
    info = shop.run("backup_info", {})
    assert info["sources"][0]["newest"] == taken[-1]
    assert future in json.dumps(info["unreadable"])
    pruned = shop.run("backup_prune", {"tier": "daily", "minimum": 1, "keep_hourly": 1})
    assert {item["set_id"]: item["fate"] for item in pruned["sets"] if item["fate"] == "kept"} == {
        taken[-1]: "kept",
        future: "kept",
    }
    assert pruned["implausible"] == [f"shop/daily/{future}"] and future in pruned["summary"]
    # If the set is named, it is returned.
    assert shop.restore(set=future)["set_id"] == future


def test_retention_keeps_the_decoded_set_and_prefers_good_ones(local_shop: Shop) -> None:
    shop = local_shop
    sets = [shop.back_up()["set_id"] for _number in range(4)]
    shop.verify(sets[0], depth="decode")
    shop.verify(sets[0], depth="presence")
    shop.verify(sets[1], depth="presence")
    entry = json.loads(shop.read(sets[3]))["objects"]
    (shop.folder / next(item for item in entry if item["role"] == "table")["key"]).unlink()
    refused(lambda: shop.verify(sets[3]), "object_missing")
    info = shop.run("backup_info", {})
    assert info["sources"][0]["newest_verified"] == sets[0]
    pruned = shop.run("backup_prune", {"tier": "daily", "keep_daily": 1})
    kept = {item["set_id"]: item["reasons"] for item in pruned["sets"] if item["fate"] == "kept"}
    assert set(kept) == {sets[0], sets[2], sets[3]}
    assert "newest decoded" in kept[sets[0]]
    assert kept[sets[3]] == ["newest"]


def test_a_clock_that_is_years_off_prunes_nothing(local_shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    from ansible_collections.lifeline.recovery.plugins.module_utils._core.errors import RecoveryError
    from ansible_collections.lifeline.recovery.plugins.module_utils._repository import clocks
    from ansible_collections.lifeline.recovery.plugins.module_utils._store.directory import DirectoryStore

    store = DirectoryStore(local_shop.store["path"] if local_shop.back_up() else "")
    assert abs(clocks.agreed_now(store) - datetime.now(timezone.utc)) < timedelta(minutes=1)
    for years in (10, -10):
        wrong = datetime.now(timezone.utc) + timedelta(days=365 * years)
        monkeypatch.setattr(clocks, "utc_now", lambda wrong=wrong: wrong)
        with pytest.raises(RecoveryError, match="clock") as caught:
            clocks.agreed_now(store)
        assert caught.value.kind == "clock_wrong"


# Authentication


def test_with_a_key_no_manifest_can_be_forged_stripped_moved_or_replayed(shop: Shop) -> None:
    shop.store["name_key"] = NAME_KEY
    first, second = shop.back_up()["set_id"], shop.back_up()["set_id"]
    original = json.loads(shop.read(first))
    info = shop.run("backup_info", {})
    assert [item["authentic"] for item in info["sets"]] == [True, True]
    assert shop.restore(set=first)["set_id"] == first

    def forged(**changes: t.Any) -> str:
        shop.write(shop.manifest(first), json.dumps({**original, **changes}))
        return str(refused(lambda: shop.restore(set=first))["what"])

    without = {name: value for name, value in original.items() if name != "mac"}
    assert "code" in forged(coverage={})
    assert "code" in forged(mac="0" * 64)
    assert "code" in forged(mac=json.loads(shop.read(second))["mac"])
    shop.write(shop.manifest(first), json.dumps(without))
    assert "no authentication code" in refused(lambda: shop.restore(set=first))["what"]
    # An old set under a new name, as it is and with the name exchanged.
    later = (datetime.now(timezone.utc) + timedelta(seconds=40)).strftime("%Y%m%dT%H%M%SZ")
    shop.write(shop.manifest(first), json.dumps(original))
    for changes in ({}, {"set_id": later, "recovery_point": later}):
        shop.write(shop.manifest(later), json.dumps({**original, **changes}))
        refused(shop.restore)
        refused(lambda: shop.restore(set=later))
    shop.remove(shop.manifest(later))
    # An old set in the place of another tier.
    shop.write(f"shop/weekly/sets/{first}.json", json.dumps({**original, "tier": "weekly"}))
    refused(lambda: shop.restore(set=first, tier="weekly"))
    assert shop.restore()["set_id"] == second


def test_sets_without_a_code_are_read_only_where_the_operator_allows_it(local_shop: Shop) -> None:
    shop = local_shop
    old = shop.back_up()["set_id"]
    shop.store["name_key"] = NAME_KEY
    answer = refused(shop.restore)
    assert "authentic_since" in answer["next_step"]
    since = (datetime.now(timezone.utc) + timedelta(seconds=1)).isoformat()
    assert shop.run("d1_restore", {"path": str(shop.outside / "a"), "set": old}, authentic_since=since)["set_id"] == old
    assert (
        shop.run("d1_restore", {"path": str(shop.outside / "b"), "set": old}, require_authentic=False)["set_id"] == old
    )
    refused(lambda: shop.run("backup_verify", {}, authentic_since="2020-01-01T00:00:00Z"))
    # A code that exists and is wrong is refused with any options.
    shop.change(old, lambda document: document.update(mac="0" * 64))
    refused(lambda: shop.run("backup_verify", {}, require_authentic=False))
    # The next backup continues, names the set, and is authentic.
    new = shop.back_up()
    assert old in json.dumps(new["warnings"])
    assert shop.restore()["set_id"] == new["set_id"]


def test_a_copy_keeps_the_code_and_an_encrypted_set_has_one(local_shop: Shop, tmp_path: Path) -> None:
    shop = local_shop
    identity = make_identity(tmp_path / "key")
    copy = {"provider": "directory", "path": str(tmp_path / "copy")}
    shop.store.update(encrypt_to=[identity.recipient], name_key=NAME_KEY, copies=[copy])
    taken = shop.back_up()["set_id"]
    reader = {"name_key": NAME_KEY, "identity_file": str(identity.file)}
    for place in (shop.store, copy):
        store = {**place, **reader, "copies": []}
        result = run_module("backup_verify", {"source": "shop", "store": store, "depth": "decode"})
        assert (result["set_id"], result["status"]) == (taken, "passed")
        assert run_module("backup_info", {"source": "shop", "store": store})["sets"][0]["authentic"] is True
    # A reader without the key reads, and reports that nothing was checked.
    keyless = {**copy, "identity_file": str(identity.file)}
    assert run_module("backup_info", {"source": "shop", "store": keyless})["sets"][0]["authentic"] is None


# Audit records


@pytest.mark.parametrize("key", [None, NAME_KEY])
def test_the_newest_audit_record_cannot_be_removed_unnoticed(shop: Shop, key: str | None) -> None:
    if key:
        shop.store["name_key"] = key
    for _number in range(2):
        shop.back_up()
    found = shop.run("audit_info", {})
    assert (found["chain"], found["breaks"]) == ("intact", [])
    *_others, newest = sorted(item.key for item in shop.direct.list("shop/audit/"))
    head = "shop/audit-head.json"
    kept, kept_head = (b"".join(shop.direct.read(key_of)).decode() for key_of in (newest, head))
    shop.remove(newest)
    assert newest in json.dumps(shop.run("audit_info", {})["breaks"])
    shop.remove(head)
    assert head in json.dumps(shop.run("audit_info", {})["breaks"])
    changed = kept.replace("succeeded", "failed")
    shop.write(newest, changed)
    shop.write(head, kept_head)
    assert newest in json.dumps(shop.run("audit_info", {})["breaks"])
    # A valid head can only be written with the key.
    document = json.loads(kept_head)
    document["newest"]["sha256"] = hashlib.sha256(changed.encode()).hexdigest()
    shop.write(head, json.dumps(document))
    assert shop.run("audit_info", {})["chain"] == ("broken" if key else "intact")
