# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Splits a script for psql into statements, rows of COPY and psql commands, as a stream.

A statement ends where the server's scanner (src/backend/parser/scan.l, PostgreSQL 14 to 18) ends the statement.
psql's scanner differs in one place: psql counts every BEGIN of a function as the start of a body, the server only
BEGIN ATOMIC. Encodings whose characters hold ASCII bytes are refused, so bytes are compared.
"""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass, field

from ...._core.errors import ErrorKind, RecoveryError

#: The server accepts no longer message (MaxAllocSize in src/include/utils/memutils.h).
LONGEST_STATEMENT = 0x3FFFFFFF
#: A string constant up to this many bytes is kept as a token, because a rule may need its value.
_SHORT = 1024
#: A statement that inserts rows is matched in one step up to this many bytes.
_ROW_WINDOW = 1 << 20

_WORD = rb"[A-Za-z_\x80-\xff][A-Za-z0-9_$\x80-\xff]*"
_TOKEN = re.compile(
    # The start of a token that may be longer once more bytes are read.
    rb"(?P<partial>(?:\$(?:[A-Za-z_\x80-\xff][A-Za-z0-9_\x80-\xff]*)?|[uU]&|:\{)\Z)"
    rb"|(?P<space>[ \t\n\r\f\v]+)"
    rb"|(?P<constant>'[^'\\]{0,200}'(?!'))"
    rb"|(?P<line>--[^\n\r]*)"
    rb"|(?P<block>/\*)"
    rb"|(?P<escape>[eE]')"
    rb'|(?P<unicode>[uU]&")'
    rb"|(?P<word>" + _WORD + rb")"
    rb"|(?P<string>')"
    rb'|(?P<name>")'
    rb"|(?P<dollar>\$(?:[A-Za-z_\x80-\xff][A-Za-z0-9_\x80-\xff]*)?\$)"
    rb"|(?P<number>[0-9]+)"
    rb"|(?P<end>;)"
    rb"|(?P<open>[(\[])"
    rb"|(?P<close>[)\]])"
    rb"|(?P<command>\\)"
    rb"|(?P<cast>::|:=)"
    rb"|(?P<variable>:(?:\{\?|['\"A-Za-z0-9_\x80-\xff]))"
    rb"|(?P<other>.)",
    re.DOTALL,
)
_VALUE = rb"(?:NULL|true|false|DEFAULT|-?[0-9.]+(?:e[+\-]?[0-9]+)?|B?(?:'[^']*')+)"
_VALUES = rb"\(" + _VALUE + rb"(?:,\s*" + _VALUE + rb")*\)"
#: Rows of constants behind VALUES, which no rule looks at.
_ROWS = re.compile(rb"\s*" + _VALUES + rb"(?:,\s*" + _VALUES + rb")*")
_NAME = rb"(?:[a-z_][a-z0-9_$]*|\"[^\"]+\")"
#: A row of "pg_dump --inserts" with plain constants only; other statements are read token by token.
_ROW = re.compile(
    rb"INSERT INTO (?P<table>" + _NAME + rb"(?:\." + _NAME + rb")?)(?: \(" + _NAME + rb"(?:, " + _NAME + rb")*\))?"
    rb"(?: OVERRIDING SYSTEM VALUE)? VALUES\s*" + _VALUES + rb"(?:,\s*" + _VALUES + rb")*;\n"
)
_NESTED = re.compile(rb"/\*|\*/")
_CLOSING = {
    "string": re.compile(rb"'"),
    "escape": re.compile(rb"\\|'"),
    "name": re.compile(rb'"'),
    "unicode": re.compile(rb'"'),
}
#: White space with a line end between two quotes joins them to one constant.
_GAP = rb"[ \t\f\v]*(?:--[^\n\r]*)?[\n\r](?:[ \t\n\r\f\v]|--[^\n\r]*[\n\r])*"
_JOINED = re.compile(_GAP + rb"'")
#: The start of such white space, which may be longer once more bytes are read.
_GAP_SO_FAR = re.compile(rb"(?:[ \t\f\v]*|" + _GAP + rb")(?:-(?:-[^\n\r]*)?)?\Z")
_BLANK_REST = re.compile(rb"[ \t\f\v\r]*\n")
_END_OF_ROWS = re.compile(rb"\\\.\r?(?:\n|\Z)")
_COMMAND = re.compile(rb"\\(?:;|[^\s\\;']*)")
_COMMAND_END = re.compile(rb"[\s\\;']")
_BODY_KEYWORDS = frozenset(
    ["SELECT", "INSERT", "UPDATE", "DELETE", "MERGE", "VALUES", "WITH", "RETURN", "TABLE", "END", "("]
)
_UNFINISHED = {
    "string": "a string constant",
    "escape": "a string constant",
    "name": "a quoted name",
    "unicode": "a quoted name",
    "dollar": "a dollar-quoted constant",
    "block": "a comment",
}


@dataclass
class Statement:
    """One statement of the server, or one command of psql.

    line: where the statement begins, from 1. text: the bytes without the semicolon at the end.
    tokens: what stands outside parentheses - words in capitals, "names" and 'strings' in their quotes, signs.
    calls: lower-case names that are followed by a parenthesis. names: all names, lower-case unless quoted.
    trouble: why the statement must not run, found by the scanner. row: the statement inserts constants only.
    """

    line: int
    text: bytes = b""
    tokens: t.List[str] = field(default_factory=list)
    calls: t.Set[str] = field(default_factory=set)
    names: t.Set[str] = field(default_factory=set)
    is_command: bool = False
    row: bool = False
    trouble: str = ""

    @property
    def title(self) -> str:
        """The beginning of the statement for messages, without constants."""
        if self.is_command:
            return t.cast("t.Match[bytes]", _COMMAND.match(self.text)).group()[:40].decode("utf-8", "replace")
        shown = ["'...'" if token.startswith("'") else token for token in self.tokens[:7]]
        return " ".join(shown)[:100]

    @property
    def takes_rows(self) -> bool:
        """The statement is a COPY that reads the lines behind it."""
        if not self.tokens or self.tokens[0] != "COPY":
            return False
        return any(pair == ("FROM", "STDIN") for pair in zip(self.tokens, self.tokens[1:]))


def cut_off(line: int, why: str) -> RecoveryError:
    """The error of a script that is not complete."""
    return RecoveryError(
        ErrorKind.DAMAGED,
        f"The script is damaged: {why} (line {line}).",
        next_step="Use another dump, or create the dump again.",
        details={"line": line},
    )


class ScriptReader:
    """Iterates over the statements of a script; rows gives the rows of the COPY that was just returned.

    backslash_quotes: C(standard_conforming_strings) is off, so a backslash in '...' is an escape. The reader of a
    script follows the SET statements; run_script compares the setting with that of the server.
    comments: called with the line and the text of every line comment, and whether it stands inside a statement.
    Memory: one statement and one chunk. Raises RecoveryError(damaged) and what the chunks raise.
    """

    def __init__(
        self, chunks: t.Iterable[bytes], comments: t.Optional[t.Callable[[int, bytes, bool], None]] = None
    ) -> None:
        self._chunks = iter(chunks)
        self._buffer, self._at, self._ended = b"", 0, False
        # The bytes up to _synced are counted, and kept when they belong to a statement.
        self._synced, self._line = 0, 1
        self._kept: t.Optional[t.List[bytes]] = None
        self._comments = comments
        self._rows: t.Optional[t.Iterator[bytes]] = None
        self.backslash_quotes = False

    @property
    def line(self) -> int:
        """The line that is read now, from 1."""
        self._sync()
        return self._line

    def __iter__(self) -> t.Iterator[Statement]:
        self._fill()
        if self._buffer.startswith(b"\xef\xbb\xbf"):
            self._at = 3
        while True:
            statement = self._row_statement() or self._statement()
            if statement is None:
                return
            if statement.takes_rows and not statement.trouble:
                self._rows = self._read_rows()
            yield statement
            for _block in self.rows():
                pass

    def rows(self) -> t.Iterator[bytes]:
        """The rows of the COPY, in blocks, without the line that ends the rows; nothing for other statements."""
        rows, self._rows = self._rows, None
        return iter(()) if rows is None else rows

    def _fill(self) -> bool:
        """Read at least as much as the buffer still holds, so that a long token costs linear time."""
        if self._ended:
            return False
        self._sync()
        pieces = [self._buffer[self._at :]]
        missing = max(len(pieces[0]), 4)
        while missing > 0:
            chunk = next(self._chunks, None)
            if chunk is None:
                self._ended = True
                break
            if b"\0" in chunk:
                before = sum(piece.count(b"\n") for piece in [*pieces, chunk[: chunk.index(b"\0")]])
                raise cut_off(
                    self._line + before,
                    "it holds a NUL byte; it is a binary file or UTF-16 text, as PowerShell's > writes it",
                )
            pieces.append(chunk)
            missing -= len(chunk)
        if len(pieces) == 1:
            # Positions in the buffer stay valid.
            return False
        self._buffer, self._at, self._synced = b"".join(pieces), 0, 0
        return True

    def _sync(self) -> None:
        if self._at > self._synced:
            self._line += self._buffer.count(b"\n", self._synced, self._at)
            if self._kept is not None:
                self._kept.append(self._buffer[self._synced : self._at])
            self._synced = self._at

    def _take(self, end: int) -> bytes:
        piece = self._buffer[self._at : end]
        self._at = min(end, len(self._buffer))
        return piece

    def _row_statement(self) -> t.Optional[Statement]:
        """A statement that inserts constants only, as "pg_dump --inserts" writes millions of them."""
        while self._buffer.startswith(b"\n", self._at) or (len(self._buffer) - self._at < 12 and self._fill()):
            if self._buffer.startswith(b"\n", self._at):
                self._at += 1
        if not self._buffer.startswith(b"INSERT INTO ", self._at) or self.backslash_quotes:
            return None
        while self._buffer.find(b");\n", self._at, self._at + _ROW_WINDOW) < 0:
            if len(self._buffer) - self._at >= _ROW_WINDOW or not self._fill():
                break
        found = _ROW.match(self._buffer, self._at, self._at + _ROW_WINDOW)
        if found is None:
            return None
        names = {part.decode("utf-8", "replace").strip('"') for part in found.group("table").split(b".")}
        return Statement(self.line, self._take(found.end())[:-2], ["INSERT", "INTO"], names=names, row=True)

    def _statement(self) -> t.Optional[Statement]:
        scan = _Scan(Statement(0))
        while True:
            if scan.in_rows and scan.depth == 0 and not self.backslash_quotes:
                constants = _ROWS.match(self._buffer, self._at, self._at + _ROW_WINDOW)
                self._at = constants.end() if constants is not None else self._at
            found = _TOKEN.match(self._buffer, self._at)
            if found is None or found.end() == len(self._buffer):
                self._check_length(scan.statement.line)
                if self._fill():
                    continue
            if found is None:
                break
            kind = t.cast(str, found.lastgroup)
            if kind == "space":
                self._at = found.end()
            elif kind == "line":
                if self._comments is not None:
                    self._comments(self.line, found.group(), bool(scan.tokens))
                self._at = found.end()
            elif kind == "block":
                self._block_comment()
            elif kind == "command":
                return self._command_inside(scan) if scan.tokens else self._command()
            elif kind == "end" and scan.depth <= 0 and scan.bodies == 0:
                text = self._stop(found.end())
                if scan.tokens:
                    return scan.finish(text, self._at_line_end)
            else:
                if not scan.tokens:
                    scan.statement.line, self._kept = self.line, []
                self._token(scan, kind, found)
        if scan.tokens:
            raise cut_off(scan.statement.line, f"it ends within the statement {scan.statement.title}")
        return None

    def _stop(self, end: int) -> bytes:
        """The text of the statement that ends here; the semicolon is left out."""
        self._sync()
        text = b"".join(self._kept or [])
        self._kept, self._at = None, end
        return text

    def _token(self, scan: _Scan, kind: str, found: t.Match[bytes]) -> None:
        if kind == "string" and self.backslash_quotes:
            kind = "escape"
        if kind in _CLOSING:
            scan.add(kind, self._quoted(kind, found.end()))
        elif kind == "constant":
            scan.add("string", self._take(found.end()))
        elif kind == "dollar":
            scan.add("string", self._dollar(found.group()))
        elif kind == "variable":
            if scan.brackets == 0:
                scan.refuse("psql would replace the variable behind the colon; PostgreSQL has no such syntax")
            scan.add(kind, self._take(found.start() + 1))
        else:
            scan.add(kind, self._take(found.end()))

    def _quoted(self, kind: str, start: int) -> bytes:
        """Take a constant or a name that may be joined from parts; its text, or nothing when the text is long."""
        line, parts, closing = self.line, _Text(), _CLOSING[kind]
        parts.add(self._take(start))
        while True:
            found = closing.search(self._buffer, self._at)
            if found is None:
                parts.add(self._take(len(self._buffer)))
                self._check_length(line)
                if not self._fill():
                    raise cut_off(line, f"it ends within {_UNFINISHED[kind]}")
                continue
            if len(self._buffer) - found.end() < 2 and not self._ended:
                # The byte behind decides, and may be in the next chunk.
                parts.add(self._take(found.start()))
                self._fill()
                continue
            parts.add(self._take(found.end() + (found.group() == b"\\")))
            if found.group() == b"\\":
                continue
            if self._buffer[self._at : self._at + 1] == found.group():
                parts.add(self._take(self._at + 1))
                continue
            if kind == "escape" and self._continues():
                parts.add(self._take(t.cast("t.Match[bytes]", _JOINED.match(self._buffer, self._at)).end()))
                continue
            return parts.value

    def _continues(self) -> bool:
        """Whether another quote behind a line end continues the constant."""
        while True:
            if _JOINED.match(self._buffer, self._at) is not None:
                return True
            if _GAP_SO_FAR.match(self._buffer, self._at) is None or not self._fill():
                return False

    def _dollar(self, tag: bytes) -> bytes:
        line, parts = self.line, _Text()
        parts.add(self._take(self._at + len(tag)))
        while True:
            end = self._buffer.find(tag, self._at)
            if end >= 0:
                parts.add(self._take(end + len(tag)))
                return parts.value
            # The end may lie across two chunks.
            parts.add(self._take(max(self._at, len(self._buffer) - len(tag) + 1)))
            self._check_length(line)
            if not self._fill():
                raise cut_off(line, f"it ends within {_UNFINISHED['dollar']}")

    def _block_comment(self) -> None:
        line, depth = self.line, 1
        self._at += 2
        while depth:
            found = _NESTED.search(self._buffer, self._at)
            if found is not None:
                self._at = found.end()
                depth += 1 if found.group() == b"/*" else -1
                continue
            self._at = max(self._at, len(self._buffer) - self._buffer.endswith((b"/", b"*")))
            self._check_length(line)
            if not self._fill():
                raise cut_off(line, f"it ends within {_UNFINISHED['block']}")

    def _check_length(self, line: int) -> None:
        if self._kept is not None and sum(map(len, self._kept)) > LONGEST_STATEMENT:
            raise cut_off(line, "a statement is longer than the 1 GB that PostgreSQL accepts")

    def _command(self) -> Statement:
        """A psql command at the beginning of a statement: the rest of its line belongs to the command."""
        line = self.line
        while True:
            end = self._buffer.find(b"\n", self._at)
            if end >= 0:
                break
            if len(self._buffer) - self._at > _ROW_WINDOW:
                raise cut_off(line, "a psql command is longer than 1 MiB")
            if not self._fill():
                end = len(self._buffer)
                break
        return Statement(line, self._take(end + 1).strip(), is_command=True)

    def _command_inside(self, scan: _Scan) -> Statement:
        """The statement up to a psql command, which psql would run wherever the command stands."""
        while _COMMAND_END.search(self._buffer, self._at + 1) is None:
            if len(self._buffer) - self._at > 40 or not self._fill():
                break
        name = t.cast("t.Match[bytes]", _COMMAND.match(self._buffer, self._at)).group()[:40].decode("utf-8", "replace")
        scan.refuse(f"it holds the psql command {name}")
        self._stop(self._at)
        self._command()
        return scan.statement

    def _at_line_end(self) -> bool:
        """Nothing but white space stands behind, up to the end of the line, which is taken."""
        while True:
            found = _BLANK_REST.match(self._buffer, self._at)
            if found is not None:
                self._at = found.end()
                return True
            if self._buffer[self._at : self._at + _ROW_WINDOW].strip(b" \t\f\v\r"):
                return False
            if not self._fill():
                return True

    def _read_rows(self) -> t.Iterator[bytes]:
        """Blocks of rows up to the line that ends the rows. A row of any length is passed on in parts."""
        line, at_line_start = self.line, True
        while True:
            if at_line_start and b"\\.\r\n".startswith(self._buffer[self._at : self._at + 3]) and self._fill():
                continue
            ending = _END_OF_ROWS.match(self._buffer, self._at) if at_line_start else None
            if ending is not None:
                self._at = ending.end()
                return
            found = self._buffer.find(b"\n\\.", self._at)
            if found >= 0:
                end, at_line_start = found + 1, True
            else:
                held = self._buffer.endswith(b"\n\\")
                end, at_line_start = len(self._buffer) - held, held or self._buffer.endswith(b"\n")
            if end > self._at:
                yield self._take(end)
            if found < 0 and not self._fill():
                raise cut_off(line, "it ends within the rows of a COPY")


class _Scan:
    """Facts of the statement that is being read."""

    def __init__(self, statement: Statement) -> None:
        self.statement = statement
        self.tokens = statement.tokens
        self.depth, self.brackets, self.bodies = 0, 0, 0
        self._last, self._last_kind = "", ""
        #: The rows of an INSERT may be millions, so their tokens are not kept.
        self.in_rows = False

    def refuse(self, why: str) -> None:
        """Note the first reason against the statement."""
        self.statement.trouble = self.statement.trouble or why

    def add(self, kind: str, text: bytes) -> None:
        """Note one token that is no white space and no comment."""
        token = (text.upper() if kind == "word" else text).decode("utf-8", "replace")
        if kind == "word":
            self.statement.names.add(text.lower().decode("utf-8", "replace"))
            self._word(token)
        elif kind in ("name", "unicode"):
            if kind == "unicode":
                self.refuse("a name in Unicode escapes hides the name")
            self.statement.names.add(token[1:-1].replace('""', '"'))
        elif kind in ("string", "escape"):
            token = "'" + _constant(token) + "'"
        elif kind == "open":
            self._opened(token)
        elif kind == "close":
            self.depth -= 1
            self.brackets -= token == "]"
        if self.bodies and self._last in (";", "ATOMIC") and token not in _BODY_KEYWORDS:
            self.refuse(f"a statement that begins with {token[:30]} stands in the body of a function")
        if not self.in_rows and (self.depth == 0 or (kind == "open" and self.depth == 1)):
            self.tokens.append(token)
        self.in_rows = self.in_rows or (token == "VALUES" and self.depth == 0 and self.tokens[0] == "INSERT")
        self._last, self._last_kind = token, kind

    def _word(self, word: str) -> None:
        """Follow where the body of a function in the SQL standard's form begins and ends."""
        if self.depth != 0 or self._last in ("AS", "."):
            return
        if self.bodies:
            self.bodies += (word == "CASE") - (word == "END")
        elif word == "ATOMIC" and self._last == "BEGIN":
            kind = self.tokens[3:4] if self.tokens[1:3] == ["OR", "REPLACE"] else self.tokens[1:2]
            self.bodies = int(self.tokens[0] == "CREATE" and kind in (["FUNCTION"], ["PROCEDURE"]))

    def _opened(self, token: str) -> None:
        self.depth += 1
        self.brackets += token == "["
        if token == "(" and self._last_kind in ("word", "name", "unicode"):
            name = self._last[1:-1].replace('""', '"') if self._last_kind != "word" else self._last.lower()
            self.statement.calls.add(name)

    def finish(self, text: bytes, at_line_end: t.Callable[[], bool]) -> Statement:
        """The complete statement."""
        statement = self.statement
        statement.text = text
        if self.depth < 0:
            self.refuse("a parenthesis is closed that was not opened")
        if statement.takes_rows and not statement.trouble and not at_line_end():
            self.refuse("text follows on the line of a COPY whose rows begin on the next line")
        return statement


def _constant(token: str) -> str:
    """The value of a constant without its quotes; three dots when the constant is too long to be kept."""
    found = re.match(r"\A(?:[eE]?'(?P<quoted>.*)'|\$[^$]*\$(?P<dollar>.*)\$[^$]*\$)\Z", token, re.DOTALL)
    if found is None:
        return "..."
    return found.group("quoted") if found.group("dollar") is None else found.group("dollar")


class _Text:
    """Collects the text of a constant while the text is short."""

    def __init__(self) -> None:
        self._parts: t.List[bytes] = []
        self._size = 0

    def add(self, part: bytes) -> None:
        self._size += len(part)
        if self._size <= _SHORT:
            self._parts.append(part)

    @property
    def value(self) -> bytes:
        return b"".join(self._parts) if self._size <= _SHORT else b""
