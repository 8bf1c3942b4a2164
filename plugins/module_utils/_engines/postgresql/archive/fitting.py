# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Fits an archive to a database that lacks extensions, their schemas, or what the dump left out with a profile."""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass, replace

from ...._core.errors import ErrorKind, RecoveryError
from ..server.catalog import available_extensions
from ..server.connection import Connection, fetch_all, fetch_value, quote_identifier
from ..server.driver import psycopg2
from ..server.refusals import refusal_reason
from .object_errors import ObjectFailure
from .roles import NAME, unquote
from .toc import Toc, TocEntry

_SCHEMA = re.compile(rf" WITH SCHEMA ({NAME});")
_FUNCTION = re.compile(rf"EXECUTE (?:FUNCTION|PROCEDURE) ({NAME}\.{NAME})\(")
_ALWAYS_THERE = ("public", "pg_catalog")


@dataclass(frozen=True)
class Fitted:
    """The archive without what cannot be restored. schemas: those that extensions need, and that nothing creates."""

    toc: Toc
    schemas: t.Tuple[str, ...]
    left_out: t.Tuple[ObjectFailure, ...]


def fit_to_database(conn: Connection, toc: Toc, skip: t.Collection[str], *, required: bool) -> Fitted:
    """Try the extensions of the archive in a transaction that is rolled back, and leave out what needs the others.

    skip names extensions that are left out. Raises RecoveryError(extensions_missing) with every further extension
    that the server refuses, if required is true; and invalid_options for a name in skip that the archive lacks.
    """
    extensions = toc.of_kind("EXTENSION")
    unknown = sorted(set(skip) - {entry.tag for entry in extensions})
    if unknown:
        raise RecoveryError(
            ErrorKind.INVALID_OPTIONS,
            f"`skip_extensions` names {', '.join(unknown)}, and the set has no such extension.",
            next_step=f"The set has {', '.join(sorted(entry.tag for entry in extensions)) or 'none'}.",
        )
    needed = _needed_schemas(toc, skip)
    refused, present = _try(conn, [entry for entry in extensions if entry.tag not in skip], needed)
    if refused and required:
        raise _refused_extensions(refused)
    present |= {entry.tag for entry in toc.of_kind("SCHEMA")} | set(_ALWAYS_THERE)
    left_out = [ObjectFailure(f"extension {name}", "skip_extensions names it") for name in sorted(skip)]
    kept = []
    for entry in toc.entries:
        reason = _reason_against(conn, entry, present, skip)
        if reason is None:
            kept.append(entry)
        elif entry.kind in ("TABLE DATA", "EVENT TRIGGER"):
            left_out.append(ObjectFailure(entry.title, reason))
    return Fitted(replace(toc, entries=tuple(kept)), needed, tuple(left_out))


def require_available(conn: Connection, toc: Toc, skip: t.Collection[str]) -> None:
    """Raise RecoveryError(extensions_missing) where the server does not have an extension of the archive."""
    wanted = sorted({entry.tag for entry in toc.of_kind("EXTENSION")} - set(skip))
    there = available_extensions(conn)
    missing = {name: "it is not installed on the server" for name in wanted if name not in there}
    if missing:
        raise _refused_extensions(missing)


def _refused_extensions(refused: t.Mapping[str, str]) -> RecoveryError:
    return RecoveryError(
        ErrorKind.EXTENSIONS_MISSING,
        f"The server refuses {len(refused)} extensions of the set: "
        + "; ".join(f"{name}: {reason}" for name, reason in sorted(refused.items()))
        + ".",
        next_step="Install their packages, or name them in `skip_extensions`: their tables are then left out.",
        details={"extensions": dict(sorted(refused.items()))},
    )


def _needed_schemas(toc: Toc, skip: t.Collection[str]) -> t.Tuple[str, ...]:
    made = {entry.tag for entry in toc.of_kind("SCHEMA")} | set(_ALWAYS_THERE)
    found = {_schema_of(entry) for entry in toc.of_kind("EXTENSION") if entry.tag not in skip}
    return tuple(sorted(found - made - {""}))


def _schema_of(extension: TocEntry) -> str:
    match = _SCHEMA.search(extension.definition)
    return unquote(match.group(1)) if match else ""


def _try(
    conn: Connection, extensions: t.Sequence[TocEntry], schemas: t.Collection[str]
) -> t.Tuple[t.Dict[str, str], t.Set[str]]:
    """The extensions that the server refuses, with its reasons; and the schemas that are there with the others."""
    refused = {}
    with conn.cursor() as cursor:
        cursor.execute("BEGIN")
        try:
            for schema in sorted({*schemas, *map(_schema_of, extensions)} - {"", *_ALWAYS_THERE}):
                cursor.execute(f"CREATE SCHEMA IF NOT EXISTS {quote_identifier(schema)}")
            for entry in extensions:
                cursor.execute("SAVEPOINT extension")
                try:
                    # Nothing of the archive but names is run here.
                    schema = _schema_of(entry)
                    within = f" WITH SCHEMA {quote_identifier(schema)}" if schema else ""
                    cursor.execute(f"CREATE EXTENSION IF NOT EXISTS {quote_identifier(entry.tag)}{within}")
                except psycopg2.Error as error:
                    reason = refusal_reason(error)
                    refused[entry.tag] = reason
                    cursor.execute("ROLLBACK TO SAVEPOINT extension")
            return refused, {row[0] for row in fetch_all(conn, "SELECT nspname FROM pg_namespace")}
        finally:
            if not conn.closed:
                cursor.execute("ROLLBACK")


def _reason_against(
    conn: Connection, entry: TocEntry, present: t.Collection[str], skip: t.Collection[str]
) -> t.Optional[str]:
    """Why an entry cannot be restored, None where it can."""
    kind, _space, name = entry.tag.partition(" ")
    if entry.kind == "EXTENSION":
        return "skip_extensions names it" if entry.tag in skip else None
    if entry.kind == "COMMENT" and kind == "EXTENSION" and unquote(name) in skip:
        return "its extension is left out"
    schema = unquote(name) if entry.kind in ("ACL", "COMMENT") and kind == "SCHEMA" else entry.schema
    if schema and schema not in present:
        return f"an extension that is left out makes the schema {schema}"
    if entry.kind == "EVENT TRIGGER" and not entry.dependencies:
        function = _FUNCTION.search(entry.definition)
        if function and fetch_value(conn, "SELECT to_regproc(%s) IS NULL", (function.group(1),)):
            return f"the set does not hold its function {function.group(1)}"
    return None
