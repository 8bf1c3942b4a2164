# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Follows references from the chosen rows: down to the rows that refer to them, up to those that they need."""

from __future__ import annotations

import typing as t

from ..archive.statements import Reference
from ..server.confined import Session
from ..server.connection import fetch_value, quote_identifier
from ..server.names import QualifiedName
from .local import LocalObjects
from .staging import SUPPORT, Staged, choose, equal_columns, load_matching, load_raw
from .target_tables import TargetTable

CLOSURES = ("none", "parents", "children", "both")


def reachable(roots: t.Iterable[QualifiedName], references: t.Iterable[Reference]) -> t.List[t.Set[QualifiedName]]:
    """The roots and all that refers to them, however far, in groups: each after those that its rows refer to.

    Tables of one group refer to each other in a circle, or one to itself.
    """
    children: t.Dict[QualifiedName, t.List[QualifiedName]] = {}
    for reference in references:
        children.setdefault(reference.parent, []).append(reference.child)
    groups = _strong_components(list(roots), children)
    return list(reversed(groups))


def is_circular(group: t.Collection[QualifiedName], references: t.Iterable[Reference]) -> bool:
    return any(reference.child in group and reference.parent in group for reference in references)


def choose_children(
    conn: Session,
    group: t.Collection[QualifiedName],
    tables: t.Mapping[QualifiedName, Staged],
    references: t.Sequence[Reference],
    objects: t.Optional[LocalObjects],
) -> None:
    """Choose the rows of a group that refer to chosen rows, those of the group itself among them."""
    inward = [item for item in references if item.child in group and item.parent in tables]
    circular = is_circular(group, inward)
    for name in group:
        child = tables[name]
        edges = [item for item in inward if item.child == name]
        for edge in edges:
            child.target_scope.append(_refers(edge, tables, "l"))
            child.target_scope += _refers_to_scope(edge, tables)
        if circular:
            load_raw(conn, child, objects)
        elif edges:
            wanted = [
                (_target_names(child, edge.columns), _parents(edge, tables), _refers(edge, tables, "r"))
                for edge in edges
            ]
            load_matching(conn, child, objects, wanted)
    while circular:
        found = 0
        for edge in inward:
            found += choose(conn, tables[edge.child], _refers(edge, tables, "r"))
        if not found:
            return


def choose_parents(
    conn: Session,
    tables: t.Dict[QualifiedName, Staged],
    target_tables: t.Mapping[QualifiedName, TargetTable],
    references: t.Sequence[Reference],
    objects: t.Optional[LocalObjects],
    stage: t.Callable[[QualifiedName], t.Optional[Staged]],
) -> None:
    """Choose, as support, rows that chosen rows refer to and that are neither in the target nor chosen.

    objects is None where rows are exported from the live database.
    stage makes a table ready that was not touched so far and adds it to tables, or gives None when the set lacks it.
    """
    waiting = list(tables)
    while waiting:
        child = tables[waiting.pop()]
        for edge in references:
            if edge.child != child.table.name or edge.parent not in target_tables:
                continue
            known = tables.get(edge.parent)
            # Rows that are exported from the live database need all rows that they refer to.
            beyond = target_tables[edge.parent] if objects is not None else None
            if not fetch_value(conn, f"SELECT EXISTS ({_needed(edge, child, beyond, known)})"):
                continue
            parent = known or stage(edge.parent)
            if parent is None:
                continue
            needed = _needed(edge, child, beyond, parent)
            names = _target_names(parent, edge.parent_columns)
            # The needed values have the types of the child's columns.
            match = equal_columns(
                child.target, _target_names(child, edge.columns), "n", parent.target, names, "r", renamed=names
            )
            condition = f"EXISTS (SELECT FROM ({needed}) n WHERE {match})"
            if load_matching(conn, parent, objects, [(names, needed, condition)], support=True):
                waiting.append(edge.parent)


def _needed(edge: Reference, child: Staged, target: t.Optional[TargetTable], parent: t.Optional[Staged]) -> str:
    """A query, with the parent's column names, of the values that have no row yet, live or chosen."""
    columns = _target_names(child, edge.columns)
    names = _target_names(parent, edge.parent_columns) if parent else edge.parent_columns
    listed = ", ".join(f"c.{quote_identifier(one)} AS {quote_identifier(other)}" for one, other in zip(columns, names))
    filled = " AND ".join(f"c.{quote_identifier(name)} IS NOT NULL" for name in columns)
    table = parent.target if parent else target
    match = child.refers(columns, "c", "p", names, table)
    sources = ([target.source] if target else []) + ([parent.rows] if parent else [])
    absent = "".join(f" AND NOT EXISTS (SELECT FROM {source} p WHERE {match})" for source in sources)
    return f"SELECT DISTINCT {listed} FROM {child.rows} c WHERE {filled}{absent}"


def _parents(edge: Reference, tables: t.Mapping[QualifiedName, Staged]) -> str:
    """A query, with the child's column names, of the keys that chosen rows of the parent have."""
    parent, child = tables[edge.parent], tables[edge.child]
    pairs = zip(_target_names(parent, edge.parent_columns), _target_names(child, edge.columns))
    listed = ", ".join(f"{quote_identifier(one)} AS {quote_identifier(other)}" for one, other in pairs)
    return f"SELECT {listed} FROM {parent.rows} WHERE NOT {SUPPORT}"


def _refers(edge: Reference, tables: t.Mapping[QualifiedName, Staged], alias: str) -> str:
    """A condition: the row of the child under the alias refers to a chosen row of the parent."""
    parent, child = tables[edge.parent], tables[edge.child]
    match = child.refers(
        _target_names(child, edge.columns), alias, "p", _target_names(parent, edge.parent_columns), parent.target
    )
    return f"EXISTS (SELECT FROM {parent.rows} p WHERE NOT p.{SUPPORT} AND {match})"


def _refers_to_scope(edge: Reference, tables: t.Mapping[QualifiedName, Staged]) -> t.List[str]:
    """A condition: the live child refers to a live parent that exact may delete."""
    parent, child = tables[edge.parent], tables[edge.child]
    if not parent.target_scope or parent is child:
        return []
    # The alias l inside is the parent's, outside the child's.
    names = _target_names(parent, edge.parent_columns)
    theirs = ", ".join(f"l.{quote_identifier(name)}" for name in names)
    scope = " OR ".join(parent.target_scope)
    match = child.refers(_target_names(child, edge.columns), "l", "p", names, parent.target)
    return [f"EXISTS (SELECT FROM (SELECT {theirs} FROM {parent.target.source} l WHERE {scope}) p WHERE {match})"]


def _target_names(staged: Staged, columns: t.Sequence[str]) -> t.Tuple[str, ...]:
    return tuple(staged.matching.target_name(name) or name for name in columns)


def _strong_components(
    roots: t.Sequence[QualifiedName], successors: t.Mapping[QualifiedName, t.Sequence[QualifiedName]]
) -> t.List[t.Set[QualifiedName]]:
    """Tarjan's algorithm without recursion; each component comes after all that it leads to."""
    index: t.Dict[QualifiedName, int] = {}
    low: t.Dict[QualifiedName, int] = {}
    stack: t.List[QualifiedName] = []
    on_stack: t.Set[QualifiedName] = set()
    components: t.List[t.Set[QualifiedName]] = []
    for root in roots:
        if root in index:
            continue
        work: t.List[t.Tuple[QualifiedName, t.Iterator[QualifiedName]]] = []
        _enter(root, index, low, stack, on_stack, work, successors)
        while work:
            node, rest = work[-1]
            following = next(rest, None)
            if following is None:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[node])
                if low[node] == index[node]:
                    place = stack.index(node)
                    component = set(stack[place:])
                    del stack[place:]
                    on_stack -= component
                    components.append(component)
            elif following not in index:
                _enter(following, index, low, stack, on_stack, work, successors)
            elif following in on_stack:
                low[node] = min(low[node], index[following])
    return components


def _enter(
    node: QualifiedName,
    index: t.Dict[QualifiedName, int],
    low: t.Dict[QualifiedName, int],
    stack: t.List[QualifiedName],
    on_stack: t.Set[QualifiedName],
    work: t.List[t.Tuple[QualifiedName, t.Iterator[QualifiedName]]],
    successors: t.Mapping[QualifiedName, t.Sequence[QualifiedName]],
) -> None:
    index[node] = low[node] = len(index)
    stack.append(node)
    on_stack.add(node)
    work.append((node, iter(successors.get(node, ()))))
