# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The progress of a rejoin on this host, stored outside of the data directory, which a rewind replaces."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import typing as t

from .._core.shapes import integer, list_of, one_of, optional, record, text
from .._repository.state_log import StateLog
from .._store.base import ObjectStore

#: In this order; a run that is cut off in the second one leaves a directory that nothing but a new copy repairs.
SAVING, REWINDING, REWOUND, DONE = "saving", "rewinding", "rewound", "done"

_SCHEMA = "lifeline.recovery/rejoin/1"
_SHAPE = record(
    {
        "schema": one_of(_SCHEMA),
        "phase": one_of(SAVING, REWINDING, REWOUND, DONE),
        "data_dir": text(),
        "inode": integer(),
        "arguments": list_of(text()),
        "configuration": optional(text()),
        "rows_folder": optional(text()),
    }
)


@dataclasses.dataclass(frozen=True)
class RejoinState:
    """arguments: of the server before. configuration: the folder with the saved files. rows_folder: of saved rows."""

    phase: str
    arguments: t.Tuple[str, ...]
    configuration: t.Optional[str] = None
    rows_folder: t.Optional[str] = None


class RejoinLog:
    """The states of the rejoin of one data directory."""

    def __init__(self, states: ObjectStore, data_dir: str) -> None:
        self._data_dir = os.path.realpath(data_dir)
        name = f"rejoin-{hashlib.sha256(self._data_dir.encode()).hexdigest()[:16]}"
        self._log = StateLog(states, "postgresql", name, _SHAPE)

    @property
    def location(self) -> str:
        return self._log.location

    def last(self) -> t.Optional[RejoinState]:
        """The rejoin that did not end; None without one, and if the directory was replaced by a new copy."""
        document = self._log.last()
        if document is None or document["phase"] == DONE or document["inode"] != self._inode():
            return None
        return RejoinState(
            document["phase"], tuple(document["arguments"]), document["configuration"], document["rows_folder"]
        )

    def write(self, state: RejoinState) -> None:
        fields = {**vars(state), "arguments": list(state.arguments)}
        self._log.append({"schema": _SCHEMA, "data_dir": self._data_dir, "inode": self._inode(), **fields})

    def _inode(self) -> int:
        return os.stat(self._data_dir).st_ino
