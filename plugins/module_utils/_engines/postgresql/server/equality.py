# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Compares values of user tables without asking the search path, casts or operators of users.

An operator "=" in a user schema wins over the server's, because it takes the exact type. A default operator class can
only be made by a superuser, so its operator is the one to use, by its qualified name.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from .connection import Connection, fetch_all

_UUID = 2950


@dataclass(frozen=True)
class ComparedType:
    """The type below any domain. built_in: of pg_catalog. operators: type of the other side to its operator."""

    oid: int
    category: str
    built_in: bool
    operators: t.Mapping[int, str]


def compared_types(conn: Connection, oids: t.Iterable[int]) -> t.Dict[int, ComparedType]:
    """Facts of these types, by oid."""
    found: t.Dict[int, ComparedType] = {}
    for asked, base, category, built_in, others, operators in fetch_all(conn, _TYPES, (sorted(set(oids)),)):
        found[asked] = ComparedType(base, category, built_in, dict(zip(others or (), operators or ())))
    return found


def equal(one: str, one_type: ComparedType, other: str, other_type: ComparedType) -> str:
    """A condition: both expressions show the same value.

    Values of one type, or of types that the server compares, are equal as the types define it; all others are compared
    as texts, without regard to case where a uuid is kept as text.
    """
    operator = one_type.operators.get(other_type.oid)
    built_in = one_type.built_in and other_type.built_in and one_type.oid != other_type.oid
    if operator is None and built_in and one_type.category == other_type.category != "U":
        operator = "OPERATOR(pg_catalog.=)"
    if operator is not None:
        return f"{one} {operator} {other}"
    sides = [output_text(one), output_text(other)]
    if _UUID in (one_type.oid, other_type.oid):
        sides = [f"pg_catalog.lower({side})" for side in sides]
    return " OPERATOR(pg_catalog.=) ".join(sides)


def output_text(value: str) -> str:
    """The text of a value as the output function of its type writes it; a cast may be the user's own."""
    return f"CASE WHEN pg_catalog.num_nulls({value}) = 0 THEN pg_catalog.concat({value}) END"


#: Candidates: the type itself, the pseudo-type of its kind, and what it is stored alike with, as varchar and text.
_TYPES = """
WITH RECURSIVE bases (asked, oid) AS (
  SELECT oid, oid FROM pg_type WHERE oid = ANY (%s)
  UNION ALL
  SELECT b.asked, y.typbasetype FROM bases b JOIN pg_type y ON y.oid = b.oid WHERE y.typtype = 'd'
), known AS (
  SELECT b.asked, y.oid, y.typtype, y.typcategory, y.typnamespace = 'pg_catalog'::regnamespace AS built_in
  FROM bases b JOIN pg_type y ON y.oid = b.oid WHERE y.typtype <> 'd'
), alike (asked, candidate, rank) AS (
  SELECT k.asked, k.oid, 0 FROM known k
  UNION ALL
  SELECT k.asked, v.oid, 1 FROM known k
  JOIN (VALUES ('e', 3500::oid), ('r', 3831), ('m', 4537), ('c', 2249)) v (kind, oid) ON v.kind = k.typtype::text
  UNION ALL
  SELECT k.asked, 2277, 1 FROM known k WHERE k.typcategory = 'A'
  UNION ALL
  SELECT k.asked, x.casttarget, 2 FROM known k JOIN pg_cast x ON x.castsource = k.oid
  WHERE x.castmethod = 'b' AND x.castcontext = 'i' AND k.built_in
), own AS (
  SELECT DISTINCT ON (a.asked) a.asked, format('OPERATOR(%%I.%%s)', n.nspname, o.oprname) AS operator
  FROM alike a
  JOIN pg_opclass c ON c.opcintype = a.candidate AND c.opcdefault AND c.opcmethod = 403
  JOIN pg_amop m ON m.amopfamily = c.opcfamily AND m.amopstrategy = 3
    AND m.amoplefttype = c.opcintype AND m.amoprighttype = c.opcintype
  JOIN pg_operator o ON o.oid = m.amopopr JOIN pg_namespace n ON n.oid = o.oprnamespace
  ORDER BY a.asked, a.rank
), across AS (
  SELECT DISTINCT k.asked, m.amoprighttype AS other, format('OPERATOR(%%I.%%s)', n.nspname, o.oprname) AS operator
  FROM known k
  JOIN pg_amop m ON m.amoplefttype = k.oid AND m.amopmethod = 403 AND m.amopstrategy = 3 AND m.amoprighttype <> k.oid
  JOIN pg_operator o ON o.oid = m.amopopr JOIN pg_namespace n ON n.oid = o.oprnamespace
  WHERE k.built_in AND n.nspname = 'pg_catalog'
)
SELECT k.asked, k.oid, k.typcategory::text, k.built_in,
  ARRAY(SELECT k.oid::int8 FROM own w WHERE w.asked = k.asked UNION ALL
        SELECT c.other::int8 FROM across c WHERE c.asked = k.asked),
  ARRAY(SELECT w.operator FROM own w WHERE w.asked = k.asked UNION ALL
        SELECT c.operator FROM across c WHERE c.asked = k.asked)
FROM known k
"""
