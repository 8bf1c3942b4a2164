# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Databases of D1 as they are wanted: there or not, and at which moment."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field
from datetime import datetime

from ..._core.confirmation import ENVIRONMENTS, missing_confirmation, plan_digest, require_confirmation
from ..._core.errors import ErrorKind, RecoveryError
from ..._core.options import INTERNAL, option
from .api import D1Api, D1Facts

#: Where Cloudflare may create a database, and the jurisdictions that it may be limited to.
LOCATIONS = ("wnam", "enam", "weur", "eeur", "apac", "oc")
JURISDICTIONS = ("eu", "fedramp", "us")


@dataclass(frozen=True)
class DatabaseRequest:
    """A database that must exist or not. location and jurisdiction are those of a new database."""

    database: str = field(metadata=INTERNAL)
    state: t.Literal["present", "absent"] = "present"
    location: t.Optional[str] = field(default=None, metadata=option(choices=LOCATIONS))
    jurisdiction: t.Optional[str] = field(default=None, metadata=option(choices=JURISDICTIONS))
    environment: str = field(default="production", metadata=option("recovery_environment", choices=ENVIRONMENTS))
    confirm: t.Optional[str] = field(default=None, metadata=option("recovery_confirm"))
    check_mode: bool = False


@dataclass(frozen=True)
class DatabaseResult:
    """exists: whether the database existed before. facts: None if it does not exist, or would not in check mode."""

    changed: bool
    exists: bool
    facts: t.Optional[D1Facts]
    bookmark: t.Optional[str]


@dataclass(frozen=True)
class TimeTravelRequest:
    """A state of a database: a bookmark, an instant, or the current state if both are unset."""

    database: str = field(metadata=INTERNAL)
    bookmark: t.Optional[str] = None
    to: t.Optional[datetime] = None
    restore: bool = False
    environment: str = field(default="production", metadata=option("recovery_environment", choices=ENVIRONMENTS))
    confirm: t.Optional[str] = field(default=None, metadata=option("recovery_confirm"))
    check_mode: bool = False


@dataclass(frozen=True)
class TravelResult:
    """previous_bookmark undoes the restore; it is also predicted in check mode.

    confirmation: the recovery_confirm that a run with the same options must have; empty if the run needs no other.
    """

    changed: bool
    bookmark: str
    previous_bookmark: t.Optional[str] = None
    message: str = ""
    confirmation: str = ""


def ensure_database(api: D1Api, request: DatabaseRequest) -> DatabaseResult:
    """Make or delete a database. Raises RecoveryError: confirmation_required to delete, and those of the service."""
    found = api.find(request.database)
    changed = (found is not None) != (request.state == "present")
    if found is None:
        made = None
        if request.state == "present" and not request.check_mode:
            made = api.create(request.database, location=request.location, jurisdiction=request.jurisdiction)
        return DatabaseResult(changed, False, made, api.bookmark(made.uuid) if made else None)
    bookmark = api.bookmark(found.uuid)
    if request.state == "absent" and not request.check_mode:
        digest = plan_digest({"delete": found.uuid, "bookmark": bookmark})
        require_confirmation(request.environment, request.confirm, found.name, digest)
        api.delete(found.uuid)
    return DatabaseResult(changed, True, found, bookmark)


def time_travel(api: D1Api, request: TimeTravelRequest) -> TravelResult:
    """Return a bookmark, or restore the database to it. A database in that state is not changed.

    Raises RecoveryError: target_missing, confirmation_required, query_failed for a moment that is not kept.
    """
    found = api.require(request.database)
    now = api.bookmark(found.uuid)
    wanted = request.bookmark or api.bookmark(found.uuid, request.to)
    if not request.restore:
        return TravelResult(False, wanted)
    if request.bookmark is None and request.to is None:
        raise RecoveryError(
            ErrorKind.INVALID_OPTIONS, "Either bookmark or to is required.", next_step="Set to to an instant."
        )
    if wanted == now:
        return TravelResult(False, now)
    digest = plan_digest({"database": found.uuid, "bookmark": wanted})
    if request.check_mode:
        confirmation = missing_confirmation(request.environment, request.confirm, found.name, digest)
        return TravelResult(True, wanted, now, confirmation=confirmation)
    require_confirmation(request.environment, request.confirm, found.name, digest)
    done = api.restore(found.uuid, wanted)
    return TravelResult(True, done.bookmark, done.previous_bookmark, done.message)
