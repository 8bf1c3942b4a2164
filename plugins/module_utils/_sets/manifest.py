# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The manifest: the one document that makes stored objects a backup set."""

from __future__ import annotations

import base64
import json
import typing as t
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import datetime

from .._core.clock import parse_instant
from .._core.errors import ErrorKind, RecoveryError
from .._core.sealing import Sealing
from .fingerprint import Fingerprint

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

#: What restores the sets of an engine that is not a database's.
_RESTORED_BY = {
    ROWS_ENGINE: "pg_restore_table",
    BUCKET_ENGINE: "bucket_restore",
    SQLITE_ENGINE: "d1_restore",
    SQLITE_ROWS_ENGINE: "d1_restore",
}
_HOLDS = {
    ROWS_ENGINE: "rows of some tables",
    BUCKET_ENGINE: "the files of a bucket",
    SQLITE_ENGINE: "a database of SQLite or D1",
    SQLITE_ROWS_ENGINE: "rows of some tables of SQLite or D1",
}

_OPEN = Sealing()


@dataclass(frozen=True)
class ObjectEntry:
    """One file of the dump. key is relative to the tier; sizes are in bytes.

    role: toc, data, large_objects, large_object or globals; keys and rows in a set of rows; inventory and
    references in a set of a bucket. plain_sha256 is empty in an encrypted set that was read without an identity.
    """

    path: str
    role: str
    key: str
    codec: str
    plain_size: int
    plain_sha256: str
    stored_size: int
    stored_sha256: str
    schema: str = ""
    table: str = ""
    etag: t.Optional[str] = None
    encrypted: bool = False


@dataclass(frozen=True)
class Manifest:
    """Everything that a restore needs to know. recovery_point, created_at, finished_at are RFC 3339.

    recipients are those that the objects are encrypted to. What tells about content - plain digests and the
    fingerprint - is then encrypted as well, in sealed, and absent for those who cannot read it.
    """

    set_id: str
    source: str
    tier: str
    engine: str
    recovery_point: str
    lsn: t.Optional[str]
    created_at: str
    finished_at: str
    tool_version: str
    server: t.Mapping[str, t.Any]
    client: t.Mapping[str, t.Any]
    objects: t.Tuple[ObjectEntry, ...]
    fingerprint: t.Optional[Fingerprint]
    coverage: t.Mapping[str, t.Any]
    sizes: t.Mapping[str, int]
    timings: t.Mapping[str, float]
    recipients: t.Tuple[str, ...] = ()
    sealed: t.Optional[str] = field(default=None, repr=False)
    schema: str = field(default=SCHEMA)

    @property
    def recovery_instant(self) -> datetime:
        return parse_instant(self.recovery_point)

    @property
    def stored_bytes(self) -> int:
        return sum(entry.stored_size for entry in self.objects)

    def require_kind(self, *engines: str) -> None:
        """Raise RecoveryError(unsupported) for a set that something else restores."""
        if self.engine not in engines:
            raise RecoveryError(
                ErrorKind.UNSUPPORTED,
                f"The set {self.set_id} of {self.source} holds {_HOLDS.get(self.engine, 'a database')}.",
                next_step=f"Bring it back with lifeline.recovery.{_RESTORED_BY.get(self.engine, 'pg_restore')}.",
            )

    def object_at(self, path: str) -> ObjectEntry:
        for entry in self.objects:
            if entry.path == path:
                return entry
        raise RecoveryError(ErrorKind.DAMAGED, f"The set {self.set_id} has no object for {path}.", left="")

    def to_json(self, sealing: Sealing = _OPEN) -> bytes:
        """The document as it is stored; sealing encrypts what an encrypted set keeps to itself."""
        document = asdict(self)
        if not self.recipients:
            del document["recipients"], document["sealed"]
        else:
            secrets = {"fingerprint": document["fingerprint"], "plain_sha256": {}}
            for entry in (entry for entry in document["objects"] if entry["encrypted"]):
                secrets["plain_sha256"][entry["path"]] = entry["plain_sha256"]
                entry["plain_sha256"] = ""
            document["fingerprint"] = None
            if self.sealed is None:
                document["sealed"] = base64.b64encode(sealing.seal(json.dumps(secrets).encode())).decode()
        return (json.dumps(document, sort_keys=True, separators=(",", ":")) + "\n").encode()


def parse_manifest(data: bytes, key: str, sealing: Sealing = _OPEN) -> Manifest:
    """Read a manifest; key is for messages. What is sealed is opened where sealing has an identity.

    Raises RecoveryError: unsupported_manifest for another schema or keys this version does not know,
    damaged when it is not a whole manifest.
    """
    try:
        document = json.loads(data)
        schema = document["schema"]
    except (ValueError, KeyError, TypeError):
        raise _damaged(key, "it is not a JSON document with a schema") from None
    known = {item.name for item in fields(Manifest)}
    if schema != SCHEMA or not set(document) <= known:
        raise RecoveryError(
            ErrorKind.UNSUPPORTED_MANIFEST,
            f"The manifest {key} has the schema {schema!r}, this version reads {SCHEMA!r}.",
            next_step="Update the collection lifeline.recovery on this host.",
        )
    try:
        document["objects"] = tuple(ObjectEntry(**entry) for entry in document["objects"])
        if document["fingerprint"] is not None:
            document["fingerprint"] = Fingerprint.from_dict(document["fingerprint"])
        document["recipients"] = tuple(document.get("recipients", ()))
        manifest = Manifest(**document)
        parse_instant(manifest.recovery_point)
    except (KeyError, TypeError, RecoveryError) as error:
        raise _damaged(key, f"a part is missing or malformed ({error})") from None
    if not manifest.sealed or not sealing.can_read:
        return manifest
    try:
        return _opened(manifest, key, sealing)
    except RecoveryError as error:
        # A set for others stays closed; who wants what is in it is told so then.
        if error.kind != ErrorKind.NO_IDENTITY:
            raise
        return manifest


def _opened(manifest: Manifest, key: str, sealing: Sealing) -> Manifest:
    try:
        secrets = json.loads(sealing.open(base64.b64decode(manifest.sealed or "")))
        digests = secrets["plain_sha256"]
        fingerprint = secrets["fingerprint"]
        return replace(
            manifest,
            objects=tuple(
                replace(entry, plain_sha256=digests[entry.path]) if entry.encrypted else entry
                for entry in manifest.objects
            ),
            fingerprint=None if fingerprint is None else Fingerprint.from_dict(fingerprint),
        )
    except (ValueError, KeyError, TypeError):
        raise _damaged(key, "what it seals is malformed") from None


def _damaged(key: str, why: str) -> RecoveryError:
    return RecoveryError(
        ErrorKind.DAMAGED,
        f"The manifest {key} is damaged: {why}.",
        next_step="Choose another set, and run backup_verify on this source.",
    )
