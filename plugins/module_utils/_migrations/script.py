# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The statements of a migration, and whether one transaction can hold them. Pure."""

from __future__ import annotations

import hashlib
import re
import typing as t
from dataclasses import dataclass

from .._core.errors import ErrorKind, RecoveryError
from .._engines.postgresql.foreign.script import GuardedScript
from .._engines.postgresql.foreign.script_lexer import Statement
from .._engines.postgresql.foreign.script_rules import runs_alone

#: The separator of statements when the texts of a ledger are read or compared as one script.
SEPARATOR = "\n;\n"

#: Statements that begin or end a transaction; "ROLLBACK TO" a savepoint does neither.
_CONTROL = frozenset(["BEGIN", "START", "COMMIT", "END", "ROLLBACK", "ABORT"])
_WRITING = frozenset(["DELETE", "UPDATE", "TRUNCATE", "MERGE"])
#: Objects that hold rows or values, or that take such objects with them.
_HOLDING = frozenset(["TABLE", "SCHEMA", "DATABASE", "SEQUENCE", "EXTENSION", "OWNED"])
#: Parts of a table that hold no values.
_WITHOUT_VALUES = frozenset(["CONSTRAINT", "DEFAULT", "NOT", "EXPRESSION", "IDENTITY"])


#: Statements of a file that a result lists.
_LISTED = 200


@dataclass(frozen=True)
class Step:
    """One statement. number and line: from 1. title: its beginning, without constants.

    is_row: the statement inserts constants only. backslash_quotes: how the server must read text after the statement.
    """

    number: int
    line: int
    text: str
    title: str
    is_row: bool
    backslash_quotes: bool

    @property
    def place(self) -> str:
        return f"statement {self.number} (line {self.line}, {self.title})"

    def line_at(self, position: t.Optional[int]) -> int:
        """The line of a character of the statement, which the server counts from 1."""
        return self.line + self.text.count("\n", 0, max(0, (position or 1) - 1))


@dataclass(frozen=True)
class Script:
    """file: for messages. destructive: the steps that delete or overwrite data by themselves.

    separate: the first step that no transaction can hold, or that begins or ends one; None if one transaction can hold
    the script.
    """

    file: str
    sha256: str
    steps: t.Tuple[Step, ...]
    destructive: t.Tuple[Step, ...]
    separate: t.Optional[Step]

    @classmethod
    def without_statements(cls, file: str) -> Script:
        return cls(file, "", (), (), None)

    @property
    def statements(self) -> t.List[str]:
        """The texts for a ledger."""
        return [step.text for step in self.steps]

    @property
    def digest(self) -> str:
        """The digest that the statements have in a ledger."""
        return hashlib.sha256(SEPARATOR.join(self.statements).encode()).hexdigest()

    def described(self, version: str, name: str, transaction: bool) -> t.Dict[str, t.Any]:
        """The script as a result shows it, with its first statements."""
        return {
            "version": version,
            "name": name,
            "file": self.file,
            "transaction": transaction,
            "statement_count": len(self.steps),
            "statements": [
                {"number": step.number, "line": step.line, "statement": step.title} for step in self.steps[:_LISTED]
            ],
        }


def read_script(file: str, data: bytes) -> Script:
    """Raises RecoveryError(migration_refused) for what PostgreSQL would not read as the author of the file meant."""
    try:
        data.decode()
    except UnicodeDecodeError as error:
        raise refused(file, f"line {data.count(10, 0, error.start) + 1} is not UTF-8", "Save it as UTF-8.") from None
    # The semicolon of the last statement is optional.
    script = GuardedScript([data, b"\n;"], lenient=True, own=True)
    steps: t.List[Step] = []
    destructive: t.List[Step] = []
    separate: t.Optional[Step] = None
    try:
        for statement in script:
            step = Step(
                len(steps) + 1,
                statement.line,
                statement.text.decode().strip(),
                statement.title,
                statement.row,
                script.backslash_quotes,
            )
            if statement.takes_rows:
                where = f"line {step.line}, {step.title}"
                raise refused(file, f"{where}: it reads rows from the file", "Write the rows as INSERT statements.")
            steps.append(step)
            if separate is None and (runs_alone(statement) or _controls(statement)):
                separate = step
            if _destroys(statement):
                destructive.append(step)
    except RecoveryError as error:
        if error.kind != ErrorKind.DAMAGED:
            raise
        raise error.restated(
            kind=ErrorKind.MIGRATION_REFUSED, what=f"{file} is refused. {error.what}", next_step="Correct the file."
        ) from None
    refusal = script.facts.refusal
    if refusal is not None:
        where = f"line {refusal.line}, {refusal.title}"
        raise refused(file, f"{where}: {refusal.reason}", "Remove the command; only psql could run it.")
    return Script(file, hashlib.sha256(data).hexdigest(), tuple(steps), tuple(destructive), separate)


def same_statements(script: Script, recorded: t.Sequence[str]) -> bool:
    """Whether the texts of a ledger are the statements of the script, however they were split and commented."""
    if script.statements == list(recorded):
        return True
    try:
        other = read_script("", SEPARATOR.join(recorded).encode("utf-8", "replace"))
    except RecoveryError:
        return False
    return other.statements == script.statements


def refused(file: str, why: str, next_step: str) -> RecoveryError:
    return RecoveryError(ErrorKind.MIGRATION_REFUSED, f"{file} is refused: {why}.", next_step=next_step)


def _controls(statement: Statement) -> bool:
    first, rest = statement.tokens[0], statement.tokens[1:]
    return (first in _CONTROL and "TO" not in rest[:2]) or (first == "PREPARE" and rest[:1] == ["TRANSACTION"])


def _destroys(statement: Statement) -> bool:
    """Whether the statement deletes or overwrites data. Functions and blocks that it runs are not read."""
    tokens, names = statement.tokens, statement.names
    first, rest = tokens[0], tokens[1:]
    if first in _WRITING:
        return True
    if first == "WITH":
        return bool(names & {"delete", "update", "merge"})
    if first == "INSERT":
        return {"conflict", "update"} <= names and not statement.row
    if first == "DROP":
        return bool(_HOLDING & set(rest[:2])) or "CASCADE" in rest
    if first == "ALTER" and rest[:1] in (["TABLE"], ["TYPE"], ["FOREIGN"]):
        return any(_alters_values(rest, index) for index in range(1, len(rest)))
    return False


def _alters_values(tokens: t.Sequence[str], index: int) -> bool:
    """Whether a part of a table or a type is dropped here, or a column gets another type: ALTER a SET DATA TYPE b."""
    if tokens[index] == "DROP":
        return tokens[index + 1 : index + 2] not in [[part] for part in _WITHOUT_VALUES]
    before = tokens[max(1, index - 5) : index]
    return tokens[index] == "TYPE" and "ALTER" in before and "ADD" not in before


def shortened(text: str) -> str:
    """A name of a file that can be printed."""
    return re.sub(r"[^\x20-\x7e\xa0-\uffff]", "?", text.encode("utf-8", "replace").decode())
