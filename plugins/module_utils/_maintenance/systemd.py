# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Units of systemd: services, and the sockets and timers that would start them again."""

from __future__ import annotations

import contextlib
import os
import re
import typing as t
from dataclasses import dataclass, field

from .._core.errors import ErrorKind, RecoveryError
from .._core.files import replace_file
from .._core.options import INTERNAL
from .means import Before, Means, run_program

_NAME = re.compile(r"[A-Za-z0-9:_.\\@][A-Za-z0-9:_.\\@-]{0,250}")
_TYPES = (".service", ".socket", ".timer", ".path", ".target", ".mount", ".slice", ".scope")

#: States of a unit that runs or starts.
_RUNS = ("active", "activating", "reloading")

#: A mask in this folder has no effect on units in /etc, which precedes it; a drop-in has, and a reboot removes it.
#: https://www.freedesktop.org/software/systemd/man/latest/systemd.unit.html#Unit%20File%20Load%20Path
RUNTIME = "/run/systemd/system"
#: Drop-ins that survive a reboot.
PERSISTENT = "/etc/systemd/system"
_DROP_IN = "90-lifeline-maintenance.conf"
#: The file system always has a root, so that this never holds and each start of the unit fails.
_REFUSAL = "# lifeline.recovery: starts are refused during {reason}.\n[Unit]\nAssertPathExists=!/\n"

_PROPERTIES = "Id,LoadState,ActiveState,TriggeredBy"


@dataclass(frozen=True)
class SystemdOptions:
    """units: names; a name without a type is a service. refuse_starts: until the end, or until the host restarts.

    persistent: refuse starts also after the host has restarted.
    """

    units: t.Tuple[str, ...]
    refuse_starts: bool = False
    persistent: bool = field(default=False, metadata=INTERNAL)

    def require_valid(self) -> None:
        """Raise RecoveryError(invalid_options)."""
        if not self.units:
            raise RecoveryError(ErrorKind.INVALID_OPTIONS, "`systemd.units` must name at least one unit, got none.")
        for unit in self.units:
            if not _NAME.fullmatch(unit):
                raise RecoveryError(
                    ErrorKind.INVALID_OPTIONS,
                    f"`systemd.units` must be names of units without wildcards, got {unit!r}.",
                )


class Unit(t.NamedTuple):
    """A unit. triggers: units that start it."""

    name: str
    state: str
    triggers: t.Tuple[str, ...]

    @property
    def runs(self) -> bool:
        return self.state in _RUNS

    @property
    def is_trigger(self) -> bool:
        return self.name.endswith((".socket", ".timer", ".path"))


class Systemd(Means):
    kind = "systemd"

    def __init__(self, options: SystemdOptions, timeout: float) -> None:
        options.require_valid()
        self._options, self._timeout = options, timeout

    def read(self) -> Before:
        return {"units": {unit.name: unit.runs for unit in self._units()}}

    def why_not_begun(self) -> str:
        for unit in self._units():
            if unit.runs:
                return f"the unit {unit.name} is {unit.state}"
            if self._options.refuse_starts and not os.path.exists(self._drop_in(unit.name)):
                return f"starts of the unit {unit.name} are not refused"
        return ""

    def begin(self, before: Before) -> None:
        units = self._concerned(before)
        if self._options.refuse_starts:
            self._refuse_starts([unit.name for unit in units])
        # A socket or a timer that runs would start its service again.
        for triggers in (True, False):
            names = [unit.name for unit in units if unit.is_trigger is triggers]
            self._run_for("stop", names, waits=not self._options.persistent)

    def states(self) -> t.Dict[str, str]:
        """The state of each unit of the options, for example C(active) or C(deactivating)."""
        return {unit.name: unit.state for unit in self._units()}

    def _concerned(self, before: Before) -> t.List[Unit]:
        return list({unit.name: unit for unit in (*self._show(list(before["units"])), *self._units())}.values())

    def why_not_ended(self, before: Before) -> str:
        for unit in self._show(list(before["units"])):
            if self._remains(unit.name) is not None:
                return f"starts of the unit {unit.name} are still refused"
            if before["units"][unit.name] and not unit.runs:
                return f"the unit {unit.name} is {unit.state}"
        return ""

    def end(self, before: Before) -> None:
        self._accept_starts(before["units"])
        units = self._show(list(before["units"]))
        waiting = {unit.name for unit in units if before["units"][unit.name] and not unit.runs}
        # A socket cannot start while its service runs, which a stop that was cut off may have left running.
        sockets = {name for name in waiting if name.endswith(".socket")}
        blocking = [unit.name for unit in units if unit.runs and sockets.intersection(unit.triggers)]
        self._run_for("stop", blocking)
        waiting.update(name for name in blocking if before["units"][name])
        for triggers in (True, False):
            self._run_for("start", [one.name for one in units if one.name in waiting and one.is_trigger is triggers])

    def _units(self) -> t.List[Unit]:
        """The units of the options, and the running units that would start them again."""
        names = [unit if unit.endswith(_TYPES) else f"{unit}.service" for unit in self._options.units]
        found = {unit.name: unit for unit in self._show(names)}
        waiting = list(found.values())
        while waiting:
            triggers = sorted({name for unit in waiting for name in unit.triggers} - set(found))
            waiting = [unit for unit in self._show(triggers) if unit.runs]
            found.update({unit.name: unit for unit in waiting})
        return list(found.values())

    def _show(self, names: t.Sequence[str]) -> t.List[Unit]:
        """Raises RecoveryError(object_missing) for a unit that does not exist."""
        if not names:
            return []
        output = self._run("show", "--no-pager", f"--property={_PROPERTIES}", "--", *names)
        units = []
        for block in output.strip().split("\n\n"):
            values = dict(line.partition("=")[::2] for line in block.splitlines())
            unit = Unit(
                values.get("Id", ""), values.get("ActiveState", ""), tuple(values.get("TriggeredBy", "").split())
            )
            if values.get("LoadState") == "not-found":
                raise RecoveryError(
                    ErrorKind.OBJECT_MISSING,
                    f"`systemd.units` must be units of this host, got {unit.name}.",
                    next_step="List the units with systemctl list-unit-files, and correct `systemd.units`.",
                )
            units.append(unit)
        return units

    def _refuse_starts(self, names: t.Sequence[str]) -> None:
        for name in names:
            path = self._drop_in(name)
            reason = "a fence" if self._options.persistent else "maintenance"
            try:
                os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
                replace_file(path, _REFUSAL.format(reason=reason), 0o644)
            except OSError as error:
                raise RecoveryError(
                    ErrorKind.ACCESS_DENIED, f"{path} cannot be written: {error.strerror}.", next_step="Run it as root."
                ) from None
        self._run("daemon-reload")

    def _accept_starts(self, names: t.Iterable[str]) -> None:
        for name in names:
            folder = os.path.dirname(self._drop_in(name))
            for remaining in self._remains(name) or ():
                os.unlink(os.path.join(folder, remaining))
            # A drop-in of another program keeps the folder.
            with contextlib.suppress(OSError):
                os.rmdir(folder)
        self._run("daemon-reload")

    def _run_for(self, verb: str, names: t.Sequence[str], *, waits: bool = True) -> None:
        if names:
            self._run(verb, *([] if waits else ["--no-block"]), "--", *names)

    def _run(self, *arguments: str) -> str:
        return run_program(["systemctl", *arguments], timeout=self._timeout)[1]

    def _drop_in(self, unit: str) -> str:
        return os.path.join(PERSISTENT if self._options.persistent else RUNTIME, f"{unit}.d", _DROP_IN)

    def _remains(self, unit: str) -> t.Optional[t.List[str]]:
        """The files of this module in the folder of drop-ins, also one that a killed run left; None without any.

        An empty folder is one that a killed run made.
        """
        try:
            found = os.listdir(os.path.dirname(self._drop_in(unit)))
        except FileNotFoundError:
            return None
        own = [name for name in found if name.lstrip(".").startswith(_DROP_IN)]
        return own if own or not found else None
