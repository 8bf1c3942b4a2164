# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""SQL files of other tools: complete, with the expected tables, and loadable. No database is read."""

from __future__ import annotations

import os
import typing as t
from dataclasses import asdict, dataclass

from .._core.errors import ErrorKind, RecoveryError
from .._core.process import scratch_folder
from .._engines.postgresql.foreign.archive import inspect_dump
from .._engines.postgresql.foreign.script import describe_script
from .._engines.postgresql.server.names import QualifiedName
from .._engines.sqlite.dump_facts import DumpFacts
from .._engines.sqlite.file import FileEngine
from .._engines.sqlite.foreign import StatementRefused, load_dump, read_dump
from .._engines.sqlite.schema import read_schema
from .._engines.sqlite.statements import Statement
from .check import CannotVerify, Check, Context
from .options import OptionReader
from .result import Finding, Sample


@dataclass(frozen=True)
class SqliteDump(Check):
    """A dump of D1 or of the SQLite shell is complete and loads, and every row keeps its foreign keys."""

    needs_database = False

    path: str
    present: t.Tuple[str, ...]
    least: t.Optional[int]
    load: bool

    @classmethod
    def read(cls, options: OptionReader) -> SqliteDump:
        return cls(
            options.text("path"),
            options.texts("present"),
            options.integer("min_tables"),
            options.boolean("load", True),
        )

    @property
    def subject(self) -> str:
        return self.path

    def run(self, context: Context) -> Finding:
        facts = DumpFacts(context.sample)

        def see(statement: Statement) -> None:
            context.require_time()
            facts.see(statement)

        fault: t.Optional[RecoveryError] = None
        names = facts.tables
        try:
            if self.load:
                names = _loaded_tables(self.path, see)
            else:
                for statement in read_dump(self.path):
                    see(statement)
        except RecoveryError as error:
            if error.kind != ErrorKind.DAMAGED:
                raise CannotVerify(error.what) from None
            fault = error
        missing = [name for name in self.present if name not in names]
        problems = _too_few(facts.plain_tables, self.least, missing)
        sample: Sample = [vars(note) for note in facts.notes]
        # A dump that failed to load was not read to its end, so its tables are not known.
        if fault:
            problems, sample = [fault.what.rstrip(".")], []
            if isinstance(fault, StatementRefused):
                # The statement, which may hold a row, is only in the sample.
                problems, sample = [f"SQLite refuses the statement in line {fault.at.line}"], [asdict(fault.at)]
        if facts.cut_off and (fault is None or facts.ends_within):
            problems.insert(0, facts.cut_off)
        expected = {"present": list(self.present), "min_tables": self.least}
        actual = {
            "missing": missing,
            "tables": facts.plain_tables,
            "statements": facts.statements,
            "refused_by_d1": dict(facts.problems),
        }
        if problems:
            return Finding(False, expected, actual, _sentence(problems), sample[: context.sample])
        message = f"It holds {_tables(facts.plain_tables)}, ends correctly{' and loads' if self.load else ''}."
        if facts.problems:
            message += (
                f" D1 would not import it unchanged ({'; '.join(_counted(facts.problems))}); d1_restore corrects that."
            )
        return Finding(True, expected, actual, message, sample)


@dataclass(frozen=True)
class PostgresDump(Check):
    """A plain dump of pg_dump is complete and holds the expected tables. It is not loaded."""

    needs_database = False

    path: str
    present: t.Tuple[QualifiedName, ...]
    least: t.Optional[int]

    @classmethod
    def read(cls, options: OptionReader) -> PostgresDump:
        return cls(options.text("path"), options.tables("present"), options.integer("min_tables"))

    @property
    def subject(self) -> str:
        return self.path

    def run(self, context: Context) -> Finding:
        expected = {"present": [str(name) for name in self.present], "min_tables": self.least}
        try:
            dump = inspect_dump(self.path)
            if dump.format != "script":
                raise CannotVerify(f"{self.path} is an archive and not a text of SQL; pg_restore verifies it.")
            facts = describe_script(_in_time(context, dump.chunks()))
        except RecoveryError as error:
            if error.kind != ErrorKind.DAMAGED:
                raise CannotVerify(error.what) from None
            return Finding(False, expected, None, error.what)
        missing = [str(name) for name in self.present if name not in facts.tables]
        problems = [facts.damage] if facts.damage else []
        if facts.statements and not facts.headed:
            problems.append("it does not start with the header of pg_dump")
        if facts.headed and not facts.ended and not facts.damage:
            problems.append("statements follow the last line of pg_dump")
        problems += _too_few(facts.count, self.least, missing)
        refused = asdict(facts.refusal) if facts.refusal else None
        actual = {"missing": missing, "tables": facts.count, "refused_by_pg_restore": refused}
        if problems:
            return Finding(False, expected, actual, _sentence(problems))
        message = f"It holds {_tables(facts.count)} and ends correctly."
        if facts.refusal:
            message += (
                f" pg_restore refuses it: line {facts.refusal.line}, {facts.refusal.title}: {facts.refusal.reason}."
            )
        return Finding(True, expected, actual, message)


def _loaded_tables(path: str, see: t.Callable[[Statement], None]) -> t.Set[str]:
    with scratch_folder("lifeline-check-") as folder:
        target = os.path.join(folder, "loaded.sqlite")
        load_dump(path, target, see)
        engine = FileEngine(target, read_only=True)
        try:
            return {table.name for table in read_schema(engine).tables}
        finally:
            engine.close()


def _too_few(count: int, least: t.Optional[int], missing: t.Sequence[str]) -> t.List[str]:
    problems = [f"the tables {', '.join(missing)} are missing"] if missing else []
    if least is not None and count < least:
        problems.append(f"it holds {_tables(count)}, at least {least} were expected")
    return problems


def _tables(count: int) -> str:
    return f"{count} table{'' if count == 1 else 's'}"


def _counted(problems: t.Mapping[str, int]) -> t.List[str]:
    return [problem if count == 1 else f"{count} times {problem}" for problem, count in sorted(problems.items())]


def _sentence(problems: t.Sequence[str]) -> str:
    text = "; ".join(problems)
    return f"{text[0].upper()}{text[1:]}."


def _in_time(context: Context, chunks: t.Iterable[bytes]) -> t.Iterator[bytes]:
    for chunk in chunks:
        context.require_time()
        yield chunk
