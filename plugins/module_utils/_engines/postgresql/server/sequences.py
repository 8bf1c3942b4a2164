# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Sequences and the columns that they fill, by the catalog."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from .connection import Connection, fetch_all
from .foreign_keys import Relation
from .names import QualifiedName


@dataclass(frozen=True)
class SequenceUse:
    """A sequence and a column it fills, by ownership, identity or default."""

    sequence: Relation
    table: Relation
    column: str
    partition: bool
    increment: int
    least: int
    most: int
    cycles: bool


def sequence_uses(conn: Connection, schemas: t.Sequence[str]) -> t.List[SequenceUse]:
    """Every numeric column of these schemas that a sequence fills; partitions only where no root has the same one."""
    uses = [
        SequenceUse(
            sequence=Relation(row[0], QualifiedName(row[1], row[2]), "S"),
            table=Relation(row[3], QualifiedName(row[4], row[5]), row[6]),
            partition=row[7],
            column=row[8],
            increment=row[9],
            least=row[10],
            most=row[11],
            cycles=row[12],
        )
        for row in fetch_all(conn, _USES, [list(schemas)])
    ]
    rooted = {(use.sequence.oid, use.column) for use in uses if not use.partition}
    return [use for use in uses if not use.partition or (use.sequence.oid, use.column) not in rooted]


#: deptype a is OWNED BY and serial, i is identity; a default that calls nextval depends on its sequence.
_USES = """
WITH used (sequence, relation, number) AS (
  SELECT d.objid, d.refobjid, d.refobjsubid FROM pg_depend d
  WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass
    AND d.refobjsubid > 0 AND d.deptype IN ('a', 'i')
  UNION
  SELECT d.refobjid, f.adrelid, f.adnum FROM pg_depend d JOIN pg_attrdef f ON f.oid = d.objid
  WHERE d.classid = 'pg_attrdef'::regclass AND d.refclassid = 'pg_class'::regclass
)
SELECT s.oid, sn.nspname::text, s.relname::text, c.oid, cn.nspname::text, c.relname::text, c.relkind::text,
  c.relispartition, a.attname::text, q.seqincrement, q.seqmin, q.seqmax, q.seqcycle
FROM used u
JOIN pg_sequence q ON q.seqrelid = u.sequence
JOIN pg_class s ON s.oid = u.sequence JOIN pg_namespace sn ON sn.oid = s.relnamespace
JOIN pg_class c ON c.oid = u.relation JOIN pg_namespace cn ON cn.oid = c.relnamespace
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = u.number
JOIN pg_type y ON y.oid = a.atttypid
WHERE y.typcategory = 'N' AND c.relkind IN ('r', 'p') AND cn.nspname = ANY (%s)
ORDER BY 2, 3, 5, 6
"""
