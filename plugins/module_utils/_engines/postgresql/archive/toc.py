# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads the table of contents of a directory archive (toc.dat) or a custom archive, without pg_restore.

"pg_restore -l" prints names unquoted, so names that contain spaces are ambiguous.
The layout is that of PostgreSQL's src/bin/pg_dump/pg_backup_archiver.c, archive versions 1.14 to 1.16.
"""

from __future__ import annotations

import io
import os
import re
import typing as t
from dataclasses import dataclass

from ...._core.errors import ErrorKind, RecoveryError
from ...._repository.fingerprint import SequenceFingerprint

_MAGIC = b"PGDMP"
_CUSTOM = 1
#: pg_dump marks the toc.dat of a directory archive as one of a tar archive.
_FORMATS = (_CUSTOM, 3, 5)
#: PostgreSQL allocates no longer text.
_LONGEST_TEXT = 0x3FFFFFFF
_OLDEST, _NEWEST = (1, 14), (1, 16)


#: Numbers of teSection in src/bin/pg_dump/pg_backup_archiver.h; 1 is none.
_SECTIONS = {2: "pre-data", 3: "data", 4: "post-data"}


@dataclass(frozen=True)
class TocEntry:
    """One entry. file_name is the data file in the folder of toc.dat, or empty if the entry has no data.

    tablespace and access_method are empty where the entry uses the default, section where it has that of another entry,
    as a comment.
    """

    dump_id: int
    has_data: bool
    tag: str
    kind: str
    definition: str
    copy_statement: str
    schema: str
    owner: str
    dependencies: t.Tuple[int, ...]
    file_name: str
    tablespace: str = ""
    access_method: str = ""
    drop_statement: str = ""
    section: str = ""

    @property
    def title(self) -> str:
        """Kind, schema and name, for messages."""
        return f"{self.kind.lower()} {self.schema + '.' if self.schema else ''}{self.tag}"


@dataclass(frozen=True)
class Toc:
    version: t.Tuple[int, int]
    database: str
    server_version: str
    dump_version: str
    entries: t.Tuple[TocEntry, ...]

    def of_kind(self, *kinds: str) -> t.List[TocEntry]:
        return [entry for entry in self.entries if entry.kind in kinds]


def parse_toc(data: bytes) -> Toc:
    """Parse the bytes of toc.dat.

    Raises RecoveryError: damaged when it is not one or is cut off, unsupported for other archive versions.
    """
    return read_toc_from(io.BytesIO(data))


def read_toc_from(stream: t.IO[bytes]) -> Toc:
    """As parse_toc, from the beginning of an archive that may hold data behind it."""
    try:
        return _Reader(stream).toc()
    except (EOFError, UnicodeDecodeError, ValueError, OverflowError) as error:
        raise RecoveryError(ErrorKind.DAMAGED, f"toc.dat cannot be read: {error}.", left="") from None


def sequence_values(toc: Toc) -> t.List[SequenceFingerprint]:
    """The values that the dump sets sequences to, from its setval statements."""
    found = []
    for entry in toc.of_kind("SEQUENCE SET"):
        match = re.search(r", (-?\d+), (true|false)\)", entry.definition)
        if match:
            found.append(SequenceFingerprint(entry.schema, entry.tag, int(match.group(1)), match.group(2) == "true"))
    return found


def write_list(toc: Toc, folder: str, name: str, *, without: t.Collection[str] = ()) -> str:
    """Write a list for pg_restore that leaves out some kinds of entries, and return the path of the list."""
    path = os.path.join(folder, f"{name}.list")
    with open(path, "w", encoding="ascii") as stream:
        # pg_restore reads no more of a line than the number before the semicolon.
        stream.writelines(f"{entry.dump_id};\n" for entry in toc.entries if entry.kind not in without)
    return path


class _Reader:
    def __init__(self, stream: t.IO[bytes]) -> None:
        self._stream = stream
        self._int_size, self._offset_size, self._format = 4, 8, _CUSTOM

    def toc(self) -> Toc:
        if self._take(5) != _MAGIC:
            raise ValueError("it does not begin as an archive of pg_dump")
        version = (self._byte(), self._byte())
        self._byte()
        if not _OLDEST <= version <= _NEWEST:
            raise RecoveryError(
                ErrorKind.UNSUPPORTED,
                f"The archive has version {version[0]}.{version[1]}, which is not known to this version.",
                left="",
                next_step="Update the collection, or use a pg_dump of PostgreSQL 14 to 18.",
            )
        self._int_size = self._byte()
        self._offset_size, self._format = self._byte(), self._byte()
        if self._format not in _FORMATS:
            raise ValueError("it is not of a directory or custom archive")
        if version >= (1, 15):
            self._byte()
        else:
            self._int()
        for _field in range(7):
            self._int()
        database, server, client = self._text(), self._text(), self._text()
        count = self._int()
        return Toc(version, database, server, client, tuple(self._entry(version) for _entry in range(count)))

    def _entry(self, version: t.Tuple[int, int]) -> TocEntry:
        dump_id = self._int()
        has_data = self._int() != 0
        self._text()
        self._text()
        tag, kind = self._text(), self._text()
        section = _SECTIONS.get(self._int(), "")
        definition, drop_statement = self._text(), self._text()
        copy_statement, schema, tablespace, access_method = (self._text() for _field in range(4))
        if version >= (1, 16):
            self._int()
        owner = self._text()
        self._text()
        dependencies = []
        while True:
            dependency = self._optional_text()
            if dependency is None:
                break
            dependencies.append(int(dependency))
        if self._format == _CUSTOM:
            # The data lie in the same file: a flag and the offset.
            self._take(1 + self._offset_size)
            file_name = ""
        else:
            file_name = self._text()
        return TocEntry(
            dump_id, has_data, tag, kind, definition, copy_statement, schema, owner, tuple(dependencies), file_name,
            tablespace, access_method, drop_statement, section,
        )  # fmt: skip

    def _take(self, count: int) -> bytes:
        data = self._stream.read(count) if 0 <= count <= _LONGEST_TEXT else b""
        if len(data) != count:
            raise EOFError("it ends too early")
        return data

    def _byte(self) -> int:
        return self._take(1)[0]

    def _int(self) -> int:
        negative = self._byte()
        value = int.from_bytes(self._take(self._int_size), "little")
        return -value if negative else value

    def _optional_text(self) -> t.Optional[str]:
        length = self._int()
        return None if length < 0 else self._take(length).decode("utf-8", "surrogateescape")

    def _text(self) -> str:
        return self._optional_text() or ""
