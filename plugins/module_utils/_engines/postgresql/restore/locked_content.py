# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Compares restored rows with the set inside the transaction that restored them.

Rows that are not committed are visible to their own session only, so that one session reads all of them. In exchange
no other session can write between the comparison and the commit, and a difference rolls the restore back.
"""

from __future__ import annotations

import contextlib
import typing as t
from dataclasses import replace

from ...._repository.fetch import read_object
from ...._repository.manifest import Manifest
from ...._store.base import ObjectStore
from ..archive.dump import TOC_NAME
from ..archive.partition_trees import with_merged_partitions
from ..archive.toc import parse_toc
from ..backup.fingerprint import fingerprint_within
from ..server.confined import SAFE_PATH, Confined, Plain, Session, reading_role
from ..server.connection import Connection
from ..server.foreign_keys import foreign_keys, violations
from ..server.row_hash import algorithm_of
from .proof import Content, Proof, Rules, depth_of, described, scope_of_rules


def compare_content(
    conn: Connection, manifest: t.Optional[Manifest], store: t.Optional[ObjectStore], rules: Rules
) -> t.Tuple[Content, Proof]:
    """Rows, sequences and large objects against the set; for an archive of another tool, its foreign keys.

    The transaction of conn stays open, and nothing of it is changed.
    """
    with _reading(conn) as session:
        if manifest is None or store is None:
            keys = [key for key in foreign_keys(conn) if key.valid]
            found = {"checked": len(keys), "violated": violations(session, keys)}
            return Content(None, found), Proof(foreign_keys=found)
        if manifest.fingerprint is None or rules.mode == "none":
            return Content(None, None), Proof()
        recorded = manifest.fingerprint
        toc = parse_toc(read_object(store, manifest.object_at(TOC_NAME)))
        # Materialized views are refreshed after the commit.
        expected = replace(rules.expected(recorded, {}), structure={}, views=())
        content = fingerprint_within(
            session,
            depth_of(recorded, rules.mode),
            scope_of_rules(expected, rules),
            algorithm=algorithm_of(recorded.algorithm),
        )
    comparison = rules.compare(with_merged_partitions(expected, toc), with_merged_partitions(content, toc))
    return Content(content, None), Proof(described(comparison, recorded, rules.mode))


@contextlib.contextmanager
def _reading(conn: Connection) -> t.Iterator[Session]:
    """A session within the open transaction, for whose statements and their functions the transaction only reads.

    Its changes are rolled back at the end. A failure ends the whole transaction.
    """
    _execute(conn, f"SAVEPOINT reading; SET LOCAL search_path = {SAFE_PATH}")
    role = reading_role(conn)
    session = Plain(conn) if role is None else Confined(conn, role, read_only=True)
    # Once a query has run, no function can make the subtransaction writable again.
    _execute(conn, "SET TRANSACTION READ ONLY")
    yield session
    _execute(conn, "ROLLBACK TO SAVEPOINT reading; RELEASE SAVEPOINT reading")


def _execute(conn: Connection, statements: str) -> None:
    with conn.cursor() as cursor:
        cursor.execute(statements)
