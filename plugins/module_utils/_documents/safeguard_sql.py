# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The SQL of the safeguards of versions: functions and triggers, each as one object that is compared and created.

Functions run with a fixed search_path, so that operators and functions are those of pg_catalog. Those that write or
read versions have the rights of their owner, so that row security and rights of the publisher do not matter. Only
their owner may make triggers of them, and they refuse to run for another table.
https://www.postgresql.org/docs/current/sql-createfunction.html#SQL-CREATEFUNCTION-SECURITY
"""

from __future__ import annotations

import hashlib
import typing as t
from dataclasses import dataclass

from .._engines.postgresql.server.connection import quote_identifier, quote_literal
from .._engines.postgresql.server.names import QualifiedName
from .._engines.postgresql.writes.triggers import PASS_EXEMPT, PROBE
from .tables import Table

SCHEMA = "lifeline_safeguards"
#: The comment by which the schema, a function and a constraint are known to be made by this file.
MARK = "lifeline.recovery: safeguards of versions"
#: The names of triggers. A version is kept before it is required: those of one event run in the order of their names.
GUARD, TRUNCATE_GUARD = "lifeline_refuse_change", "lifeline_refuse_truncate"
KEEPER, REQUIREMENT = "lifeline_keep_version", "lifeline_require_version"
#: SQLSTATE of a refused change: insufficient_privilege, as a missing right would have.
REFUSED = "42501"
#: SQLSTATE of a publication that would lose a version: integrity_constraint_violation.
LOST = "23000"

_GUARD = (
    PASS_EXEMPT
    + """  RAISE EXCEPTION USING ERRCODE = '{refused}',
    MESSAGE = format('%s of %I.%I is refused: versions are kept for ever', TG_OP, TG_TABLE_SCHEMA, TG_TABLE_NAME),
    HINT = 'Publish an earlier version again as a new version.';
END
"""
)

_KEEP = """
BEGIN
{only}
  IF TG_OP = 'UPDATE' AND NEW.{version} IS NOT DISTINCT FROM OLD.{version} THEN
    IF NEW.{content}::text IS DISTINCT FROM OLD.{content}::text THEN
      RAISE EXCEPTION USING ERRCODE = '{lost}',
        MESSAGE = format('the content of %s changed, and its version stayed %s', NEW.{document}, NEW.{version}),
        HINT = 'Increase the version with each publication.';
    END IF;
    RETURN NULL;
  END IF;
  -- A document that is deleted in the transaction that publishes it has no row when this runs.
  IF NEW.{content} IS NULL OR NOT EXISTS (SELECT FROM {metadata} m WHERE m.{document} = NEW.{document}) THEN
    RETURN NULL;
  END IF;
  INSERT INTO {versions} ({columns})
  VALUES ({values})
  ON CONFLICT ({key}) DO NOTHING;
  RETURN NULL;
END
"""

_REQUIRE = """
BEGIN
{only}
  IF NEW.{version} IS DISTINCT FROM OLD.{version} AND NOT EXISTS (
    SELECT FROM {versions} v
    WHERE v.{v_document} = NEW.{document}::{t_document} AND v.{v_version} = NEW.{version}::{t_version}
  ) THEN
    RAISE EXCEPTION USING ERRCODE = '{lost}',
      MESSAGE = format('version %s of %s was published without a row in %s', NEW.{version}, NEW.{document}, {name}),
      HINT = 'Insert the version in the transaction that publishes it.';
  END IF;
  RETURN NULL;
END
"""

_ONLY = """  IF TG_TABLE_SCHEMA <> {schema} OR TG_TABLE_NAME <> {table} THEN
    RAISE EXCEPTION USING ERRCODE = '42501', MESSAGE = 'this function is a trigger of another table';
  END IF;"""

#: The user of a request of PostgREST, which sets the claims of the token for the transaction.
_USER = (
    "coalesce(nullif(current_setting('request.jwt.claim.sub', true), ''), "
    "nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub', {publisher})"
)


@dataclass(frozen=True)
class Function:
    """A function of the schema. definer: whether it has the rights of its owner."""

    name: str
    body: str
    definer: bool

    @property
    def sql(self) -> str:
        return f"{SCHEMA}.{quote_identifier(self.name)}"

    @property
    def create(self) -> str:
        definer = " SECURITY DEFINER" if self.definer else ""
        return (
            f"CREATE OR REPLACE FUNCTION {self.sql}() RETURNS trigger LANGUAGE plpgsql{definer} "
            f"SET search_path = pg_catalog, pg_temp AS {_dollar_quoted(self.body)}"
        )

    def own(self, owner: str) -> t.List[str]:
        """The statements after its creation: owner, rights and comment."""
        return [
            f"ALTER FUNCTION {self.sql}() OWNER TO {quote_identifier(owner)}",
            f"REVOKE ALL ON FUNCTION {self.sql}() FROM PUBLIC",
            f"COMMENT ON FUNCTION {self.sql}() IS {quote_literal(MARK).strip()}",
        ]


@dataclass(frozen=True)
class Trigger:
    """A trigger on a table. always: it runs for every session_replication_role.

    kind: pg_trigger.tgtype, a sum of ROW 1, BEFORE 2, INSERT 4, DELETE 8, UPDATE 16 and TRUNCATE 32. deferred: it runs
    at the end of the transaction, in which the application may insert the version itself.
    """

    name: str
    table: Table
    events: str
    kind: int
    function: Function
    deferred: bool = False
    always: bool = False

    @property
    def create(self) -> t.List[str]:
        kind = "CREATE CONSTRAINT TRIGGER" if self.deferred else "CREATE TRIGGER"
        when = "DEFERRABLE INITIALLY DEFERRED " if self.deferred else ""
        when += "FOR EACH ROW" if self.kind & 1 else "FOR EACH STATEMENT"
        table = self.table.name.quoted
        made = [f"{kind} {self.name} {self.events} ON {table} {when} EXECUTE FUNCTION {self.function.sql}()"]
        return made + [f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {self.name}"] * self.always

    @property
    def drop(self) -> str:
        return f"DROP TRIGGER {self.name} ON {self.table.name.quoted}"


def suffix_of(versions: QualifiedName) -> str:
    """Part of the names of functions, so that a database can have several tables of versions."""
    return hashlib.sha256(f"{versions.schema}\0{versions.name}".encode()).hexdigest()[:8]


Safeguard = t.Tuple[Function, t.Sequence[Trigger]]


def guard(versions: Table, exempt: t.Iterable[str]) -> Safeguard:
    """Refuses DELETE, UPDATE and TRUNCATE of rows, also those of a cascade."""
    roles = ", ".join(quote_literal(role).strip() for role in sorted(set(exempt)))
    body = _GUARD.format(exempt=roles, probe=PROBE, refused=REFUSED)
    function = Function(f"refuse_change_{suffix_of(versions.name)}", body, definer=False)
    of_rows = Trigger(GUARD, versions, "BEFORE DELETE OR UPDATE", 27, function, always=True)
    of_table = Trigger(TRUNCATE_GUARD, versions, "BEFORE TRUNCATE", 34, function, always=True)
    return function, [of_rows, of_table]


def keeper(versions: Table, metadata: Table, content: str, *, publisher: t.Optional[str], changelog: str) -> Safeguard:
    """Inserts the version of each publication, unless the transaction that publishes inserts the version itself."""
    own = {name: _plain(metadata, name) for name in ("document", "version")}
    kind = {name: versions.columns[name].type for name in versions.columns}
    values = {
        "document": f"NEW.{own['document']}::{kind['document']}",
        "version": f"NEW.{own['version']}::{kind['version']}",
        "content": f"NEW.{quote_identifier(content)}::{kind['content']}",
    }
    if "etag" in versions and "etag" in metadata:
        values["etag"] = f"NEW.{_plain(metadata, 'etag')}::{kind['etag']}"
    if "changelog" in versions:
        values["changelog"] = quote_literal(changelog).strip()
    if "publisher" in versions:
        fixed = "NULL" if publisher is None else quote_literal(publisher).strip()
        values["publisher"] = f"{_USER.format(publisher=fixed)}::{kind['publisher']}"
    if "published_at" in versions and versions.columns["published_at"].required:
        values["published_at"] = "now()"
    body = _KEEP.format(
        only=_only(metadata),
        **own,
        content=quote_identifier(content),
        metadata=metadata.name.quoted,
        versions=versions.name.quoted,
        columns=", ".join(_plain(versions, name) for name in values),
        values=", ".join(values.values()),
        key=f"{_plain(versions, 'document')}, {_plain(versions, 'version')}",
        lost=LOST,
    )
    function = Function(f"keep_version_{suffix_of(versions.name)}", body, definer=True)
    return function, [Trigger(KEEPER, metadata, "AFTER INSERT OR UPDATE", 21, function, deferred=True)]


def requirement(versions: Table, metadata: Table) -> Safeguard:
    """Refuses a transaction that publishes a version without its row. A new document may have no version yet."""
    name = f"{versions.name.schema}.{versions.name.name}"
    body = _REQUIRE.format(
        only=_only(metadata),
        document=_plain(metadata, "document"),
        version=_plain(metadata, "version"),
        v_document=_plain(versions, "document"),
        v_version=_plain(versions, "version"),
        t_document=versions.columns["document"].type,
        t_version=versions.columns["version"].type,
        versions=versions.name.quoted,
        name=quote_literal(name).strip(),
        lost=LOST,
    )
    function = Function(f"require_version_{suffix_of(versions.name)}", body, definer=True)
    return function, [Trigger(REQUIREMENT, metadata, "AFTER UPDATE", 17, function, deferred=True)]


def _only(table: Table) -> str:
    schema, name = (quote_literal(one).strip() for one in (table.name.schema, table.name.name))
    return _ONLY.format(schema=schema, table=name)


def _plain(table: Table, option: str) -> str:
    """The quoted column of an option, for a statement without parameters."""
    return table[option].replace("%%", "%")


def _dollar_quoted(body: str) -> str:
    tag = "$lifeline$"
    while tag in body:
        tag = f"{tag[:-1]}_$"
    return f"{tag}{body}{tag}"
