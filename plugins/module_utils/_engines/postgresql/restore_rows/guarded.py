# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The statements around a change of rows: triggers off and on, definitions unchanged, and the way to the commit."""

from __future__ import annotations

import contextlib
import typing as t

from ...._core.errors import ErrorKind, RecoveryError
from ..server import catalog
from ..server.confined import drop_role, require_nothing_deferred, run
from ..server.connection import Connection, quote_identifier
from ..server.driver import psycopg2
from .merge import UNTOUCHED, merge_error
from .target_tables import TargetTable


@contextlib.contextmanager
def guarded_change(conn: Connection, tables: t.Sequence[TargetTable], *, silenced: bool) -> t.Iterator[None]:
    """The context in which rows of these tables change. silenced: triggers that people made do not fire during it.

    Raises RecoveryError: those of merge_error for a refused statement, not_equal if a definition changed.
    """
    names = [(table.name.schema, table.name.name) for table in tables]
    before = catalog.definitions(conn, names)
    try:
        if silenced:
            _switch_triggers(conn, tables, on=False)
        yield
        if silenced:
            _switch_triggers(conn, tables, on=True)
    except psycopg2.Error as error:
        raise merge_error(error) from None
    if catalog.definitions(conn, names) != before:
        raise RecoveryError(
            ErrorKind.NOT_EQUAL, "The definition of a table changed during the change of its rows.", left=UNTOUCHED
        )


def before_commit(conn: Connection, roles: t.Iterable[t.Optional[str]]) -> None:
    """Drop the roles of the transaction, and refuse deferred triggers, so that the commit runs no code of users."""
    for role in dict.fromkeys(roles):
        drop_role(conn, role)
    require_nothing_deferred(conn)


def _switch_triggers(conn: Connection, tables: t.Sequence[TargetTable], *, on: bool) -> None:
    """Triggers that people made; those of foreign keys stay on. Each gets back the state that it had."""
    for table in tables:
        for name, state in table.triggers:
            word = ("ENABLE ALWAYS" if state == "A" else "ENABLE") if on else "DISABLE"
            run(conn, f"ALTER TABLE {table.name.quoted} {word} TRIGGER {quote_identifier(name)}")
