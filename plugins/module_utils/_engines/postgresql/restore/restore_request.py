# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Request and result of the restore of a database."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from ...._core.clock import PhaseListener
from ...._core.options import FAMILY, INTERNAL, SUBOPTIONS, FilePath, option
from ...._repository.change import Outcome, Safeguards
from ...._repository.recovery_points import Selection
from ..foreign.preparation import Preparation
from ..neutral.request import Neutralized, NeutralRules
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
    mode: str = field(default="new", metadata=option(choices=MODES))
    source: t.Optional[str] = None
    selection: Selection = field(default_factory=Selection, metadata=FAMILY)
    archive: t.Optional[FilePath] = None
    undo_db: t.Optional[str] = None
    jobs: int = 2
    create_roles: bool = False
    preparation: Preparation = field(default_factory=Preparation, metadata=FAMILY)
    owner: bool = True
    privileges: bool = True
    tablespaces: bool = True
    skip_extensions: t.Tuple[str, ...] = ()
    materialized_views: t.Literal["refresh", "required", "without_data"] = "refresh"
    object_errors: t.Literal["fail", "report"] = "fail"
    locale: t.Literal["exact", "nearest"] = "exact"
    rows_as: t.Literal["owner", "login"] = "owner"
    lock_timeout: float = 30
    fingerprint: t.Literal["full", "counts", "none"] = "full"
    skip_database_statements: bool = False
    terminate_sessions: bool = False
    neutralize: bool = True
    neutralize_rules: t.Optional[NeutralRules] = field(default=None, metadata=SUBOPTIONS)
    safeguards: Safeguards = field(default_factory=Safeguards, metadata=FAMILY)
    spool_dir: t.Optional[FilePath] = None
    parallel: int = field(default=4, metadata=INTERNAL)
    listener: t.Optional[PhaseListener] = field(default=None, metadata=option("journal"))


@dataclass(frozen=True)
class RestoreResult(Outcome):
    """A restored and verified database.

    properties: of (where the expected properties come from), equal, differences, changed_since_backup.
    not_restored: objects of the set that the database lacks or has only in part, with the reason.
    not_covered: what the set does not hold, in words. replaced_equal: whether the replaced content was equal to the
    set; None if it was not compared. neutralized: objects that were disabled because the target is a copy.
    """

    mode: str
    target_db: str
    set_id: t.Optional[str]
    recovery_point: t.Optional[str]
    archive: t.Optional[str]
    bytes_fetched: int
    roles_created: t.Sequence[str]
    fingerprint: t.Mapping[str, t.Any]
    replaced_equal: t.Optional[bool]
    foreign_keys: t.Mapping[str, t.Any]
    properties: t.Mapping[str, t.Any]
    not_restored: t.Sequence[t.Mapping[str, str]]
    not_covered: t.Sequence[str]
    neutralized: t.Sequence[Neutralized]
    plan: t.Mapping[str, t.Any]
    timings: t.Mapping[str, float]
    summary: str
