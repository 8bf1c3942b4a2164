# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Refuses the live database: only a copy of it is neutralized."""

from __future__ import annotations

import typing as t

from ...._core.errors import ErrorKind, RecoveryError
from ...._repository.identity import known_identity
from ...._repository.manifest import DATABASE_ENGINE
from ...._store.base import ObjectStore
from ..server.catalog import server_facts
from ..server.connection import Connection, ConnectionOptions, connection, fetch_all
from ..server.identity import identity_of

#: A physical copy has the system identifier of its source, and another start time.
_INSTANCE = """
    SELECT pg_postmaster_start_time()::text, oid::text, datname::text FROM pg_database
    WHERE datname = current_database()
"""


def require_copy(
    conn: Connection,
    options: ConnectionOptions,
    source: str,
    store: t.Optional[ObjectStore],
    original: t.Optional[ConnectionOptions],
) -> None:
    """Raise RecoveryError(conflict) if the database is the live one, (no_identity) if that is not known.

    original: a connection to the live database. If it is None, the newest set of the source names server and database.
    """
    if original is not None:
        with connection(original, application="lifeline.recovery neutralize") as other:
            if (server_facts(conn).system_identifier, fetch_all(conn, _INSTANCE)) == (
                server_facts(other).system_identifier,
                fetch_all(other, _INSTANCE),
            ):
                raise _refusal(options, f"`original` leads to it as {original.place}", "Connect to the copy.")
        return
    known = known_identity(store, source, DATABASE_ENGINE) if store is not None else None
    if known is None:
        raise RecoveryError(
            ErrorKind.NO_IDENTITY,
            f"The live database of the source {source!r} is unknown, because the source has no backup set.",
            next_step="Set `original` to a connection to the live database.",
        )
    if known.is_same(identity_of(server_facts(conn), options)):
        raise _refusal(
            options,
            f"the newest set of the source {source!r} was taken of {known}",
            "Connect to the copy. For a physical copy, which has the identifier of its source, set `original` to a "
            "connection to the live database.",
        )


def _refusal(options: ConnectionOptions, why: str, next_step: str) -> RecoveryError:
    return RecoveryError(
        ErrorKind.CONFLICT, f"The database {options.place} is the live one: {why}.", next_step=next_step
    )
