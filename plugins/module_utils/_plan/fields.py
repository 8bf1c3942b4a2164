# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How a key of the plan is declared: once, for the reader, the JSON Schema and the documentation."""

from __future__ import annotations

# These functions stand where dataclasses.field would.
# pylint: disable=invalid-field-call
import dataclasses
import typing as t
from dataclasses import dataclass

TEXT, DATE, SCHEDULE, CHOICE, FLAG = "text", "date", "schedule", "choice", "flag"
DURATION, COUNT, TEXTS, ONE, MANY = "duration", "count", "texts", "one", "many"


@dataclass(frozen=True)
class Key:
    """kind: one of the constants above. says: what it means, for people.

    choices: of a choice, or of each element of texts. shape: the dataclass of one or of many.
    zero: a length of time may be none. unique: no two elements of many have one name.
    """

    kind: str
    says: str
    required: bool = False
    choices: t.Tuple[str, ...] = ()
    zero: bool = False
    unique: bool = False
    shape: t.Optional[type] = None


def text(says: str, *, required: bool = False) -> t.Any:
    return _field(Key(TEXT, says, required), None)


def day(says: str) -> t.Any:
    """A date, or the placeholder that still stands there, so that a rule can speak of it."""
    return _field(Key(DATE, says), None)


def schedule(says: str) -> t.Any:
    return _field(Key(SCHEDULE, says, required=True), "")


def choice(says: str, choices: t.Iterable[str], *, required: bool = False, default: t.Optional[str] = None) -> t.Any:
    return _field(Key(CHOICE, says, required, tuple(choices)), default)


def flag(says: str) -> t.Any:
    return _field(Key(FLAG, says), False)


def duration(says: str, *, zero: bool = False) -> t.Any:
    return _field(Key(DURATION, says, zero=zero), None)


def count(says: str, *, required: bool = False) -> t.Any:
    """A whole number from 1."""
    return _field(Key(COUNT, says, required), None)


def texts(says: str, choices: t.Iterable[str] = (), *, required: bool = False) -> t.Any:
    return _field(Key(TEXTS, says, required, tuple(choices)), ())


def one(says: str, shape: type) -> t.Any:
    """A dictionary; left out, it is an empty one."""
    return dataclasses.field(default_factory=shape, metadata={"key": Key(ONE, says, shape=shape)})


def maybe(says: str, shape: type) -> t.Any:
    """A dictionary that may be missing, which is not the same as empty."""
    return _field(Key(ONE, says, shape=shape), None)


def many(says: str, shape: type, *, required: bool = False, unique: bool = True) -> t.Any:
    return _field(Key(MANY, says, required, shape=shape, unique=unique), ())


def keys_of(shape: type) -> t.Dict[str, Key]:
    """The keys of a dataclass of the model, in order."""
    return {field.name: field.metadata["key"] for field in dataclasses.fields(shape)}


def _field(key: Key, default: t.Any) -> t.Any:
    return dataclasses.field(default=default, metadata={"key": key})
