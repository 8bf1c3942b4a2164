# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A means of a maintenance: something that is stopped or shown, and restored to its state before."""

from __future__ import annotations

import abc
import os
import subprocess
import time
import typing as t

from .._core.errors import ErrorKind, RecoveryError
from .._core.process import as_user

#: The state before, as JSON.
Before = t.Mapping[str, t.Any]

#: Seconds between two looks at the state.
_LOOK = 0.2


class Means(abc.ABC):
    """One means. Every step may be repeated: a run that was killed in it is continued by another run."""

    #: The name of the option, and of the kind in the stored state.
    kind: str

    @abc.abstractmethod
    def read(self) -> Before:
        """The state before. Raises RecoveryError for everything that would stop the step."""

    @abc.abstractmethod
    def why_not_begun(self) -> str:
        """The reason why the maintenance is not in effect, as a clause; empty if it is."""

    @abc.abstractmethod
    def begin(self, before: Before) -> None:
        """Stop or show what the maintenance needs."""

    @abc.abstractmethod
    def why_not_ended(self, before: Before) -> str:
        """The reason why the state is not the one before, as a clause; empty if it is."""

    @abc.abstractmethod
    def end(self, before: Before) -> None:
        """Restore the state before."""


def wait_until(seconds: float, why_not: t.Callable[[], str], poll: float = _LOOK) -> str:
    """Look until there is no reason left, or the time is over; the last reason."""
    deadline = time.monotonic() + seconds
    while True:
        reason = why_not()
        if not reason or time.monotonic() >= deadline:
            return reason
        time.sleep(poll)


def run_program(
    arguments: t.Sequence[str],
    *,
    timeout: float,
    accept: t.Collection[int] = (0,),
    user: t.Optional[str] = None,
    environment: t.Optional[t.Mapping[str, str]] = None,
) -> t.Tuple[int, str]:
    """The exit code and the output of a program. Raises RecoveryError: client_missing, timeout, service_failed.

    Errors hold the last line that the program printed to its standard error, and not its output.
    """
    named = os.path.basename(arguments[0])
    try:
        done = subprocess.run(
            list(arguments),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=timeout,
            check=False,
            env={**os.environ, **(environment or {})},
            **as_user(user),
        )
    except FileNotFoundError:
        raise RecoveryError(
            ErrorKind.CLIENT_MISSING, f"The program {arguments[0]} is missing on this host.", next_step="Install it."
        ) from None
    except OSError as error:
        raise RecoveryError(
            ErrorKind.SERVICE_FAILED, f"The program {arguments[0]} cannot be started: {error.strerror}."
        ) from None
    except subprocess.TimeoutExpired:
        raise RecoveryError(
            ErrorKind.TIMEOUT,
            f"{named} did not end within {timeout:g} seconds.",
            left="",
            next_step="Find out why it waits, or raise `timeout`.",
        ) from None
    if done.returncode not in accept:
        lines = done.stderr.decode("utf-8", "replace").strip().splitlines()
        reason = f": {lines[-1].strip().rstrip('.')[:200]}" if lines else ""
        raise RecoveryError(
            ErrorKind.SERVICE_FAILED, f"{named} failed with the exit code {done.returncode}{reason}.", left=""
        )
    return done.returncode, done.stdout.decode("utf-8", "replace")
