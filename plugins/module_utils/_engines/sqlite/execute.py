# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs a text of SQL: taken apart, checked whole before anything runs, in batches that the engine can take."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from ..._core.clock import Timings
from ..._core.errors import Applied, ErrorKind, RecoveryError
from ..._core.options import INTERNAL, option
from .engine import Bound, Engine, Limits, StatementResult
from .statements import Statement, bind_exactly, shortened, split_statements
from .values import as_json, from_json


@dataclass(frozen=True)
class ExecuteRequest:
    """Statements to run. params belong to the only statement. most_rows limits the shown rows of the last SELECT."""

    sql: str = field(metadata=INTERNAL)
    params: t.Sequence[t.Any] = ()
    read_only: bool = False
    most_rows: int = field(default=1000, metadata=option("max_rows"))
    check_mode: bool = False


@dataclass
class ExecuteResult:
    """statements has the kind and the effect of each. rows are dictionaries, with values of as_json."""

    changed: bool = False
    statements: t.List[t.Dict[str, t.Any]] = field(default_factory=list)
    columns: t.Sequence[str] = ()
    rows: t.List[t.Dict[str, t.Any]] = field(default_factory=list)
    row_count: int = 0
    changes: int = 0
    rows_read: int = 0
    rows_written: int = 0
    batches: int = 0
    executed: bool = False
    bookmark_before: t.Optional[str] = None
    bookmark_after: t.Optional[str] = None
    timings: t.Mapping[str, float] = field(default_factory=dict)
    summary: str = ""


class _Planned(t.NamedTuple):
    statement: Statement
    bound: Bound


def execute(engine: Engine, request: ExecuteRequest) -> ExecuteResult:
    """Run all statements, batch by batch; each batch is applied as a whole or not at all.

    Raises RecoveryError: invalid_options before anything runs, for SQL that is cut off, that writes although it must
    only read, or that the engine's limits forbid; query_failed and those of the engine with batches and applied.
    """
    timings = Timings()
    batches = plan_batches(request, engine.limits)
    planned = [item for batch in batches for item in batch]
    writes = any(not item.statement.reads_only for item in planned)
    result = ExecuteResult(batches=len(batches))
    result.statements = [
        {"line": item.statement.line, "kind": item.statement.kind, "sql": shortened(item.statement.text)}
        for item in planned
    ]
    if request.check_mode and writes:
        result.changed = True
        result.summary = f"Would run {len(planned)} statements in {len(batches)} batches on {engine.location}."
        return result
    done: t.List[StatementResult] = []
    with timings.phase("execute"):
        if writes:
            result.bookmark_before = engine.bookmark()
        for number, batch in enumerate(batches):
            try:
                done += engine.run([item.bound for item in batch])
            except RecoveryError as error:
                raise _stopped(error, number, batches, result.bookmark_before) from None
        if writes:
            result.bookmark_after = engine.bookmark()
    _tell(result, planned, done, request.most_rows)
    result.timings = timings.as_dict()
    result.summary = (
        f"Ran {len(planned)} statements in {len(batches)} batches on {engine.location}: "
        f"{result.row_count} rows given, {result.changes} changed."
    )
    return result


def plan_batches(request: ExecuteRequest, limits: Limits) -> t.List[t.List[_Planned]]:
    """The statements in batches. Statements between BEGIN and COMMIT are in one batch."""
    batches: t.List[t.List[_Planned]] = []
    together: t.Optional[t.List[_Planned]] = None
    size = 0
    for statement in _statements(request):
        if statement.kind == "transaction":
            if statement.word == "BEGIN" and together is None:
                together = []
            elif statement.word in ("COMMIT", "END") and together is not None:
                batches += [together] if together else []
                together, size = None, 0
            else:
                raise _invalid(
                    f"{statement.word} in line {statement.line} is not supported.",
                    "Leave it out: each batch is a transaction; BEGIN and COMMIT around statements keep them together.",
                )
            continue
        item = _Planned(statement, _bound(statement, request, limits))
        length = len(statement.text.encode())
        if together is not None:
            together.append(item)
            _require_fitting(together, limits, statement)
            continue
        full = size == 0 or (limits.batch_size and size + length > limits.batch_size)
        if full or (limits.batch_statements and len(batches[-1]) >= limits.batch_statements):
            batches.append([])
            size = 0
        batches[-1].append(item)
        size += length
    if together is not None:
        raise _invalid("A BEGIN has no COMMIT.", "The SQL may be cut off; complete it.")
    return batches


def _statements(request: ExecuteRequest) -> t.Iterator[Statement]:
    found = list(split_statements(request.sql))
    if not found:
        raise _invalid("There is no statement.", "Give sql or a file with some.")
    if request.params and len(found) != 1:
        raise _invalid(f"params are for one statement, and there are {len(found)}.", "Run them one by one.")
    for statement in found:
        if request.read_only and not statement.reads_only and statement.kind != "transaction":
            raise _invalid(
                f"Line {statement.line} writes, which read_only forbids: {shortened(statement.text)}",
                "Leave it out, or set read_only to false.",
            )
    return iter(found)


def _bound(statement: Statement, request: ExecuteRequest, limits: Limits) -> Bound:
    params = [from_json(value) for value in request.params]
    text, sent = bind_exactly(statement.text, params)
    if limits.statement_size and len(text.encode()) > limits.statement_size:
        raise _invalid(
            f"The statement in line {statement.line} has {len(text.encode())} bytes; D1 takes {limits.statement_size}.",
            "Give long values as parameters, or restore the file with lifeline.recovery.d1_restore.",
        )
    if limits.params and len(sent) > limits.params:
        raise _invalid(
            f"The statement in line {statement.line} has {len(sent)} parameters; D1 takes {limits.params}.",
            "Write several statements.",
        )
    return Bound(statement.text, params, statement.line, statement.reads_only)


def _require_fitting(together: t.Sequence[_Planned], limits: Limits, statement: Statement) -> None:
    size = sum(len(item.statement.text.encode()) for item in together)
    if limits.batch_size and size > limits.batch_size:
        raise _invalid(
            f"The transaction up to line {statement.line} has {size} bytes; {limits.batch_size} fit into one request.",
            "Split it, or leave BEGIN and COMMIT out.",
        )


def _tell(
    result: ExecuteResult, planned: t.Sequence[_Planned], done: t.Sequence[StatementResult], most_rows: int
) -> None:
    result.executed = True
    for shown, item, outcome in zip(result.statements, planned, done):
        shown["rows"], shown["changes"] = len(outcome.rows), 0 if item.statement.reads_only else outcome.changes
        result.changes += shown["changes"]
        result.rows_read += outcome.rows_read
        result.rows_written += 0 if item.statement.reads_only else outcome.rows_written
        if outcome.columns:
            result.columns, result.row_count = outcome.columns, len(outcome.rows)
            result.rows = [
                {name: as_json(value) for name, value in zip(outcome.columns, row)} for row in outcome.rows[:most_rows]
            ]
    result.changed = bool(result.changes) or any(item.statement.kind in ("schema", "pragma") for item in planned)


def _stopped(
    error: RecoveryError, number: int, batches: t.Sequence[t.Sequence[_Planned]], bookmark: t.Optional[str]
) -> RecoveryError:
    """The failure with what was applied before it."""
    before = f"{number} of {len(batches)} batches were applied before it. " if number else ""
    back = (
        f" To go back to before the first: d1_time_travel with the bookmark {bookmark}." if number and bookmark else ""
    )
    return error.restated(
        left=before + error.left,
        next_step=error.next_step + back,
        details={
            "batches": len(batches),
            "batches_applied": number,
            "changed": number > 0 or error.applied in (Applied.MAYBE, Applied.UNKNOWN),
            "bookmark_before": bookmark,
        },
    )


def _invalid(what: str, next_step: str) -> RecoveryError:
    return RecoveryError(ErrorKind.INVALID_OPTIONS, what, left="Nothing was executed.", next_step=next_step)
