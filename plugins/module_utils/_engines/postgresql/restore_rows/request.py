# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The request of a restore of rows."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from ...._core.clock import PhaseListener
from ...._core.options import FAMILY, INTERNAL, FilePath, option
from ...._repository.change import Safeguards
from ...._repository.recovery_points import Selection
from ..archive.statements import Reference
from ..server.connection import ConnectionOptions
from ..server.names import QualifiedName
from .scope import Root

#: Which rows beyond the selected ones: those that these refer to, and those that refer to these.
CLOSURES = ("none", "parents", "children", "both")


@dataclass(frozen=True)
class RowsRequest:
    """The rows of a set, and where they go. column_map: table to {column of the set: live column}.

    read_only: rows are selected and not restored. run_as: the role to work as; None: the owner of the tables.
    diff_rows: how many rows of each kind and table a diff shows; 0 for all.
    """

    connection: ConnectionOptions
    source: str = field(metadata=INTERNAL)
    selection: Selection = field(metadata=FAMILY)
    roots: t.Sequence[Root]
    closure: str = field(default="none", metadata=option(choices=CLOSURES))
    mode: t.Literal["missing", "merge", "exact"] = "missing"
    references: t.Sequence[Reference] = ()
    column_map: t.Mapping[QualifiedName, t.Mapping[str, str]] = field(
        default_factory=dict, metadata=option(type=t.Mapping[str, t.Any])
    )
    on_schema_drift: t.Literal["fail", "common_columns"] = "fail"
    triggers: t.Literal["fire", "disable"] = "disable"
    safeguards: Safeguards = field(default_factory=Safeguards, metadata=FAMILY)
    undo: bool = True
    into: t.Optional[str] = None
    reason: t.Optional[str] = None
    lock_timeout: float = 10
    spool_dir: t.Optional[FilePath] = None
    parallel: int = field(default=3, metadata=INTERNAL)
    read_only: bool = field(default=False, metadata=INTERNAL)
    run_as: t.Optional[str] = None
    diff_mode: bool = field(default=False, metadata=INTERNAL)
    diff_rows: int = 20
    listener: t.Optional[PhaseListener] = field(default=None, metadata=option("journal"))
