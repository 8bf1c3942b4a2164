# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An application that programs of the operator stop and start."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from .._core.errors import ErrorKind, RecoveryError
from .means import Before, Means, run_program


@dataclass(frozen=True)
class CommandOptions:
    """stop, start, status: programs with their arguments. status ends with 0 while the application runs."""

    stop: t.Tuple[str, ...]
    start: t.Tuple[str, ...]
    status: t.Tuple[str, ...]

    def require_valid(self) -> None:
        """Raise RecoveryError(invalid_options)."""
        for name in ("stop", "start", "status"):
            if not getattr(self, name) or not getattr(self, name)[0]:
                raise RecoveryError(
                    ErrorKind.INVALID_OPTIONS, f"`command.{name}` must be a program with its arguments, got none."
                )


class Command(Means):
    kind = "command"

    def __init__(self, options: CommandOptions, timeout: float) -> None:
        options.require_valid()
        self._options, self._timeout = options, timeout

    def read(self) -> Before:
        return {"runs": self._runs()}

    def why_not_begun(self) -> str:
        return "`command.status` reports that the application runs" if self._runs() else ""

    def begin(self, before: Before) -> None:
        run_program(self._options.stop, timeout=self._timeout)

    def why_not_ended(self, before: Before) -> str:
        runs = self._runs()
        if runs == before["runs"]:
            return ""
        return f"`command.status` reports that the application {'runs' if runs else 'does not run'}"

    def end(self, before: Before) -> None:
        if before["runs"]:
            run_program(self._options.start, timeout=self._timeout)

    def _runs(self) -> bool:
        code, _output = run_program(self._options.status, timeout=self._timeout, accept=range(126))
        return code == 0
