# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The schema of a manifest. A store is untrusted, so all parts of a manifest are validated before use."""

from __future__ import annotations

import typing as t
from datetime import timedelta

from .._core.clock import parse_instant
from .._core.codec import CODECS
from .._core.plain_files import PLAIN_NAME
from .._core.shapes import (
    LARGEST_COUNT,
    Shape,
    anything,
    either,
    flag,
    instant,
    integer,
    list_of,
    mapping_of,
    number,
    one_of,
    optional,
    record,
    text,
)
from .layout import TIERS, SetName, object_key

SCHEMA = "lifeline.recovery/backup-set/1"

DATABASE_ENGINE = "postgresql"

#: The engine of sets that hold rows of some tables and no database: undo sets of rows, and exports.
ROWS_ENGINE = "postgresql-rows"

#: The engine of sets that hold the objects of a bucket.
BUCKET_ENGINE = "bucket"

#: The engine of sets that hold a database of SQLite or D1.
SQLITE_ENGINE = "sqlite"

#: The engine of sets that hold what a restore of rows into such a database touched.
SQLITE_ROWS_ENGINE = "sqlite-rows"


class EngineKind(t.NamedTuple):
    """holds: what the sets of an engine hold. restored_by: the module that restores them."""

    holds: str
    restored_by: str


#: The engines that this version knows.
ENGINES: t.Dict[str, EngineKind] = {
    DATABASE_ENGINE: EngineKind("a PostgreSQL database", "pg_restore"),
    ROWS_ENGINE: EngineKind("rows of some tables", "pg_restore_table"),
    BUCKET_ENGINE: EngineKind("the files of a bucket", "bucket_restore"),
    SQLITE_ENGINE: EngineKind("a database of SQLite or D1", "d1_restore"),
    SQLITE_ROWS_ENGINE: EngineKind("rows of some tables of SQLite or D1", "d1_restore_rows"),
}

#: The roles of the files of a set; a manifest with another role is refused when it is read.
ROLES = (
    *("toc", "data", "large_objects", "large_object", "properties", "globals"),
    *("keys", "rows"),
    *("inventory", "references"),
    *("schema", "table", "after", "content", "touched"),
)


#: A taken set id moves on by up to so many seconds, while the recovery point stays.
_MOVED = timedelta(seconds=5)

_DIGEST = text("[0-9a-f]{64}")
_OBJECT_KEY = r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}/[a-z]+/objects/[0-9a-f]{2}/[0-9a-f]{64}"
_ENTRY = record(
    {
        "path": text(PLAIN_NAME.pattern),
        "role": one_of(*ROLES),
        "key": text(_OBJECT_KEY),
        "codec": one_of(*CODECS),
        "plain_size": integer(),
        "plain_sha256": either(_DIGEST, text("")),
        "stored_size": integer(),
        "stored_sha256": _DIGEST,
        "schema": text(),
        "table": text(),
        "etag": optional(text(longest=200)),
        "encrypted": flag,
    }
)
_SERVER = record(
    {"version_num": integer(0, 10_000_000), "listed_at": optional(instant)},
    may_lack=("version_num", "listed_at"),
    others=anything,
)
_COVERAGE = record(
    {
        "tables": either(integer(), list_of(text())),
        "rows": optional(integer()),
        "files": optional(integer()),
        "undo_of": optional(text()),
        "headers": list_of(text(longest=100), longest=100),
        "missing_partitions": mapping_of(text()),
    },
    may_lack=("tables", "rows", "files", "undo_of", "headers", "missing_partitions"),
    others=anything,
)

_COUNTED = record({"schema": text(), "name": text(), "rows": integer(), "digest": optional(text())}, others=anything)
_SEQUENCE = record(
    {"schema": text(), "name": text(), "last_value": integer(-LARGEST_COUNT - 1), "is_called": flag}, others=anything
)
_FINGERPRINT = optional(
    record(
        {
            "algorithm": text(),
            "mode": text(),
            "server_major": integer(0, 10_000),
            "tables": list_of(_COUNTED),
            "sequences": list_of(_SEQUENCE),
            "large_objects": optional(_COUNTED),
            "views": optional(list_of(_COUNTED)),
            "structure": mapping_of(mapping_of(text())),
        },
        may_lack=("views",),
        others=anything,
    )
)

#: A field that a new version adds needs a new entry here, and in C(may_lack) where older sets lack it.
MANIFEST_FIELDS: t.Mapping[str, Shape] = {
    "schema": text(),
    "set_id": text(r"\d{8}T\d{6}Z"),
    "source": text("[A-Za-z0-9][A-Za-z0-9._-]{0,99}"),
    "tier": one_of(*TIERS),
    # Judged before the shape, so that the message can name the engines.
    "engine": text(longest=100),
    "recovery_point": instant,
    "lsn": optional(text("[0-9A-Fa-f]{1,8}/[0-9A-Fa-f]{1,8}")),
    "created_at": instant,
    "finished_at": instant,
    "tool_version": text(longest=100),
    "server": _SERVER,
    "client": mapping_of(anything),
    "objects": list_of(_ENTRY),
    "fingerprint": _FINGERPRINT,
    "coverage": _COVERAGE,
    "sizes": record({"plain": integer(), "stored": integer()}, others=integer(-LARGEST_COUNT)),
    "timings": mapping_of(number),
    "recipients": list_of(text(longest=5000), longest=1000),
    "sealed": optional(text("[A-Za-z0-9+/=]*", longest=64 * 1024 * 1024)),
    "mac": optional(text("[0-9a-f]{64}")),
}
MANIFEST = record(MANIFEST_FIELDS, may_lack=("recipients", "sealed", "mac"))
SEALED = record({"fingerprint": _FINGERPRINT, "plain_sha256": mapping_of(_DIGEST)})


def require_place(document: t.Mapping[str, t.Any], name: SetName) -> None:
    """Raise ValueError unless a document of this shape is about the set, and its parts are about each other."""
    said = (document["source"], document["tier"], document["set_id"])
    if said != tuple(name):
        raise ValueError(f"it belongs to {'/'.join(said)}, and was copied or renamed by hand")
    later = parse_instant(name.set_id) - parse_instant(document["recovery_point"]).replace(microsecond=0)
    if not timedelta(0) <= later <= _MOVED:
        raise ValueError(f"its recovery point {document['recovery_point']} is not that of its name")
    paths: t.Set[str] = set()
    for entry in document["objects"]:
        if entry["path"] in paths:
            raise ValueError(f"it has the file {entry['path']} twice")
        paths.add(entry["path"])
        if entry["key"] != object_key(name.source, name.tier, entry["key"].rpartition("/")[2]):
            raise ValueError(f"the object {entry['key']} lies outside the objects of its tier")
        if not entry["encrypted"] and not entry["plain_sha256"]:
            raise ValueError(f"the digest of {entry['path']} is missing")
        if entry["encrypted"] and not document.get("recipients"):
            raise ValueError(f"{entry['path']} is encrypted to no recipient")
