# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Instants in UTC for people and file names; durations from the monotonic clock."""

from __future__ import annotations

import contextlib
import time
import typing as t
from datetime import datetime, timezone

from .errors import ErrorKind, RecoveryError

_COMPACT = "%Y%m%dT%H%M%SZ"


def utc_now() -> datetime:
    return datetime.now(timezone.utc)


def format_instant(instant: datetime) -> str:
    """RFC 3339 in UTC with milliseconds and offset: C(2026-03-01T02:00:05.123+00:00)."""
    return instant.astimezone(timezone.utc).isoformat(timespec="milliseconds")


def compact_instant(instant: datetime) -> str:
    """The sortable form used in keys and folder names: C(20260301T020005Z)."""
    return instant.astimezone(timezone.utc).strftime(_COMPACT)


def parse_instant(text: str) -> datetime:
    """Read RFC 3339 or the compact form; an instant without an offset is UTC. Gives it in UTC.

    Raises RecoveryError(invalid_options) for anything else.
    """
    cleaned = text.strip()
    try:
        if len(cleaned) == 16 and cleaned.endswith("Z") and "-" not in cleaned:
            return datetime.strptime(cleaned, _COMPACT).replace(tzinfo=timezone.utc)
        if cleaned.endswith(("Z", "z")):
            cleaned = cleaned[:-1] + "+00:00"
        parsed = datetime.fromisoformat(cleaned)
        return parsed.astimezone(timezone.utc) if parsed.tzinfo else parsed.replace(tzinfo=timezone.utc)
    except (ValueError, OverflowError):
        raise RecoveryError(
            ErrorKind.INVALID_OPTIONS,
            f"{text!r} is not an instant.",
            next_step="Write it as 2026-03-01T02:00:00Z.",
        ) from None


#: Called with a phase's name and C(start), C(ok) or C(failed), so that others can watch long work.
PhaseListener = t.Callable[[str, str], None]


class Timings:
    """Seconds per named phase; a phase entered twice adds up. The listener hears of each start and end."""

    def __init__(self, listener: t.Optional[PhaseListener] = None) -> None:
        self._started = time.monotonic()
        self._seconds: t.Dict[str, float] = {}
        self._listener = listener

    @contextlib.contextmanager
    def phase(self, name: str) -> t.Iterator[None]:
        began = time.monotonic()
        self._tell(name, "start")
        status = "failed"
        try:
            yield
            status = "ok"
        finally:
            self._seconds[name] = self._seconds.get(name, 0.0) + time.monotonic() - began
            self._tell(name, status)

    def _tell(self, name: str, event: str) -> None:
        if self._listener is not None:
            self._listener(name, event)

    def total(self) -> float:
        return time.monotonic() - self._started

    def as_dict(self) -> t.Dict[str, float]:
        """Phase name to seconds, rounded to milliseconds, with C(total) last."""
        rounded = {name: round(seconds, 3) for name, seconds in self._seconds.items()}
        rounded["total"] = round(self.total(), 3)
        return rounded
