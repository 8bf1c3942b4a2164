# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Creates restore points and waits until a project can be rolled back to them."""

from __future__ import annotations

import secrets
import time
import typing as t
from dataclasses import dataclass, field
from datetime import datetime

from .._core.clock import compact_instant, utc_now
from .._core.errors import Applied, ErrorKind, RecoveryError
from .._core.options import FAMILY, option
from .._repository.audit import audited
from .._store.base import ObjectStore
from .answers import RestorePoint
from .api import SupabaseApi
from .course import require_ready, undo_options

#: Maximum number of characters of a name.
LONGEST_NAME = 20

#: Errors of the service, before any change, if a project or token cannot have restore points.
NOT_OFFERED = (ErrorKind.UNSUPPORTED, ErrorKind.ACCESS_DENIED, ErrorKind.TARGET_MISSING, ErrorKind.INVALID_OPTIONS)


@dataclass(frozen=True)
class Patience:
    """In seconds: timeout until the end, until the start, and pause between two requests."""

    timeout: float = field(default=3600, metadata=option(type=int))
    begin: float = field(default=120, metadata=option("begin_timeout", type=int))
    poll: float = field(default=10, metadata=option("poll_seconds"))


@dataclass(frozen=True)
class PointRequest:
    """The required restore point; without a name, a new one is created. source is for the audit record."""

    name: t.Optional[str] = None
    patience: Patience = field(default_factory=Patience, metadata=FAMILY)
    check_mode: bool = False
    source: t.Optional[str] = None


@dataclass(frozen=True)
class PointResult:
    """undo are the options to roll back to it, empty if it does not exist. status is None if it does not exist."""

    changed: bool
    name: str
    status: t.Optional[str]
    completed_on: t.Optional[datetime]
    undo: t.Mapping[str, str]
    summary: str


def keep_point(api: SupabaseApi, request: PointRequest, store: t.Optional[ObjectStore]) -> PointResult:
    """Ensure a restore point, and if a store is set an audit record. Raises RecoveryError as ensure_point."""
    name = request.name or new_name()
    require_name(name)
    require_ready(api.ref, api.project().status)
    if request.check_mode:
        found = api.point(name)
        status, completed = (found.status, found.completed_on) if found else (None, None)
        back = undo_options(name if status == "AVAILABLE" else None)
        state = f"is {status}" if found else "would be created"
        return PointResult(found is None, name, status, completed, back, f"Restore point {name} of {api.ref} {state}.")
    planned_facts = {"project": api.ref, "name": name}
    with audited(store, request.source, "restore_point", planned_facts, check_mode=False) as outcome:
        made, point = ensure_point(api, name, request.patience)
        if made:
            outcome.update(status=point.status)
    was = "was created" if made else "exists"
    summary = f"Restore point {name} of {api.ref} {was}."
    return PointResult(made, name, point.status, point.completed_on, undo_options(name), summary)


def known_point(api: SupabaseApi, name: t.Optional[str]) -> t.Optional[RestorePoint]:
    """The restore point of a name, or the one that the service returns without a name. None if it returns none."""
    try:
        return api.point(name)
    except RecoveryError as error:
        if error.kind not in NOT_OFFERED:
            raise
        return None


def new_name() -> str:
    """From the second and a random suffix; as long as a name may be."""
    return f"u{compact_instant(utc_now())[:-1]}-{secrets.token_hex(2)[:3]}"


def ensure_point(api: SupabaseApi, name: str, patience: Patience) -> t.Tuple[bool, RestorePoint]:
    """An available restore point of the name, and whether it was created now.

    Raises RecoveryError: invalid_options for a name that is too long, conflict for a used one, timeout.
    """
    require_name(name)
    found = api.point(name)
    if found is None:
        return True, make_point(api, name, patience)
    if found.status == "AVAILABLE":
        return False, found
    if found.status == "PENDING":
        return False, _available(api, name, patience)
    raise RecoveryError(
        ErrorKind.CONFLICT, f"The restore point {name!r} is {found.status}.", next_step="Choose another name."
    )


def make_point(api: SupabaseApi, name: str, patience: Patience) -> RestorePoint:
    """As ensure_point, for an unused name."""
    require_name(name)
    try:
        api.create_point(name)
    except RecoveryError as error:
        # The next requests show whether it was created; a second one of the name would be refused.
        if error.applied != Applied.UNKNOWN:
            raise
    return _available(api, name, patience)


def require_name(name: str) -> None:
    if not 0 < len(name) <= LONGEST_NAME:
        raise RecoveryError(
            ErrorKind.INVALID_OPTIONS,
            f"The name {name!r} must have 1 to {LONGEST_NAME} characters, got {len(name)}.",
            next_step="Set a shorter name.",
        )


def _available(api: SupabaseApi, name: str, patience: Patience) -> RestorePoint:
    began = time.monotonic()
    while True:
        point = api.point(name)
        if point and point.status == "AVAILABLE":
            return point
        passed = time.monotonic() - began
        if point and point.status != "PENDING":
            raise RecoveryError(
                ErrorKind.SERVICE_FAILED,
                f"The restore point {name!r} ended as {point.status}.",
                left="The database is unchanged.",
                next_step="Try again; if it persists, check the status page of Supabase.",
            )
        if passed > (patience.timeout if point else min(patience.begin, patience.timeout)):
            raise RecoveryError(
                ErrorKind.TIMEOUT,
                f"The restore point {name!r} is {point.status if point else 'missing'} after {passed:.0f} s.",
                left="The database is unchanged.",
                next_step="Try again later, or raise timeout.",
            )
        time.sleep(patience.poll)
