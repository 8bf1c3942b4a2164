# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A document that is restored to a version: how it is published, the plan, and the result."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from .._core.errors import ErrorKind, RecoveryError
from .._core.http import is_url
from .._core.options import Secret, option
from .._store.base import is_same_version
from .published import Published, PublishedCopies
from .reader import DocumentState
from .schema import Validator


@dataclass(frozen=True)
class PublishOptions:
    """How versions are published. via: sql, function or http. publisher: the id of a user; None for the user of the
    version that is restored. function: of the database. url, token, timeout: of the HTTP service. lock_timeout: the
    seconds to wait for another session. version_above, etag_above: the highest numbers that clients may know; those of
    new versions are higher.
    """

    via: t.Literal["sql", "function", "http"] = "sql"
    changelog: str = field(default="Restored by lifeline.recovery", metadata=option(default=None))
    publisher: t.Optional[str] = None
    function: str = "restore_course_version"
    url: t.Optional[str] = None
    token: t.Optional[Secret] = None
    timeout: float = 30
    lock_timeout: float = 10
    version_above: t.Optional[int] = None
    etag_above: t.Optional[int] = None

    def require_valid(self) -> None:
        """Raise RecoveryError(invalid_options) for options that cannot be meant together."""
        if self.via != "sql" and (self.version_above, self.etag_above) != (None, None):
            raise RecoveryError(
                ErrorKind.INVALID_OPTIONS,
                f"`version_above` and `etag_above` require `via: sql`, got {self.via}.",
            )
        if self.via != "http":
            return
        if not self.url or not is_url(self.url):
            raise RecoveryError(
                ErrorKind.INVALID_OPTIONS, "`url` must be an HTTP address if `via` is http.", next_step="Set `url`."
            )
        if not self.token:
            raise RecoveryError(ErrorKind.INVALID_OPTIONS, "`token` is required if `via` is http.")


@dataclass(frozen=True)
class Target:
    """A document that is restored: its state in the plan, the version, the digest of the version's content.

    unversioned: the published copy has a content that no version has, so that the restore keeps it first.
    """

    state: DocumentState
    version: int
    digest: str
    publisher: t.Optional[str]
    unversioned: bool

    @property
    def document(self) -> str:
        return self.state.document


@dataclass(frozen=True)
class Restored:
    """A document that was restored, as a new version. kept_version, kept_copy: where its former content is."""

    document: str
    restored_from: int
    version: int
    etag: t.Optional[int]
    kept_version: t.Optional[int] = None
    kept_copy: t.Optional[str] = None


def read_planned_copy(
    copies: t.Optional[PublishedCopies], target: Target, validator: Validator
) -> t.Optional[Published]:
    """The published copy with its bytes and tags. Raises RecoveryError(conflict) if it is not the one of the plan."""
    planned = target.state.published
    if planned is None or copies is None:
        return None
    seen = copies.read_to_replace(target.document, validator)
    same = is_same_version(planned.info, seen.info) if planned.info is not None else seen.info is None
    if not same:
        raise conflict_of(target.document)
    return seen


def conflict_of(document: str) -> RecoveryError:
    return RecoveryError(
        ErrorKind.CONFLICT,
        f"{document} was published by another session during the restore.",
        left="The restore changed nothing in it.",
        next_step="Read the new version; if the document is still damaged, run it again.",
    )
