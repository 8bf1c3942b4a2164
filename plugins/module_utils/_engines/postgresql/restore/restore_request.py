# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Request and result of the restore of a database."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from ...._core.clock import PhaseListener
from ...._repository.change import Outcome, Safeguards
from ...._repository.recovery_points import Selection
from ..foreign.preparation import Preparation
from ..server.connection import ConnectionOptions

MODES = ("new", "swap", "in_place", "undo")


@dataclass(frozen=True)
class RestoreRequest:
    """A restore: a set by source and selection or an archive, and the target.

    connection leads to a maintenance database of the target's server, for in_place to the target itself.
    materialized_views is refresh, required or without_data; object_errors is fail or report; locale is exact or
    nearest; rows_as is owner or login. lock_timeout is in seconds.
    """

    connection: ConnectionOptions
    target_db: str
    mode: str = "new"
    source: t.Optional[str] = None
    selection: Selection = field(default_factory=Selection)
    archive: t.Optional[str] = None
    undo_db: t.Optional[str] = None
    jobs: int = 2
    create_roles: bool = False
    preparation: Preparation = field(default_factory=Preparation)
    owner: bool = True
    privileges: bool = True
    tablespaces: bool = True
    skip_extensions: t.Tuple[str, ...] = ()
    materialized_views: str = "refresh"
    object_errors: str = "fail"
    locale: str = "exact"
    rows_as: str = "owner"
    lock_timeout: float = 30
    fingerprint: str = "full"
    skip_database_statements: bool = False
    terminate_sessions: bool = False
    safeguards: Safeguards = field(default_factory=Safeguards)
    spool_dir: t.Optional[str] = None
    parallel: int = 4
    listener: t.Optional[PhaseListener] = None


@dataclass(frozen=True)
class RestoreResult(Outcome):
    """A restored and verified database.

    properties: of (where the expected properties come from), equal, differences, changed_since_backup.
    not_restored: objects of the set that the database lacks or has only in part, with the reason.
    not_covered: what the set does not hold, in words.
    """

    mode: str
    target_db: str
    set_id: t.Optional[str]
    recovery_point: t.Optional[str]
    archive: t.Optional[str]
    bytes_fetched: int
    roles_created: t.Sequence[str]
    fingerprint: t.Mapping[str, t.Any]
    foreign_keys: t.Mapping[str, t.Any]
    properties: t.Mapping[str, t.Any]
    not_restored: t.Sequence[t.Mapping[str, str]]
    not_covered: t.Sequence[str]
    plan: t.Mapping[str, t.Any]
    timings: t.Mapping[str, float]
    summary: str
