# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The requests that stop and allow writes, and their result."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from ...._core.errors import ErrorKind, RecoveryError
from ...._core.options import INTERNAL
from ...._repository.change import Outcome, Safeguards
from ..server.connection import ConnectionOptions
from .means import GRANTS, MEANS, NO_CONNECT, NO_LOGIN, OF_TABLES
from .probe import Probe


@dataclass(frozen=True)
class WritesRequest:
    """connection leads to the database. probe: the same with the login of the application, if its password is known.

    roles: those that the application logs in as or acts as. tables: of the means grants and triggers; if there are
    none, the tables of schemas. except_roles: may write in spite of triggers, and keep their sessions. abandon: forget
    the state before writes were stopped if it is of another server.
    """

    connection: ConnectionOptions
    source: str
    roles: t.Tuple[str, ...] = ()
    means: t.Tuple[t.Literal["nologin", "connect", "read_only", "grants", "triggers"], ...] = ("nologin",)
    tables: t.Tuple[str, ...] = ()
    schemas: t.Tuple[str, ...] = ("public",)
    except_roles: t.Tuple[str, ...] = ()
    terminate_sessions: bool = True
    lock_timeout: float = 30
    abandon: bool = False
    probe: t.Optional[ConnectionOptions] = field(default=None, metadata=INTERNAL)
    safeguards: Safeguards = field(default_factory=Safeguards, metadata=INTERNAL)

    def require_valid(self) -> None:
        """Raise RecoveryError(invalid_options) for options that cannot be meant together."""
        if not self.means:
            raise RecoveryError(
                ErrorKind.INVALID_OPTIONS, f"`means` must be at least one of {', '.join(MEANS)}, got none."
            )
        need_roles = [one for one in self.means if one in (NO_LOGIN, NO_CONNECT, GRANTS)]
        if need_roles and not self.roles:
            raise RecoveryError(
                ErrorKind.INVALID_OPTIONS,
                f"`roles` is required for {need_roles[0]} of `means`.",
                next_step="Set it to the roles that the application logs in as.",
            )
        if self.tables and not self.uses_tables:
            raise RecoveryError(
                ErrorKind.INVALID_OPTIONS,
                f"`tables` needs {' or '.join(OF_TABLES)} of `means`, got {', '.join(self.means)}.",
                next_step="Add triggers to `means`, or remove `tables`.",
            )
        if self.lock_timeout <= 0:
            raise RecoveryError(
                ErrorKind.INVALID_OPTIONS, f"`lock_timeout` must be above 0, got {self.lock_timeout:g}."
            )

    @property
    def uses_tables(self) -> bool:
        return any(one in OF_TABLES for one in self.means)


@dataclass(frozen=True)
class WritesResult(Outcome):
    """state: C(stopped) or C(allowed). statements: SQL that ran, in check mode that would run.

    sessions_ended: a number. tables: names of those whose writes were stopped or allowed. not_stopped: writers that
    the means do not stop. differences: privileges and settings that are not those of before, because another session
    changed them.
    """

    state: str
    statements: t.Sequence[str]
    sessions_ended: int
    tables: t.Sequence[str]
    probes: t.Sequence[Probe]
    not_stopped: t.Sequence[str]
    differences: t.Sequence[str]
    summary: str
    diff: t.Mapping[str, str]
    timings: t.Mapping[str, float]
