# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The manifest: the one document that makes stored objects a backup set."""

from __future__ import annotations

import base64
import binascii
import json
import typing as t
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime

from .._core.clock import parse_instant
from .._core.documents import read_document
from .._core.errors import ErrorKind, RecoveryError
from .._core.sealing import Sealing
from .authenticity import judge_authenticity, sign
from .fingerprint import Fingerprint
from .layout import SetName
from .manifest_shape import (
    BUCKET_ENGINE,
    DATABASE_ENGINE,
    ENGINES,
    MANIFEST,
    MANIFEST_FIELDS,
    ROLES,
    ROWS_ENGINE,
    SCHEMA,
    SEALED,
    SQLITE_ENGINE,
    SQLITE_ROWS_ENGINE,
    require_place,
)

__all__ = [
    "BUCKET_ENGINE",
    "DATABASE_ENGINE",
    "ENGINES",
    "ROLES",
    "ROWS_ENGINE",
    "SCHEMA",
    "SQLITE_ENGINE",
    "SQLITE_ROWS_ENGINE",
    "Manifest",
    "ObjectEntry",
    "parse_manifest",
    "without_etags",
]

_OPEN = Sealing()
_NEXT = "Choose another set, and run backup_verify on this source."


@dataclass(frozen=True)
class ObjectEntry:
    """One file of the dump. key is relative to the tier; sizes are in bytes.

    role is one of ROLES. plain_sha256 is empty in an encrypted set that was read without an identity.
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

    recipients are those that the objects are encrypted to. Facts of the content (plain digests and the fingerprint)
    are then encrypted too, in sealed, and absent for readers without an identity.
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
    mac: t.Optional[str] = None
    schema: str = field(default=SCHEMA)
    authentic: t.Optional[bool] = field(default=None, compare=False)

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
                f"The set {self.set_id} of {self.source} holds {ENGINES[self.engine].holds}.",
                next_step=f"Restore it with lifeline.recovery.{ENGINES[self.engine].restored_by}.",
            )

    def object_at(self, path: str) -> ObjectEntry:
        for entry in self.objects:
            if entry.path == path:
                return entry
        raise RecoveryError(ErrorKind.DAMAGED, f"The set {self.set_id} has no object for {path}.", left="")

    def to_json(self, sealing: Sealing = _OPEN) -> bytes:
        """The document as it is stored; sealing encrypts what an encrypted set keeps to itself, and signs it."""
        document = asdict(self)
        del document["authentic"], document["mac"]
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
        return _encoded(sign(document, sealing.name_key))


def parse_manifest(data: bytes, key: str, name: SetName, sealing: Sealing = _OPEN) -> Manifest:
    """Read a manifest and judge all of it; key is for messages, name is the set whose place it was read from.

    Sealed facts are decrypted if sealing has an identity. Raises RecoveryError: unsupported_manifest for another
    schema or engine, or fields this version does not know; damaged for anything that no backup writes, for a manifest
    of another place, and for one that is not authentic where sealing requires that.
    """
    document = read_document(data, f"The manifest {key}", next_step=_NEXT)
    _require_known(document, key)
    try:
        MANIFEST(document, "")
        require_place(document, name)
    except ValueError as error:
        raise _damaged(key, str(error)) from None
    authentic = judge_authenticity(document, key, name.set_id, sealing)
    document["objects"] = tuple(ObjectEntry(**entry) for entry in document["objects"])
    document["fingerprint"] = _fingerprint(document["fingerprint"], key)
    document["recipients"] = tuple(document.get("recipients", ()))
    manifest = Manifest(**document, authentic=authentic)
    if not manifest.sealed or not sealing.can_read:
        return manifest
    try:
        return _opened(manifest, key, sealing)
    except RecoveryError as error:
        # A set for other recipients stays sealed; readers of its content get the error later.
        if error.kind != ErrorKind.NO_IDENTITY:
            raise
        return manifest


def without_etags(data: bytes, key: str) -> bytes:
    """The document for another store, whose objects have other ETags. Raises RecoveryError(damaged)."""
    document = read_document(data, f"The manifest {key}", next_step=_NEXT)
    for entry in document["objects"]:
        entry["etag"] = None
    return _encoded(document)


def _encoded(document: t.Mapping[str, t.Any]) -> bytes:
    return (json.dumps(document, sort_keys=True, separators=(",", ":")) + "\n").encode()


def _require_known(document: t.Mapping[str, t.Any], key: str) -> None:
    schema, engine = document.get("schema"), document.get("engine")
    if not isinstance(schema, str):
        raise _damaged(key, "it is not a JSON document with a schema")
    unknown = sorted(document.keys() - MANIFEST_FIELDS.keys())
    if schema != SCHEMA or unknown or (isinstance(engine, str) and engine not in ENGINES):
        found = f"the schema {ascii(schema)[:80]}" if schema != SCHEMA else f"the engine {ascii(engine)[:80]}"
        if schema == SCHEMA and unknown:
            found = f"fields that are not known ({', '.join(ascii(name)[:40] for name in unknown[:5])})"
        raise RecoveryError(
            ErrorKind.UNSUPPORTED_MANIFEST,
            f"The manifest {key} has {found}; this version reads {SCHEMA!r} with the engines {', '.join(ENGINES)}.",
            next_step="Update the collection lifeline.recovery on this host.",
        )


def _fingerprint(given: t.Any, key: str) -> t.Optional[Fingerprint]:
    if given is None:
        return None
    try:
        return Fingerprint.from_dict(given)
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, OverflowError, RecoveryError) as error:
        raise _damaged(key, f"its fingerprint is malformed ({type(error).__name__})") from None


def _opened(manifest: Manifest, key: str, sealing: Sealing) -> Manifest:
    try:
        secrets = sealing.open(base64.b64decode(manifest.sealed or "", validate=True))
    except (binascii.Error, ValueError):
        raise _damaged(key, "its sealed part is not base64") from None
    document = read_document(secrets, f"The sealed part of the manifest {key}", next_step=_NEXT)
    try:
        SEALED(document, "sealed")
        digests = document["plain_sha256"]
        if set(digests) != {entry.path for entry in manifest.objects if entry.encrypted}:
            raise ValueError("its sealed part is of other files")
    except ValueError as error:
        raise _damaged(key, str(error)) from None
    return replace(
        manifest,
        objects=tuple(
            replace(entry, plain_sha256=digests[entry.path]) if entry.encrypted else entry for entry in manifest.objects
        ),
        fingerprint=_fingerprint(document["fingerprint"], key),
    )


def _damaged(key: str, why: str) -> RecoveryError:
    return RecoveryError(
        ErrorKind.DAMAGED,
        f"The manifest {key} is damaged: {why}.",
        next_step=_NEXT,
    )
