# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Protects versions: each publication keeps one, and no version is changed or deleted but by a restore."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from .._core.errors import ErrorKind, RecoveryError
from .._core.notices import note
from .._core.options import INTERNAL, SUBOPTIONS, option
from .._core.sizes import counted, first_of
from .._engines.postgresql.server.confined import Confined, is_superuser, run
from .._engines.postgresql.server.connection import (
    Connection,
    ConnectionOptions,
    connection,
    fetch_all,
    fetch_value,
    quote_identifier,
    quote_literal,
)
from .._engines.postgresql.server.driver import psycopg2
from .._engines.postgresql.server.refusals import query_error, server_message
from .._engines.postgresql.server.transaction import transaction
from .._engines.postgresql.writes.triggers import PROBE
from .._repository.change import Change, ChangePlan, Outcome, Safeguards, Unchanged
from .._store.base import ObjectStore
from .safeguard_catalog import Found, constraint_name, owner_of, removers
from .safeguard_sql import MARK, REFUSED, SCHEMA, Safeguard, guard, keeper, requirement
from .tables import MetadataTable, Table, VersionsTable, find_table

PRESENT, ABSENT = "present", "absent"

_COLUMN = """
SELECT EXISTS (
  SELECT FROM pg_attribute a WHERE a.attrelid = %s AND a.attname = %s AND a.attnum > 0 AND NOT a.attisdropped
)
"""


@dataclass(frozen=True)
class SafeguardsRequest:
    """connection: to the database. restore_roles: logins that may change versions, if there are none, the login of the
    connection; roles: those of the application.

    content_column: of the table of documents, with the published content that each publication keeps. require_version:
    refuse a publication whose version has no row. add_unique: make document and version unique. publisher: the id of
    the user of a version that is published without a token.
    """

    connection: ConnectionOptions
    versions: VersionsTable = field(metadata={**SUBOPTIONS, **option(default={})})
    metadata: MetadataTable = field(metadata={**SUBOPTIONS, **option(default={})})
    state: t.Literal["present", "absent"] = "present"
    restore_roles: t.Tuple[str, ...] = ()
    roles: t.Tuple[str, ...] = ()
    content_column: t.Optional[str] = None
    require_version: bool = False
    add_unique: bool = True
    publisher: t.Optional[str] = None
    changelog: str = "Kept by lifeline.recovery"
    lock_timeout: float = 10
    source: t.Optional[str] = None
    safeguards: Safeguards = field(default_factory=Safeguards, metadata=INTERNAL)


@dataclass(frozen=True)
class Held:
    """An attempt to change versions with the rights of a role. refused: whether it was. reason: of the server."""

    role: str
    statement: str
    refused: bool
    reason: str


@dataclass(frozen=True)
class SafeguardsResult(Outcome):
    """statements: SQL that ran, in check mode that would run. probes: attempts to delete and update versions.

    removers: logins that can remove the safeguards. not_held: those of them that the application logs in as.
    """

    state: str
    statements: t.Sequence[str]
    probes: t.Sequence[Held]
    removers: t.Sequence[str]
    not_held: t.Sequence[str]
    summary: str
    diff: t.Mapping[str, str]
    timings: t.Mapping[str, float]


def refusal_of(error: Exception) -> RecoveryError:
    return query_error(error, subject="a safeguard of versions")


class VersionSafeguards(Change[SafeguardsResult]):
    """Raises RecoveryError: table_missing, schema_drift, unsupported, invalid_options, access_denied, conflict, locked,
    check_failed if a change of versions passes nonetheless, and those of the connection.
    """

    operation = "protect_course_versions"
    records_unchanged = False

    def __init__(self, request: SafeguardsRequest, store: t.Optional[ObjectStore]) -> None:
        super().__init__(request.safeguards, store, request.source)
        self._request = request
        self._probes: t.List[Held] = []

    @property
    def _installs(self) -> bool:
        return self._request.state == PRESENT

    def plan(self) -> ChangePlan:
        request = self._request
        if request.lock_timeout <= 0:
            raise RecoveryError(
                ErrorKind.INVALID_OPTIONS, f"`lock_timeout` must be above 0, got {request.lock_timeout:g}."
            )
        with self.timings.phase("plan"):
            self._conn = conn = self.resources.enter_context(
                connection(request.connection, application="lifeline.recovery safeguards", describe=refusal_of)
            )
            # Reading the default of a column waits for the lock of its table: measured on PostgreSQL 15.
            run(conn, f"SET lock_timeout = '{max(1, int(request.lock_timeout * 1000))}ms'")
            self._versions = find_table(conn, request.versions, "versions")
            self._metadata = self._table_of_documents(conn)
            tables = [table for table in (self._versions, self._metadata) if table is not None]
            self._super = is_superuser(conn)
            self._owner = owner_of(conn, tables, super_session=self._super)
            own = str(fetch_value(conn, "SELECT session_user::text"))
            self._exempt = sorted(set(request.restore_roles) or {own})
            self._require_roles(conn)
            self._removers = removers(conn, self._owner.name)
            self._before = Found(conn, self._versions, self._metadata)
            self._statements = self._missing(conn, self._before)
        self.details = {"table": str(self._versions.name), "state": request.state, "restore_roles": self._exempt}
        return ChangePlan(
            {"table": str(self._versions.name), "statements": self._statements},
            str(self._versions.name),
            destroys=False,
            changes=bool(self._statements),
        )

    def _table_of_documents(self, conn: Connection) -> t.Optional[Table]:
        request = self._request
        needed = self._installs and (request.content_column is not None or request.require_version)
        if not request.metadata.table:
            if needed:
                raise RecoveryError(
                    ErrorKind.INVALID_OPTIONS,
                    "`metadata.table` is required for `content_column` and `require_version`.",
                )
            return None
        try:
            found = find_table(conn, request.metadata, "metadata")
        except RecoveryError as error:
            if needed or error.kind != ErrorKind.TABLE_MISSING:
                raise
            return None
        if needed and request.content_column is not None:
            self._require_content(conn, found, request.content_column)
        return found

    def _require_content(self, conn: Connection, metadata: Table, column: str) -> None:
        if not fetch_value(conn, _COLUMN, (metadata.oid, column)):
            raise RecoveryError(
                ErrorKind.SCHEMA_DRIFT,
                f"`content_column` must be a column of {metadata.name} with the published content, got {column!r}.",
                next_step="If the content is not in the table of documents, unset `content_column`, and set "
                "`require_version`.",
            )
        if "content" not in self._versions:
            raise RecoveryError(
                ErrorKind.UNSUPPORTED,
                f"The table {self._versions.name} has no column of the content: a trigger cannot write the object of a "
                "version.",
                next_step="Unset `content_column`, and set `require_version`.",
            )
        if self._versions.needed:
            raise RecoveryError(
                ErrorKind.UNSUPPORTED,
                f"Rows of {self._versions.name} need values of {', '.join(self._versions.needed)}, which a publication "
                "does not give.",
                next_step="Give these columns a default, or unset `content_column`, and set `require_version`.",
            )
        publisher = self._versions.columns.get("publisher")
        if publisher is not None and publisher.required and not self._request.publisher:
            raise RecoveryError(
                ErrorKind.INVALID_OPTIONS,
                f"`publisher` is required, because the column {publisher.sql} must not be null.",
                next_step="Set it to the id of the user who is named if a publication has no token.",
            )

    def _require_roles(self, conn: Connection) -> None:
        wanted = [*self._request.restore_roles, *self._request.roles]
        known = {
            row[0] for row in fetch_all(conn, "SELECT rolname::text FROM pg_roles WHERE rolname = ANY (%s)", (wanted,))
        }
        missing = sorted(set(wanted) - known)
        if missing:
            raise RecoveryError(
                ErrorKind.ROLES_MISSING,
                f"`restore_roles` and `roles` must be roles of the server, got {', '.join(missing)}.",
            )
        both = sorted(set(self._exempt) & set(self._request.roles))
        if both:
            raise RecoveryError(
                ErrorKind.INVALID_OPTIONS,
                f"`roles` must not be roles of a restore, got {', '.join(both)}.",
                next_step="Connect as another role than that of the application.",
            )

    def _wanted(self) -> t.List[Safeguard]:
        request = self._request
        if not self._installs:
            return []
        wanted = [guard(self._versions, self._exempt)]
        if self._metadata is not None and request.content_column is not None:
            wanted.append(
                keeper(
                    self._versions, self._metadata, request.content_column,
                    publisher=request.publisher, changelog=request.changelog,
                )
            )  # fmt: skip
        if self._metadata is not None and request.require_version:
            wanted.append(requirement(self._versions, self._metadata))
        return wanted

    def _missing(self, conn: Connection, found: Found) -> t.List[str]:
        """The statements that are left to run."""
        wanted = self._wanted()
        triggers = [one for _function, listed in wanted for one in listed]
        current = {(one.table.oid, one.name) for one in triggers if found.has_trigger(one)}
        statements = [found.drop(key) for key in found.triggers if key not in current]
        if wanted and not found.has_schema:
            owner = quote_identifier(self._owner.name)
            statements += [f"CREATE SCHEMA {SCHEMA} AUTHORIZATION {owner}"]
            statements += [f"COMMENT ON SCHEMA {SCHEMA} IS {quote_literal(MARK)}"]
        for function, _triggers in wanted:
            if not found.has_function(function, self._owner.name):
                statements += [function.create, *function.own(self._owner.name)]
        statements += self._unique(conn, found)
        for trigger in triggers:
            if not found.has_trigger(trigger):
                statements += trigger.create
        unneeded = sorted(set(found.own_functions()) - {function.name for function, _triggers in wanted})
        statements += [f"DROP FUNCTION {SCHEMA}.{quote_identifier(name)}()" for name in unneeded]
        if found.has_schema and not wanted and set(found.functions) == set(unneeded):
            statements.append(f"DROP SCHEMA {SCHEMA}")
        return statements

    def _unique(self, conn: Connection, found: Found) -> t.List[str]:
        table, request = self._versions.name.quoted, self._request
        if not self._installs:
            own = found.constraint
            return [f"ALTER TABLE {table} DROP CONSTRAINT {quote_identifier(own)}"] if own else []
        if found.is_unique:
            return []
        columns = ", ".join(self._versions[name].replace("%%", "%") for name in ("document", "version"))
        if not request.add_unique:
            raise RecoveryError(
                ErrorKind.UNSUPPORTED,
                f"The table {self._versions.name} must have a unique constraint on ({columns}): two publications at "
                "the same time would store two versions of one number.",
                next_step="Set `add_unique` to true.",
            )
        self._require_no_duplicates(conn, columns)
        name = constraint_name(self._versions.name)
        return [
            f"ALTER TABLE {table} ADD CONSTRAINT {name} UNIQUE ({columns})",
            f"COMMENT ON CONSTRAINT {name} ON {table} IS {quote_literal(MARK)}",
        ]

    def _require_no_duplicates(self, conn: Connection, columns: str) -> None:
        run(conn, "BEGIN")
        try:
            # The columns may have types whose operators are code of users.
            session = Confined(conn, self._owner.name if self._super or self._owner.acts_as else None)
            sql = (
                f"SELECT count(*)::text FROM (SELECT FROM {self._versions.name.quoted} GROUP BY {columns} "
                "HAVING count(*) > 1) d"
            )
            twice = int(fetch_value(t.cast(Connection, session), sql))
        finally:
            run(conn, "ROLLBACK")
        if twice:
            raise RecoveryError(
                ErrorKind.CONFLICT,
                f"{counted(twice, 'version')} of {self._versions.name} have more than one row, so that ({columns}) "
                "cannot be made unique.",
                next_step="Find the rows with course_version_info, and give each its own number.",
            )

    def keep_undo(self) -> t.Mapping[str, t.Any]:
        is_new = self._installs and not self._before.own_functions()
        return {"state": ABSENT} if is_new else {}

    def act(self) -> None:
        with self.timings.phase("act"), transaction(self._conn, lock_timeout=self._request.lock_timeout):
            if self._owner.acts_as is not None:
                run(self._conn, f"SET LOCAL ROLE {quote_identifier(self._owner.acts_as)}")
            for statement in self._statements:
                run(self._conn, statement)

    def verify(self) -> None:
        """Read the catalogs again, and try to change versions. Raises RecoveryError(check_failed)."""
        with self.timings.phase("verify"):
            left = self._missing(self._conn, Found(self._conn, self._versions, self._metadata))
            if self._installs:
                self._probes = [
                    held for role in dict.fromkeys([*self._request.roles, self._owner.name]) for held in self._try(role)
                ]
        passed = [one for one in self._probes if not one.refused]
        if left or passed:
            why = (
                f"{left[0].splitlines()[0]} had no effect"
                if left
                else f"{passed[0].statement} passes for the role {passed[0].role}"
            )
            raise RecoveryError(
                ErrorKind.CHECK_FAILED, f"The versions are not protected: {why}.", left="The statements ran."
            )

    def _try(self, role: str) -> t.List[Held]:
        """Changes of one version with the rights of the role, in a session that counts as one of another role.

        None for a role that this session may not act for, and for a role that finds no version.
        """
        table = self._versions.name.quoted
        version = self._versions["version"].replace("%%", "%")
        right = "SET" if self._conn.server_version >= 160000 else "MEMBER"
        if not (self._super or fetch_value(self._conn, "SELECT pg_has_role(%s::name, %s)", (role, right))):
            return []
        one = f"ctid = (SELECT ctid FROM {table} LIMIT 1)"
        attempts = [
            self._attempt(role, "DELETE", f"DELETE FROM {table} WHERE {one}"),
            self._attempt(role, "UPDATE", f"UPDATE {table} SET {version} = {version} WHERE {one}"),
        ]
        return [held for held in attempts if held is not None]

    def _attempt(self, role: str, verb: str, sql: str) -> t.Optional[Held]:
        run(self._conn, "BEGIN")
        try:
            # With row_security = off, a table with row security would refuse the role.
            settings = "SELECT set_config(%s, 'on', true), set_config('row_security', 'on', true)"
            fetch_value(self._conn, settings, (PROBE,))
            changed = run(Confined(self._conn, role), sql)
        except psycopg2.Error as error:
            if error.pgcode != REFUSED:
                raise
            return Held(role, verb, True, server_message(error))
        finally:
            run(self._conn, "ROLLBACK")
        return Held(role, verb, False, "the statement was accepted") if changed else None

    @property
    def _not_held(self) -> t.List[str]:
        return [role for role in self._request.roles if role in self._removers]

    def why_unchanged(self) -> Unchanged:
        if not self._installs:
            return Unchanged("The versions have no safeguards of this collection.", "Nothing is left to do.")
        return Unchanged("The versions are protected already.", "Nothing is left to do.")

    def result(self, outcome: Outcome) -> SafeguardsResult:
        not_held = self._not_held if self._installs else []
        if not_held:
            note(
                f"{', '.join(not_held)} can remove the safeguards: the table {self._versions.name} belongs to "
                f"{self._owner.name}. Give the application a role that does not own the table."
            )
        return SafeguardsResult(
            **vars(outcome),
            state=self._request.state,
            statements=self._statements,
            probes=self._probes,
            removers=self._removers,
            not_held=not_held,
            summary=self._summary(outcome),
            diff={"prepared": "".join(f"{statement};\n" for statement in self._statements)},
            timings=self.timings.as_dict(),
        )

    def _summary(self, outcome: Outcome) -> str:
        if outcome.unchanged is not None:
            return outcome.unchanged.reason
        table = self._versions.name
        if not self._installs:
            return f"{'Removed' if self.safeguards.acts else 'Would remove'} the safeguards of {table}."
        does = "Protected" if self.safeguards.acts else "Would protect"
        parts = ["changes are refused"]
        parts += ["each publication keeps a version"] * (self._request.content_column is not None)
        parts += ["each publication must have a version"] * self._request.require_version
        return f"{does} the versions of {table}: {', '.join(parts)}, but for {first_of(self._exempt, 5)}."
