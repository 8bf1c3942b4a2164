# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Work that is waited for no longer than it may take."""

from __future__ import annotations

import queue
import threading
import typing as t

from .errors import ErrorKind, RecoveryError

_Result = t.TypeVar("_Result")

#: Bytes per second below which a transfer counts as stalled. Two megabits are 250,000.
SLOWEST = 16 * 1024


def transfer_limit(timeout: float, size: int = 0) -> float:
    """Seconds for a request that moves so many bytes. timeout, of a single wait, ends no server that drips bytes."""
    return 2 * timeout + size / SLOWEST


def within(seconds: float, place: str, work: t.Callable[[], _Result]) -> _Result:
    """Return the result of work, or raise its error. Raises RecoveryError(timeout) if work takes longer.

    A thread that then still waits for an answer cannot be stopped; it ends with this process.
    """
    outcome: queue.Queue[t.Tuple[t.Optional[BaseException], t.Any]] = queue.Queue()

    def run() -> None:
        try:
            outcome.put((None, work()))
        except BaseException as error:
            outcome.put((error, None))

    threading.Thread(target=run, daemon=True).start()
    try:
        error, result = outcome.get(timeout=seconds)
    except queue.Empty:
        raise RecoveryError(
            ErrorKind.TIMEOUT,
            f"{place} did not answer within {seconds:g} seconds.",
            next_step="Check whether it hangs.",
        ) from None
    if error is not None:
        raise error
    return t.cast(_Result, result)
