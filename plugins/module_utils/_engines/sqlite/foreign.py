# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Dumps of other tools, mended where they are known to break: of D1's export, and of the shell of SQLite.

Known defects of D1's export: https://github.com/cloudflare/workers-sdk/issues/5683 (rows before the tables that they
refer to), bare words for infinities, NUL within texts. The order does not matter here, because references are checked
after all rows are loaded.
"""

from __future__ import annotations

import itertools
import os
import re
import sqlite3
import typing as t
from dataclasses import asdict, dataclass

from ..._core.errors import ErrorKind, RecoveryError
from .confined import confine
from .exact import literal
from .load import Loaded, Loader, loading_text
from .opened import OpenedSet, opened_file
from .schema import quoted
from .statements import Statement, Token, complete_statements, shortened, split_statements, tokens, unquoted

_INFINITIES = {"infinity": "9.0e+999", "inf": "9.0e+999"}
_INFINITY = re.compile(r"\binf(inity)?\b", re.IGNORECASE)
#: The escapes of C(unistr()). https://www.sqlite.org/lang_corefunc.html#unistr
_UNICODE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|\+([0-9a-fA-F]{6})|([0-9a-fA-F]{4})|\\)")
_COUNTER = re.compile(r"(DELETE\s+FROM|INSERT\s+INTO)\s+[\"'`\[]?sqlite_sequence\b", re.IGNORECASE)

#: Statements that read or write other files than the one that is loaded.
_BEYOND = ("ATTACH", "DETACH", "VACUUM")


@dataclass(frozen=True)
class StatementFault:
    """The failure of a load: line and shortened text of the statement, and the message of SQLite."""

    line: int
    problem: str
    statement: str


class StatementRefused(RecoveryError):
    """A dump that does not load because of one statement."""

    def __init__(self, path: str, why: str, statement: Statement) -> None:
        self.at = StatementFault(statement.line, why, shortened(statement.text))
        newer = f"Load the dump on a host with a newer SQLite than {sqlite3.sqlite_version}, or use another dump."
        super().__init__(
            ErrorKind.DAMAGED,
            f"The dump {path} does not load: {why} at {self.at.statement}.",
            next_step=newer if statement.word == "CREATE" else "Use another dump.",
            details=asdict(self.at),
        )


def open_dump(path: str, folder: str) -> OpenedSet:
    """Load a text of SQL into a file of the folder.

    Raises RecoveryError: invalid_options for what cannot be read, damaged for a dump that is cut off, does not load,
    or breaks its own references.
    """
    target = os.path.join(folder, "loaded.sqlite")
    ending = Ending()
    loaded = load_dump(path, target, ending.see)
    if ending.problem:
        raise _damaged(path, ending.problem)
    opened = opened_file(target, loaded)
    if not opened.schema.tables:
        raise _damaged(path, "it makes no table")
    return opened


def load_dump(path: str, target: str, see: t.Callable[[Statement], None]) -> Loaded:
    """Load a text of SQL into a new file of SQLite; return the definitions that could not be loaded. see is called with
    each statement before it runs.

    Raises RecoveryError: invalid_options for what cannot be read, spool_full, damaged for what does not load or breaks
    its own references. The details of damaged hold line, problem and statement where one of them is at fault.
    """
    with loading_text(target, _size(path)) as (connection, limits):
        loader = Loader(connection, limits, {})
        for statement in read_dump(path):
            see(statement)
            if statement.kind != "transaction":
                _run(loader, statement, path)
        loader.finish()
    _require_sound(target, path)
    return loader.loaded


def read_dump(path: str) -> t.Iterator[Statement]:
    """The statements of a file with their lines in it. Raises RecoveryError: invalid_options, or damaged for no SQL."""
    line = 1
    try:
        with open(path, encoding="utf-8-sig", newline="") as stream:
            for text in complete_statements(stream):
                yield from split_statements(text, first_line=line)
                line += text.count("\n")
    except OSError as error:
        raise RecoveryError(
            ErrorKind.INVALID_OPTIONS, f"{path} cannot be read ({error.strerror}).", next_step="Check its path."
        ) from None
    except UnicodeDecodeError:
        raise _damaged(path, "it is no text in UTF-8") from None
    except RecoveryError as error:
        raise _damaged(path, error.what.rstrip(".")) from None


class Ending:
    """Whether a dump is complete. A dump of the shell ends with COMMIT; a dump of D1 has neither BEGIN nor COMMIT."""

    def __init__(self) -> None:
        self._begun = 0
        self._gave_up = False
        self._complete = True

    def see(self, statement: Statement) -> None:
        self._complete = statement.ended
        if statement.word == "BEGIN":
            self._begun += 1
        elif statement.word in ("COMMIT", "END"):
            self._begun -= 1
        elif statement.word == "ROLLBACK":
            self._gave_up = True

    @property
    def problem(self) -> t.Optional[str]:
        if self._gave_up:
            return "it ends with ROLLBACK, because the database could not be read when it was made"
        if not self._complete:
            return "its last statement has no end, so it is cut off"
        return "it has a BEGIN without COMMIT, so it is cut off" if self._begun > 0 else None


def has_infinity(text: str) -> bool:
    """Whether a statement has a word that stands for an infinity."""
    return bool(_INFINITY.search(text)) and any(_is_infinity(token) for token in tokens(text))


def _is_infinity(token: Token) -> bool:
    return token.kind == "word" and token.text.lower() in _INFINITIES


def _size(path: str) -> int:
    try:
        return os.path.getsize(path)
    except OSError:
        # read_dump reports it.
        return 0


def _run(loader: Loader, statement: Statement, path: str) -> None:
    if statement.word in _BEYOND:
        raise StatementRefused(path, f"{statement.word} has no place in a dump", statement)
    text = _with_nul(statement.text) if "\0" in statement.text else statement.text
    run = loader.run_row if statement.kind == "write" else loader.run
    try:
        run(text)
    except (sqlite3.Error, sqlite3.Warning, ValueError) as error:
        if "disk is full" in str(error) and loader.reason(error) == str(error):
            raise RecoveryError(
                ErrorKind.SPOOL_FULL, f"There is no room to load {path}.", next_step="Make room for temporary files."
            ) from None
        if _COUNTER.match(text) and "no such table" in str(error):
            # There is no counter without a table that counts.
            return
        mended = _mended(text)
        if mended == text or loader.reason(error) != str(error):
            raise StatementRefused(path, loader.reason(error), statement) from None
        try:
            run(mended)
        except (sqlite3.Error, ValueError):
            raise StatementRefused(path, str(error), statement) from None


def _mended(text: str) -> str:
    """A statement without what only newer versions of SQLite read: C(unistr('a\\u000ab')), which the shell writes since
    3.50, and 1_000_000 of 3.46. Infinities, which D1's export writes as words, as numbers.
    """
    found = list(tokens(text))
    pieces = []
    place = 0
    while place < len(found):
        token = found[place]
        place += 1
        if token.text.lower() == "unistr" and [one.text for one in found[place : place + 1]] == ["("]:
            # A quote within a text is doubled, which makes two tokens of it.
            rest = itertools.islice(found, place + 1, None)
            parts = [one.text for one in itertools.takewhile(lambda one: one.text.startswith("'"), rest)]
            place += len(parts) + 2
            pieces.append(literal(_UNICODE.sub(_character, unquoted("".join(parts)))))
        elif _is_infinity(token):
            pieces.append(_INFINITIES[token.text.lower()])
        else:
            pieces.append(token.text.replace("_", "") if token.kind == "number" else token.text)
    return "".join(pieces)


def _character(found: t.Match[str]) -> str:
    digits = found.group(1) or found.group(2) or found.group(3) or found.group(4)
    return chr(int(digits, 16)) if digits else "\\"


def _with_nul(text: str) -> str:
    """Texts with NUL, which D1's export writes as it is and SQLite takes only as bytes."""
    pieces = []
    # A quote within a text is doubled, which makes two tokens of it.
    for is_text, run in itertools.groupby(tokens(text), lambda token: token.text.startswith("'")):
        joined = "".join(token.text for token in run)
        pieces.append(literal(joined[1:-1].replace("''", "'")) if is_text and "\0" in joined else joined)
    return "".join(pieces)


def _require_sound(target: str, path: str) -> None:
    connection = sqlite3.connect(target)
    broken: t.List[t.Any] = []
    try:
        confine(connection)
        verdicts = [str(row[0]) for row in connection.execute("PRAGMA quick_check(1000)")]
        names = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table' AND rootpage > 0").fetchall()
        for (name,) in names:
            try:
                broken += connection.execute(f"PRAGMA foreign_key_check({quoted(name)})").fetchmany(1)
            except sqlite3.OperationalError as error:
                # D1 and SQLite hold such rows, although they take no new ones.
                if "foreign key mismatch" not in str(error):
                    raise
    except sqlite3.Error as error:
        raise _damaged(path, f"the database that it creates cannot be read: {error}") from None
    finally:
        connection.close()
    # D1 and SQLite hold rows that break a CHECK as well.
    unsound = [verdict for verdict in verdicts if verdict != "ok" and not verdict.startswith("CHECK constraint failed")]
    if unsound:
        raise _damaged(path, f"the database that it creates is damaged ({unsound[0]})")
    if broken:
        raise _damaged(path, f"rows of {broken[0][0]} refer to rows of {broken[0][2]} that it does not hold")


def _damaged(path: str, why: str) -> RecoveryError:
    return RecoveryError(ErrorKind.DAMAGED, f"The dump {path} does not load: {why}.", next_step="Use another dump.")
