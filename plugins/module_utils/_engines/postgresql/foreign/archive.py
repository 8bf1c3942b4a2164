# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Dumps that others made: the format of a file, its bytes, and whether its content may run."""

from __future__ import annotations

import os
import re
import typing as t
from dataclasses import dataclass

from ...._core.codec import decompress
from ...._core.digest import file_chunks, file_tally
from ...._core.errors import ErrorKind, RecoveryError
from ..archive.load import archive_script
from ..archive.toc import Toc, read_toc_from
from ..server.client import ClientPrograms
from .script import GuardedScript, ScriptFacts, inspect_script

_MAGIC = ((b"PGDMP", "custom", "none"), (b"\x1f\x8b", "script", "gzip"), (b"\x28\xb5\x2f\xfd", "script", "zstd"))

_OTHERS = ((b"BZh", "bzip2"), (b"\xfd7zXZ\0", "xz"), (b"PK\x03\x04", "zip"), (b"\x04\x22\x4d\x18", "lz4"))


@dataclass(frozen=True)
class ForeignDump:
    """format is script, custom or directory; codec is the compression of a script."""

    path: str
    format: str
    codec: str = "none"

    def chunks(self) -> t.Iterator[bytes]:
        """The plain bytes of a script. Raises RecoveryError(damaged)."""
        return decompress(file_chunks(self.path), self.codec)


def inspect_dump(path: str) -> ForeignDump:
    """Detect the format by the content, not by the name, and check the C(.sha256) file in the same folder.

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
    for magic, name in _OTHERS:
        if head.startswith(magic):
            raise _unreadable(path, f"{name} is not read; decompress the dump first")
    return ForeignDump(path, "script")


def inspect_content(
    dump: ForeignDump,
    client: t.Callable[[], ClientPrograms],
    *,
    owner: bool = True,
    privileges: bool = True,
    skip_database_statements: bool = False,
) -> ScriptFacts:
    """Read the whole dump without running it. client: finds pg_restore, which reads the archives.

    Raises RecoveryError: unsafe_dump for a statement that leaves the database, damaged when the dump is not complete.
    """
    if dump.format == "script":
        return inspect_script(
            dump.chunks(), skip_database_statements=skip_database_statements, owner=owner, privileges=privileges
        )
    return inspect_script(archive_script(client(), dump.path, owner=owner, privileges=privileges))


def is_plain_archive(dump: ForeignDump) -> bool:
    """Whether pg_restore sends the server exactly the statements that the inspection of its script saw.

    pg_restore splits rows that are INSERTs by a scanner of its own, and sends each entry as one message that may hold
    several statements. Such archives are loaded through the script instead, in one session.
    """
    path = os.path.join(dump.path, "toc.dat") if dump.format == "directory" else dump.path
    try:
        with open(path, "rb") as stream:
            toc = read_toc_from(stream)
        return all(_is_closed(entry.definition) for entry in toc.entries) and _rows_are_copied(toc)
    except RecoveryError:
        # An older archive, or an entry that is no complete statement.
        return False


def _rows_are_copied(toc: Toc) -> bool:
    rows = toc.of_kind("TABLE DATA")
    return all(re.fullmatch(r"COPY [^;]* FROM stdin;\s*", entry.copy_statement) for entry in rows)


def _is_closed(definition: str) -> bool:
    """The entry ends where its last statement ends, and changes nothing of how the text behind is read."""
    script = GuardedScript([definition.encode("utf-8", "surrogateescape")], lenient=True)
    for _statement in script:
        pass
    return not script.backslash_quotes


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
            f"The dump {path} has the SHA-256 digest {actual}, {sidecar} has {found.group(0).lower()}.",
            next_step="Fetch the dump again, or use another one.",
        )


def _unreadable(path: str, why: str) -> RecoveryError:
    return RecoveryError(
        ErrorKind.INVALID_OPTIONS,
        f"The dump {path} cannot be restored: {why}.",
        next_step="Give a .sql file (plain, gzip or zstd), a custom or a directory archive.",
    )
