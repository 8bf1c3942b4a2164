# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Programs of the operator that read and write the value. No shell is used."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from .._core.errors import ErrorKind, RecoveryError
from .._maintenance.means import run_program
from .way import HIDDEN, Answer, Look, State, Way


@dataclass(frozen=True)
class CommandOptions:
    """read: program that prints the value. write: program that sets it. hidden: whether results show no values."""

    read: t.Tuple[str, ...]
    write: t.Tuple[str, ...]
    hidden: bool = True

    def require_valid(self) -> None:
        """Raise RecoveryError(invalid_options)."""
        for name in ("read", "write"):
            if not getattr(self, name) or not getattr(self, name)[0]:
                raise RecoveryError(
                    ErrorKind.INVALID_OPTIONS, f"`command.{name}` must be a program with its arguments, got none."
                )


class Command(Way):
    kind = "command"

    def __init__(self, options: CommandOptions, timeout: float) -> None:
        options.require_valid()
        self._options, self._timeout, self.hides = options, timeout, options.hidden

    @property
    def target(self) -> str:
        return f"the value that {self._options.read[0]} prints"

    def read(self) -> State:
        _code, output = self._run(self._options.read)
        return State(output.rstrip("\r\n"))

    def write(self, state: State, value: str) -> None:
        self._run(self._options.write, {"LIFELINE_VALUE": value, "LIFELINE_EXPECTED": state.value})

    def look(self, value: str) -> Look:
        read = self.read().value
        reason = "" if read == value else f"{self._options.read[0]} prints {self.shown(read) or 'nothing'}"
        return Look((Answer(self._options.read[0], read),), reason)

    def _run(
        self, arguments: t.Sequence[str], environment: t.Optional[t.Mapping[str, str]] = None
    ) -> t.Tuple[int, str]:
        try:
            return run_program(arguments, timeout=self._timeout, environment=environment)
        except RecoveryError as error:
            # The last line of a program may hold what it got.
            what = error.what
            for secret in (environment or {}).values() if self.hides else ():
                what = what.replace(secret, HIDDEN)
            if environment is None:
                raise error.restated(what=what) from None
            raise error.restated(
                what=what, left="The value may be changed in part.", next_step="Correct the cause, then run it again."
            ) from None
