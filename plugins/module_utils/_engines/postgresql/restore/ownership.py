# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The parts of an archive that a role may replace in a live database, and those that the platform owns.

On a managed platform the role that restores is no superuser. A schema of another role (auth and storage of a
Supabase project) keeps its definitions, which may be newer than those of the set, and gets the rows of the set.
Every other object of the set that the role cannot make is reported as left out, with the reason.
"""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass, field, replace

from ...._core.errors import ErrorKind, RecoveryError
from ..archive.object_errors import ObjectFailure
from ..archive.roles import NAME, unquote
from ..archive.statements import copied_columns, defined_columns
from ..archive.toc import Toc, TocEntry
from ..server.connection import Connection, quote_identifier
from . import cron_jobs
from .foreign_owners import owners_of, refuse_foreign_owners
from .preserve import default_privileges_reset, emptying_statements, preserved_schemas
from .rights import Relation, Rights, TableName, read_rights


@dataclass(frozen=True)
class Replacement:
    """The plan to replace the content of a live database by a role that owns only part of it.

    toc: the archive without the entries that are not replayed. kept: schemas whose definitions stay. preserved: schemas
    that are emptied instead of dropped. emptied: tables of kept schemas whose rows are deleted. columns: for each
    table of a kept schema that gets rows of the set, the columns that the set knows. first and last run in the
    transaction before and after the archive, before_rows and after_rows around the rows. jobs: the rows of pg_cron
    that its functions have to schedule.
    """

    toc: Toc
    kept: t.Tuple[str, ...] = ()
    preserved: t.Tuple[str, ...] = ()
    emptied: t.Tuple[TableName, ...] = ()
    columns: t.Mapping[TableName, t.Tuple[str, ...]] = field(default_factory=dict)
    first: t.Tuple[str, ...] = ()
    before_rows: t.Tuple[str, ...] = ()
    after_rows: t.Tuple[str, ...] = ()
    jobs: t.Optional[TocEntry] = None
    left_out: t.Tuple[ObjectFailure, ...] = ()


def plan_replacement(conn: Connection, toc: Toc, ledgers: t.Collection[str], *, owner: bool) -> Replacement:
    """Decide for every entry of the archive whether the connected role can replace it.

    ledgers lists tables, as C(schema.table), in which a platform records the state of its own schemas: where the
    schema is kept, these rows are kept with it. Raises RecoveryError(access_denied) when objects of the set belong to
    roles that the connected role is not a member of, or triggers of the platform cannot be switched off, and
    schema_drift when a kept table lacks columns of the set.
    """
    rights = read_rights(conn, toc)
    chosen = _Chosen(rights, toc, frozenset(ledgers))
    taken = [entry for entry in toc.entries if chosen.takes(entry)]
    if owner:
        refuse_foreign_owners(conn, owners_of(taken), left="The database is unchanged.")
    rows = {(entry.schema, entry.tag) for entry in taken if entry.kind == "TABLE DATA"}
    _refuse_missing_columns(taken, rights)
    emptied = tuple(sorted(chosen.emptied()))
    if emptied and not rights.may_switch_triggers_off:
        raise RecoveryError(
            ErrorKind.ACCESS_DENIED,
            f"{rights.role} may not set session_replication_role: triggers of the platform would act on restored rows.",
            left="The database is unchanged.",
            next_step=f"As a superuser: GRANT SET ON PARAMETER session_replication_role TO {rights.role}.",
        )
    replaced = sorted(rights.schemas - rights.kept)
    preserved = preserved_schemas(conn, replaced)
    policies = [policy for policy in rights.policies if rights.may_make_policies(policy[:2])]
    deletes = (f"DELETE FROM ONLY {quote_identifier(*name)}" for name in emptied)
    return Replacement(
        toc=replace(toc, entries=tuple(e for e in taken if e.kind != "SCHEMA" or e.tag not in preserved)),
        kept=tuple(sorted(rights.kept)),
        preserved=preserved,
        emptied=emptied,
        columns={
            (table.schema, table.tag): tuple(column.name for column in defined_columns(table.definition))
            for table in toc.of_kind("TABLE")
            if table.schema in rights.kept and (table.schema, table.tag) in rows
        },
        first=(
            *(f"DROP POLICY {quote_identifier(p[2])} ON {quote_identifier(*p[:2])}" for p in policies),
            *default_privileges_reset(conn, replaced),
            *emptying_statements(conn, preserved),
        ),
        before_rows=("SET LOCAL session_replication_role = replica", *deletes) if emptied else (),
        after_rows=("SET LOCAL session_replication_role = DEFAULT",) if emptied else (),
        jobs=chosen.jobs,
        left_out=tuple(chosen.left_out),
    )


class _Chosen:
    """Which entries are replayed. left_out and jobs are complete once every entry was asked for."""

    def __init__(self, rights: Rights, toc: Toc, ledgers: t.FrozenSet[str]) -> None:
        self._rights, self._ledgers = rights, ledgers
        self._tables = {entry.dump_id: entry for entry in toc.of_kind("TABLE")}
        self.jobs: t.Optional[TocEntry] = None
        self.left_out: t.List[ObjectFailure] = []

    def emptied(self) -> t.Iterator[TableName]:
        """Every table of the platform that may hold rows of users, also one that the set does not know yet."""
        for name, relation in self._rights.relations.items():
            is_ledger = f"{relation.schema}.{relation.name}" in self._ledgers
            if relation.kind == "r" and relation.writable and not relation.of_extension and not is_ledger:
                yield name

    def takes(self, entry: TocEntry) -> bool:
        rights = self._rights
        if entry.kind == "SCHEMA":
            if entry.tag in rights.kept:
                reason = "it belongs to another role: its definitions stay, its rows are replaced"
                return self._leave(entry, reason)
            return True
        if entry.kind in ("ACL", "COMMENT", "SECURITY LABEL") and self._is_on_kept(entry):
            return False
        if entry.kind in ("EVENT TRIGGER", "PUBLICATION"):
            return self._takes_named(entry)
        if entry.kind in ("PUBLICATION TABLE", "PUBLICATION TABLES IN SCHEMA"):
            found = re.match(rf"ALTER PUBLICATION ({NAME}) ", entry.definition)
            return found is None or rights.names.get(("PUBLICATION", unquote(found.group(1))), True)
        if entry.kind == "DEFAULT ACL":
            return self._takes_default_privileges(entry)
        if entry.schema not in rights.kept:
            return True
        if entry.kind in ("TABLE DATA", "SEQUENCE SET"):
            return self._takes_rows(entry)
        return entry.kind in ("TRIGGER", "POLICY") and self._takes_on_table(entry)

    def _leave(self, entry: TocEntry, reason: str) -> bool:
        self.left_out.append(ObjectFailure(entry.title, reason, entry.definition.strip()))
        return False

    def _is_on_kept(self, entry: TocEntry) -> bool:
        kind, _space, name = entry.tag.partition(" ")
        name = unquote(name)
        if kind == "SCHEMA":
            return name in self._rights.kept
        if kind in ("EXTENSION", "PUBLICATION"):
            return not self._rights.names.get((kind, name), True)
        return entry.schema in self._rights.kept

    def _takes_named(self, entry: TocEntry) -> bool:
        rights = self._rights
        if rights.names.get((entry.kind, entry.tag)) is False:
            # The platform created the object, and the database has it.
            return False
        if entry.kind == "EVENT TRIGGER" and not rights.privileged:
            return self._leave(entry, "only a superuser may make event triggers")
        if entry.kind == "PUBLICATION" and "FOR ALL TABLES" in entry.definition and not rights.superuser:
            return self._leave(entry, "only a superuser may publish all tables")
        return True

    def _takes_default_privileges(self, entry: TocEntry) -> bool:
        rights = self._rights
        if entry.schema in rights.kept:
            return False
        if entry.owner in rights.memberships:
            return True
        kind = entry.tag.rpartition(" ")[2]
        if (entry.owner, entry.schema, kind) in rights.default_privileges:
            return False
        return self._leave(entry, f"only a member of {entry.owner} may change these default privileges")

    def _takes_rows(self, entry: TocEntry) -> bool:
        """Rows of a table that stays, and the position of a sequence that stays."""
        rights = self._rights
        if f"{entry.schema}.{entry.tag}" in self._ledgers:
            return False
        relation = rights.relations.get((entry.schema, entry.tag))
        if relation is None:
            return self._leave(entry, "the target has no such table")
        if (entry.schema, entry.tag) == cron_jobs.TABLE and rights.may_schedule:
            self.jobs = entry
            return False
        if not relation.writable and relation.of_extension and relation.kind == "S":
            return False
        return relation.writable or self._leave(entry, f"{rights.role} may not delete and insert its rows")

    def _takes_on_table(self, entry: TocEntry) -> bool:
        """A trigger or policy of users on a table that stays."""
        rights = self._rights
        relation = self._relation_of(entry)
        if relation is None:
            return self._leave(entry, "the target has no such table")
        table = f"{relation.schema}.{relation.name}"
        if entry.kind == "POLICY":
            may = rights.may_make_policies((relation.schema, relation.name))
            return may or self._leave(entry, f"{rights.role} does not own the table {table}")
        called = re.search(rf"EXECUTE (?:FUNCTION|PROCEDURE) ({NAME})\.", entry.definition)
        if called is not None and unquote(called.group(1)) in rights.kept:
            # The platform's own trigger: the live one, or the decision of a newer release to have none, stays.
            return False
        function_schema = rights.triggers.get((entry.schema, entry.tag))
        if function_schema is not None and function_schema not in rights.schemas:
            return self._leave(entry, "the target has a trigger of this name, whose function is outside the set")
        return relation.may_trigger or self._leave(entry, f"{rights.role} may not make triggers on {table}")

    def _relation_of(self, entry: TocEntry) -> t.Optional[Relation]:
        for number in entry.dependencies:
            table = self._tables.get(number)
            if table is not None and table.schema == entry.schema and entry.tag.startswith(f"{table.tag} "):
                return self._rights.relations.get((table.schema, table.tag))
        return None


def _refuse_missing_columns(taken: t.Iterable[TocEntry], rights: Rights) -> None:
    missing = []
    for entry in taken:
        relation = rights.relations.get((entry.schema, entry.tag))
        if entry.kind == "TABLE DATA" and relation is not None:
            lacking = sorted(set(copied_columns(entry.copy_statement)) - relation.columns)
            missing += [f"{entry.schema}.{entry.tag}.{name}" for name in lacking]
    if missing:
        raise RecoveryError(
            ErrorKind.SCHEMA_DRIFT,
            f"The target lacks {len(missing)} columns that the set has rows for: {', '.join(missing[:5])}.",
            left="The database is unchanged.",
            next_step="Restore into a project of the same or a newer release of the platform.",
            details={"columns": missing},
        )
