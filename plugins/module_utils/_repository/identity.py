# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The identity of the database of a set: the identifier of its server or service, and its name.

A source is tied to it, so that another database of the same name neither continues the sets of a source nor is
replaced by them unasked.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from .._core.errors import ErrorKind, RecoveryError
from .._store.base import ObjectStore
from .catalogue import list_sets, try_set
from .layout import SetName
from .manifest import ENGINES, Manifest


@dataclass(frozen=True)
class Identity:
    """identifier: the system identifier of a PostgreSQL server, or the id of a database of D1.

    It is None where a server does not show it; then address is C(host:port), where known.
    """

    identifier: t.Optional[str]
    database: str
    address: t.Optional[str] = None

    def __str__(self) -> str:
        """The text by which the operator accepts a change: C(<identifier or address>/<database>)."""
        return f"{self.identifier or self.address or 'unknown server'}/{self.database}"

    def is_same(self, other: Identity) -> bool:
        """Whether nothing that both know differs."""
        known = [(self.database, other.database), (self.identifier, other.identifier)]
        if not (self.identifier and other.identifier):
            known.append((self.address, other.address))
        return all(mine == theirs for mine, theirs in known if mine and theirs)


def identity_in(manifest: Manifest) -> t.Optional[Identity]:
    """The identity that a set was taken of; None for a set of another kind."""
    server = manifest.server
    database, identifier, address = (
        found if isinstance(found, str) and found else None
        for found in (
            server.get("database"),
            server.get("system_identifier") or server.get("database_id"),
            server.get("address"),
        )
    )
    return Identity(identifier, database, address) if database else None


def known_identity(store: ObjectStore, source: str, engine: str) -> t.Optional[Identity]:
    """The identity of the newest set of a source that an engine wrote; None where the source has none.

    Undo sets are passed over: they are of whatever was restored into.
    """
    found = (manifest for manifest in _readable(store, reversed(_sets_of(store, source))) if manifest.engine == engine)
    return next(map(identity_in, found), None)


def require_source_kind(store: ObjectStore, source: str, engine: str) -> t.Optional[Identity]:
    """Refuse to add a set of another kind to a source: the next backups and restores of either kind would fail.

    Returns the identity as known_identity. A source is of the kind of its newest set, or of its oldest one: a single
    set of another kind, which an earlier version accepted, does not change the kind. Undo sets are passed over.
    Raises RecoveryError(invalid_options).
    """
    names = _sets_of(store, source)
    newest = next(_readable(store, reversed(names)), None)
    if newest is None or newest.engine == engine:
        return identity_in(newest) if newest is not None else None
    oldest = next(_readable(store, names), newest)
    if oldest.engine == engine:
        return known_identity(store, source, engine)
    raise RecoveryError(
        ErrorKind.INVALID_OPTIONS,
        f"The source {source!r} has sets of {ENGINES[oldest.engine].holds}, "
        f"and this is a backup of {ENGINES[engine].holds}.",
        left="No backup set was written.",
        next_step="Set source to a name of its own for this backup.",
        details={"engine": oldest.engine},
    )


def _sets_of(store: ObjectStore, source: str) -> t.List[SetName]:
    return [name for name in list_sets(store, source) if name.tier != "undo"]


def _readable(store: ObjectStore, names: t.Iterable[SetName]) -> t.Iterator[Manifest]:
    return (found for found in (try_set(store, name) for name in names) if isinstance(found, Manifest))


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
        left="No backup set was written; earlier sets are unchanged.",
        next_step=f"Check the connection. After a planned move, set accept_identity to {str(current)!r} once; "
        "for another database, use another source.",
        details={"identity": str(current), "known_identity": str(known)},
    )


def elsewhere(source: t.Optional[Identity], target: Identity) -> t.Optional[str]:
    """For require_confirmation: why the name of a target is not enough; None if the target is the source of the set."""
    if source is None or source.is_same(target):
        return None
    return f"The set is of {source}, and the target is {target}"
