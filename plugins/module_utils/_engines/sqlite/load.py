# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Loads dumps into a file of SQLite, to prove them and to restore from.

D1 runs a newer SQLite than most hosts. Rows have priority: a definition that this host's SQLite refuses is put aside
with the reason, and a stand-in holds the rows of such a table. Definitions that were put aside are not verified, and
callers report them.
"""

from __future__ import annotations

import contextlib
import os
import re
import sqlite3
import typing as t
from dataclasses import dataclass, field

from ..._core.errors import ErrorKind, RecoveryError
from .confined import LoadLimits, confine
from .schema import quoted
from .statements import Token, complete_statements, shortened, solid_tokens, split_statements, unquoted

#: Messages of SQLite about a reference when foreign keys are on, as in D1.
_REFERENCE = re.compile(r"foreign key mismatch|FOREIGN KEY constraint failed|no such table: main\.")

#: Errors that have nothing to do with what a statement defines.
_ELSEWHERE = re.compile(
    r"not authorized|access to .* is prohibited|interrupted|database or disk is full|disk I/O error|database is locked"
    r"|database table is locked|attempt to write a readonly database|unable to open database file|out of memory"
    r"|You can only execute one statement at a time"
)

_KINDS = ("TABLE", "INDEX", "VIEW", "TRIGGER")
_FAILURES = (sqlite3.Error, sqlite3.Warning, ValueError)


class ReferencesRefused(Exception):
    """SQLite refuses the rows with foreign keys on, as D1 would; the text is the reason."""


@dataclass(frozen=True)
class Aside:
    """A definition that this host's SQLite refuses, and its reason."""

    sql: str
    reason: str


@dataclass
class Loaded:
    """The definitions that a file lacks, by their name, as C(view totals). unchecked: tables with rows that break a
    CHECK.
    """

    aside: t.Dict[str, Aside] = field(default_factory=dict)
    unchecked: t.Dict[str, None] = field(default_factory=dict)


def load_files(
    path: str,
    folder: str,
    files: t.Sequence[t.Tuple[str, str]],
    stand_ins: t.Optional[t.Mapping[str, str]] = None,
    *,
    judged: bool = False,
) -> Loaded:
    """Run the files, given with the table that each holds rows of, into a new database, a statement at a time.

    stand_ins: by table what holds its rows where SQLite cannot make the table. judged: with foreign keys on.
    Raises RecoveryError(damaged) for a statement that fails, or for statements that make far more than their text, and
    ReferencesRefused if judged.
    """
    size = sum(os.path.getsize(os.path.join(folder, name)) for name, _table in files)
    try:
        with loading_text(path, size, judged=judged) as (connection, limits):
            loader = Loader(connection, limits, stand_ins or {}, judged=judged)
            for name, table in files:
                _load(loader, os.path.join(folder, name), table, name)
            loader.finish()
    except sqlite3.IntegrityError as error:
        if not (judged and _REFERENCE.match(str(error))):
            raise
        raise ReferencesRefused(str(error)) from None
    return loader.loaded


@contextlib.contextmanager
def loading(path: str) -> t.Iterator[sqlite3.Connection]:
    """A new database that is filled quickly, in one transaction, and checks no foreign key until it is filled."""
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        confine(connection)
        with _quickly(connection, judged=False):
            yield connection
    finally:
        connection.close()


@contextlib.contextmanager
def loading_text(path: str, size: int, *, judged: bool = False) -> t.Iterator[t.Tuple[sqlite3.Connection, LoadLimits]]:
    """As loading, for statements of a store or a dump, whose text has so many bytes."""
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        limits = LoadLimits(connection, path, size)
        with _quickly(connection, judged):
            limits.apply()
            yield connection, limits
    finally:
        connection.close()


@contextlib.contextmanager
def _quickly(connection: sqlite3.Connection, judged: bool) -> t.Iterator[None]:
    # Without a journal a statement that fails would leave a part of its work behind.
    for quick in ("journal_mode = MEMORY", "synchronous = OFF", f"foreign_keys = {'ON' if judged else 'OFF'}"):
        connection.execute(f"PRAGMA {quick}")
    connection.execute("BEGIN")
    connection.execute(f"PRAGMA defer_foreign_keys = {'ON' if judged else 'OFF'}")
    yield
    connection.execute("COMMIT")


class Loader:
    """Runs statements of a dump. A definition that fails is tried again at the end: what it needs may come later."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        limits: LoadLimits,
        stand_ins: t.Mapping[str, str],
        *,
        judged: bool = False,
    ) -> None:
        self._connection, self._limits, self._stand_ins, self._judged = connection, limits, stand_ins, judged
        self._waiting: t.Dict[str, Aside] = {}
        self._unique: t.Dict[str, t.Dict[str, str]] = {}
        self.loaded = Loaded()

    def run(self, text: str) -> None:
        """Raises the error of SQLite for a statement that is no definition."""
        try:
            self._connection.execute(text)
        except sqlite3.Error as error:
            self._put_aside(text, error)
        if text[:13].upper() == "CREATE UNIQUE":
            self._note_unique(text)

    def run_row(self, text: str, table: str = "") -> bool:
        """Write a row of a table. False: a stand-in took the place of the table, and its rows are to be written again.

        Raises the error of SQLite, and ReferencesRefused.
        """
        try:
            self._connection.execute(text)
            return True
        except sqlite3.Error as error:
            message = str(error)
            if self._judged and _REFERENCE.match(message):
                raise ReferencesRefused(message) from None
            if _ELSEWHERE.match(message) or self._limits.reached(error):
                raise
            return self._write_anyway(text, table, error)

    def end_table(self) -> None:
        """The rows that follow are of another table."""
        self._limits.ignore_checks(False)

    def reason(self, error: Exception) -> str:
        """Why a statement failed, for messages."""
        return self._limits.reached(error) or str(error)

    def finish(self) -> None:
        """Try the definitions that failed once more, as long as this helps. Raises RecoveryError(damaged)."""
        progress = True
        while progress:
            progress = False
            for what, aside in list(self._waiting.items()):
                try:
                    self._connection.execute(aside.sql)
                except sqlite3.Error as error:
                    if _ELSEWHERE.match(str(error)) or self._limits.reached(error):
                        raise RecoveryError(
                            ErrorKind.DAMAGED,
                            f"The {what} does not load: {self.reason(error)}.",
                            next_step="Use another set or dump.",
                        ) from None
                    continue
                del self._waiting[what]
                progress = True
        self.loaded.aside.update(self._waiting)

    def _put_aside(self, text: str, error: sqlite3.Error) -> None:
        what = definition_of(text)
        if what is None or _ELSEWHERE.match(str(error)) or self._limits.reached(error):
            raise error
        if len(list(split_statements(text))) != 1:
            # SQLite reports the first error, and would not have seen a second statement.
            raise error
        kind, _blank, name = what.partition(" ")
        if kind != "table" or name not in self._stand_ins:
            if kind == "table" and not _is_virtual(text):
                raise error
            self._waiting[what] = Aside(_bare(text), str(error))
            return
        self._replace(name, _bare(text), str(error))

    def _write_anyway(self, text: str, table: str, error: sqlite3.Error) -> bool:
        message = str(error)
        if message.startswith("CHECK constraint failed") and isinstance(error, sqlite3.IntegrityError):
            self._limits.ignore_checks(True)
            self.loaded.unchecked[table or unquoted(_solid(text)[2].text)] = None
            return self.run_row(text, table)
        unique = self._unique.pop(table.lower(), {})
        if message.startswith("UNIQUE constraint failed") and unique:
            for what, sql in unique.items():
                self._connection.execute(f"DROP INDEX {quoted(what.partition(' ')[2])}")
                self._waiting[what] = Aside(sql, message)
            return self.run_row(text, table)
        if table not in self._stand_ins or f"table {table}" in self.loaded.aside:
            raise error
        (sql,) = self._connection.execute("SELECT sql FROM sqlite_schema WHERE name = ?", (table,)).fetchone()
        self._connection.execute(f"DROP TABLE {quoted(table)}")
        for what, index in unique.items():
            self._waiting[what] = Aside(index, message)
        self._replace(table, sql, message)
        return False

    def _replace(self, table: str, sql: str, reason: str) -> None:
        self._connection.execute(self._stand_ins[table])
        self.loaded.aside[f"table {table}"] = Aside(sql, reason)

    def _note_unique(self, text: str) -> None:
        what, names = definition_of(text), _solid(text)
        if what is not None and what not in self._waiting and "ON" in [token.text.upper() for token in names]:
            place = [token.text.upper() for token in names].index("ON")
            self._unique.setdefault(unquoted(names[place + 1].text).lower(), {})[what] = _bare(text)


def definition_of(text: str) -> t.Optional[str]:
    """The object that a statement defines, rebuilds or sets, as C(view totals); None for other statements."""
    try:
        solid = _solid(text)
    except RecoveryError:
        # A text without its end.
        return None
    upper = [token.text.upper() for token in solid[:8]]
    if upper[:1] == ["CREATE"]:
        kind = next((word for word in upper[1:4] if word in _KINDS), None)
        if kind is None:
            return None
        place = upper.index(kind) + 1
        place += 3 if upper[place : place + 3] == ["IF", "NOT", "EXISTS"] else 0
        place += 2 if upper[place + 1 : place + 2] == ["."] else 0
        return f"{kind.lower()} {unquoted(solid[place].text)}" if len(solid) > place else None
    # INSERT INTO "f"("f") VALUES ('rebuild'), and INSERT INTO "f"("f", rank) VALUES('name', value)
    if upper[:2] == ["INSERT", "INTO"] and upper[3:4] == ["("] and upper[4:5] == upper[2:3]:
        name, texts = solid[2].text, [token.text for token in solid]
        if texts[5:] == [")", "VALUES", "(", "'rebuild'", ")"]:
            return f"content of {name}"
        if [word.upper() for word in texts[5:10]] == [",", "RANK", ")", "VALUES", "("] and texts[11:12] == [","]:
            return f"setting {name} {unquoted(texts[10])}"
    return None


def _solid(text: str) -> t.List[Token]:
    return [token for token in solid_tokens(text) if token.kind != "semi"]


def _bare(text: str) -> str:
    """A statement without the semicolon that ends it."""
    return text.rstrip().rstrip(";").rstrip()


def _is_virtual(text: str) -> bool:
    return [token.text.upper() for token in _solid(text)[1:2]] == ["VIRTUAL"]


def _load(loader: Loader, path: str, table: str, name: str) -> None:
    text = ""
    try:
        for text in _statements(path):
            try:
                placed = _run(loader, text, table)
            except (sqlite3.Warning, sqlite3.ProgrammingError) as error:
                # SQLite refuses several statements before it runs any.
                if "one statement at a time" not in str(error):
                    raise
                placed = all(_run(loader, statement.text, table) for statement in split_statements(text))
            if not placed:
                _load(loader, path, table, name)
                return
        loader.end_table()
    except _FAILURES as error:
        raise RecoveryError(
            ErrorKind.DAMAGED,
            f"{name} does not load: {loader.reason(error)} at {shortened(text)}",
            next_step="Use another set or dump.",
        ) from None


def _run(loader: Loader, text: str, table: str) -> bool:
    if table:
        return loader.run_row(text, table)
    loader.run(text)
    return True


def _statements(path: str) -> t.Iterator[str]:
    with open(path, encoding="utf-8", newline="") as stream:
        yield from complete_statements(stream)
