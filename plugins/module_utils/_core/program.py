# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs a program to its end, and keeps its output."""

from __future__ import annotations

import contextlib
import os
import tempfile
import threading
import time
import typing as t
from dataclasses import dataclass

from .errors import ErrorKind, RecoveryError
from .process import Child


@dataclass(frozen=True)
class Done:
    """code is the exit code; output is standard output, errors the last lines of standard error."""

    code: int
    output: bytes
    errors: str


def run(
    arguments: t.Sequence[str],
    environment: t.Mapping[str, str],
    user: t.Optional[str],
    stdin: t.Optional[int] = None,
    timeout: t.Optional[float] = None,
) -> Done:
    """Run a program to its end. It is killed with this process, and after timeout seconds.

    Raises RecoveryError: client_missing, timeout.
    """
    with tempfile.TemporaryFile() as output:
        given: t.Dict[str, t.Any] = {} if stdin is None else {"stdin": stdin}
        try:
            with Child(arguments, environment, stdout=output.fileno(), user=user, **given) as child:
                began = time.monotonic()
                with _killed_after(timeout, child):
                    errors = list(child.lines())[-30:]
                    code = child.wait()
        except FileNotFoundError:
            raise RecoveryError(
                ErrorKind.CLIENT_MISSING,
                f"The program {arguments[0]} is missing on this host.",
                next_step=f"Install the package that has {os.path.basename(arguments[0])}.",
            ) from None
        if timeout and code < 0 and time.monotonic() - began >= timeout:
            raise RecoveryError(
                ErrorKind.TIMEOUT,
                f"{os.path.basename(arguments[0])} did not end within {timeout:g} seconds.",
                next_step="Check the network, or raise `timeout`.",
            )
        output.seek(0)
        return Done(code, output.read(), "\n".join(errors))


@contextlib.contextmanager
def _killed_after(seconds: t.Optional[float], child: Child) -> t.Iterator[None]:
    clock = threading.Timer(seconds or 0, child.kill)
    clock.daemon = True
    if seconds:
        clock.start()
    try:
        yield
    finally:
        clock.cancel()
