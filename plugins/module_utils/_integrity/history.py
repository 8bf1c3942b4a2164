# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The values of earlier runs, which the audit records of checks hold."""

from __future__ import annotations

import itertools
import typing as t
from decimal import Decimal

from .._core.clock import parse_instant, utc_now
from .._core.shapes import instant, optional, record, text
from .._repository.audit import AuditRecord, recent_audits
from .._repository.clocks import TOLERANCE
from .._store.base import ObjectStore
from .check import CannotVerify, Value

#: Months and results that are searched for a value. Each result holds the values that its run compared.
_MONTHS, _RESULTS = 3, 200

LONGEST_NUMBER, LONGEST_REASON = 400, 500
_VALUE = record(
    {
        "subject": text(longest=1000),
        "value": text(r"-?[0-9]+(\.[0-9]+)?", longest=LONGEST_NUMBER),
        "at": instant,
        "accepted": optional(text(longest=LONGEST_REASON)),
    }
)


class AuditHistory:
    """The values of one source by their keys. Results are read when they are needed, the newest first.

    measured: what the audit record of this run will hold.
    """

    def __init__(self, open_store: t.Callable[[], ObjectStore], source: str) -> None:
        self._open_store, self._source = open_store, source
        self._read: t.List[AuditRecord] = []
        self._unread: t.Optional[t.Iterator[AuditRecord]] = None
        self.measured: t.Dict[str, t.Dict[str, t.Any]] = {}

    def find(self, key: str) -> t.Optional[Value]:
        """The newest value of this key. Raises CannotVerify for a damaged one, and RecoveryError as the store does."""
        for result in self._results():
            values = result.details.get("measured")
            if isinstance(values, dict) and key in values:
                return _parsed(values[key], result.key)
        return None

    def keep(self, key: str, subject: str, value: Value) -> None:
        """Have the audit record of this run hold a value."""
        self.measured[key] = {
            "subject": subject[:1000],
            "value": f"{value.number:f}",
            "at": value.at,
            "accepted": value.accepted,
        }

    def _results(self) -> t.Iterator[AuditRecord]:
        yield from self._read
        if self._unread is None:
            now = utc_now()
            found = recent_audits(self._open_store(), self._source, "check", now, months=_MONTHS)
            # A result of the future would hide all later ones.
            past = (result for result in found if parse_instant(result.performed_at) <= now + TOLERANCE)
            self._unread = itertools.islice(past, _RESULTS)
        for result in self._unread:
            self._read.append(result)
            yield result


def _parsed(given: t.Any, where: str) -> Value:
    try:
        _VALUE(given, "")
    except ValueError as error:
        raise CannotVerify(f"The value of the last run in {where} is damaged: {error}.") from None
    return Value(Decimal(given["value"]), given["at"], given["accepted"])
