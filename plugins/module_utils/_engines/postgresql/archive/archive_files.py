# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Judges the file names within a directory archive. pg_restore opens the names that toc.dat and the lists of large
objects give, below the folder of the archive but also above it: C(../../etc/passwd) becomes a large object.
"""

from __future__ import annotations

import os
import re
import typing as t

from ...._core.errors import ErrorKind, RecoveryError
from ...._core.plain_files import require_plain_name
from .toc import parse_toc

_TOC = "toc.dat"

#: A line of a list of large objects: the OID and the file. PostgreSQL src/bin/pg_dump/pg_backup_directory.c
_LARGE_OBJECT = re.compile(r"\d{1,10} (\S+)")

#: Bytes of a line; the names that pg_dump gives have at most 20.
_LONGEST_LINE = 4096


def require_own_files(archive: str) -> None:
    """Raise RecoveryError(damaged) unless every name that pg_restore would open stays within a directory archive.

    An archive that is one file names no other files.
    """
    if not os.path.isdir(archive):
        return
    folder = archive
    with open(os.path.join(folder, _TOC), "rb") as stream:
        toc = parse_toc(stream.read())
    for entry in toc.entries:
        if not entry.file_name:
            continue
        _require_own(folder, entry.file_name, _TOC)
        if entry.kind == "BLOBS":
            for name in _large_objects(folder, entry.file_name):
                _require_own(folder, name, entry.file_name)


def _large_objects(folder: str, listing: str) -> t.List[str]:
    names: t.List[str] = []
    path = os.path.join(folder, listing)
    if not os.path.isfile(path):
        # A restore of rows has no large objects, and pg_restore fails if their list is missing.
        return []
    with open(path, encoding="ascii", errors="replace") as stream:
        while True:
            line = stream.readline(_LONGEST_LINE)
            if not line:
                return names
            found = _LARGE_OBJECT.fullmatch(line.rstrip("\n"))
            if found is None:
                raise _damaged(f"{listing} has the line {line[:80]!a}, which is not a large object and its file.")
            names.append(found.group(1))


def _require_own(folder: str, name: str, listing: str) -> None:
    if os.path.islink(os.path.join(folder, require_plain_name(name, listing))):
        raise _damaged(f"{listing} names the file {name}, which is a link.")


def _damaged(what: str) -> RecoveryError:
    return RecoveryError(ErrorKind.DAMAGED, what, next_step="Use another set or dump.")
