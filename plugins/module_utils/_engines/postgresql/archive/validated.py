# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Definitions of an archive that run code of users when they are made: they are made with their owner's rights.

PostgreSQL evaluates these with the rights of the session: a check that pg_dump adds behind the rows, because it depends
on its own table; the bounds of a partition, and its checks, when it is attached; the first state of an aggregate; a
foreign key over a cast of users. The expressions of indexes and materialized views it evaluates as the owner.
"""

from __future__ import annotations

import typing as t
from dataclasses import replace

from ..server.confined import Confined, acting_role, drop_role
from ..server.connection import Connection, ConnectionOptions, connection, fetch_value, quote_identifier
from ..server.driver import psycopg2
from ..server.refusals import refusal_reason
from .object_errors import ObjectFailure
from .toc import Toc, TocEntry

#: Kinds of each section of an archive.
_PRE_DATA, _POST_DATA = ("TABLE ATTACH", "AGGREGATE"), ("CHECK CONSTRAINT", "FK CONSTRAINT")


class Parts(t.NamedTuple):
    """An archive in the order to load a section of it: first, what runs code of users, and what depends on that."""

    first: Toc
    confined: t.Tuple[TocEntry, ...]
    rest: Toc


def split_validated(toc: Toc, section: str) -> Parts:
    """Parts of an archive for the section C(pre-data) or C(post-data). rest has no entries of other sections."""
    confined = _running_code(toc, _PRE_DATA if section == "pre-data" else _POST_DATA)
    numbers = {entry.dump_id for entry in confined}
    later: t.Set[int] = set()
    sections: t.Dict[int, str] = {}
    # An entry stands behind all that it depends on. A comment has the section of its object.
    for entry in toc.entries:
        of_others = [sections[number] for number in entry.dependencies if number in sections]
        sections[entry.dump_id] = entry.section or (of_others[0] if of_others else "pre-data")
        if entry.dump_id not in numbers and (numbers | later).intersection(entry.dependencies):
            later.add(entry.dump_id)
    first = tuple(entry for entry in toc.entries if entry.dump_id not in numbers | later)
    rest = tuple(entry for entry in toc.entries if entry.dump_id in later and sections[entry.dump_id] == section)
    return Parts(replace(toc, entries=first), tuple(confined), replace(toc, entries=rest))


def load_section(
    options: ConnectionOptions,
    toc: Toc,
    section: str,
    load: t.Callable[[Toc, str, t.Sequence[str]], t.List[ObjectFailure]],
    *,
    confine: bool,
) -> t.List[ObjectFailure]:
    """Load a section of an archive; all failures.

    load takes entries, a name for their list, and options that narrow the list down to the section.
    """
    parts = split_validated(toc, section)
    sections = ["--section=data", "--section=post-data"] if section == "post-data" else [f"--section={section}"]
    failures = load(parts.first, section, sections)
    if parts.confined:
        with connection(options, application="lifeline.recovery restore") as conn, conn.cursor() as cursor:
            cursor.execute("BEGIN")
            failures += add_validated(conn, toc, parts.confined, confine=confine)
            cursor.execute("COMMIT")
        failures += load(parts.rest, f"{section}-rest", ())
    return failures


def add_validated(conn: Connection, toc: Toc, entries: t.Iterable[TocEntry], *, confine: bool) -> t.List[ObjectFailure]:
    """Run the definitions within the open transaction; the entries that PostgreSQL refused.

    With confine, each runs with no more rights than the owners of what it is about have, where the session may act for
    them.
    """
    tables = {entry.dump_id: entry for entry in toc.of_kind("TABLE")}
    failures = []
    with conn.cursor() as cursor:
        for entry in entries:
            about = [entry, *(tables[number] for number in entry.dependencies if number in tables)]
            cursor.execute("SAVEPOINT object")
            try:
                role = acting_role(conn, {item.owner for item in about}) if confine else None
                if role is None:
                    cursor.execute(entry.definition)
                else:
                    _add_confined(conn, role, entry, {item.schema for item in about if item.schema})
                cursor.execute("RELEASE SAVEPOINT object")
            except psycopg2.Error as error:
                reason = refusal_reason(error)
                cursor.execute("ROLLBACK TO SAVEPOINT object")
                failures.append(ObjectFailure(entry.title, reason, entry.definition.strip()))
    return failures


def _running_code(toc: Toc, kinds: t.Sequence[str]) -> t.List[TocEntry]:
    """Entries that can run code of users. Confinement costs some round trips, and there may be thousands of these."""
    if not toc.of_kind("FUNCTION", "PROCEDURE"):
        return []
    casts = any("AS IMPLICIT" in entry.definition for entry in toc.of_kind("CAST"))
    domains = bool(toc.of_kind("DOMAIN"))
    checked = {table.dump_id for table in toc.of_kind("TABLE") if " CHECK (" in table.definition}

    def runs_code(entry: TocEntry) -> bool:
        if entry.kind == "TABLE ATTACH":
            # Its bounds are values of the types of the key.
            return domains or bool(checked.intersection(entry.dependencies))
        if entry.kind == "AGGREGATE":
            return domains and "INITCOND" in entry.definition
        return casts if entry.kind == "FK CONSTRAINT" else True

    return [entry for entry in toc.of_kind(*kinds) if runs_code(entry)]


def _add_confined(conn: Connection, role: str, entry: TocEntry, schemas: t.Collection[str]) -> None:
    """The role needs rights on schemas, which the archive grants only at its end."""
    wanted = [("USAGE", schema) for schema in schemas]
    wanted += [("CREATE", entry.schema)] if entry.kind == "AGGREGATE" else []
    lacks = "SELECT NOT has_schema_privilege(%s::name, %s, %s)"
    grants = [
        f"{right} ON SCHEMA {quote_identifier(schema)}"
        for right, schema in wanted
        if fetch_value(conn, lacks, (role, schema, right))
    ]
    with conn.cursor() as cursor:
        for grant in grants:
            cursor.execute(f"GRANT {grant} TO {quote_identifier(role)}")
        Confined(conn, role).run(entry.definition)
        for grant in grants:
            cursor.execute(f"REVOKE {grant} FROM {quote_identifier(role)}")
    drop_role(conn, role)
