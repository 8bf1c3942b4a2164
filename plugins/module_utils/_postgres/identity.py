# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which database a set is of: the server's system identifier and the name of the database.

The OID of the database is no part of it, because every restore gives a new one. A server that does not let the role
read its system identifier, as some managed services do, is known by the address that the operator gave.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from .._core.errors import ErrorKind, RecoveryError
from .._sets.catalogue import list_sets, load_set
from .._sets.manifest import DATABASE_ENGINE, Manifest
from .._store.base import ObjectStore
from .catalog import ServerFacts
from .connection import ConnectionOptions

#: What a set that cannot be read is passed over for.
_UNREADABLE = (ErrorKind.DAMAGED, ErrorKind.UNSUPPORTED_MANIFEST, ErrorKind.NO_BACKUP_SET)


@dataclass(frozen=True)
class Identity:
    """system_identifier is None where the server does not show it; then address is C(host:port), where known."""

    system_identifier: t.Optional[str]
    database: str
    address: t.Optional[str] = None

    def __str__(self) -> str:
        """What the operator accepts a change by: C(<system identifier or address>/<database>)."""
        return f"{self.system_identifier or self.address or 'unknown server'}/{self.database}"

    def is_same(self, other: Identity) -> bool:
        """Whether nothing that both know differs."""
        known = [(self.database, other.database), (self.system_identifier, other.system_identifier)]
        if not (self.system_identifier and other.system_identifier):
            known.append((self.address, other.address))
        return all(mine == theirs for mine, theirs in known if mine and theirs)


def identity_of(facts: ServerFacts, options: ConnectionOptions, database: t.Optional[str] = None) -> Identity:
    """The identity of a database on a server; the one of the connection unless it is named."""
    address = options.place.rsplit("/", 1)[0]
    identifier = facts.system_identifier
    return Identity(identifier, database or facts.database, None if identifier else address)


def identity_in(manifest: Manifest) -> t.Optional[Identity]:
    """The identity that a set was taken of; None for a set of another kind."""
    server = manifest.server
    database, identifier, address = (server.get(name) for name in ("database", "system_identifier", "address"))
    if not isinstance(database, str) or not database:
        return None
    return Identity(
        identifier if isinstance(identifier, str) else None, database, address if isinstance(address, str) else None
    )


def known_identity(store: ObjectStore, source: str) -> t.Optional[Identity]:
    """The identity of the newest set of a source; None where the source has none.

    Undo sets are passed over: they are of whatever was restored into.
    """
    for name in reversed(list_sets(store, source)):
        if name.tier == "undo":
            continue
        try:
            manifest = load_set(store, name)
        except RecoveryError as error:
            if error.kind in _UNREADABLE:
                continue
            raise
        if manifest.engine == DATABASE_ENGINE:
            return identity_in(manifest)
    return None


def require_identity(
    source: str, known: t.Optional[Identity], current: Identity, accepted: t.Optional[str]
) -> t.Optional[Identity]:
    """The former identity of a source whose change was accepted by name; None where nothing changed.

    Raises RecoveryError(identity_changed).
    """
    if known is None or known.is_same(current):
        return None
    if accepted == str(current):
        return known
    given = f"; accept_identity is {accepted!r}" if accepted else ""
    raise RecoveryError(
        ErrorKind.IDENTITY_CHANGED,
        f"The sets of {source!r} are of {known}, this database is {current}{given}.",
        left="No backup set was written; earlier sets are as they were.",
        next_step=f"Check the connection. After a planned move, set accept_identity to {str(current)!r} once; "
        "for another database, use another source.",
        details={"identity": str(current), "known_identity": str(known)},
    )


def elsewhere(source: t.Optional[Identity], target: Identity) -> t.Optional[str]:
    """For require_confirmation: why the name of a target does not tell enough; None where it is the set's own."""
    if source is None or source.is_same(target):
        return None
    return f"The set is of {source}, and the target is {target}"
