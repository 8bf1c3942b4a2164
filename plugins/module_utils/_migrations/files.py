# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The files of a folder of migrations: `<version>_<name>.sql`, in the order of their versions."""

from __future__ import annotations

import os
import re
import typing as t
from dataclasses import dataclass

from .._core.errors import ErrorKind, RecoveryError
from .script import Script, read_script, refused, shortened

_NAME = re.compile(r"([0-9]+)_(.*)\.sql")
_DOWN = ".down.sql"
#: A ledger holds the statements of a file in one value, for which PostgreSQL needs several times the size in memory.
_LARGEST = 256 * 1024 * 1024


@dataclass(frozen=True)
class MigrationFile:
    """A migration that is not read yet."""

    version: str
    name: str
    path: str

    @property
    def file(self) -> str:
        return os.path.basename(self.path)

    def read(self) -> Script:
        """Raises RecoveryError(migration_refused)."""
        return read_file(self.path)


@dataclass(frozen=True)
class Folder:
    """migrations: in the order of their versions. down: files that take a migration back, by version.

    skipped: entries whose names are not those of migrations.
    """

    path: str
    migrations: t.Tuple[MigrationFile, ...]
    down: t.Mapping[str, str]
    skipped: t.Tuple[str, ...]

    def find(self, version: str) -> t.Optional[MigrationFile]:
        return next((one for one in self.migrations if one.version == version), None)


def read_folder(path: str) -> Folder:
    """Raises RecoveryError: invalid_options for a folder that cannot be read, migration_refused for a version that two
    files have."""
    try:
        entries = sorted(os.listdir(path))
    except OSError as error:
        raise RecoveryError(
            ErrorKind.INVALID_OPTIONS,
            f"`migrations_path` must be a folder that can be read, got {path}: {error.strerror}.",
            next_step="Set it to the folder of the migrations on the host where the module runs.",
        ) from None
    found: t.Dict[int, MigrationFile] = {}
    down: t.Dict[str, str] = {}
    skipped = []
    for entry in entries:
        match, place = _NAME.fullmatch(entry), os.path.join(path, entry)
        if match is None or not os.path.isfile(place) or entry.encode("utf-8", "replace").decode() != entry:
            skipped.append(shortened(entry))
            continue
        version, name = match.groups()
        if entry.endswith(_DOWN):
            if version in down:
                raise _twice(version, os.path.basename(down[version]), entry)
            down[version] = place
            continue
        if int(version) in found:
            raise _twice(version, found[int(version)].file, entry)
        found[int(version)] = MigrationFile(version, name, place)
    return Folder(path, tuple(found[number] for number in sorted(found)), down, tuple(skipped))


def read_file(path: str) -> Script:
    """The statements of a file. Raises RecoveryError(migration_refused)."""
    file = shortened(os.path.basename(path))
    try:
        with open(path, "rb") as stream:
            data = stream.read(_LARGEST + 1)
    except OSError as error:
        raise refused(file, error.strerror or "it cannot be read", "Check the path and its rights.") from None
    if len(data) > _LARGEST:
        raise refused(file, "it is larger than 256 MiB", "Split it, or load its rows with another tool.")
    script = read_script(file, data)
    if not data.removeprefix(b"\xef\xbb\xbf").strip():
        raise refused(
            file,
            "it is empty",
            "Write its statements, or remove the file. For a version that does nothing, write a comment into the file.",
        )
    return script


def _twice(version: str, first: str, second: str) -> RecoveryError:
    return RecoveryError(
        ErrorKind.MIGRATION_REFUSED,
        f"The version {version} has two files: {first} and {second}.",
        next_step="Rename one of them to a version of its own, or remove it.",
    )
