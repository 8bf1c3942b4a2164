# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Access privileges of an object: read in their order, revoked in part, and granted again so that nothing differs.

GRANT adds privileges to the entry of a grantee, or an entry at the end, so that a grant after a revoke can change the
order of the entries. https://www.postgresql.org/docs/current/ddl-priv.html
"""

from __future__ import annotations

import itertools
import typing as t
from dataclasses import dataclass

from .connection import quote_identifier

#: The columns of a row that `read_acl` takes, in the order of the entries and of their privileges.
EXPLODED = """
    CASE a.grantee WHEN 0 THEN '' ELSE pg_get_userbyid(a.grantee) END, pg_get_userbyid(a.grantor), a.privilege_type,
    a.is_grantable
"""


class Privilege(t.NamedTuple):
    name: str
    grantable: bool


@dataclass(frozen=True)
class Entry:
    """The privileges that a grantor gave to a grantee, in the order of the server. An empty grantee is PUBLIC."""

    grantee: str
    grantor: str
    privileges: t.Tuple[Privilege, ...]

    def only(self, names: t.Collection[str]) -> Entry:
        """The entry with those of its privileges that have one of the names."""
        return Entry(self.grantee, self.grantor, tuple(one for one in self.privileges if one.name in names))

    def without(self, other: t.Optional[Entry]) -> Entry:
        """The entry without the privileges of another one of the same grantee and grantor."""
        others = other.privileges if other is not None else ()
        return Entry(self.grantee, self.grantor, tuple(one for one in self.privileges if one not in others))


#: The entries in their order; None if the object has the default privileges, which no entry states.
Acl = t.Optional[t.Tuple[Entry, ...]]


@dataclass(frozen=True)
class Securable:
    """An object that has privileges. sql: C(TABLE "s"."t"). column: of the table, if its privileges are meant."""

    sql: str
    owner: str
    column: str = ""

    def grant(self, entry: Entry) -> t.Iterator[str]:
        """The statements that add the privileges of an entry."""
        for grantable in (False, True):
            names = [one.name for one in entry.privileges if one.grantable is grantable]
            if names:
                option = " WITH GRANT OPTION" if grantable else ""
                statement = f"GRANT {self._listed(names)} ON {self.sql} TO {_role(entry.grantee)}{option}"
                yield _as_grantor(entry, statement)

    def revoke(self, entry: Entry) -> t.Iterator[str]:
        """The statement that removes the privileges of an entry, and those that its grantee gave to others."""
        names = [one.name for one in entry.privileges]
        if names:
            statement = f"REVOKE {self._listed(names)} ON {self.sql} FROM {_role(entry.grantee)} CASCADE"
            yield _as_grantor(entry, statement)

    def restore(self, before: Acl, now: Acl, names: t.Collection[str]) -> t.List[str]:
        """The statements that add the privileges of these names that the object had before and has not now."""
        return [statement for one in self._missing(before, now, names) for statement in self.grant(one)]

    def is_complete(self, before: Acl, now: Acl, names: t.Collection[str]) -> bool:
        """Whether the object has the privileges of before, and no others, after `restore`; in any order."""
        return sorted(self._restored(before, now, names)) == sorted(comparable(before or ()))

    def is_reordered(self, before: Acl, now: Acl, names: t.Collection[str]) -> bool:
        """Whether `restore` gives the entries of before in another order, and `rewrite` in the same order."""
        grantors = {self.owner}
        for one in before or ():
            if one.grantor not in grantors:
                return False
            grantors.add(one.grantee)
        return self.is_complete(before, now, names) and self._restored(before, now, names) != comparable(before or ())

    def _restored(self, before: Acl, now: Acl, names: t.Collection[str]) -> _Comparable:
        return _granted(now or (), self._missing(before, now, names))

    def rewrite(self, before: Acl, now: Acl) -> t.Tuple[t.List[str], t.List[str]]:
        """The statements that revoke all privileges, and those that grant the privileges of before in their order."""
        revoked = [statement for one in now or () if one.grantor == self.owner for statement in self.revoke(one)]
        return revoked, [statement for one in before or () for statement in self.grant(one)]

    def _missing(self, before: Acl, now: Acl, names: t.Collection[str]) -> t.List[Entry]:
        """The privileges of before that are missing; a grantee gets the right to grant before it grants."""
        present = {(one.grantee, one.grantor): one for one in now or ()}
        missing = [one.only(names).without(present.get((one.grantee, one.grantor))) for one in before or ()]
        return sorted((one for one in missing if one.privileges), key=lambda one: one.grantor != self.owner)

    def _listed(self, names: t.Sequence[str]) -> str:
        column = f" ({quote_identifier(self.column)})" if self.column else ""
        return ", ".join(f"{name}{column}" for name in names)


def _as_grantor(entry: Entry, statement: str) -> str:
    """A role that may act for several grantors would grant in the name of the one that PostgreSQL finds first."""
    return f"SET LOCAL ROLE {quote_identifier(entry.grantor)}; {statement}; RESET ROLE"


def read_acl(rows: t.Iterable[t.Tuple[t.Any, ...]]) -> t.Tuple[Entry, ...]:
    """The entries of the rows of EXPLODED."""
    return tuple(
        Entry(grantee, grantor, tuple(Privilege(row[2], row[3]) for row in group))
        for (grantee, grantor), group in itertools.groupby(rows, key=lambda row: (row[0], row[1]))
    )


def acl_to_json(acl: Acl) -> t.Any:
    """For a document: null, or a list of [grantee, grantor, [privilege, ...]], with * behind a grantable privilege."""
    if acl is None:
        return None
    return [
        [entry.grantee, entry.grantor, [one.name + "*" * one.grantable for one in entry.privileges]] for entry in acl
    ]


def acl_of_json(value: t.Any) -> Acl:
    """The entries of a document, whose shape was judged."""
    if value is None:
        return None
    return tuple(
        Entry(grantee, grantor, tuple(Privilege(name.rstrip("*"), name.endswith("*")) for name in names))
        for grantee, grantor, names in value
    )


_Comparable = t.List[t.Tuple[str, str, t.List[t.Tuple[str, bool]]]]


def _granted(acl: t.Sequence[Entry], added: t.Sequence[Entry]) -> _Comparable:
    """The entries after the grants of added."""
    entries: t.Dict[t.Tuple[str, str], t.Dict[str, bool]] = {}
    for one in (*acl, *added):
        entries.setdefault((one.grantee, one.grantor), {}).update(one.privileges)
    return [(grantee, grantor, sorted(found.items())) for (grantee, grantor), found in entries.items()]


def comparable(acl: t.Sequence[Entry]) -> _Comparable:
    """The entries in their order; the order of the privileges of an entry does not count."""
    return _granted(acl, ())


def _role(name: str) -> str:
    return quote_identifier(name) if name else "PUBLIC"
