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
from .published import KeptCopy, Published, PublishedCopies
from .reader import DocumentState, Reader
from .schema import Validator


@dataclass(frozen=True)
class PublishOptions:
    """How versions are published. via: sql, function or http. publisher: the id of a user; None for the user of the
    version that is restored. function: of the database. url, token: of the HTTP service. timeout: of the
    service or of the function, in seconds. lock_timeout: the
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
    kept: the former copy that is put back; version and digest are then those of the newest version.
    """

    state: DocumentState
    version: int
    digest: str
    publisher: t.Optional[str]
    unversioned: bool
    kept: t.Optional[KeptCopy] = None

    @property
    def document(self) -> str:
        return self.state.document

    @property
    def name(self) -> t.Union[int, str]:
        """The number of the version, or the key of the former copy."""
        return self.version if self.kept is None else self.kept.info.key

    @property
    def title(self) -> str:
        return f"version {self.version}" if self.kept is None else f"the former copy {self.kept.info.key}"


@dataclass(frozen=True)
class Restored:
    """A document that was restored, as a new version. kept_version, kept_copy: where its former content is.

    former_version: the current one before. restored_from: None if the copy restored_copy was put back.
    """

    document: str
    restored_from: t.Optional[int]
    version: t.Optional[int]
    etag: t.Optional[int]
    kept_version: t.Optional[int] = None
    kept_copy: t.Optional[str] = None
    former_version: t.Optional[int] = None
    restored_copy: t.Optional[str] = None


class Publisher(t.Protocol):
    """Restores planned documents, one after the other."""

    def publish(self, target: Target) -> Restored:
        """Restore a document completely, or leave it unchanged and raise RecoveryError."""

    def problems(self, reader: Reader, target: Target, restored: Restored) -> t.List[str]:
        """The differences between a restored document and what it was restored to, as clauses."""


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


def version_problems(reader: Reader, target: Target, restored: Restored) -> t.List[str]:
    """The differences between a restored document and its version, in the tables and in the bucket."""
    state = reader.state(target.document)
    source = reader.judge_version(target.document, target.version).content
    found = state.verdict.content if state.verdict is not None else None
    problems = [*state.findings]
    if state.newest.version != restored.version:
        problems.append(f"the newest version is {state.newest.version}, not {restored.version}")
    elif found is None or source is None or not found.digest == source.digest == target.digest:
        problems.append(f"its content is not that of version {target.version}")
    return problems


def conflict_of(document: str) -> RecoveryError:
    return RecoveryError(
        ErrorKind.CONFLICT,
        f"{document} was published by another session during the restore.",
        left="The restore changed nothing in it.",
        next_step="Read the new version; if the document is still damaged, run it again.",
    )
