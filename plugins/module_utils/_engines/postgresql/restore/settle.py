# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The last steps before a restored database gets its name: properties, and subscriptions that must not replicate."""

from __future__ import annotations

import contextlib
import typing as t

from ...._core.errors import RecoveryError
from ..archive.object_errors import ObjectFailure
from ..archive.properties import (
    DatabaseProperties,
    PropertyDifference,
    apply_statements,
    property_differences,
    read_properties,
)
from ..server.connection import Connection, ConnectionOptions, connection, fetch_all, quote_identifier
from ..server.driver import psycopg2
from ..server.refusals import refusal_reason
from . import databases

_SUBSCRIPTIONS = """
    SELECT s.subname FROM pg_subscription s JOIN pg_database d ON d.oid = s.subdbid
    WHERE d.datname = current_database() ORDER BY 1
"""

#: Properties that only CREATE DATABASE can set.
_AT_CREATION = frozenset(("encoding", "locale provider", "LC_COLLATE", "LC_CTYPE", "locale", "ICU rules", "tablespace"))


def apply_properties(
    conn: Connection, name: str, wanted: DatabaseProperties, *, owner: bool, privileges: bool
) -> t.Tuple[t.List[PropertyDifference], t.List[ObjectFailure]]:
    """Give the database name the properties, and compare.

    Returns the differences that CREATE DATABASE left, and what else differs, with the reason where PostgreSQL gave one.
    """
    reasons: t.Dict[str, str] = {}
    actual = read_properties(conn, name)
    for title, statement in apply_statements(wanted, actual, name, owner=owner, privileges=privileges):
        try:
            with conn.cursor() as cursor:
                cursor.execute(statement)
        except psycopg2.Error as error:
            reason = refusal_reason(error)
            # PostgreSQL quotes a value that it refuses, and the value of a setting may be a secret.
            is_secret = title.startswith("setting ")
            reasons[title] = f"SQLSTATE {error.pgcode}" if is_secret else reason
            with contextlib.suppress(psycopg2.Error), conn.cursor() as cursor:
                cursor.execute("RESET SESSION AUTHORIZATION")
    differences = property_differences(wanted, read_properties(conn, name), owner=owner, privileges=privileges)
    at_creation = [item for item in differences if item.what in _AT_CREATION]
    failures = [
        ObjectFailure(
            f"{item.what} of the database",
            f"{item.expected} was expected, it is {item.actual}" + _because(item.what, reasons),
        )
        for item in differences
        if item.what not in _AT_CREATION
    ]
    return at_creation, failures


def detach_subscriptions(options: ConnectionOptions) -> t.List[str]:
    """Take the slots from the subscriptions of a copy, so that the copy neither replicates nor drops a slot.

    Returns the names of the subscriptions.
    """
    with connection(options, application="lifeline.recovery restore") as conn:
        names = [row[0] for row in fetch_all(conn, _SUBSCRIPTIONS)]
        with conn.cursor() as cursor:
            for name in names:
                cursor.execute(f"ALTER SUBSCRIPTION {quote_identifier(name)} DISABLE")
                cursor.execute(f"ALTER SUBSCRIPTION {quote_identifier(name)} SET (slot_name = NONE)")
    return names


def discard(admin: Connection, options: ConnectionOptions) -> None:
    """Drop a database that a restore made. PostgreSQL drops none that has subscriptions."""
    if databases.exists(admin, options.database):
        with contextlib.suppress(RecoveryError):
            names = detach_subscriptions(options)
            if names:
                with connection(options, application="lifeline.recovery restore") as conn, conn.cursor() as cursor:
                    for name in names:
                        cursor.execute(f"DROP SUBSCRIPTION {quote_identifier(name)}")
    databases.drop(admin, options.database)


def _because(what: str, reasons: t.Mapping[str, str]) -> str:
    """The first reason of the statements for a property; grants have several statements."""
    for title, reason in reasons.items():
        if title == what or (what == "grants" and title.startswith("grant")):
            return f": {reason}"
    return ""
