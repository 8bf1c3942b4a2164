# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""SQL texts of SQLite taken apart: statements, what each does, and where its parameters are."""

from __future__ import annotations

import math
import re
import sqlite3
import typing as t
from dataclasses import dataclass

from ..._core.errors import ErrorKind, RecoveryError
from .exact import literal

#: The tokens of C(sqlite3_complete). https://www.sqlite.org/c3ref/complete.html
_TOKEN = re.compile(
    r"""
      (?P<space>[ \t\r\n\f]+)
    | (?P<comment>--[^\n]*|/\*.*?\*/)
    | (?P<quoted>'[^']*'|"[^"]*"|`[^`]*`|\[[^\]]*\])
    | (?P<number>\d[0-9A-Za-z_.]*)
    | (?P<word>[A-Za-z_$\x80-\U0010ffff][A-Za-z0-9_$\x80-\U0010ffff]*)
    | (?P<parameter>\?[A-Za-z0-9_$\x80-\U0010ffff]*|[:@][A-Za-z0-9_$\x80-\U0010ffff]+)
    | (?P<semi>;)
    | (?P<open>'|"|`|\[|/\*)
    | (?P<other>.)
    """,
    re.VERBOSE | re.DOTALL,
)

_SEMI, _OTHER, _EXPLAIN, _CREATE, _TEMP, _TRIGGER, _END = range(7)
_CLASSES = {
    "EXPLAIN": _EXPLAIN,
    "CREATE": _CREATE,
    "TEMP": _TEMP,
    "TEMPORARY": _TEMP,
    "TRIGGER": _TRIGGER,
    "END": _END,
}

#: By state, the next state for each class of token: a trigger ends with END between semicolons, all else with one.
_START = 0
_NEXT = (
    (0, 1, 2, 3, 1, 1, 1),  # begin of a statement
    (0, 1, 1, 1, 1, 1, 1),  # within one
    (0, 2, 1, 3, 1, 1, 1),  # after EXPLAIN
    (0, 1, 1, 1, 3, 4, 1),  # after CREATE
    (5, 4, 4, 4, 4, 4, 4),  # within a trigger
    (5, 4, 4, 4, 4, 4, 6),  # after a semicolon in a trigger
    (0, 4, 4, 4, 4, 4, 4),  # after END that follows a semicolon
)

_READS = ("SELECT", "VALUES", "EXPLAIN")
_WRITES = ("INSERT", "UPDATE", "DELETE", "REPLACE")
_TRANSACTION = ("BEGIN", "COMMIT", "END", "ROLLBACK", "SAVEPOINT", "RELEASE")

#: Pragmas that only read, also with an argument. https://www.sqlite.org/pragma.html
READING_PRAGMAS = frozenset(
    [
        "table_list",
        "table_info",
        "table_xinfo",
        "index_list",
        "index_info",
        "index_xinfo",
        "foreign_key_list",
        "foreign_key_check",
        "quick_check",
        "integrity_check",
        "compile_options",
        "database_list",
        "collation_list",
        "function_list",
        "module_list",
        "pragma_list",
    ]
)


@dataclass(frozen=True)
class Token:
    """A piece of a text; kind is the name of its group."""

    kind: str
    text: str
    start: int


@dataclass(frozen=True)
class Statement:
    """One statement without its semicolon. line is that of its first word, from 1.

    kind: read, write, schema, transaction or pragma. word: its first word, in capitals. ended: its semicolon was read.
    """

    text: str
    line: int
    word: str
    kind: str
    ended: bool = True

    @property
    def reads_only(self) -> bool:
        return self.kind == "read"


def tokens(text: str, *, first_line: int = 1) -> t.Iterator[Token]:
    """All pieces of a text. Raises RecoveryError(invalid_options) for a quote or comment without its end."""
    for found in _TOKEN.finditer(text):
        kind = t.cast(str, found.lastgroup)
        if kind == "open":
            line = text.count("\n", 0, found.start()) + first_line
            raise RecoveryError(
                ErrorKind.INVALID_OPTIONS,
                f"The text that begins with {found.group()} in line {line} has no end.",
                left="Nothing was executed.",
                next_step="The SQL may be cut off; complete it.",
            )
        yield Token(kind, found.group(), found.start())


def split_statements(text: str, *, first_line: int = 1) -> t.Iterator[Statement]:
    """The statements of a text, also without a semicolon after the last. Raises as tokens."""
    piece: t.List[Token] = []
    state, line, counted = _START, first_line, 0
    for token in tokens(text, first_line=first_line):
        if token.kind in ("space", "comment"):
            if piece:
                piece.append(token)
            continue
        if not piece:
            line += text.count("\n", counted, token.start)
            counted = token.start
        state = _next(state, token)
        if state != _START:
            piece.append(token)
        elif piece:
            yield _statement(piece, line)
            piece = []
    if piece:
        yield _statement(piece, line, ended=False)


class Completeness:
    """Whether a text that comes in lines ends where a statement does, as C(sqlite3_complete) judges it.

    Each character is read only one time: a value may have many lines that look like the end of a statement.
    """

    def __init__(self) -> None:
        self._state = _START
        self._awaited = ""
        self._has_begun = False

    @property
    def is_complete(self) -> bool:
        return self._has_begun and self._state == _START and self._awaited in ("", "\n")

    def feed(self, line: str) -> None:
        """Take the next line with its end, or the rest of a text."""
        start = 0
        if self._awaited:
            start = line.find(self._awaited)
            if start < 0:
                return
            start += len(self._awaited)
            self._awaited = ""
        for found in _TOKEN.finditer(line, start):
            token = Token(t.cast(str, found.lastgroup), found.group(), found.start())
            if token.kind == "space":
                continue
            if token.kind == "comment" or token.text == "/*":
                self._awaited = "*/" if token.kind == "open" else ""
                if token.text.startswith("--") and found.end() == len(line):
                    self._awaited = "\n"
            else:
                self._state = _next(self._state, token)
                self._has_begun = True
                self._awaited = {"[": "]"}.get(token.text, token.text) if token.kind == "open" else ""
            if token.kind == "open":
                return


def complete_statements(stream: t.Iterable[str]) -> t.Iterator[str]:
    """Lines, joined until a statement is complete: a text may hold ends of lines."""
    held: t.List[str] = []
    seen = Completeness()
    for line in stream:
        ends = line.rstrip().endswith(";")
        # SQLite takes no NUL, and where a statement ends does not depend on NUL.
        if not held and ends and sqlite3.complete_statement(line.replace("\0", " ")):
            yield line
            continue
        held.append(line)
        seen.feed(line)
        if ends and seen.is_complete:
            yield "".join(held)
            held, seen = [], Completeness()
    if held:
        yield "".join(held)


def bind_exactly(statement: str, params: t.Sequence[t.Any]) -> t.Tuple[str, t.List[t.Any]]:
    """The statement and its parameters so that values arrive over JSON as they are.

    There all numbers are floating: an integer goes as text and is cast, truth values as integers; bytes and
    infinities become part of the statement. Raises RecoveryError(invalid_options) when the number of parameters is
    another, or they have names.
    """
    pieces, sent, most = [], [], 0
    for token in tokens(statement):
        if token.kind != "parameter":
            pieces.append(token.text)
            continue
        if token.text != "?" and not token.text[1:].isdigit():
            raise _invalid(f"The parameter {token.text} has a name.", "Use ? for parameters, in their order.")
        place = int(token.text[1:]) if len(token.text) > 1 else most + 1
        most = max(most, place)
        if not 1 <= place <= len(params):
            raise _invalid(f"There is no value for parameter {place} of: {shortened(statement)}", "Give all of them.")
        piece, values = _bound(params[place - 1])
        pieces.append(piece)
        sent += values
    if most != len(params):
        raise _invalid(f"{len(params)} values are given for the {most} parameters of: {shortened(statement)}", "")
    return "".join(pieces), sent


def _bound(value: t.Any) -> t.Tuple[str, t.List[t.Any]]:
    if isinstance(value, int):
        # The sign takes the affinity away, with which 3 would be compared as less than '2'.
        return "+CAST(? AS INTEGER)", [str(int(value))]
    if isinstance(value, float) and math.isnan(value):
        return "NULL", []
    if isinstance(value, bytes) or (isinstance(value, float) and math.isinf(value)):
        return literal(value), []
    return "?", [value]


def _statement(piece: t.Sequence[Token], line: int, *, ended: bool = True) -> Statement:
    text = "".join(token.text for token in piece).rstrip()
    solid = [token for token in piece if token.kind not in ("space", "comment")]
    word = solid[0].text.upper()
    return Statement(text, line, word, _kind(word, solid), ended)


def _kind(word: str, solid: t.Sequence[Token]) -> str:
    if word == "WITH":
        word = _after_with(solid)
    if word in _READS:
        return "read"
    if word in _WRITES:
        return "write"
    if word in _TRANSACTION:
        return "transaction"
    if word == "PRAGMA":
        names = [token.text for token in solid[1:4] if token.kind in ("word", "quoted")]
        schema = len(solid) > 2 and solid[2].text == "."
        name = (names[1] if schema and len(names) > 1 else names[0] if names else "").strip("\"'`[]").lower()
        bare = len(solid) == (4 if schema else 2)
        return (
            "read"
            if name in READING_PRAGMAS or (bare and name not in ("optimize", "incremental_vacuum", "wal_checkpoint"))
            else "pragma"
        )
    return "schema"


def _after_with(solid: t.Sequence[Token]) -> str:
    """The verb of a statement with WITH: the first one outside parentheses."""
    depth = 0
    for token in solid[1:]:
        depth += (token.text == "(") - (token.text == ")")
        if depth == 0 and token.kind == "word" and token.text.upper() in (*_READS, *_WRITES):
            return token.text.upper()
    return "WITH"


def _next(state: int, token: Token) -> int:
    if token.kind == "semi":
        return _NEXT[state][_SEMI]
    if token.kind == "word":
        return _NEXT[state][_CLASSES.get(token.text.upper(), _OTHER)]
    if token.kind == "parameter" and token.text[0] in ":@":
        # SQLite's own judgement takes the name of a parameter for a word.
        return _NEXT[_NEXT[state][_OTHER]][_CLASSES.get(token.text[1:].upper(), _OTHER)]
    return _NEXT[state][_OTHER]


def solid_tokens(text: str) -> t.List[Token]:
    """The tokens of a text without blanks and comments. A name with a doubled quote within is one token."""
    found: t.List[Token] = []
    end = -1
    for token in tokens(text):
        last = found[-1] if found else None
        if last and token.start == end and token.kind == last.kind == "quoted" and token.text[0] == last.text[0] != "[":
            found[-1] = Token("quoted", last.text + token.text, last.start)
        elif token.kind not in ("space", "comment"):
            found.append(token)
        end = token.start + len(token.text)
    return found


def terminated(text: str) -> str:
    """A statement with its semicolon, which must not become a part of a comment at the end."""
    return f"{text}\n;" if "--" in text[text.rfind("\n") + 1 :] else f"{text};"


def unquoted(name: str) -> str:
    """A name or a text without the quotes that SQL has around it."""
    if name[:1] == "[":
        return name[1:-1]
    return name[1:-1].replace(name[0] * 2, name[0]) if name[:1] and name[0] in "\"'`" else name


def shortened(text: str) -> str:
    """The beginning of a text in one line, for messages."""
    line = " ".join(text.split())
    return line if len(line) <= 80 else line[:79] + "\N{HORIZONTAL ELLIPSIS}"


def _invalid(what: str, next_step: str) -> RecoveryError:
    return RecoveryError(ErrorKind.INVALID_OPTIONS, what, left="Nothing was executed.", next_step=next_step)
