# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The transaction of statements that alter objects of a database which is not trusted."""

from __future__ import annotations

import contextlib
import typing as t

from .confined import is_superuser, run
from .connection import Connection
from .driver import psycopg2


@contextlib.contextmanager
def transaction(conn: Connection, *, lock_timeout: float, commit: bool = True) -> t.Iterator[None]:
    """A transaction in which event triggers of the database do not act if the session is a superuser's.

    commit: false to roll back at the end.
    """
    run(conn, "BEGIN")
    try:
        run(conn, f"SET LOCAL lock_timeout = '{max(1, int(lock_timeout * 1000))}ms'")
        if is_superuser(conn):
            run(conn, "SET LOCAL session_replication_role = replica")
        yield
        run(conn, "COMMIT" if commit else "ROLLBACK")
    except BaseException:
        with contextlib.suppress(psycopg2.Error):
            run(conn, "ROLLBACK")
        raise
