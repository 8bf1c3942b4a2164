# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Bundles that are kept on the host before they are replaced. Each run has a folder, which no other run rewrites.

The index is written last: a folder without an index is of a run that was killed.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import typing as t
from dataclasses import asdict, dataclass

from ..._core.clock import compact_instant, utc_now
from ..._core.documents import read_document
from ..._core.errors import ErrorKind, RecoveryError
from ..._core.shapes import flag, integer, list_of, one_of, optional, record, text
from ..._store.base import put_proved, read_all
from ..._store.directory import DirectoryStore
from .answers import Function

_SCHEMA = "lifeline.recovery/kept-functions/1"
_INDEX = "functions.json"
_SLUG = "[A-Za-z0-9_-]{1,128}"
_SHAPE = record(
    {
        "schema": one_of(_SCHEMA),
        "project": text("[a-z]{20}"),
        "functions": list_of(
            record(
                {
                    **{name: text() for name in ("id", "name", "status")},
                    "slug": text(_SLUG),
                    "version": integer(),
                    **{name: optional(flag) for name in ("verify_jwt", "import_map")},
                    **{name: optional(text()) for name in ("entrypoint_path", "import_map_path", "ezbr_sha256")},
                    "created_at": optional(integer()),
                    "sha256": text("[0-9a-f]{64}"),
                }
            ),
            longest=10_000,
        ),
    }
)


@dataclass(frozen=True)
class Kept:
    """A function with the bytes of its bundle, before a change."""

    function: Function
    body: bytes

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.body).hexdigest()


def keep(folder: str, project: str, kept: t.Sequence[Kept]) -> str:
    """Write bundles into a new folder below folder; its path. Raises RecoveryError if that fails."""
    name = f"{compact_instant(utc_now())}-{secrets.token_hex(3)}"
    place = os.path.join(os.path.abspath(folder), project, name)
    store = DirectoryStore(place)
    for one in kept:
        put_proved(store, f"{one.function.slug}.eszip", one.body, if_absent=True)
    functions = [{**asdict(one.function), "sha256": one.sha256} for one in kept]
    index = {"schema": _SCHEMA, "project": project, "functions": functions}
    put_proved(store, _INDEX, json.dumps(index, indent=2, sort_keys=True).encode(), if_absent=True)
    return place


def read_kept(folder: str, project: str) -> t.List[Kept]:
    """The bundles of a folder. Raises RecoveryError: object_missing, damaged, conflict for one of another project."""
    store = DirectoryStore(folder)
    what, step = f"{_INDEX} in {folder}", "Set `kept` to a folder that this module reported as `undo.kept`."
    try:
        document = read_document(read_all(store, _INDEX), what, next_step=step)
    except RecoveryError as error:
        if error.kind != ErrorKind.OBJECT_MISSING:
            raise
        raise error.restated(what=f"{folder} has no kept functions.", next_step=step) from None
    try:
        _SHAPE(document, "")
    except ValueError as error:
        raise RecoveryError(ErrorKind.DAMAGED, f"{what} is damaged: {error}.", next_step=step) from None
    if document["project"] != project:
        raise RecoveryError(
            ErrorKind.CONFLICT,
            f"The kept functions are of the project {document['project']}, not of {project}.",
            next_step="Check `project_ref` and `kept`.",
        )
    return [_read_one(store, entry) for entry in document["functions"]]


def _read_one(store: DirectoryStore, entry: t.Dict[str, t.Any]) -> Kept:
    expected = entry.pop("sha256")
    kept = Kept(Function(**entry), read_all(store, f"{entry['slug']}.eszip"))
    if kept.sha256 != expected or not re.fullmatch(_SLUG, kept.function.slug):
        raise RecoveryError(
            ErrorKind.DAMAGED,
            f"The kept bundle of the function {kept.function.slug} has another digest than its index.",
            next_step="Deploy the function from git instead.",
        )
    return kept
