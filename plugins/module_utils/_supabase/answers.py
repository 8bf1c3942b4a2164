# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Parses the answers of Supabase's Management API about a project and its backups. Pure.

https://supabase.com/docs/reference/api/v1-list-all-backups
"""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass
from datetime import datetime, timezone

from .._core.clock import parse_instant
from .._core.errors import ErrorKind, RecoveryError


@dataclass(frozen=True)
class Project:
    """A project as the service describes it. status is a value of the API, such as C(ACTIVE_HEALTHY)."""

    ref: str
    name: str
    region: str
    status: str
    created_at: t.Optional[datetime]
    host: str
    version: str


@dataclass(frozen=True)
class Backup:
    """One daily backup. id is None if the service returns none; the API then cannot restore it."""

    id: t.Optional[int]
    physical: bool
    status: str
    taken_at: datetime


@dataclass(frozen=True)
class Window:
    """The instants that can be restored, both included, in whole seconds."""

    earliest: datetime
    latest: datetime

    @property
    def seconds(self) -> float:
        return (self.latest - self.earliest).total_seconds()


@dataclass(frozen=True)
class Backups:
    """backups are newest first. window is None if the service returns none."""

    pitr_enabled: bool
    walg_enabled: bool
    backups: t.Sequence[Backup]
    window: t.Optional[Window]


@dataclass(frozen=True)
class RestorePoint:
    """status is C(AVAILABLE), C(PENDING), C(REMOVED) or C(FAILED)."""

    name: str
    status: str
    completed_on: t.Optional[datetime]


def read_project(document: t.Any) -> Project:
    """Raises RecoveryError(service_failed) if it is not a project."""
    with_database = of_kind(document, dict, "project")
    database = with_database.get("database") or {}
    return Project(
        ref=text_of(with_database, "ref"),
        name=text_of(with_database, "name"),
        region=str(with_database.get("region", "")),
        status=text_of(with_database, "status"),
        created_at=_instant(with_database.get("created_at")),
        host=str(database.get("host", "")),
        version=str(database.get("version", "")),
    )


def read_backups(document: t.Any) -> Backups:
    """Raises RecoveryError(service_failed) if it is not a list of backups."""
    given = of_kind(document, dict, "list of backups")
    if not isinstance(given.get("pitr_enabled"), bool):
        raise unexpected_answer("pitr_enabled")
    found = [_backup(item) for item in of_kind(given.get("backups"), list, "list of backups")]
    physical = given.get("physical_backup_data") or {}
    earliest, latest = (physical.get(f"{name}_physical_backup_date_unix") for name in ("earliest", "latest"))
    known = isinstance(earliest, int) and isinstance(latest, int) and 0 < earliest <= latest
    return Backups(
        pitr_enabled=given["pitr_enabled"],
        walg_enabled=bool(given.get("walg_enabled")),
        backups=sorted(found, key=lambda backup: backup.taken_at, reverse=True),
        window=Window(_unix(earliest), _unix(latest)) if known else None,
    )


def read_point(document: t.Any) -> t.Optional[RestorePoint]:
    """None if there is none. Raises RecoveryError(service_failed) if it is not a restore point."""
    if not document:
        return None
    given = of_kind(document, dict, "restore point")
    return RestorePoint(text_of(given, "name"), text_of(given, "status"), _instant(given.get("completed_on")))


def read_health(document: t.Any) -> t.Dict[str, bool]:
    """Services by their names, and whether each is healthy. Raises RecoveryError(service_failed)."""
    given = [of_kind(item, dict, "service") for item in of_kind(document, list, "list of services")]
    return {text_of(item, "name"): item.get("status") == "ACTIVE_HEALTHY" for item in given}


def _backup(item: t.Any) -> Backup:
    given = of_kind(item, dict, "backup")
    taken_at = _instant(given.get("inserted_at"))
    if taken_at is None:
        raise unexpected_answer("inserted_at")
    return Backup(given.get("id"), bool(given.get("is_physical_backup")), text_of(given, "status"), taken_at)


def text_of(document: t.Mapping[str, t.Any], name: str) -> str:
    if not isinstance(document.get(name), str):
        raise unexpected_answer(name)
    return str(document[name])


def of_kind(value: t.Any, kind: type, what: str) -> t.Any:
    if not isinstance(value, kind):
        raise unexpected_answer(what)
    return value


def _instant(text: t.Optional[str]) -> t.Optional[datetime]:
    """To the second, because the service returns fractions of any length."""
    try:
        return parse_instant(re.sub(r"\.\d+", "", text)) if text else None
    except (RecoveryError, TypeError):
        return None


def _unix(seconds: t.Any) -> datetime:
    try:
        return datetime.fromtimestamp(seconds, timezone.utc)
    except (TypeError, ValueError, OverflowError, OSError):
        raise unexpected_answer("physical_backup_data") from None


def unexpected_answer(what: str) -> RecoveryError:
    return RecoveryError(
        ErrorKind.SERVICE_FAILED,
        f"Supabase's answer has no valid {what}.",
        next_step="Check api_url. If it is correct, the API has changed and this collection does not support it.",
    )
