# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads the statements that pg_dump writes: columns, primary keys, foreign keys, partitions."""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass

from ...._core.errors import ErrorKind, RecoveryError
from ..server.names import QualifiedName

_TOKEN = re.compile(r"""\s*("(?:[^"]|"")*"|'(?:[^']|'')*'|[^\W\d][\w$]*|\d[\w.]*|[^\s])""")

#: Keywords that end a column's type. pg_dump writes keywords in capitals and quotes names that have any.
_AFTER_TYPE = frozenset(
    ("COLLATE", "DEFAULT", "NOT", "NULL", "GENERATED", "CONSTRAINT", "CHECK", "OPTIONS", "STORAGE", "COMPRESSION")
)


@dataclass(frozen=True)
class Column:
    """type: as format_type writes it; None if the statement has no type."""

    name: str
    type: t.Optional[str]


@dataclass(frozen=True)
class Reference:
    """child.columns refer to parent.parent_columns, by a foreign key or by a declaration of the operator."""

    child: QualifiedName
    columns: t.Tuple[str, ...]
    parent: QualifiedName
    parent_columns: t.Tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.child} ({', '.join(self.columns)}) to {self.parent} ({', '.join(self.parent_columns)})"


def copied_columns(statement: str) -> t.Tuple[str, ...]:
    """The columns of a COPY statement of an archive, in their order."""
    tokens = _Tokens(statement)
    tokens.skip("COPY")
    tokens.name()
    return tokens.identifiers() if tokens.peek() == "(" else ()


def defined_columns(statement: str) -> t.Tuple[Column, ...]:
    """The columns of a CREATE TABLE statement, those of its parents left out."""
    tokens = _Tokens(statement)
    while tokens.peek() not in ("(", "PARTITION", "INHERITS", ";", None):
        tokens.next()
    if tokens.peek() != "(":
        return ()
    found = []
    for item in tokens.items():
        if item and item[0][0] not in ("CONSTRAINT", "CHECK", "EXCLUDE"):
            found.append(Column(_plain(item[0][0]), _type_of(statement, item[1:])))
    return tuple(found)


def primary_key(statement: str) -> t.Optional[t.Tuple[str, ...]]:
    """The columns of an ALTER TABLE that adds a primary key, None for any other constraint."""
    tokens = _Tokens(statement)
    if not tokens.seek("PRIMARY", "KEY"):
        return None
    return tuple(name for name in tokens.identifiers() if name)


def foreign_key(statement: str) -> t.Optional[Reference]:
    """The reference of an ALTER TABLE that adds a foreign key; None for one over periods, which is no equality."""
    tokens = _Tokens(statement)
    child = tokens.altered_table()
    if not tokens.seek("FOREIGN", "KEY"):
        return None
    columns = tokens.identifiers()
    tokens.skip("REFERENCES")
    parent = tokens.name()
    parent_columns = tokens.identifiers()
    if "" in columns or len(columns) != len(parent_columns):
        return None
    return Reference(child, columns, parent, parent_columns)


def constraint_of(statement: str) -> t.Tuple[QualifiedName, str]:
    """The table and the name of the constraint that an ALTER TABLE adds."""
    tokens = _Tokens(statement)
    table = tokens.altered_table()
    return table, tokens.identifier() if tokens.seek("ADD", "CONSTRAINT") else ""


def partition_of(statement: str) -> t.Optional[t.Tuple[QualifiedName, QualifiedName]]:
    """(partition, parent) of an ALTER TABLE ... ATTACH PARTITION."""
    tokens = _Tokens(statement)
    parent = tokens.altered_table()
    if not tokens.seek("ATTACH", "PARTITION"):
        return None
    return tokens.name(), parent


class _Tokens:
    def __init__(self, statement: str) -> None:
        self._tokens = [(match.group(1), match.start(1), match.end(1)) for match in _TOKEN.finditer(statement)]
        self._place = 0

    def peek(self) -> t.Optional[str]:
        return self._tokens[self._place][0] if self._place < len(self._tokens) else None

    def next(self) -> str:
        token = self.peek()
        if token is None:
            raise RecoveryError(ErrorKind.DAMAGED, "A statement of the archive ends too early.", left="")
        self._place += 1
        return token

    def skip(self, word: str) -> None:
        found = self.next()
        if found != word:
            raise RecoveryError(
                ErrorKind.DAMAGED, f"A statement of the archive has {found!r} in place of {word!r}.", left=""
            )

    def seek(self, *keywords: str) -> bool:
        """Move behind the first place where these words follow one another."""
        for place in range(self._place, len(self._tokens) - len(keywords) + 1):
            if tuple(token[0] for token in self._tokens[place : place + len(keywords)]) == keywords:
                self._place = place + len(keywords)
                return True
        return False

    def altered_table(self) -> QualifiedName:
        """The table of an ALTER TABLE, and moves behind it."""
        self.skip("ALTER")
        self.skip("TABLE")
        if self.peek() == "ONLY":
            self.next()
        return self.name()

    def identifier(self) -> str:
        return _plain(self.next())

    def name(self) -> QualifiedName:
        first = _plain(self.next())
        if self.peek() != ".":
            return QualifiedName("", first)
        self.next()
        return QualifiedName(first, _plain(self.next()))

    def identifiers(self) -> t.Tuple[str, ...]:
        """A list of names in parentheses; a keyword after a name, such as PERIOD, is given as an empty name."""
        self.skip("(")
        found = []
        while self.peek() != ")":
            token = self.next()
            if token != ",":
                found.append("" if token.isupper() and token.isalpha() else _plain(token))
        self.next()
        return tuple(found)

    def items(self) -> t.List[t.List[t.Tuple[str, int, int]]]:
        """The parts between commas of what stands in parentheses, as tokens with their places."""
        self.skip("(")
        depth = 0
        items: t.List[t.List[t.Tuple[str, int, int]]] = [[]]
        while depth or self.peek() != ")":
            token = self._tokens[self._place]
            self.next()
            depth += {"(": 1, ")": -1}.get(token[0], 0)
            if token[0] == "," and not depth:
                items.append([])
            else:
                items[-1].append(token)
        return items


def _type_of(statement: str, tokens: t.Sequence[t.Tuple[str, int, int]]) -> t.Optional[str]:
    kept = []
    for token in tokens:
        if token[0] in _AFTER_TYPE or token[0] == "WITH":
            break
        kept.append(token)
    return statement[kept[0][1] : kept[-1][2]] if kept else None


def _plain(token: str) -> str:
    return token[1:-1].replace('""', '"') if token.startswith('"') else token
