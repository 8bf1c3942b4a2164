# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The content of a pgBackRest repository, parsed from the JSON output of its commands.

The fields are those of C(pgbackrest info) and C(pgbackrest repo-ls); https://pgbackrest.org/command.html
"""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass
from datetime import datetime, timezone

from .._core.documents import parse_json
from .._core.errors import ErrorKind, RecoveryError
from .._core.plain_files import PLAIN_NAME
from .._core.shapes import anything, integer, mapping_of, one_of, optional, record, text
from .._engines.postgresql.server.lsn import parse_lsn
from .wal import is_segment

#: Bytes of a listing; a segment takes 150.
_LARGEST_LISTING = 1024**3

#: 9999-12-31, the last day of a datetime.
_LAST_SECOND = 253_402_214_400

_STORED = re.compile(r"([0-9A-F]{24})-([0-9a-f]{40})((?:\.(?:gz|zst|lz4|bz2))?)")


@dataclass(frozen=True)
class Backup:
    """One backup. started_at and stopped_at are whole seconds; sizes are bytes. faulty: it contains damaged pages."""

    label: str
    type: str
    started_at: datetime
    stopped_at: datetime
    lsn_start: str
    lsn_stop: str
    wal_start: str
    wal_stop: str
    size: int
    stored: int
    prior: t.Optional[str]
    faulty: bool
    repository: int

    @property
    def timeline(self) -> int:
        return int(self.wal_stop[:8], 16)

    @property
    def stop_position(self) -> int:
        return parse_lsn(self.lsn_stop)


@dataclass(frozen=True)
class Stanza:
    """A cluster's part of a repository. backups are oldest first; archive_min and archive_max are segments."""

    name: str
    status: str
    archive_id: str
    system_identifier: str
    version: str
    archive_min: t.Optional[str]
    archive_max: t.Optional[str]
    backups: t.Sequence[Backup]

    @property
    def major(self) -> int:
        return int(self.version.split(".")[0])


@dataclass(frozen=True)
class StoredSegment:
    """A segment of the archive. path is the file in the repository, sha1 the digest of its plain bytes."""

    name: str
    path: str
    sha1: str
    codec: str
    size: int
    archived_at: datetime


def parse_info(printed: str, stanza: str, repository: int) -> Stanza:
    """The newest cluster of a stanza, with its backups in one repository.

    Raises RecoveryError(unknown_source) if the stanza does not exist, unsupported if the output cannot be parsed.
    """
    try:
        found = next((item for item in parse_json(printed) if item["name"] == stanza), None)
        if found is None or not found.get("db"):
            raise RecoveryError(
                ErrorKind.UNKNOWN_SOURCE,
                f"The repository has no stanza {stanza!r}" + (f" ({found['status']['message']})." if found else "."),
                next_step="Check stanza, config and environment, or configure archiving first.",
            )
        cluster = [item for item in found["db"] if item.get("repo-key", 1) == repository][-1]
        mine = {"id": cluster["id"], "repo-key": repository}
        archive: t.Mapping[str, t.Any] = next((item for item in found["archive"] if _belongs(item, mine)), {})
        backups = [_backup(item, repository) for item in found["backup"] if _belongs(item, mine)]
        return Stanza(
            name=stanza,
            status=str(found["status"]["message"]),
            archive_id=str(archive.get("id") or f"{cluster['version']}-{cluster['id']}"),
            system_identifier=str(cluster["system-id"]),
            version=str(cluster["version"]),
            archive_min=archive.get("min"),
            archive_max=archive.get("max"),
            backups=sorted(backups, key=lambda backup: backup.stopped_at),
        )
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, OverflowError, OSError) as error:
        raise RecoveryError(
            ErrorKind.UNSUPPORTED,
            f"The output of pgbackrest info for {stanza!r} in repository {repository} cannot be parsed "
            f"({error or type(error).__name__}).",
            next_step="Check the number of the repository, and run pgbackrest info yourself.",
        ) from None


def parse_archive(printed: str, stanza: Stanza) -> t.List[StoredSegment]:
    """The segments of the stanza's cluster in a listing of its archive, in the order of their names."""
    found = []
    for path, entry in _listed(printed).items():
        folder, _slash, name = path.rpartition("/")
        match = _STORED.fullmatch(name)
        if match is None or not folder.startswith(f"{stanza.archive_id}/") or not is_segment(match.group(1)):
            continue
        found.append(
            StoredSegment(
                name=match.group(1),
                path=f"archive/{stanza.name}/{path}",
                sha1=match.group(2),
                codec=match.group(3).lstrip("."),
                size=int(entry.get("size", 0)),
                archived_at=datetime.fromtimestamp(entry.get("time", 0), timezone.utc),
            )
        )
    return sorted(found, key=lambda item: item.name)


def _listed(printed: str) -> t.Mapping[str, t.Mapping[str, t.Any]]:
    try:
        found = parse_json(printed, largest=_LARGEST_LISTING)
        mapping_of(record({"time": optional(integer())}, may_lack=("time",), others=anything))(found, "")
    except ValueError as error:
        raise RecoveryError(
            ErrorKind.UNSUPPORTED,
            f"The listing of the archive from pgbackrest repo-ls cannot be parsed: {error}.",
            next_step="Run pgbackrest repo-ls yourself.",
        ) from None
    return t.cast(t.Mapping[str, t.Mapping[str, t.Any]], found)


def _belongs(item: t.Mapping[str, t.Any], mine: t.Mapping[str, int]) -> bool:
    database = item["database"]
    return bool(database["id"] == mine["id"] and database.get("repo-key", 1) == mine["repo-key"])


_LSN = text("[0-9A-F]{1,8}/[0-9A-F]{1,8}")
_SEGMENT = text("[0-9A-F]{24}")
_LABEL = text(PLAIN_NAME.pattern)

#: A backup of C(pgbackrest info).
_BACKUP = record(
    {
        "label": _LABEL,
        "type": one_of("full", "diff", "incr"),
        "timestamp": record({"start": integer(most=_LAST_SECOND), "stop": integer(most=_LAST_SECOND)}, others=anything),
        "lsn": record({"start": _LSN, "stop": _LSN}, others=anything),
        "archive": record({"start": _SEGMENT, "stop": _SEGMENT}, others=anything),
        "info": record({"size": integer(), "repository": anything}, others=anything),
        "prior": optional(_LABEL),
    },
    may_lack=("prior",),
    others=anything,
)


def _backup(item: t.Mapping[str, t.Any], repository: int) -> Backup:
    _BACKUP(item, "backup")
    sizes = item["info"]
    return Backup(
        label=item["label"],
        type=item["type"],
        started_at=datetime.fromtimestamp(item["timestamp"]["start"], timezone.utc),
        stopped_at=datetime.fromtimestamp(item["timestamp"]["stop"], timezone.utc),
        lsn_start=item["lsn"]["start"],
        lsn_stop=item["lsn"]["stop"],
        wal_start=item["archive"]["start"],
        wal_stop=item["archive"]["stop"],
        size=sizes["size"],
        # Newer versions report only the difference for bundled repositories.
        stored=sizes["repository"].get("size", sizes["repository"].get("delta", 0)),
        prior=item.get("prior"),
        faulty=bool(item.get("error")),
        repository=repository,
    )
