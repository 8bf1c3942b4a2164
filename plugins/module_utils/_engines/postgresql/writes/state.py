# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The state of roles, databases and tables before writes were stopped, as a document of a StateLog."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field, replace

from ...._core.errors import ErrorKind, RecoveryError
from ...._core.shapes import flag, integer, list_of, mapping_of, one_of, optional, record, text
from ...._repository.state_log import Document, StateLog
from ...._store.base import ObjectStore
from ..server.acl import Acl, acl_of_json, acl_to_json
from ..server.names import QualifiedName

STOPPED, ALLOWED = "stopped", "allowed"

_SCHEMA = "lifeline.recovery/writes/1"
_NAME = text(longest=63)
_SETTING = optional(text(longest=20))
_PRIVILEGE = text("[A-Z]+[*]?", longest=20)


def _entry(value: t.Any, place: str) -> None:
    list_of(lambda _value, _place: None, longest=3)(value, place)
    if len(value) != 3:
        raise ValueError(f"{place} is not a grantee, a grantor and privileges")
    for position, shape in enumerate((_NAME, _NAME, list_of(_PRIVILEGE, longest=20))):
        shape(value[position], f"{place}[{position}]")


_ACL = optional(list_of(_entry, longest=100_000))
_OID = integer(1, 2**32 - 1)
_STATE = record(
    {
        "schema": one_of(_SCHEMA),
        "phase": one_of(STOPPED, ALLOWED),
        "server": optional(text("[0-9]+", longest=20)),
        "means": list_of(text("[a-z_]+", longest=20), longest=10),
        "roles": mapping_of(flag),
        "databases": list_of(
            record(
                {
                    "oid": _OID,
                    "name": _NAME,
                    "acl": _ACL,
                    "read_only": _SETTING,
                    "roles_read_only": mapping_of(_SETTING),
                    "tables": list_of(
                        record({"oid": _OID, "schema": _NAME, "name": _NAME, "acl": _ACL, "columns": mapping_of(_ACL)})
                    ),
                }
            ),
            longest=1000,
        ),
    }
)


@dataclass(frozen=True)
class TableState:
    """The privileges of a table. columns: those of columns that have privileges of their own."""

    oid: int
    name: QualifiedName
    acl: Acl
    columns: t.Mapping[str, Acl] = field(default_factory=dict)


@dataclass(frozen=True)
class DatabaseState:
    """A database: its privileges, and default_transaction_read_only as set for it and for roles in it.

    None is a setting that is not set.
    """

    oid: int
    name: str
    acl: Acl
    read_only: t.Optional[str] = None
    roles_read_only: t.Mapping[str, t.Optional[str]] = field(default_factory=dict)
    tables: t.Tuple[TableState, ...] = ()

    def with_former(self, former: t.Optional[DatabaseState]) -> DatabaseState:
        """This state, but all that an earlier state of the same database knows is as it was in that state."""
        if former is None:
            return self
        known = {table.oid for table in former.tables}
        tables = (*former.tables, *(table for table in self.tables if table.oid not in known))
        return replace(former, roles_read_only={**self.roles_read_only, **former.roles_read_only}, tables=tables)


@dataclass(frozen=True)
class WritesState:
    """The state before writes were stopped. server: the system identifier, if the role may read it.

    means: those that were used. roles: whether each role could log in.
    """

    server: t.Optional[str]
    means: t.Tuple[str, ...]
    roles: t.Mapping[str, bool]
    databases: t.Tuple[DatabaseState, ...]

    def with_former(self, former: t.Optional[WritesState]) -> WritesState:
        """This state, but all that an earlier state knows is as it was in that state: it was read before any change."""
        if former is None:
            return self
        databases = {one.oid: one for one in former.databases}
        for one in self.databases:
            databases[one.oid] = one.with_former(databases.get(one.oid))
        means = tuple(dict.fromkeys((*former.means, *self.means)))
        return replace(self, means=means, roles={**self.roles, **former.roles}, databases=tuple(databases.values()))

    def as_json(self) -> Document:
        """The state for documents, without the phase."""
        return {
            "server": self.server,
            "means": list(self.means),
            "roles": dict(self.roles),
            "databases": [_database_to_json(one) for one in self.databases],
        }


class WritesLog:
    """The log of a source: whether writes are stopped, and the state before."""

    def __init__(self, store: ObjectStore, source: str) -> None:
        self._log = StateLog(store, source, "writes", _STATE)

    @property
    def location(self) -> str:
        return self._log.location

    def stopped(self) -> t.Optional[WritesState]:
        """The state before writes were stopped; None if they are allowed. Raises RecoveryError(damaged)."""
        document = self._log.last()
        return None if document is None or document["phase"] == ALLOWED else _of_json(document)

    def write(self, phase: str, state: WritesState) -> None:
        self._log.append({"schema": _SCHEMA, "phase": phase, **state.as_json()})


def require_server(state: t.Optional[WritesState], server: t.Optional[str], location: str, *, abandon: bool) -> bool:
    """Whether a state is of this server, or there is none; false for one of another server if that is abandoned.

    Raises RecoveryError(wrong_server) for a state of another server, whose roles and tables are not those of this.
    """
    if state is None or None in (state.server, server) or state.server == server:
        return True
    if abandon:
        return False
    raise RecoveryError(
        ErrorKind.WRONG_SERVER,
        f"The state before writes were stopped, in {location}, is of the server {state.server}; this is {server}.",
        next_step="Connect to that server; if it no longer exists, set `abandon` to true.",
    )


def _database_to_json(database: DatabaseState) -> Document:
    return {
        "oid": database.oid,
        "name": database.name,
        "acl": acl_to_json(database.acl),
        "read_only": database.read_only,
        "roles_read_only": dict(database.roles_read_only),
        "tables": [
            {
                "oid": table.oid,
                "schema": table.name.schema,
                "name": table.name.name,
                "acl": acl_to_json(table.acl),
                "columns": {name: acl_to_json(acl) for name, acl in table.columns.items()},
            }
            for table in database.tables
        ],
    }


def _of_json(document: Document) -> WritesState:
    databases = tuple(
        DatabaseState(
            oid=one["oid"],
            name=one["name"],
            acl=acl_of_json(one["acl"]),
            read_only=one["read_only"],
            roles_read_only=one["roles_read_only"],
            tables=tuple(
                TableState(
                    table["oid"],
                    QualifiedName(table["schema"], table["name"]),
                    acl_of_json(table["acl"]),
                    {name: acl_of_json(acl) for name, acl in table["columns"].items()},
                )
                for table in one["tables"]
            ),
        )
        for one in document["databases"]
    )
    return WritesState(document["server"], tuple(document["means"]), document["roles"], databases)
