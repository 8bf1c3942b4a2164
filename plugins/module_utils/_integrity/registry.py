# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The types of checks by engine. A new engine is a new entry of DIALECTS."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from .check import Answer, Check, Connection, Context
from .counts import RowCount, Tables
from .documents import JsonShape
from .dumps import PostgresDump, SqliteDump
from .failures import explain
from .fingerprints import Fingerprint
from .foreign_keys import ForeignKeys
from .http import Http
from .json_files import JsonFiles
from .monotonic import Monotonic, SqliteMonotonic
from .objects import Objects
from .queries import Freshness, Sql
from .relations import Orphans, References
from .row_sample import RowSample
from .security import Grants, RowSecurity
from .sequences import Sequences
from .session import Rows, open_session, read_only_transaction
from .sqlite import (
    QuickCheck,
    SqliteForeignKeys,
    SqliteOrphans,
    SqliteRowCount,
    SqliteRows,
    SqliteTables,
    explain_sqlite,
    no_transaction,
    open_sqlite,
)
from .sqlite_sample import SqliteRowSample
from .structure import Constraints, Indexes


@dataclass(frozen=True)
class Dialect:
    """The access to an engine.

    ask: a query of the operator to its rows.

    open: options to a session that cannot write; transaction: a snapshot with a time limit in seconds and the
    rights of a role, which gives the session of a check;
    explain: an exception to a status and a sentence; checks: the name of a kind to its class.
    """

    open: t.Callable[[t.Any], Connection]
    transaction: t.Callable[[Connection, int, t.Optional[str]], t.ContextManager[Connection]]
    explain: t.Callable[..., t.Tuple[str, str]]
    ask: t.Callable[[Context, str, t.Sequence[str]], Answer]
    checks: t.Mapping[str, t.Type[Check]]


DIALECTS: t.Mapping[str, Dialect] = {
    "postgresql": Dialect(
        open=open_session,
        transaction=read_only_transaction,
        explain=explain,
        ask=Rows,
        checks={
            "constraints": Constraints,
            "fingerprint": Fingerprint,
            "foreign_keys": ForeignKeys,
            "freshness": Freshness,
            "grants": Grants,
            "http": Http,
            "indexes": Indexes,
            "json": JsonShape,
            "json_files": JsonFiles,
            "monotonic": Monotonic,
            "objects": Objects,
            "orphans": Orphans,
            "references": References,
            "rls": RowSecurity,
            "row_count": RowCount,
            "sample": RowSample,
            "sequences": Sequences,
            "sql": Sql,
            "sql_dump": PostgresDump,
            "tables": Tables,
        },
    ),
    "sqlite": Dialect(
        open=open_sqlite,
        transaction=no_transaction,
        explain=explain_sqlite,
        ask=SqliteRows,
        checks={
            "foreign_keys": SqliteForeignKeys,
            "http": Http,
            "json_files": JsonFiles,
            "monotonic": SqliteMonotonic,
            "objects": Objects,
            "orphans": SqliteOrphans,
            "quick_check": QuickCheck,
            "row_count": SqliteRowCount,
            "sample": SqliteRowSample,
            "sql": Sql,
            "sql_dump": SqliteDump,
            "tables": SqliteTables,
        },
    ),
    # A bucket has no database, so a check of a type that needs one is unknown.
    "bucket": Dialect(
        open=open_sqlite,
        transaction=no_transaction,
        explain=explain,
        ask=Rows,
        checks={"http": Http, "json_files": JsonFiles},
    ),
}
