# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The state of objects before a database was neutralized, as a document of a StateLog."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ...._core.shapes import anything, list_of, mapping_of, one_of, record, text
from ...._repository.state_log import StateLog
from ...._store.base import ObjectStore
from .actors import KINDS, Actor

NEUTRALIZED, RESTORED = "neutralized", "restored"

_SCHEMA = "lifeline.recovery/neutralize/1"
_STATE = record(
    {
        "schema": one_of(_SCHEMA),
        "phase": one_of(NEUTRALIZED, RESTORED),
        "actors": list_of(
            record(
                {
                    "kind": one_of(*KINDS),
                    "key": list_of(text(longest=1000), longest=3),
                    "name": text(longest=1000),
                    "before": mapping_of(anything),
                }
            ),
            longest=100_000,
        ),
    }
)


@dataclass(frozen=True)
class Former:
    """An object and its state before it was disabled."""

    kind: str
    key: t.Tuple[str, ...]
    name: str
    before: t.Mapping[str, t.Any]


class NeutralLog:
    """The states before of one database of one server; a database that is restored again has another OID."""

    def __init__(self, store: ObjectStore, source: str, server: t.Optional[str], oid: int) -> None:
        self._log = StateLog(store, source, f"neutralize-{server or 'unknown'}-{oid}", _STATE)

    @property
    def location(self) -> str:
        return self._log.location

    def neutralized(self) -> t.Optional[t.List[Former]]:
        """The states before; None if the database is not neutralized. Raises RecoveryError(damaged)."""
        document = self._log.last()
        if document is None or document["phase"] == RESTORED:
            return None
        return [Former(one["kind"], tuple(one["key"]), one["name"], one["before"]) for one in document["actors"]]

    def write(self, phase: str, formers: t.Iterable[Former]) -> None:
        actors = [{**vars(one), "key": list(one.key), "before": dict(one.before)} for one in formers]
        self._log.append({"schema": _SCHEMA, "phase": phase, "actors": actors})


def merged(stored: t.Optional[t.Sequence[Former]], acting: t.Iterable[Actor]) -> t.List[Former]:
    """The states before: a state that a former run stored stays."""
    found = {(one.kind, one.key): one for one in stored or ()}
    for actor in acting:
        found.setdefault((actor.kind, actor.key), Former(actor.kind, actor.key, actor.name, actor.state))
    return list(found.values())
