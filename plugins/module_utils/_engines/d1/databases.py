# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Databases of D1 as they are wanted: there or not, and at which moment."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass
from datetime import datetime

from ..._core.confirmation import plan_digest, require_confirmation
from ..._core.errors import ErrorKind, RecoveryError
from .api import D1Api, D1Facts


@dataclass(frozen=True)
class DatabaseWish:
    """A database that is to be there or not. location and jurisdiction are for a new one."""

    database: str
    present: bool = True
    location: t.Optional[str] = None
    jurisdiction: t.Optional[str] = None
    environment: str = "production"
    confirm: t.Optional[str] = None
    check_mode: bool = False


@dataclass(frozen=True)
class DatabaseResult:
    """exists tells of before; facts are None where there is no database, or would be none in check mode."""

    changed: bool
    exists: bool
    facts: t.Optional[D1Facts]
    bookmark: t.Optional[str]


@dataclass(frozen=True)
class TravelWish:
    """Where to: a bookmark, an instant, or neither for now."""

    database: str
    bookmark: t.Optional[str] = None
    to: t.Optional[datetime] = None
    restore: bool = False
    environment: str = "production"
    confirm: t.Optional[str] = None
    check_mode: bool = False


@dataclass(frozen=True)
class TravelResult:
    """previous_bookmark undoes what was done, or would be in check mode."""

    changed: bool
    bookmark: str
    previous_bookmark: t.Optional[str] = None
    message: str = ""


def fulfil(api: D1Api, wish: DatabaseWish) -> DatabaseResult:
    """Make or delete a database. Raises RecoveryError: confirmation_required to delete, and those of the service."""
    found = api.find(wish.database)
    changed = (found is not None) != wish.present
    if found is None:
        made = None
        if wish.present and not wish.check_mode:
            made = api.create(wish.database, location=wish.location, jurisdiction=wish.jurisdiction)
        return DatabaseResult(changed, False, made, api.bookmark(made.uuid) if made else None)
    bookmark = api.bookmark(found.uuid)
    if not wish.present and not wish.check_mode:
        digest = plan_digest({"delete": found.uuid, "bookmark": bookmark})
        require_confirmation(wish.environment, wish.confirm, found.name, digest)
        api.delete(found.uuid)
    return DatabaseResult(changed, True, found, bookmark)


def travel(api: D1Api, wish: TravelWish) -> TravelResult:
    """Tell a bookmark, or go there. A database that is there already is left alone.

    Raises RecoveryError: target_missing, confirmation_required, query_failed for a moment that is not kept.
    """
    found = api.require(wish.database)
    now = api.bookmark(found.uuid)
    wanted = wish.bookmark or api.bookmark(found.uuid, wish.to)
    if not wish.restore:
        return TravelResult(False, wanted)
    if wish.bookmark is None and wish.to is None:
        raise RecoveryError(
            ErrorKind.INVALID_OPTIONS, "Either bookmark or to is required.", next_step="Set to to an instant."
        )
    if wanted == now:
        return TravelResult(False, now)
    if wish.check_mode:
        return TravelResult(True, wanted, now)
    digest = plan_digest({"database": found.uuid, "bookmark": wanted})
    require_confirmation(wish.environment, wish.confirm, found.name, digest)
    done = api.restore(found.uuid, wanted)
    return TravelResult(True, done.bookmark, done.previous_bookmark, done.message)
