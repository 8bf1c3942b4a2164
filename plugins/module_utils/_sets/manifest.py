# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The manifest: the one document that makes stored objects a backup set."""

from __future__ import annotations

import json
import typing as t
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime

from .._core.clock import parse_instant
from .._core.errors import ErrorKind, RecoveryError
from .fingerprint import Fingerprint

SCHEMA = "lifeline.recovery/backup-set/1"

#: The engine of sets that hold rows of some tables and no database: undo sets of rows, and exports.
ROWS_ENGINE = "postgresql-rows"


@dataclass(frozen=True)
class ObjectEntry:
    """One file of the dump. key is relative to the tier; sizes are in bytes.

    role: toc, data, large_objects, large_object or globals. table is C(schema.name) in a form for people.
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


@dataclass(frozen=True)
class Manifest:
    """Everything that a restore needs to know. recovery_point, created_at, finished_at are RFC 3339."""

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
    schema: str = field(default=SCHEMA)

    @property
    def recovery_instant(self) -> datetime:
        return parse_instant(self.recovery_point)

    @property
    def stored_bytes(self) -> int:
        return sum(entry.stored_size for entry in self.objects)

    def object_at(self, path: str) -> ObjectEntry:
        for entry in self.objects:
            if entry.path == path:
                return entry
        raise RecoveryError(ErrorKind.DAMAGED, f"The set {self.set_id} has no object for {path}.", left="")

    def to_json(self) -> bytes:
        document = asdict(self)
        return (json.dumps(document, sort_keys=True, separators=(",", ":")) + "\n").encode()


def parse_manifest(data: bytes, key: str) -> Manifest:
    """Read a manifest; key is for messages.

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
        manifest = Manifest(**document)
        parse_instant(manifest.recovery_point)
    except (KeyError, TypeError, RecoveryError) as error:
        raise _damaged(key, f"a part is missing or malformed ({error})") from None
    return manifest


def _damaged(key: str, why: str) -> RecoveryError:
    return RecoveryError(
        ErrorKind.DAMAGED,
        f"The manifest {key} is damaged: {why}.",
        next_step="Choose another set, and run backup_verify on this source.",
    )
