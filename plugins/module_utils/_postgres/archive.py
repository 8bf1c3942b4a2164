# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Dumps that others made: what format a file has, and its bytes."""

from __future__ import annotations

import os
import re
import typing as t
from dataclasses import dataclass

from .._core.codec import decompress
from .._core.digest import file_chunks, file_tally
from .._core.errors import ErrorKind, RecoveryError

_MAGIC = ((b"PGDMP", "custom", "none"), (b"\x1f\x8b", "script", "gzip"), (b"\x28\xb5\x2f\xfd", "script", "zstd"))


@dataclass(frozen=True)
class ForeignDump:
    """format is script, custom or directory; codec says how a script is compressed."""

    path: str
    format: str
    codec: str = "none"

    def chunks(self) -> t.Iterator[bytes]:
        """The plain bytes of a script. Raises RecoveryError(damaged)."""
        return decompress(file_chunks(self.path), self.codec)


def inspect_dump(path: str) -> ForeignDump:
    """Tell the format by the content, not by the name, and check a C(.sha256) file beside it.

    Raises RecoveryError: invalid_options when there is nothing to read, damaged when the digest differs.
    """
    if os.path.isdir(path):
        if not os.path.exists(os.path.join(path, "toc.dat")):
            raise _unreadable(path, "it is a folder without toc.dat")
        return ForeignDump(path, "directory")
    try:
        with open(path, "rb") as stream:
            head = stream.read(512)
    except OSError as error:
        raise _unreadable(path, error.strerror or "it cannot be opened") from None
    if not head:
        raise RecoveryError(ErrorKind.DAMAGED, f"The dump {path} is empty.", next_step="Use another dump.")
    _check_sidecar(path)
    for magic, name, codec in _MAGIC:
        if head.startswith(magic):
            return ForeignDump(path, name, codec)
    if head[257:262] == b"ustar":
        raise _unreadable(path, "tar archives are not read; convert it with pg_restore")
    return ForeignDump(path, "script")


def _check_sidecar(path: str) -> None:
    sidecar = f"{path}.sha256"
    if not os.path.exists(sidecar):
        return
    with open(sidecar, encoding="utf-8", errors="replace") as stream:
        found = re.search(r"\b[0-9a-fA-F]{64}\b", stream.read())
    if found is None:
        raise RecoveryError(
            ErrorKind.DAMAGED,
            f"{sidecar} holds no SHA-256 digest.",
            next_step="Mend or remove it, then run the restore again.",
        )
    actual = file_tally(path).sha256
    if actual != found.group(0).lower():
        raise RecoveryError(
            ErrorKind.DAMAGED,
            f"The dump {path} has the SHA-256 digest {actual}, {sidecar} says {found.group(0).lower()}.",
            next_step="Fetch the dump again, or use another one.",
        )


def _unreadable(path: str, why: str) -> RecoveryError:
    return RecoveryError(
        ErrorKind.INVALID_OPTIONS,
        f"The dump {path} cannot be restored: {why}.",
        next_step="Give a .sql file (plain, gzip or zstd), a custom or a directory archive.",
    )
