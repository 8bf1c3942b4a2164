# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Roles in a statement of a script: owners, grants, and other roles that must exist.

pg_restore leaves owners and grants of an archive out by its entries. A script has no entries, so that its statements
are judged one by one.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from .script_lexer import Statement

#: Words in the place of a role that name no role.
_NO_ROLES = frozenset(("PUBLIC", "CURRENT_USER", "SESSION_USER", "CURRENT_ROLE", "USER", "DEFAULT", "NONE"))


@dataclass(frozen=True)
class RoleUse:
    """sets_owner, grants: the statement does nothing else. mixed: it sets an owner and does something else as well.

    owner: the role that gets an object. roles: every role that must exist when the statement runs.
    """

    sets_owner: bool = False
    grants: bool = False
    mixed: bool = False
    owner: str = ""
    roles: t.FrozenSet[str] = frozenset()


_NONE = RoleUse()


def role_use(statement: Statement) -> RoleUse:
    """The roles of an SQL statement; psql commands and rows have none."""
    tokens = statement.tokens
    first = tokens[0] if tokens else ""
    if first == "ALTER":
        return _alter(tokens)
    if first in ("GRANT", "REVOKE"):
        return RoleUse(grants=True, roles=_granted(tokens))
    if first in ("SET", "RESET"):
        return _session(tokens)
    if first == "CREATE":
        return RoleUse(roles=_created_for(tokens))
    return _NONE


def _alter(tokens: t.Sequence[str]) -> RoleUse:
    if tokens[1:3] == ["DEFAULT", "PRIVILEGES"]:
        return RoleUse(grants=True, roles=_listed_behind(tokens, "ROLE", "USER") | _granted(tokens))
    if tokens[1:2] == ["POLICY"]:
        return _NONE if "RENAME" in tokens else RoleUse(roles=_listed_behind(tokens, "TO"))
    if tokens[1:3] == ["USER", "MAPPING"]:
        return RoleUse(roles=_listed_behind(tokens, "FOR"))
    for index in range(1, len(tokens) - 2):
        if tokens[index : index + 2] == ["OWNER", "TO"]:
            roles = _roles(tokens[index + 2 : index + 3])
            mixed = len(tokens) > index + 3 or "," in tokens
            return RoleUse(sets_owner=not mixed, mixed=mixed, owner="".join(roles), roles=roles)
    return _NONE


def _session(tokens: t.Sequence[str]) -> RoleUse:
    """A script of "pg_dump --use-set-session-authorization" sets owners by the role that creates the objects."""
    rest = [token for token in tokens[1:] if token not in ("LOCAL", "=", "TO")]
    if rest[:1] == ["SESSION"]:
        rest = rest[1:]
    if rest[:1] not in (["AUTHORIZATION"], ["ROLE"]):
        return _NONE
    roles = _roles(rest[1:2]) if tokens[0] == "SET" else frozenset()
    return RoleUse(sets_owner=True, owner="".join(roles), roles=roles)


def _created_for(tokens: t.Sequence[str]) -> t.FrozenSet[str]:
    if tokens[1:2] == ["SCHEMA"]:
        return _listed_behind(tokens, "AUTHORIZATION")
    if tokens[1:3] == ["USER", "MAPPING"]:
        return _listed_behind(tokens, "FOR")
    return _listed_behind(tokens, "TO") if tokens[1:2] == ["POLICY"] else frozenset()


def _granted(tokens: t.Sequence[str]) -> t.FrozenSet[str]:
    """The grantees, behind TO or FROM, and the grantor."""
    return _listed_behind(tokens, "TO", "FROM", "BY")


def _listed_behind(tokens: t.Sequence[str], *keywords: str) -> t.FrozenSet[str]:
    """The roles of every list that stands behind one of the words."""
    found: t.List[str] = []
    for index, token in enumerate(tokens):
        if token not in keywords:
            continue
        rest = [part for part in tokens[index + 1 :] if part != "GROUP"]
        found += rest[:1]
        while rest[1:2] == [","]:
            rest = rest[2:]
            found += rest[:1]
    return _roles(found)


def _roles(tokens: t.Iterable[str]) -> t.FrozenSet[str]:
    return frozenset(_name(token) for token in tokens if token not in _NO_ROLES)


def _name(token: str) -> str:
    """The role as the server reads it: "Name", 'name' and NAME."""
    if token[:1] in ('"', "'"):
        return token[1:-1].replace(token[0] * 2, token[0])
    return token.encode("utf-8", "surrogatepass").lower().decode("utf-8", "replace")
