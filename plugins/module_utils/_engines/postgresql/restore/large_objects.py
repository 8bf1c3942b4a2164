# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Keeps writes to large objects from being lost between the undo set and the replacement.

A superuser may lock the catalogs of large objects; PostgreSQL refuses these locks to every other role. Reading a large
object takes the same lock on pg_largeobject as writing one (src/backend/storage/large_object/inv_api.c), so that
pg_dump could not read the undo set while pg_largeobject is locked. Therefore:

- From before the undo set, a superuser locks pg_largeobject_metadata: no large object is created, removed or granted.
- After the undo set, a superuser locks pg_largeobject as well, and the content is compared with the undo set.
- Any other role removes the large objects first, which locks each of their parts until the end of the transaction, and
  compares what other sessions see with the undo set. A large object that another session creates, or a part that it
  appends, after that comparison is not noticed.
"""

from __future__ import annotations

import typing as t

from ...._core.errors import ErrorKind, RecoveryError
from ...._repository.fingerprint import Fingerprint, TableFingerprint
from ..backup.fingerprint import large_object_content
from ..server.connection import Connection, ConnectionOptions, connection
from ..server.row_hash import algorithm_of
from .removal import Removal

_METADATA, _PARTS = "pg_catalog.pg_largeobject_metadata", "pg_catalog.pg_largeobject"
_REMOVE = "SELECT pg_catalog.count(pg_catalog.lo_unlink(oid)) FROM pg_catalog.pg_largeobject_metadata"


class LargeObjectGuard:
    """Locks large objects and compares them with the undo set before a restore removes them."""

    def __init__(self, options: ConnectionOptions, *, superuser: bool) -> None:
        self._options, self._superuser = options, superuser

    def tables(self, removal: Removal, *, undo_taken: bool) -> t.Sequence[str]:
        """The catalogs to lock against writers."""
        if not (removal.large_objects and self._superuser):
            return ()
        return (_METADATA, _PARTS) if undo_taken else (_METADATA,)

    def remove(self, conn: Connection, undo: Fingerprint) -> None:
        """Remove every large object. Raises RecoveryError(conflict) if the undo set lacks one of them."""
        if self._superuser:
            self._require_saved(conn, undo)
        with conn.cursor() as cursor:
            cursor.execute(_REMOVE)
        if not self._superuser:
            with connection(self._options, application="lifeline.recovery restore") as other:
                self._require_saved(other, undo)

    @staticmethod
    def _require_saved(conn: Connection, undo: Fingerprint) -> None:
        content, rights = large_object_content(conn, undo.mode, algorithm_of(undo.algorithm))
        # A dump of a database without large objects records none.
        saved = undo.large_objects or TableFingerprint("", "large objects", 0)
        unchanged = content.rows == saved.rows and (not content.rows or content.digest == saved.digest)
        if unchanged and (not content.rows or undo.object_rights is None or rights == undo.object_rights):
            return
        raise RecoveryError(
            ErrorKind.CONFLICT,
            f"Other sessions changed large objects while the undo set was stored: it holds {saved.rows}, "
            f"and the database has {content.rows}.",
            left="The database is unchanged.",
            next_step="Stop what writes large objects, or set terminate_sessions to true, and run the restore again.",
        )
