# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Parts of a bucket that its backup does not hold."""

from __future__ import annotations

import threading
import typing as t

from ..._core.errors import ErrorKind, RecoveryError

#: So many names are listed; the count is exact.
SHOWN = 100

#: Parts of a bucket that no set holds. S3 returns these only for separate requests, or never.
_NEVER = (
    "older versions of files, and delete markers",
    "access control lists, locks and legal holds of files, and the encryption settings of the bucket",
    "changes of tags or of the storage class since the content of a file was last read",
)


class Gaps:
    """Files and headers that one backup leaves out. May be used from several threads."""

    def __init__(self) -> None:
        self.archived = 0
        self._names: t.List[str] = []
        self._untagged = 0
        self.unreadable = 0
        self._lock = threading.Lock()

    def add_archived(self, key: str) -> None:
        with self._lock:
            self.archived += 1
            if len(self._names) < SHOWN:
                self._names.append(key)

    def add_untagged(self) -> None:
        """Count a file whose tags these credentials may not read."""
        with self._lock:
            self._untagged += 1

    def add_unreadable(self) -> None:
        """Count a file that the bucket lists and does not give."""
        with self._lock:
            self.unreadable += 1

    def names(self) -> t.List[str]:
        return sorted(self._names)

    def sentences(self) -> t.List[str]:
        """For the manifest, which stays readable in an encrypted set: without names of files."""
        found = list(_NEVER)
        if self.archived:
            found.append(f"{self.archived} files in an archive storage class")
        if self.unreadable:
            found.append(f"{self.unreadable} files that the bucket lists and then calls missing")
        if self._untagged:
            found.append(f"tags of {self._untagged} files, which need the right s3:GetObjectTagging")
        return found

    def archived_error(self, location: str) -> RecoveryError:
        names = self.names()
        more = ", ..." if self.archived > len(names[:10]) else ""
        return RecoveryError(
            ErrorKind.ARCHIVED,
            f"{self.archived} files of {location} are in an archive storage class and cannot be read: "
            f"{', '.join(names[:10])}{more}.",
            left="No backup set was written; earlier sets are unchanged.",
            next_step="Set archived=skip (recovery_archived for the playbook) to leave them out and back up the other "
            "files, or have the provider restore them to a readable class.",
            details={"files_archived": self.archived, "archived_files": names},
        )
