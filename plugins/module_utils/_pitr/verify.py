# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Verifies a repository: every file of its backups, every segment, and that none is missing."""

from __future__ import annotations

import os
import re
import typing as t
from dataclasses import dataclass

from .._core.errors import ErrorKind, RecoveryError
from .archive import Archive
from .cluster import find_server
from .plan import require_complete
from .program import PgBackRest, Place
from .target import Target, choose_backup


@dataclass(frozen=True)
class Verified:
    """problems are sentences; empty means that the newest state can be recovered."""

    backups: int
    segments: int
    problems: t.Sequence[str]


def verify_repository(place: Place, bin_dir: t.Optional[str], timeline: t.Optional[int], scratch: str) -> Verified:
    """Read everything once. Raises RecoveryError if the repository cannot be read."""
    program = PgBackRest(place)
    stanza = program.info()
    # The program exits with 0 for every result, so its output has to be parsed.
    problems = parse_verify(program.run("verify", "--output=text", *program.only_repository()).decode())
    segments = 0
    try:
        waldump = os.path.join(find_server(stanza.major, bin_dir), "pg_waldump")
        archive = Archive(program, stanza, waldump, scratch)
        archive.follow(timeline or archive.newest_timeline())
        newest = choose_backup(stanza, archive.path, None)
        segments = require_complete(archive, newest, None, Target("latest"))
        first = archive.number(newest.wal_start)
        for number in range(first, first + segments):
            archive.prove(number)
    except RecoveryError as error:
        if error.kind not in (ErrorKind.DAMAGED, ErrorKind.OUTSIDE_ARCHIVE):
            raise
        problems.append(error.what)
    return Verified(len(stanza.backups), segments, problems)


def parse_verify(text: str) -> t.List[str]:
    """The findings of C(pgbackrest verify --output=text), as sentences."""
    problems = []
    backup = ""
    for line in text.splitlines():
        named = re.match(r"\s*backup: ([^,]+), status: ([^,]+)", line)
        if named is not None:
            backup = named.group(1)
        count = re.match(r"\s*(missing|checksum invalid|size invalid|other): (\d+)", line)
        if count is not None and int(count.group(2)) > 0:
            subject = f"the backup {backup}" if backup else "the archive"
            problems.append(f"pgBackRest found {count.group(2)} invalid files of {subject}: {count.group(1)}.")
        elif named is not None and named.group(2).strip() == "manifest missing":
            problems.append(f"The manifest of the backup {backup} is missing.")
    status = re.search(r"^\s*status: (\S+)", text, re.MULTILINE)
    if status is not None and status.group(1) != "ok" and not problems:
        problems.append(f"pgBackRest reports {status.group(1)}: {' '.join(text.split())[:300]}.")
    return problems
