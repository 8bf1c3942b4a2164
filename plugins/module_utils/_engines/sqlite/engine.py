# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Engines that run statements: a file, or a database of D1."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from ..._repository.identity import Identity


@dataclass(frozen=True)
class Bound:
    """A statement and the values of its parameters: None, int, float, str or bytes."""

    text: str
    params: t.Sequence[t.Any] = ()
    line: int = 1
    reads_only: bool = False


@dataclass(frozen=True)
class StatementResult:
    """The result of one statement. Values are None, int, float, str or bytes; counts are 0 where they are not known."""

    columns: t.Sequence[str] = ()
    rows: t.Sequence[t.Sequence[t.Any]] = field(default_factory=list, repr=False)
    changes: int = 0
    rows_read: int = 0
    rows_written: int = 0
    last_row_id: t.Optional[int] = None


@dataclass(frozen=True)
class Limits:
    """The limits of one statement and one request; 0 is no limit. Sizes are in bytes."""

    statement_size: int = 0
    params: int = 0
    batch_size: int = 0
    batch_statements: int = 0


class Engine(t.Protocol):
    """Runs batches, each as a whole or not at all.

    Every method raises RecoveryError: query_failed when SQLite refuses a statement, and those of the connection.
    """

    #: For messages.
    location: str

    limits: Limits

    #: Which database of a service this is; a file has only its path.
    identity: t.Optional[Identity]

    #: Whether a text that is no UTF-8 comes back with signs in place of its bytes.
    loses_bytes: bool

    def run(self, batch: t.Sequence[Bound]) -> t.List[StatementResult]:
        """The result of each statement. Integers come back exactly.

        When it fails, details hold applied: no when nothing of the batch was, maybe when the answer was lost and
        the database is another than before, unknown when not even that can be asked.
        """

    def bookmark(self) -> t.Optional[str]:
        """The bookmark of the current state, for an undo; None if the engine has no bookmarks."""

    def state(self) -> str:
        """A value that changes with every write of any session."""

    def snapshot(self, folder: str) -> Engine:
        """An engine for a complete read: a consistent copy of a file in the folder; for D1, D1 itself.

        Raises RecoveryError as run, and spool_full.
        """

    def close(self) -> None:
        """Release what is held."""
