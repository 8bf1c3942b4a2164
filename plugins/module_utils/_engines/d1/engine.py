# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A database of D1 as an engine: exact values, and certainty about what a lost answer left behind."""

from __future__ import annotations

import time
import typing as t

from ..._core.errors import Applied, ErrorKind, RecoveryError
from ..._core.json_api import understood
from ..._repository.identity import Identity
from ..sqlite.engine import Bound, Engine, Limits, StatementResult
from ..sqlite.exact import LARGEST_EXACT, decode_row, exact_query
from ..sqlite.statements import bind_exactly
from .api import D1Api

#: https://developers.cloudflare.com/d1/platform/limits/
LIMITS = Limits(statement_size=100_000, params=100, batch_size=800_000, batch_statements=200)

_AGAIN = 5


class D1Engine:
    """One database. exclusive: nothing else writes to it, so that a bookmark that moved was moved by this."""

    limits = LIMITS
    loses_bytes = True

    def __init__(self, api: D1Api, uuid: str, name: str, *, exclusive: bool = False) -> None:
        self._api, self._uuid = api, uuid
        self._exclusive = exclusive
        self._known: t.Optional[str] = None
        self.location = f"D1 database {name}"
        self.identity: t.Optional[Identity] = Identity(uuid, name)

    def bookmark(self) -> t.Optional[str]:
        return self._api.bookmark(self._uuid)

    def state(self) -> str:
        return self._api.bookmark(self._uuid)

    def snapshot(self, folder: str) -> Engine:
        return self

    def close(self) -> None:
        """There is nothing to release."""

    def run(self, batch: t.Sequence[Bound]) -> t.List[StatementResult]:
        sent = [_sent(item) for item in batch]
        if all(item.reads_only for item in batch):
            results = [_result(item) for item in self._api.raw(self._uuid, sent, repeatable=True)]
            return [self._exactly(*pair) for pair in zip(batch, results)]
        return self._write(sent)

    def _write(self, sent: t.Sequence[t.Mapping[str, t.Any]]) -> t.List[StatementResult]:
        before = self._known or self._api.bookmark(self._uuid)
        attempt = 0
        while True:
            attempt += 1
            try:
                results = [_result(item) for item in self._api.raw(self._uuid, sent, repeatable=False)]
                self._known = self._api.bookmark(self._uuid)
                return results
            except RecoveryError as error:
                if error.applied != Applied.UNKNOWN:
                    raise
                self._known = None
                try:
                    after = self._api.bookmark(self._uuid)
                except RecoveryError:
                    raise error.restated(
                        left="Whether the batch was applied is not known: the bookmark cannot be read.",
                        next_step=f"Compare the bookmark of the database with {before}, the bookmark before the batch.",
                        details={"bookmark_before": before},
                    ) from None
                if after == before and attempt < _AGAIN:
                    # Nothing was applied: the same again does no harm.
                    time.sleep(min(5.0, 0.2 * 2**attempt))
                    continue
                if after != before and self._exclusive:
                    self._known = after
                    return [StatementResult() for _item in sent]
                raise _lost(error, before, after) from None

    def _exactly(self, statement: Bound, result: StatementResult) -> StatementResult:
        """The result read once more where JSON may have rounded it."""
        if not any(isinstance(value, int) and abs(value) >= LARGEST_EXACT for row in result.rows for value in row):
            return result
        query = exact_query(statement.text, len(result.columns))
        if query is None or statement.text.lstrip()[:7].upper() in ("EXPLAIN", "PRAGMA "):
            return result
        (again,) = self._api.raw(self._uuid, [_sent(Bound(query, statement.params))], repeatable=True)
        rows = [decode_row(row, len(result.columns)) for row in _result(again).rows]
        return StatementResult(result.columns, rows, result.changes, result.rows_read, result.rows_written)


def _sent(statement: Bound) -> t.Dict[str, t.Any]:
    text, params = bind_exactly(statement.text, statement.params)
    return {"sql": text, "params": params} if params else {"sql": text}


def _result(item: t.Mapping[str, t.Any]) -> StatementResult:
    with understood("the statements"):
        meta, given = item.get("meta") or {}, item.get("results") or {}
        columns = tuple(map(str, given.get("columns") or ()))
        rows = [[_value(value) for value in row] for row in given.get("rows") or ()]
        if any(len(row) != len(columns) for row in rows):
            raise ValueError
        return StatementResult(
            columns=columns,
            rows=rows,
            changes=int(meta.get("changes") or 0),
            rows_read=int(meta.get("rows_read") or 0),
            rows_written=int(meta.get("rows_written") or 0),
            last_row_id=meta.get("last_row_id"),
        )


def _value(value: t.Any) -> t.Any:
    if isinstance(value, dict):
        raise TypeError
    return bytes(value) if isinstance(value, list) else value


def _lost(error: RecoveryError, before: str, after: str) -> RecoveryError:
    applied = Applied.NO if before == after else Applied.MAYBE
    left = (
        "Nothing of the batch was applied: the bookmark is the same."
        if applied == Applied.NO
        else "The bookmark moved, so the batch was applied, unless another client wrote at the same time."
    )
    return error.restated(
        kind=ErrorKind.SERVICE_FAILED,
        left=left,
        next_step=f"To go back to before it: d1_time_travel with the bookmark {before}.",
        details={"bookmark_before": before, "bookmark_after": after},
        applied=applied,
    )
