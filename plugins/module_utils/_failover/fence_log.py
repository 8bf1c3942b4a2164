# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The fence of a data directory on this host, stored outside of it, so that another run can release it."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import typing as t

from .._core.shapes import flag, integer, list_of, mapping_of, one_of, optional, record, text
from .._repository.state_log import StateLog
from .._store.base import ObjectStore
from .losses import StoppedPrimary

FENCING, FENCED, RELEASING, RELEASED = "fencing", "fenced", "releasing", "released"

_SCHEMA = "lifeline.recovery/fence/1"
_CONTROL = record(
    {
        "system_identifier": text("[0-9]*", longest=40),
        "timeline": integer(),
        "state": text(longest=100),
        "running": flag,
        "checkpoint_lsn": text("[0-9A-F]+/[0-9A-F]+", longest=40),
    }
)
_BEFORE = record({"running": flag, "arguments": list_of(text()), "units": mapping_of(flag)})
_SHAPE = record(
    {
        "schema": one_of(_SCHEMA),
        "phase": one_of(FENCING, FENCED, RELEASING, RELEASED),
        "data_dir": text(),
        "before": _BEFORE,
        "control": optional(_CONTROL),
    }
)


@dataclasses.dataclass(frozen=True)
class Before:
    """The state that a release restores. arguments: of the server that ran. units: of systemd that ran."""

    running: bool
    arguments: t.Tuple[str, ...]
    units: t.Mapping[str, bool]


@dataclasses.dataclass(frozen=True)
class FenceState:
    """control: of the fenced cluster; None until the fence is proved."""

    phase: str
    before: Before
    control: t.Optional[StoppedPrimary] = None


class FenceLog:
    """The states of the fence of one data directory."""

    def __init__(self, states: ObjectStore, data_dir: str) -> None:
        self._data_dir = os.path.realpath(data_dir)
        name = f"fence-{hashlib.sha256(self._data_dir.encode()).hexdigest()[:16]}"
        self._log = StateLog(states, "postgresql", name, _SHAPE)

    @property
    def location(self) -> str:
        return self._log.location

    def last(self) -> t.Optional[FenceState]:
        """The fence that was not released; None without one."""
        document = self._log.last()
        if document is None or document["phase"] == RELEASED:
            return None
        before, control = document["before"], document["control"]
        return FenceState(
            document["phase"],
            Before(before["running"], tuple(before["arguments"]), before["units"]),
            StoppedPrimary(**control) if control else None,
        )

    def write(self, state: FenceState) -> None:
        control = dataclasses.asdict(state.control) if state.control else None
        before = {**vars(state.before), "arguments": list(state.before.arguments), "units": dict(state.before.units)}
        document = {"schema": _SCHEMA, "phase": state.phase, "data_dir": self._data_dir}
        self._log.append({**document, "before": before, "control": control})
