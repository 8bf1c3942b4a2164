# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs pgBackRest and the programs of a server as the user that owns the cluster, never as root."""

from __future__ import annotations

import os
import pwd
import re
import shutil
import typing as t
from dataclasses import dataclass, field

from .._core.errors import ErrorKind, RecoveryError
from .._core.options import FilePath, Secret, option
from .._core.program import Done, run
from .repository import Stanza, StoredSegment, parse_archive, parse_info

#: The first version of pgBackRest that knows a major version of PostgreSQL, newest first; from its release notes.
_SUPPORTS = (((2, 54), 17), ((2, 48), 16), ((2, 41), 15), ((2, 36), 14), ((2, 30), 13))


@dataclass(frozen=True)
class Place:
    """The connection to a stanza.

    config: a file of pgBackRest, or None for its own default. environment: PGBACKREST_* and other variables of the
    programs; values may be secrets. user: root runs the programs as this user, None for the current user.
    """

    stanza: str
    config: t.Optional[FilePath] = None
    repository: int = 1
    program: str = field(default="pgbackrest", metadata=option("pgbackrest"))
    environment: t.Mapping[str, Secret] = field(default_factory=dict, repr=False)
    user: t.Optional[str] = field(default=None, metadata=option("os_user"))


def owner_to_run_as(path: t.Optional[str], wanted: t.Optional[str]) -> t.Optional[str]:
    """The user as which root runs the programs: wanted, else the owner of path. None if this process is not root.

    Raises RecoveryError(invalid_options) if that is root, or no user is found.
    """
    if os.geteuid() != 0:
        return None
    name = wanted
    if name is None and path is not None and os.path.exists(path):
        name = pwd.getpwuid(os.stat(path).st_uid).pw_name
    try:
        if name is not None and pwd.getpwnam(name).pw_uid != 0:
            return name
    except KeyError:
        pass
    raise RecoveryError(
        ErrorKind.INVALID_OPTIONS,
        "PostgreSQL and pgBackRest do not run as root, and the owner of the cluster is unknown.",
        next_step="Set os_user to the user of the server, usually postgres, or become that user.",
    )


class PgBackRest:
    """The program of one stanza. Errors contain the last lines of the program."""

    def __init__(self, place: Place) -> None:
        self.place = place
        found = shutil.which(place.program)
        if found is None:
            raise RecoveryError(
                ErrorKind.CLIENT_MISSING,
                "pgBackRest is missing on this host.",
                next_step="Install the package pgbackrest, or set the option pgbackrest to the program.",
            )
        self.path = found

    def environment(self) -> t.Dict[str, str]:
        return {**os.environ, "LC_ALL": "C.UTF-8", "TZ": "UTC", **self.place.environment}

    def base(self) -> t.List[str]:
        """The program with the path of its configuration; no part of it is secret."""
        return [self.path, *([f"--config={self.place.config}"] if self.place.config else [])]

    def run(self, command: str, *options: str, stanza: bool = True) -> bytes:
        """Standard output of a command of the stanza's repository."""
        done = self.attempt(command, *options, stanza=stanza)
        if done.code != 0:
            raise self.failure(command, done)
        return done.output

    def attempt(self, command: str, *options: str, stanza: bool = True) -> Done:
        named = [f"--stanza={self.place.stanza}"] if stanza else []
        quiet = ["--log-level-console=off", "--log-level-stderr=warn"]
        return run([*self.base(), *named, *quiet, *options, command], self.environment(), self.place.user)

    def failure(self, command: str, done: Done, left: str = "Nothing was changed.") -> RecoveryError:
        text = " ".join(done.errors.split())
        code = re.search(r"ERROR: \[(\d+)\]", text)
        for secret in self.place.environment.values():
            if len(secret) >= 6:
                text = text.replace(secret, "********")
        damaged = code is not None and code.group(1) in ("029", "055", "042", "043", "094", "095")
        return RecoveryError(
            ErrorKind.DAMAGED if damaged else ErrorKind.SERVICE_FAILED,
            f"pgBackRest could not {command}: {text[-600:] or f'it ended with {done.code}'}.",
            left=left,
            next_step="Read its message, and check the repository with pgbackrest check and pgbackrest verify.",
        )

    def version(self) -> t.Tuple[int, int]:
        done = run([self.path, "version"], self.environment(), self.place.user)
        match = re.search(r"(\d+)\.(\d+)", done.output.decode("utf-8", "replace"))
        if done.code != 0 or match is None:
            raise self.failure("print its version", done)
        return int(match.group(1)), int(match.group(2))

    def info(self) -> Stanza:
        text = self.run("info", "--output=json", *self.only_repository()).decode()
        return parse_info(text, self.place.stanza, self.place.repository)

    def archive(self, stanza: Stanza) -> t.List[StoredSegment]:
        return parse_archive(self._list(f"archive/{stanza.name}"), stanza)

    def _list(self, path: str) -> str:
        options = ["--log-level-console=off", "--log-level-stderr=warn", *self.only_repository()]
        command = [*self.base(), *options, "--recurse", "--output=json", "repo-ls", path]
        done = run(command, self.environment(), self.place.user)
        if done.code != 0:
            raise self.failure(f"list {path}", done)
        return done.output.decode()

    def file(self, path: str) -> bytes:
        """A file of the repository, decrypted but still compressed."""
        options = ["--log-level-console=off", "--log-level-stderr=warn", *self.only_repository()]
        done = run([*self.base(), *options, "repo-get", path], self.environment(), self.place.user)
        if done.code != 0:
            raise self.failure(f"get {path}", done)
        return done.output

    def only_repository(self) -> t.List[str]:
        return [f"--repo={self.place.repository}"]


def newest_supported(version: t.Tuple[int, int]) -> int:
    """The newest major version of PostgreSQL that a version of pgBackRest is known to work with."""
    return next((major for since, major in _SUPPORTS if version >= since), 12)
