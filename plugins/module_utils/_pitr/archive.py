# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads the archived WAL of a stanza without its server: fetched, checked by digest, and decoded by pg_waldump."""

from __future__ import annotations

import bz2
import hashlib
import os
import shutil
import subprocess
import tempfile
import typing as t
from collections import OrderedDict

from .._core.codec import decompress
from .._core.errors import ErrorKind, RecoveryError
from .._core.program import run
from .._engines.postgresql.server.lsn import format_lsn
from .program import PgBackRest
from .repository import Stanza, StoredSegment
from .wal import Segment, TimelineSpan, is_segment, on_path, parse_history, parse_segment, segment_name
from .waldump import Change, Reading, parse_waldump

#: The codecs by file suffix of pgBackRest.
_CODECS = {"gz": "gzip", "zst": "zstd"}
#: initdb --wal-segsize takes at most 1024 MB.
_LARGEST_SEGMENT = 1024**3
#: Segments kept in the scratch folder in parallel.
_KEPT = 3
#: The record of a commit may continue in the next segment; pg_waldump then reads that far into it.
_BEYOND = 0x20000


class Archive:
    """The archive along the path to one timeline. folder is a scratch folder that the caller removes."""

    def __init__(self, program: PgBackRest, stanza: Stanza, waldump: str, folder: str) -> None:
        self._program, self._stanza, self._waldump, self._folder = program, stanza, waldump, folder
        self._stored = {item.name: item for item in program.archive(stanza)}
        self._unarchived: t.Dict[str, str] = {}
        self._files: OrderedDict[str, str] = OrderedDict()
        self._size = 0
        self._readings: t.Dict[int, Reading] = {}
        self.segments: t.Dict[int, Segment] = {}
        self.path: t.Sequence[TimelineSpan] = ()

    @property
    def segment_size(self) -> int:
        """Bytes of a segment of this cluster, known from the first that is fetched."""
        if not self._size:
            if not self._stored:
                raise RecoveryError(
                    ErrorKind.OUTSIDE_ARCHIVE,
                    f"The archive of {self._stanza.name!r} holds no segment of the write-ahead log.",
                    next_step="Check archive_mode and archive_command of the server, and run pgbackrest check.",
                )
            self._fetch(next(iter(self._stored)))
        return self._size

    def follow(self, timeline: int) -> None:
        """Read the archive along the path to a timeline. Raises RecoveryError if its history file is missing."""
        path = [TimelineSpan(timeline, None)]
        if timeline > 1:
            name = f"archive/{self._stanza.name}/{self._stanza.archive_id}/{timeline:08X}.history"
            path = parse_history(self._program.file(name).decode(), timeline)
        if self._stored:
            segments = (parse_segment(name, self.segment_size) for name in self._stored)
            self.segments = on_path(segments, path, self.segment_size)
        self.path = path

    @property
    def timeline(self) -> int:
        return self.path[-1].timeline if self.path else 1

    def add_unarchived(self, folder: str) -> None:
        """Read segments that the server has not archived yet, too. They are shown, but no recovery can rely on them."""
        try:
            names = [name for name in os.listdir(folder) if is_segment(name) and name not in self._stored]
        except OSError:
            return
        size = self.segment_size
        self._unarchived.update({name: os.path.join(folder, name) for name in names})
        newest = max(self.segments, default=0)
        # A server names files in advance; those hold no records yet, and pg_waldump reports that.
        ahead = on_path((parse_segment(name, size) for name in names), self.path, size)
        self.segments.update({number: segment for number, segment in ahead.items() if number > newest})

    def newest_timeline(self) -> int:
        return max((int(name[:8], 16) for name in self._stored), default=1)

    def number(self, name: str) -> int:
        return parse_segment(name, self.segment_size).number

    def number_at(self, position: int) -> int:
        return position // self.segment_size

    def name(self, number: int) -> str:
        return segment_name(self.timeline, number, self.segment_size)

    def numbers(self, first: int = 0) -> t.List[int]:
        return [number for number in sorted(self.segments) if number >= first]

    def stored(self, number: int) -> StoredSegment:
        return self._stored[self.segments[number].name]

    def read(self, number: int) -> Reading:
        """Ends of transactions and restore points in a segment."""
        if number not in self._readings:
            self._readings[number] = self._read(number, ["--rmgr=Transaction", "--rmgr=XLOG"], None)
        return self._readings[number]

    def read_changes(self, number: int, pending: t.Dict[int, t.Dict[str, Change]]) -> Reading:
        """As read, with what transactions changed. Go through segments in their order with the same pending."""
        # Without LogicalMessage: every user can write its text, whose lines could look like records.
        managers = ("Transaction", "XLOG", "Heap", "Heap2")
        return self._read(number, [f"--rmgr={name}" for name in managers], pending)

    def prove(self, number: int) -> None:
        """Fetch a segment and compare its digest. Raises RecoveryError(damaged)."""
        self._fetch(self.segments[number].name)

    def _read(
        self, number: int, options: t.Sequence[str], pending: t.Optional[t.Dict[int, t.Dict[str, Change]]]
    ) -> Reading:
        segment = self.segments[number]
        self._fetch(segment.name)
        begin = number * self.segment_size
        end = begin + self.segment_size
        following = segment_name(segment.timeline, number + 1, self.segment_size)
        beyond = 0
        if following in self._stored or following in self._unarchived:
            self._fetch(following)
            beyond = _BEYOND
        # A segment may start or end within a record, which pg_waldump reports as an error.
        done = run(
            [
                self._waldump,
                f"--path={self._folder}",
                f"--timeline={segment.timeline}",
                f"--start={format_lsn(begin)}",
                f"--end={format_lsn(end + beyond)}",
                *_versioned(options, self._stanza.major),
            ],
            {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC", "PGTZ": "UTC"},
            None,
        )
        lines = done.output.decode("utf-8", "replace").splitlines()
        return parse_waldump(lines, begin=begin, end=end, pending=pending)

    def _fetch(self, name: str) -> None:
        if name in self._files:
            self._files.move_to_end(name)
            return
        if name in self._unarchived:
            shutil.copyfile(self._unarchived[name], os.path.join(self._folder, name))
            self._keep(name)
            return
        stored = self._stored[name]
        plain = _plain(self._program.file(stored.path), stored, self._size or _LARGEST_SEGMENT)
        if hashlib.sha1(plain, usedforsecurity=False).hexdigest() != stored.sha1:
            raise _damaged(stored, "the digest of its content differs from its name")
        self._size = self._size or len(plain)
        with open(os.path.join(self._folder, name), "wb") as stream:
            stream.write(plain)
        self._keep(name)

    def _keep(self, name: str) -> None:
        self._files[name] = os.path.join(self._folder, name)
        while len(self._files) > _KEPT:
            os.unlink(self._files.popitem(last=False)[1])


def _versioned(options: t.Sequence[str], major: int) -> t.List[str]:
    """pg_waldump accepts several --rmgr since version 15; with older versions, every record is read."""
    return list(options) if major >= 15 else []


def _plain(data: bytes, stored: StoredSegment, largest: int) -> bytes:
    """The bytes of a segment. Raises RecoveryError(damaged), also for more than the largest size."""
    try:
        if stored.codec in _CODECS:
            return b"".join(decompress([data], _CODECS[stored.codec], limit=largest))
        if stored.codec == "bz2":
            data = bz2.BZ2Decompressor().decompress(data, largest + 1)
        if stored.codec == "lz4":
            data = _from_lz4(data, largest + 1)
    except FileNotFoundError:
        raise RecoveryError(
            ErrorKind.CLIENT_MISSING, "The program lz4 is missing on this host.", next_step="Install the package lz4."
        ) from None
    except (OSError, EOFError, ValueError, subprocess.SubprocessError):
        raise _damaged(stored, "it cannot be decompressed") from None
    except RecoveryError as error:
        if error.kind != ErrorKind.DAMAGED:
            raise
        raise _damaged(stored, "it cannot be decompressed") from None
    if len(data) > largest:
        raise _damaged(stored, f"it has more than {largest} bytes")
    return data


def _from_lz4(data: bytes, most: int) -> bytes:
    with tempfile.TemporaryFile() as packed:
        packed.write(data)
        packed.seek(0)
        with subprocess.Popen(
            ["lz4", "-dc"], stdin=packed, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        ) as program:
            plain = t.cast(t.IO[bytes], program.stdout).read(most)
            if len(plain) == most:
                program.kill()
            elif program.wait() != 0:
                raise ValueError
    return plain


def _damaged(stored: StoredSegment, why: str) -> RecoveryError:
    return RecoveryError(
        ErrorKind.DAMAGED,
        f"The WAL segment {stored.name} in the archive is damaged: {why}.",
        next_step="Choose an earlier target, another repository, or a backup that ended after the segment.",
    )
