# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The files of a dump in a set, and the file that lists their content."""

from __future__ import annotations

import json
import os
import typing as t
from dataclasses import asdict

from ..._core.documents import read_document
from ..._core.errors import ErrorKind, RecoveryError
from ..._core.shapes import anything, integer, list_of, mapping_of, optional, record, text
from ..._repository.manifest import Manifest
from ..._repository.writer import SetWriter
from .engine import Engine
from .script import Dump

_CONTENT_FILE = "content.json"

#: Characters of one definition. D1 takes statements of 100 KB.
_LARGEST = 10_000_000

#: The algorithm of the recorded content. Sets without an algorithm recorded the rows alone.
_ALGORITHM = "sqlite-rows-and-structure"
#: The order in which the files of a set load.
_ORDER = {"schema": 0, "table": 1, "after": 2}


def add_dump(writer: SetWriter, folder: str, dump: Dump) -> None:
    """Add the files of a dump, and the file that lists their content, to a set."""
    with open(os.path.join(folder, _CONTENT_FILE), "w", encoding="utf-8") as stream:
        document = {
            "algorithm": _ALGORITHM,
            "tables": [asdict(item) for item in dump.content],
            "structure": dict(dump.structure),
            "stand_ins": dict(dump.stand_ins),
            "not_rebuilt": list(dump.not_rebuilt),
        }
        json.dump(document, stream)
    for number, (name, table) in enumerate(dump.files):
        role = "table" if table else "schema" if number == 0 else "after"
        writer.add(folder, name, role, "main" if table else "", table)
    writer.add(folder, _CONTENT_FILE, "content")


def files_of(manifest: Manifest) -> t.List[t.Tuple[str, str]]:
    """The files of a set in the order in which they load, with the table of each that holds rows."""
    ordered = sorted(manifest.objects, key=lambda entry: (_ORDER.get(entry.role, 9), entry.path))
    return [
        (entry.path, entry.table or "" if entry.role == "table" else "") for entry in ordered if entry.role in _ORDER
    ]


_CONTENT = record(
    {
        "tables": list_of(record({"table": text(), "rows": integer(), "digest": text()})),
        "structure": optional(mapping_of(text(longest=_LARGEST))),
        "stand_ins": mapping_of(text(longest=_LARGEST)),
        "not_rebuilt": list_of(text()),
    },
    may_lack=("structure", "stand_ins", "not_rebuilt"),
    others=anything,
)


def read_content(folder: str, set_id: str) -> t.Dict[str, t.Any]:
    """The recorded content of a set. Raises RecoveryError(damaged)."""
    what = f"{_CONTENT_FILE} of the set {set_id}"
    try:
        with open(os.path.join(folder, _CONTENT_FILE), "rb") as stream:
            document = read_document(stream.read(), what, next_step="Use another set.")
        _CONTENT(document, "")
    except (OSError, ValueError) as error:
        raise RecoveryError(ErrorKind.DAMAGED, f"{what} is damaged: {error}.", next_step="Use another set.") from None
    return document


def facts_of(engine: Engine, bookmark: t.Optional[str]) -> t.Dict[str, t.Any]:
    """The facts of a database that a set records; identity_in reads them too."""
    known = {"database": engine.identity.database, "database_id": engine.identity.identifier} if engine.identity else {}
    return {"location": engine.location, "bookmark": bookmark, **known}
