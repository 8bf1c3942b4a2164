# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every row of D1 is in a set, whatever the types of its keys are, and no two different values count as equal."""

from __future__ import annotations

import hashlib
import json
import secrets
import typing as t
from pathlib import Path

import pytest
import zstandard

from tests.support.runner.modules import run_module
from tests.support.servers.d1 import D1Server
from tests.support.servers.d1.native import NativeD1

Options = dict[str, t.Any]

#: Tables by the types, collations and directions of their keys.
KEYS = [
    "k ANY PRIMARY KEY, v ANY) STRICT, WITHOUT ROWID",
    "k PRIMARY KEY, v) WITHOUT ROWID",
    "k TEXT PRIMARY KEY, v) WITHOUT ROWID",
    "k INT PRIMARY KEY, v) WITHOUT ROWID",
    "k REAL PRIMARY KEY, v) WITHOUT ROWID",
    "k NUMERIC PRIMARY KEY DESC, v) WITHOUT ROWID",
    "k BLOB PRIMARY KEY, v) WITHOUT ROWID",
    "k TEXT COLLATE NOCASE PRIMARY KEY, v) WITHOUT ROWID",
    "k COLLATE RTRIM, v, PRIMARY KEY(k COLLATE BINARY DESC)) WITHOUT ROWID",
    "k VARCHAR(9) COLLATE NOCASE, v COLLATE RTRIM, PRIMARY KEY(v, k)) WITHOUT ROWID",
    "k, v, PRIMARY KEY(v DESC, k)) WITHOUT ROWID",
    "k PRIMARY KEY, v)",
    "k INTEGER, v)",
    "rowid, k, v)",
    "rowid, _rowid_, oid INTEGER PRIMARY KEY, k, v)",
    "rowid TEXT, _rowid_, oid, k TEXT NOT NULL PRIMARY KEY, v)",
]
VALUES = [
    *(
        "NULL",
        "''",
        "x''",
        "0",
        "-0.0",
        "'0'",
        "x'30'",
        "1",
        "1.5",
        "'1'",
        "x'31'",
        "'1.0'",
        "'01'",
        "'a'",
        "'A'",
        "'a '",
    ),
    *("9223372036854775807", "-9223372036854775808", "9007199254740993", "9e999", "-9e999", "5e-324", "char(65533)"),
    *(
        "'a' || char(0)",
        "CAST(x'ff' AS TEXT)",
        "CAST(x'eda080' AS TEXT)",
        "x'ff'",
        "char(128512)",
        "'3'",
        "'7'",
        "'000123'",
    ),
    *("hex(zeroblob(30000))", "zeroblob(40000)"),
    *map(str, range(2, 40)),
]


@pytest.fixture
def database(d1: D1Server) -> t.Iterator[tuple[NativeD1, str]]:
    native, name = NativeD1(d1), f"exact-{secrets.token_hex(4)}"
    native.create(name)
    yield native, name


def back_up(d1: D1Server, name: str, folder: Path) -> Options:
    store = {"provider": "directory", "path": str(folder / "store")}
    return run_module("d1_backup", {"source": name, "store": store, **d1.options(name)})


def restore(d1: D1Server, name: str, folder: Path, **where: t.Any) -> Options:
    store = {"provider": "directory", "path": str(folder / "store")}
    return run_module("d1_restore", {"source": name, "store": store, **where})


def test_rows_are_all_in_the_set_whatever_their_keys_are(
    d1: D1Server, database: tuple[NativeD1, str], tmp_path: Path
) -> None:
    native, name = database
    for number, table in enumerate(KEYS):
        rows = (f"INSERT OR IGNORE INTO t{number}(k, v) VALUES({value}, {at})" for at, value in enumerate(VALUES))
        native.query(name, f"CREATE TABLE t{number}({table}; {'; '.join(rows)}")
    tables = [f"t{number}" for number in range(len(KEYS))]
    query = "SELECT " + ", ".join(f"(SELECT count(*) FROM {table}) AS {table}" for table in tables)
    (there,) = native.query(name, query)
    assert back_up(d1, name, tmp_path)["rows"] == sum(there.values())
    restore(d1, name, tmp_path, **d1.options(f"{name}-back"))
    assert native.query(f"{name}-back", query) == [there]
    # Both sides shown by the engine itself, each value with its type and its bytes.
    for table in tables:
        shown = f"SELECT typeof(k) || hex(CAST(k AS BLOB)) || v AS shown FROM {table} ORDER BY 1"
        assert native.query(f"{name}-back", shown) == native.query(name, shown)


def test_the_sign_of_zero_is_kept_and_seen(d1: D1Server, database: tuple[NativeD1, str], tmp_path: Path) -> None:
    native, name = database
    native.query(name, "CREATE TABLE t(a, b)")
    native.query(name, "INSERT INTO t VALUES(-0.0, 0.0)")
    back_up(d1, name, tmp_path)
    restore(d1, name, tmp_path, **d1.options(f"{name}-back"))
    (seen,) = native.query(f"{name}-back", "SELECT atan2(a, -1.0) < 0 AS a, atan2(b, -1.0) < 0 AS b FROM t")
    assert seen == {"a": 1, "b": 0}


def test_definitions_of_d1_are_compared_as_well(d1: D1Server, database: tuple[NativeD1, str], tmp_path: Path) -> None:
    native, name = database
    native.query(name, "CREATE TABLE t(id INTEGER PRIMARY KEY AUTOINCREMENT, a NOT NULL CHECK(a > 0))")
    native.query(name, "INSERT INTO t(a) VALUES(5)")
    back_up(d1, name, tmp_path)
    restored = restore(d1, name, tmp_path, path=str(tmp_path / "back.sqlite"))
    assert restored["summary"].endswith(", proved equal.")


def test_a_set_of_an_earlier_version_reports_that_it_recorded_rows_only(
    d1: D1Server, database: tuple[NativeD1, str], tmp_path: Path
) -> None:
    native, name = database
    native.query(name, "CREATE TABLE t(a)")
    taken = back_up(d1, name, tmp_path)
    forget_structure(tmp_path / "store" / name / "daily", taken["set_id"])
    restored = restore(d1, name, tmp_path, path=str(tmp_path / "back.sqlite"))
    assert "rows proved equal; the set is of an earlier version and recorded no definitions" in restored["summary"]


def forget_structure(tier: Path, set_id: str) -> None:
    """Make the set one of an earlier version: its content names tables only."""
    manifest = tier / "sets" / f"{set_id}.json"
    document = json.loads(manifest.read_text())
    (entry,) = [item for item in document["objects"] if item["role"] == "content"]
    path = tier.parent.parent / entry["key"]
    returned = json.loads(zstandard.ZstdDecompressor().decompressobj().decompress(path.read_bytes()))
    plain = json.dumps({"tables": returned["tables"]}).encode()
    stored = zstandard.ZstdCompressor().compress(plain)
    path.chmod(0o600)
    path.write_bytes(stored)
    entry.update(
        plain_size=len(plain),
        plain_sha256=hashlib.sha256(plain).hexdigest(),
        stored_size=len(stored),
        stored_sha256=hashlib.sha256(stored).hexdigest(),
        etag=None,
    )
    manifest.chmod(0o600)
    manifest.write_text(json.dumps(document))
