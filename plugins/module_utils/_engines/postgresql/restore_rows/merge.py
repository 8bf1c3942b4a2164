# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Compares the chosen rows with the live ones, and makes the live ones like them in one statement."""

from __future__ import annotations

import json
import typing as t

from ...._core.errors import ErrorKind, RecoveryError
from ...._repository.row_changes import Changes
from ..server.confined import Session, run
from ..server.connection import fetch_all, fetch_value, quote_identifier, quote_literal
from ..server.driver import psycopg2
from ..server.equality import output_text
from ..server.landing import make_table
from ..server.refusals import DEADLOCK, FOREIGN_KEY, NO_LOCK, NO_RIGHT, SERIALIZATION, UNIQUE, query_error
from .staging import NUMBER, SUPPORT, Staged, analyze, equal_columns
from .target_tables import UniqueKey, read_target_tables

MODES = ("missing", "merge", "exact")

#: How much of a value a diff shows.
_WIDTH = 120

KIND, ROW, PLACE, TABLE = (quote_identifier(f"lifeline {name}") for name in ("kind", "row", "place", "table"))


def find_changes(conn: Session, staged: Staged, mode: str) -> Changes:
    """Write down, in a table of the session, each row to insert, update or delete; how many there are."""
    run(conn.raw, f"DROP TABLE IF EXISTS {staged.changes}")
    keys = "".join(f", l.{quote_identifier(name)}" for name in staged.key_columns)
    shape = f"NULL::text AS {KIND}, NULL::bigint AS {ROW}, NULL::tid AS {PLACE}, NULL::oid AS {TABLE}{keys}"
    make_table(conn, staged.changes, f"SELECT {shape} FROM {staged.target.source} l")
    find = _keyed if staged.target.key else _keyless
    run(conn, f"INSERT INTO {staged.changes} {find(staged, mode)}")
    analyze(conn, staged.changes, (KIND, ROW, PLACE, TABLE))
    found = dict(fetch_all(conn, f"SELECT {KIND}, count(*) FROM {staged.changes} GROUP BY 1"))
    chosen = fetch_value(conn, f"SELECT count(*) FROM {staged.rows}")
    return Changes(
        str(staged.target.name), chosen, found.get("insert", 0), found.get("update", 0), found.get("delete", 0)
    )


def count_differing(conn: Session, staged: Staged) -> int:
    """The number of live rows with the key of a chosen row and other values. Rows without a key have no such pair."""
    if staged.target.key is None:
        return 0
    return int(fetch_value(conn, f"SELECT count(*) FROM ({_differing(staged, '1')}) d"))


def samples(conn: Session, staged: Staged, changes: Changes, most: int) -> t.Tuple[t.List[str], t.List[str]]:
    """Lines for people, of the table as it is and as it will be: the first rows of each kind, or all when most is 0.

    A line has the number of rows that are not shown.
    """
    before: t.List[str] = []
    after: t.List[str] = []
    columns = [column.name for _name, column in staged.matching.pairs]
    texts = (output_text(f"x.{quote_identifier(name)}") for name in columns)
    values = ", ".join(f"left({text}, {_WIDTH + 1})" for text in texts)
    listed = f"json_build_array({values})::text"
    limit = f" LIMIT {most}" if most else ""
    for kind, number in (("insert", changes.inserts), ("update", changes.updates), ("delete", changes.deletes)):
        old = f"(SELECT {listed} FROM {staged.target.source} x WHERE x.ctid = c.{PLACE} AND x.tableoid = c.{TABLE})"
        new = f"(SELECT {listed} FROM {staged.rows} x WHERE x.{NUMBER} = c.{ROW})"
        statement = f"SELECT {old}, {new} FROM {staged.changes} c WHERE {KIND} = '{kind}' ORDER BY {ROW}{limit}"
        for was, becomes in fetch_all(conn, statement):
            one, other = (json.loads(text) if text else None for text in (was, becomes))
            shown = [
                place
                for place, name in enumerate(columns)
                if one is None or other is None or one[place] != other[place] or name in staged.key_columns
            ]
            for lines, row in ((before, one), (after, other)):
                if row is not None:
                    lines.append(f"{staged.target.name}: {_line(columns, row, shown)}")
        if most and number > most:
            after.append(
                f"{staged.target.name}: {most:,} of {number:,} rows to {kind} are shown; `diff_rows` 0 shows all rows"
            )
    return before, after


def require_no_conflicts(conn: Session, staged: Staged) -> None:
    """Raise RecoveryError(conflict) when a live row that stays has a unique value of a row to come back."""
    own = staged.target.key
    known = {column.name for _name, column in staged.matching.pairs}
    for key in staged.target.keys:
        if own is None or key == own or not set(key.columns) <= known:
            continue
        found = fetch_all(conn, _conflicts(staged, own, key))
        if found:
            shown = "; ".join(
                f"{mine} of the set and the live {theirs} both have {value}" for mine, theirs, value in found
            )
            raise RecoveryError(
                ErrorKind.CONFLICT,
                f"Rows made since the backup hold unique values ({', '.join(key.columns)}) of {staged.target.name} "
                f"that are to come back: {shown}.",
                next_step="Leave those rows out, change the live ones, or delete these with `mode` exact.",
                details={"conflicts": [{"set": mine, "live": theirs, "value": value} for mine, theirs, value in found]},
            )


def require_unreferenced(conn: Session, tables: t.Sequence[Staged], references: t.Iterable[t.Any]) -> None:
    """Raise RecoveryError(conflict) when rows that stay refer to rows to delete, which would take them along."""
    by_name = {staged.target.name: staged for staged in tables}
    for edge in references:
        parent = by_name.get(edge.parent)
        if parent is None:
            continue
        child = by_name.get(edge.child)
        stays = ""
        source = child.target.source if child else f"ONLY {edge.child.quoted}"
        if child is not None:
            stays = (
                f" AND NOT EXISTS (SELECT FROM {child.changes} k WHERE k.{KIND} IN ('delete', 'update') "
                f"AND k.{PLACE} = c.ctid AND k.{TABLE} = c.tableoid)"
            )
        table = child.target if child else read_target_tables(conn.raw, [edge.child]).get(edge.child)
        if table is None:
            continue
        match = equal_columns(table, edge.columns, "c", parent.target, edge.parent_columns, "p")
        number = fetch_value(
            conn,
            f"SELECT count(*) FROM {source} c JOIN {parent.target.source} p ON {match} JOIN {parent.changes} d "
            f"ON d.{KIND} = 'delete' AND d.{PLACE} = p.ctid AND d.{TABLE} = p.tableoid WHERE true{stays}",
        )
        if number:
            raise RecoveryError(
                ErrorKind.CONFLICT,
                f"{number} rows of {edge.child} refer to rows of {parent.target.name} that `mode` exact would delete.",
                next_step="Set `closure` to children to treat them alike, or `mode` to merge to delete nothing.",
            )


def apply_changes(conn: Session, tables: t.Sequence[t.Tuple[Staged, Changes]]) -> None:
    """Delete, update and insert what find_changes wrote down, as one statement.

    A table takes no part in what is not to be done with it, because the statement would need the right to do it.
    Foreign keys are judged when all of it is done, so that rows may refer to each other in a circle.
    Raises RecoveryError(conflict, locked, access_denied or restore_failed).
    """
    parts: t.List[t.Tuple[str, str]] = []
    for make, kind in ((_delete, "deletes"), (_update, "updates"), (_insert, "inserts")):
        earlier = " + ".join(f"(SELECT count(*) FROM {name})" for name, _statement in parts)
        # Asking for the number of rows has the earlier parts done first.
        after = f" AND {earlier} >= 0" if earlier else ""
        made = [(staged.number, make(staged)) for staged, change in tables if getattr(change, kind)]
        parts += [
            (f"{make.__name__.strip('_')}_{number}", f"{statement}{after} RETURNING 1")
            for number, statement in made
            if statement
        ]
    if not parts:
        return
    counts = " + ".join(f"(SELECT count(*) FROM {name})" for name, _statement in parts)
    try:
        run(conn, "SET CONSTRAINTS ALL DEFERRED")
        run(conn, f"WITH {', '.join(f'{name} AS ({statement})' for name, statement in parts)} SELECT {counts}")
        run(conn, "SET CONSTRAINTS ALL IMMEDIATE")
    except psycopg2.Error as error:
        raise merge_error(error) from None


def merge_error(error: Exception) -> RecoveryError:
    """The error of a refused statement of a merge, with the next step."""
    return query_error(
        error,
        UNTOUCHED,
        subject="the rows",
        kind=ErrorKind.RESTORE_FAILED,
        next_step="Correct the cause that PostgreSQL reports, then run the restore again.",
        steps=_STEPS,
        detail=True,
    )


_LOCKED = "Wait for the session that holds the rows, or raise `lock_timeout`."
_STEPS = {
    FOREIGN_KEY: "Set `closure` to parents or both, so that the rows that these need are restored too.",
    UNIQUE: "Leave that row out by `where` or `keys`, or change the live row that has its value.",
    SERIALIZATION: "The rows changed during the restore: run the restore again.",
    NO_LOCK: _LOCKED,
    DEADLOCK: _LOCKED,
    NO_RIGHT: "Connect as the owner of the tables.",
}

UNTOUCHED = "The live tables are unchanged."


def _keyed(staged: Staged, mode: str) -> str:
    keys = [quote_identifier(name) for name in staged.key_columns]
    match = staged.same_key("s", "l")
    of_set, of_target = (", ".join(f"{alias}.{key}" for key in keys) for alias in "sl")
    parts = [
        f"SELECT 'insert' AS {KIND}, s.{NUMBER} AS {ROW}, NULL::tid AS {PLACE}, NULL::oid AS {TABLE}, {of_set} "
        f"FROM {staged.rows} s WHERE NOT EXISTS (SELECT FROM {staged.target.source} l WHERE {match})"
    ]
    if mode != "missing":
        parts.append(_differing(staged, f"'update', s.{NUMBER}, l.ctid, l.tableoid, {of_set}"))
    if mode == "exact" and staged.target_scope:
        parts.append(
            f"SELECT 'delete', NULL, l.ctid, l.tableoid, {of_target} FROM {staged.target.source} l "
            f"WHERE ({' OR '.join(staged.target_scope)}) AND NOT EXISTS (SELECT FROM {staged.rows} s WHERE {match})"
        )
    return " UNION ALL ".join(parts)


def _differing(staged: Staged, columns: str) -> str:
    return (
        f"SELECT {columns} FROM {staged.rows} s JOIN {staged.target.source} l ON {staged.same_key('s', 'l')} "
        f"WHERE NOT s.{SUPPORT} AND {staged.text('s')} <> {staged.text('l')}"
    )


def _keyless(staged: Staged, mode: str) -> str:
    """Rows without a key count: of equal ones, there shall be as many."""
    columns = "".join(f", {column}" for column in staged.columns)
    number = "row_number() OVER (PARTITION BY {text} ORDER BY {order})"
    of_set = (
        f"SELECT {NUMBER} AS {ROW}{columns}, {staged.text('x')} AS t, "
        f"{number.format(text=staged.text('x'), order=NUMBER)} AS n FROM {staged.rows} x"
    )
    of_target = (
        f"SELECT ctid AS {PLACE}, tableoid AS {TABLE}{columns}, {staged.text('l')} AS t, "
        f"{number.format(text=staged.text('l'), order='tableoid, ctid')} AS n FROM {staged.target.source} l"
    )
    parts = [
        f"SELECT 'insert' AS {KIND}, s.{ROW}, NULL::tid AS {PLACE}, NULL::oid AS {TABLE}{columns} FROM ({of_set}) s "
        f"WHERE NOT EXISTS (SELECT FROM ({of_target}) l WHERE l.t = s.t AND l.n = s.n)"
    ]
    if mode == "exact" and staged.target_scope:
        scoped = f"{of_target} WHERE {' OR '.join(staged.target_scope)}"
        parts.append(
            f"SELECT 'delete', NULL, l.{PLACE}, l.{TABLE}{columns} FROM ({scoped}) l "
            f"WHERE NOT EXISTS (SELECT FROM ({of_set}) s WHERE l.t = s.t AND l.n = s.n)"
        )
    return " UNION ALL ".join(parts)


def _delete(staged: Staged) -> str:
    return (
        f"DELETE FROM {staged.target.source} l USING {staged.changes} c "
        f"WHERE c.{KIND} = 'delete' AND l.ctid = c.{PLACE} AND l.tableoid = c.{TABLE}"
    )


def _update(staged: Staged) -> str:
    """Sets all columns but those of the key; one that is always generated as identity cannot be set."""
    settable = [
        column.quoted
        for _name, column in staged.matching.pairs
        if column.identity != "a" and column.name not in staged.key_columns
    ]
    if not settable:
        return ""
    assigned = ", ".join(f"{column} = s.{column}" for column in settable)
    return (
        f"UPDATE {staged.target.source} l SET {assigned} FROM {staged.changes} c JOIN {staged.rows} s "
        f"ON s.{NUMBER} = c.{ROW} "
        f"WHERE c.{KIND} = 'update' AND l.ctid = c.{PLACE} AND l.tableoid = c.{TABLE}"
    )


def _insert(staged: Staged) -> str:
    listed = ", ".join(f"s.{column}" for column in staged.columns)
    return (
        f"INSERT INTO {staged.target.name.quoted} ({', '.join(staged.columns)}) "
        f"OVERRIDING SYSTEM VALUE SELECT {listed} FROM {staged.rows} s "
        f"JOIN {staged.changes} c ON c.{ROW} = s.{NUMBER} WHERE c.{KIND} = 'insert'"
    )


def _conflicts(staged: Staged, own: UniqueKey, key: UniqueKey) -> str:
    pairs = list(zip((quote_identifier(name) for name in key.columns), key.operators))
    equal = " AND ".join(f"s.{name} {operator} l.{name}" for name, operator in pairs)
    mine, theirs = (
        f"concat_ws(', ', {', '.join(f'{alias}.{quote_identifier(name)}' for name in own.columns)})" for alias in "sl"
    )
    # As concat, it calls output functions and no casts.
    value = f"concat_ws(', ', {', '.join(f'l.{name}' for name, _operator in pairs)})"
    return (
        f"SELECT {mine}, {theirs}, {value} FROM {staged.rows} s JOIN {staged.changes} c ON c.{ROW} = s.{NUMBER} "
        f"JOIN {staged.target.source} l ON {equal} WHERE NOT ({staged.same_key('s', 'l')}) "
        f"AND NOT EXISTS (SELECT FROM {staged.changes} d WHERE d.{PLACE} = l.ctid AND d.{TABLE} = l.tableoid) LIMIT 5"
    )


def _line(columns: t.Sequence[str], row: t.Sequence[t.Optional[str]], shown: t.Iterable[int]) -> str:
    return ", ".join(f"{columns[place]}={_short(row[place])}" for place in shown)


def _short(text: t.Optional[str]) -> str:
    if text is None:
        return "null"
    return quote_literal(text[:_WIDTH] + ("…" if len(text) > _WIDTH else "")).strip()
