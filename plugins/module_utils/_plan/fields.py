# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Declares a key of the plan once, for the reader, the JSON Schema and the documentation."""

from __future__ import annotations

# These functions replace dataclasses.field.
# pylint: disable=invalid-field-call
import dataclasses
import typing as t
from dataclasses import dataclass

TEXT, DATE, SCHEDULE, ENUM, FLAG = "text", "date", "schedule", "choice", "flag"
DURATION, COUNT, TEXTS, ONE, MANY = "duration", "count", "texts", "one", "many"


@dataclass(frozen=True)
class Key:
    """kind: one of the constants above. meaning: its meaning, for people.

    choices: of an enumeration, or of each element of texts. shape: the dataclass of one or of many.
    zero: a duration may be 0. unique: the elements of many have unique names.
    """

    kind: str
    meaning: str
    required: bool = False
    choices: t.Tuple[str, ...] = ()
    zero: bool = False
    unique: bool = False
    shape: t.Optional[type] = None


def text(meaning: str, *, required: bool = False) -> t.Any:
    return _field(Key(TEXT, meaning, required), None)


def day(meaning: str) -> t.Any:
    """A date, or a placeholder for it, which a rule can report."""
    return _field(Key(DATE, meaning), None)


def schedule(meaning: str) -> t.Any:
    return _field(Key(SCHEDULE, meaning, required=True), "")


def enum(meaning: str, choices: t.Iterable[str], *, required: bool = False, default: t.Optional[str] = None) -> t.Any:
    return _field(Key(ENUM, meaning, required, tuple(choices)), default)


def flag(meaning: str) -> t.Any:
    return _field(Key(FLAG, meaning), False)


def duration(meaning: str, *, zero: bool = False) -> t.Any:
    return _field(Key(DURATION, meaning, zero=zero), None)


def count(meaning: str, *, required: bool = False) -> t.Any:
    """A whole number from 1."""
    return _field(Key(COUNT, meaning, required), None)


def texts(meaning: str, choices: t.Iterable[str] = (), *, required: bool = False) -> t.Any:
    return _field(Key(TEXTS, meaning, required, tuple(choices)), ())


def one(meaning: str, shape: type) -> t.Any:
    """A dictionary; left out, it is an empty one."""
    return dataclasses.field(default_factory=shape, metadata={"key": Key(ONE, meaning, shape=shape)})


def maybe(meaning: str, shape: type) -> t.Any:
    """A dictionary that may be missing, which is not the same as empty."""
    return _field(Key(ONE, meaning, shape=shape), None)


def many(meaning: str, shape: type, *, required: bool = False, unique: bool = True) -> t.Any:
    return _field(Key(MANY, meaning, required, shape=shape, unique=unique), ())


def keys_of(shape: type) -> t.Dict[str, Key]:
    """The keys of a dataclass of the model, in order."""
    return {field.name: field.metadata["key"] for field in dataclasses.fields(shape)}


def _field(key: Key, default: t.Any) -> t.Any:
    return dataclasses.field(default=default, metadata={"key": key})
