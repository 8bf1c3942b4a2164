# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""States of one thing of a source, each in a document of its own; the last one counts.

No document is replaced or removed, so that a store whose objects are locked holds states too, and that a run which is
killed leaves the last complete state. Two runs cannot both write the next state, because its number is part of the key.
"""

from __future__ import annotations

import json
import re
import typing as t

from .._core.clock import format_instant, utc_now
from .._core.documents import read_document
from .._core.errors import ErrorKind, RecoveryError
from .._core.shapes import Shape
from .._store.base import ObjectStore, put_proved, read_all
from .authenticity import judge_authenticity, sign
from .layout import check_source, states_prefix

Document = t.Dict[str, t.Any]

#: The fields that the log adds: the key binds the code of a store with a name_key to one number of one source.
_ADDED = ("key", "written_at", "mac")


class StateLog:
    """The states of a name of a source; shape judges a state without the fields that the log adds."""

    def __init__(self, store: ObjectStore, source: str, name: str, shape: Shape) -> None:
        self._store, self._shape = store, shape
        self._prefix = states_prefix(check_source(source), name)
        self._number: t.Optional[int] = None

    @property
    def location(self) -> str:
        return f"{self._store.location}/{self._prefix}"

    def last(self) -> t.Optional[Document]:
        """The last state; None if none was written. Raises RecoveryError(damaged) for one that cannot be read."""
        found = [self._numbered(item.key) for item in self._store.list(self._prefix)]
        numbers = [int(match[1]) for match in found if match]
        self._number = max(numbers, default=0)
        if not numbers:
            return None
        key = self._key(self._number)
        next_step = "Read the states before it in the store; only an operator can decide which one is true."
        document = read_document(read_all(self._store, key), f"The state {key}", next_step=next_step)
        judge_authenticity(document, key, str(document.get("written_at")), self._store.sealing)
        state = {name: value for name, value in document.items() if name not in _ADDED}
        try:
            if document.get("key") != key:
                raise ValueError("it was written under another key")
            self._shape(state, "")
        except ValueError as error:
            raise RecoveryError(
                ErrorKind.DAMAGED, f"The state {key} is damaged: {error}.", next_step=next_step
            ) from None
        return state

    def append(self, state: t.Mapping[str, t.Any]) -> None:
        """Write the state after the one that was read last. Raises RecoveryError(conflict) if another run did so."""
        if self._number is None:
            self.last()
        number = (self._number or 0) + 1
        key = self._key(number)
        added = {"key": key, "written_at": format_instant(utc_now())}
        document = sign({**state, **added}, self._store.sealing.name_key)
        try:
            put_proved(self._store, key, json.dumps(document, sort_keys=True).encode() + b"\n", if_absent=True)
        except RecoveryError as error:
            if error.kind != ErrorKind.ALREADY_EXISTS:
                raise
            raise RecoveryError(
                ErrorKind.CONFLICT,
                f"Another run wrote the state {key}.",
                next_step="Wait for the other run to end, then run it again.",
            ) from None
        self._number = number

    def _key(self, number: int) -> str:
        return f"{self._prefix}{number:08d}.json"

    def _numbered(self, key: str) -> t.Optional[t.Match[str]]:
        return re.fullmatch(re.escape(self._prefix) + r"(\d{8})\.json", key)
