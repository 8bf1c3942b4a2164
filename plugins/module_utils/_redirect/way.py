# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A way that leads clients to the writer: a value that is read, exchanged, and looked up as clients do."""

from __future__ import annotations

import abc
import typing as t
from dataclasses import dataclass, field

from .._core.errors import Applied, ErrorKind, RecoveryError

#: Stands for a value in results and errors that must not be shown.
HIDDEN = "(hidden)"


@dataclass(frozen=True)
class State:
    """value: leads clients. facts: other values that a restore needs, such as a TTL or a version; no secrets."""

    value: str
    facts: t.Mapping[str, t.Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Answer:
    """The answer of a server to the question of a client. value is empty if it had none."""

    server: str
    value: str


@dataclass(frozen=True)
class Look:
    """answers: of each server. reason: why clients are not led to the value yet, as a clause; empty if they are.

    silent: servers without an answer, which lead no client to the value before.
    """

    answers: t.Tuple[Answer, ...] = ()
    reason: str = ""
    silent: t.Tuple[str, ...] = ()


class Way(abc.ABC):
    """One way. It keeps nothing between runs: a run that was killed is repeated with the same options."""

    #: The name of the option.
    kind: str
    #: Whether results show no values, because they may hold a secret.
    hides: bool = False

    @property
    @abc.abstractmethod
    def target(self) -> str:
        """The changed thing, as a noun phrase such as C(the record db.example.test. CNAME)."""

    def require_valid(self, expected: str, value: str) -> None:
        """Raise RecoveryError(invalid_options) for a value that this way cannot have."""
        require_text(expected, value)

    def is_same(self, one: str, other: str) -> bool:
        """Whether two values lead to the same place."""
        return one == other

    def shown(self, value: str) -> str:
        """The value without secrets."""
        return HIDDEN if self.hides else value

    @abc.abstractmethod
    def read(self) -> State:
        """The state now. Raises RecoveryError for everything that would stop the change."""

    def why_pending(self, state: State, value: str) -> str:
        """Why a state that has the value must be written again, as a clause; empty if it need not be."""
        return ""

    @abc.abstractmethod
    def write(self, state: State, value: str) -> None:
        """Exchange the state for the value, if it is still this state. Raises RecoveryError(conflict) otherwise."""

    @abc.abstractmethod
    def look(self, value: str) -> Look:
        """Ask as clients do."""


def require_text(expected: str, value: str) -> None:
    """Raise RecoveryError(invalid_options) for an empty value or one of several lines."""
    for name, given in (("expected", expected), ("value", value)):
        if not given.strip() or any(ord(character) < 32 or ord(character) == 127 for character in given):
            raise RecoveryError(
                ErrorKind.INVALID_OPTIONS, f"`{name}` must be one line of text without control characters."
            )


def conflict(target: str, found: str, expected: str, *, applied: str = Applied.NO) -> RecoveryError:
    """The error of a target that has neither the expected value nor the new one; found and expected as shown."""
    return RecoveryError(
        ErrorKind.CONFLICT,
        f"The value of {target} is {found or 'empty'}, `expected` is {expected}.",
        left="" if applied != Applied.NO else "Nothing was changed.",
        next_step="Find out who changed it. If the value is right, set `expected` to it.",
        applied=applied,
    )


def changed_meanwhile(target: str) -> RecoveryError:
    """The error of a target that another client changed between the read and the write."""
    return RecoveryError(
        ErrorKind.CONFLICT,
        f"Another client changed {target} during this run.",
        next_step="Read the value again, then find out who changes it.",
        applied=Applied.NO,
    )
