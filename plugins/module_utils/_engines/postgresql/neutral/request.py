# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Requests to neutralize a copy and to restore its state before, and their result."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from ...._core.errors import ErrorKind, RecoveryError
from ...._core.options import FAMILY, INTERNAL, SUBOPTIONS
from ...._repository.change import Outcome, Safeguards
from ..server.connection import ConnectionOptions


@dataclass(frozen=True)
class Setting:
    """Rows of a table of settings. where: values of columns that select the rows. set: values that they get."""

    table: str
    set: t.Mapping[str, t.Any]
    where: t.Mapping[str, t.Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Statement:
    """A statement of the operator, which runs with the rights of a role, and only if a query returns a row."""

    name: str
    sql: str
    role: str
    only_if: t.Optional[str] = None


@dataclass(frozen=True)
class NeutralRules:
    """Rows and passwords that are changed, beside the objects that act by themselves."""

    settings: t.Tuple[Setting, ...] = field(default=(), metadata=SUBOPTIONS)
    statements: t.Tuple[Statement, ...] = field(default=(), metadata=SUBOPTIONS)
    drop_passwords: bool = False

    def require_valid(self) -> None:
        """Raise RecoveryError(invalid_options)."""
        for one in self.settings:
            if not one.set:
                raise RecoveryError(
                    ErrorKind.INVALID_OPTIONS, f"`set` must name at least one column of {one.table}, got none."
                )

    @property
    def changes_rows(self) -> bool:
        """Whether something is changed that the state before does not restore."""
        return bool(self.settings or self.statements or self.drop_passwords)


@dataclass(frozen=True)
class NeutralizeRequest:
    """connection leads to the copy, original to the database that was copied, if it answers."""

    connection: ConnectionOptions
    source: str
    rules: NeutralRules = field(default_factory=NeutralRules, metadata=FAMILY)
    lock_timeout: float = 30
    original: t.Optional[ConnectionOptions] = field(default=None, metadata=INTERNAL)
    safeguards: Safeguards = field(default_factory=Safeguards, metadata=FAMILY)

    def require_valid(self) -> None:
        """Raise RecoveryError(invalid_options)."""
        self.rules.require_valid()
        if self.lock_timeout <= 0:
            raise RecoveryError(
                ErrorKind.INVALID_OPTIONS, f"`lock_timeout` must be above 0, got {self.lock_timeout:g}."
            )


@dataclass(frozen=True)
class Neutralized:
    """An object that was disabled or changed. before: its state before; it holds no values of rows."""

    kind: str
    name: str
    before: t.Mapping[str, t.Any]
    reason: str = ""


@dataclass(frozen=True)
class NeutralizeResult(Outcome):
    """state: C(neutralized) or C(restored). neutralized: in check mode, what would be. restored: names of objects."""

    state: str
    database: str
    neutralized: t.Sequence[Neutralized]
    restored: t.Sequence[str]
    listed: t.Sequence[t.Mapping[str, str]]
    differences: t.Sequence[str]
    summary: str
    timings: t.Mapping[str, float]
