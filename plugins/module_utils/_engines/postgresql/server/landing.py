# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Brings COPY lines into a table with the rights of another role.

COPY runs checks, generated columns and input functions with the rights of the session, and no function can run it. So
the lines land in a table of the session that no code of users touches, and a confined statement moves them on.
"""

from __future__ import annotations

import typing as t

from ...._core.errors import RecoveryError
from .catalog_columns import CatalogColumn
from .confined import Session, run
from .connection import quote_identifier, quote_literal

_LANDING, _SHAPE = 'pg_temp."lifeline landing"', 'pg_temp."lifeline shape"'


class CopySource:
    """The file that psycopg2 reads; it keeps the error that ends the chunks."""

    def __init__(self, chunks: t.Iterator[bytes]) -> None:
        self._chunks = chunks
        self.failure: t.Optional[RecoveryError] = None

    def read(self, _size: int) -> bytes:
        """The next block however large it is, which psycopg2 passes on as it is; empty at the end."""
        try:
            return next((chunk for chunk in self._chunks if chunk), b"")
        except RecoveryError as error:
            self.failure = error
            raise


def land_rows(
    conn: Session,
    table: str,
    relation: str,
    columns: t.Sequence[t.Tuple[str, t.Optional[CatalogColumn]]],
    source: CopySource,
) -> int:
    """Bring lines into a relation, whose columns are those of a table, or texts where None; the number of rows.

    COPY runs with the tool's rights. It reads only types whose texts it can read without code of users, into a table
    that no user has touched; what is more is done by the session. Raises psycopg2.Error, and what source raises.
    """
    direct = relation.startswith("pg_temp.") and all(column is None or column.native for _name, column in columns)
    landing = relation if direct else _LANDING
    targets = [quote_identifier(name) if direct else f"c{number}" for number, (name, _column) in enumerate(columns)]
    if not direct:
        types = (f"c{number} {column.landing if column else 'text'}" for number, (_name, column) in enumerate(columns))
        run(conn.raw, f"CREATE TEMP TABLE {_LANDING.split('.', 1)[1]} ({', '.join(types)})")
        run(conn.raw, f"GRANT ALL ON {_LANDING} TO PUBLIC")
    with conn.raw.cursor() as cursor:
        cursor.copy_expert(f"COPY {landing} {_listed(targets)} FROM STDIN", source)
        number = int(cursor.rowcount)
    if not direct:
        _land(conn, table, relation, columns)
    return number


def make_table(conn: Session, relation: str, query: str) -> None:
    """Make a table of the session with the columns of a query, which is not run.

    It belongs to the role of the session, so that no code of users can give it triggers or indexes of its own.
    """
    name = relation.split(".", 1)[1]
    run(conn.raw, f"CREATE TEMP TABLE {name} AS {query} WITH NO DATA; GRANT ALL ON {relation} TO PUBLIC")


def _land(
    conn: Session, table: str, relation: str, columns: t.Sequence[t.Tuple[str, t.Optional[CatalogColumn]]]
) -> None:
    """Move landed rows to their relation. Values that landed as text are read by the input function of their type.

    A cast may be the user's own and change the value, so the way leads through json_populate_record, which calls input
    functions.
    """
    texts, values = [], []
    for number, (_name, column) in enumerate(columns):
        if column is not None and column.by_input:
            texts.append((f"c{number}", column))
            values.append(f"r.{column.quoted}")
        else:
            values.append(f"l.c{number}")
    source = f"{_LANDING} l"
    if texts:
        make_table(conn, _SHAPE, f"SELECT {', '.join(column.quoted for _place, column in texts)} FROM {table}")
        fields = ", ".join(f"{quote_literal(column.name)}, l.{place}" for place, column in texts)
        made = f"pg_catalog.json_populate_record(NULL::{_SHAPE}, pg_catalog.json_build_object({fields}))"
        source += f" CROSS JOIN LATERAL {made} r"
    override = "" if relation.startswith("pg_temp.") or not columns else "OVERRIDING SYSTEM VALUE "
    listed = _listed([quote_identifier(name) for name, _column in columns])
    run(conn, f"INSERT INTO {relation} {listed} {override}SELECT {', '.join(values)} FROM {source}")
    run(conn.raw, f"DROP TABLE {_LANDING}{', ' + _SHAPE if texts else ''}")


def _listed(names: t.Sequence[str]) -> str:
    return f"({', '.join(names)})" if names else ""
