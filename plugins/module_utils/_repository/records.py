# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Small documents of a tier, one for each set: its verification, and the outcome of its restore."""

from __future__ import annotations

import json
import typing as t

from .._core.documents import read_document
from .._core.errors import ErrorKind, RecoveryError
from .._store.base import ObjectStore, read_all

Document = t.Dict[str, t.Any]


def read_record(store: ObjectStore, key: str, shape: t.Callable[[t.Any, str], None]) -> t.Optional[Document]:
    """The document of this shape; None where there is none or a broken one. Raises RecoveryError as the store does."""
    try:
        document: Document = read_document(read_all(store, key), key)
        shape(document, "")
    except ValueError:
        return None
    except RecoveryError as error:
        if error.kind not in (ErrorKind.DAMAGED, ErrorKind.OBJECT_MISSING):
            raise
        return None
    return document


def read_records(
    store: ObjectStore, prefix: str, shape: t.Callable[[t.Any, str], None], key_of: t.Callable[[str], str]
) -> t.Dict[str, Document]:
    """Set id to its document, for every document that has the key of its own set."""
    found = {}
    for item in store.list(prefix):
        document = read_record(store, item.key, shape)
        if document is not None and item.key == key_of(document["set_id"]):
            found[document["set_id"]] = document
    return found


def write_record(store: ObjectStore, key: str, document: t.Mapping[str, t.Any]) -> None:
    store.put(key, [json.dumps(document, sort_keys=True).encode() + b"\n"])
