# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The request of a restore of rows."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from ...._core.clock import PhaseListener
from ...._repository.change import Safeguards
from ...._repository.recovery_points import Selection
from ..archive.statements import Reference
from ..server.connection import ConnectionOptions
from ..server.names import QualifiedName
from .scope import Root


@dataclass(frozen=True)
class RowsRequest:
    """The rows of a set, and where they go. column_map: table to {column of the set: live column}.

    read_only: rows are selected and not restored. run_as: the role to work as; None: the owner of the tables.
    diff_rows: how many rows of each kind and table a diff shows; 0 for all.
    """

    connection: ConnectionOptions
    source: str
    selection: Selection
    roots: t.Sequence[Root]
    closure: str = "none"
    mode: str = "missing"
    references: t.Sequence[Reference] = ()
    column_map: t.Mapping[QualifiedName, t.Mapping[str, str]] = field(default_factory=dict)
    on_schema_drift: str = "fail"
    triggers: str = "disable"
    safeguards: Safeguards = field(default_factory=Safeguards)
    undo: bool = True
    into: t.Optional[str] = None
    reason: t.Optional[str] = None
    lock_timeout: float = 10.0
    spool_dir: t.Optional[str] = None
    parallel: int = 3
    read_only: bool = False
    run_as: t.Optional[str] = None
    diff_mode: bool = False
    diff_rows: int = 20
    listener: t.Optional[PhaseListener] = None
