# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Refuses to remove from a live database what neither the set brings back nor the undo set holds."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ...._core.errors import ErrorKind, RecoveryError
from ..archive.toc import Toc
from ..server.connection import Connection, fetch_all, fetch_value, quote_identifier
from .removal import Removal

#: Every object of users: catalog, number, sub-number, kind, schema (that of its relation for parts of relations),
#: name, and the extension that made it. PostgreSQL gives objects of users numbers from 16384 (FirstNormalObjectId).
_OBJECTS = """
    WITH member AS (
        SELECT d.classid, d.objid, e.extname FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
        WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'
    ), found (classid, objid, subid, kind, namespace, name) AS (
        SELECT 'pg_class'::regclass, c.oid, 0,
               CASE c.relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view' WHEN 'S' THEN 'sequence'
                              WHEN 'f' THEN 'foreign table' WHEN 'i' THEN 'index' WHEN 'I' THEN 'index'
                              ELSE 'table' END,
               c.relnamespace, c.relname::text
        FROM pg_class c WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S', 'i', 'I') AND c.relpersistence <> 't'
        UNION ALL
        SELECT 'pg_class'::regclass, a.attrelid, a.attnum, 'column', c.relnamespace, c.relname || '.' || a.attname
        FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
        WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND c.oid >= 16384
        UNION ALL
        SELECT 'pg_proc'::regclass, p.oid, 0, 'function', p.pronamespace,
               p.proname || '(' || pg_get_function_identity_arguments(p.oid) || ')' FROM pg_proc p
        UNION ALL
        SELECT 'pg_type'::regclass, y.oid, 0, 'type', y.typnamespace, y.typname::text
        FROM pg_type y WHERE y.typtype IN ('b', 'e', 'd', 'r') AND y.typelem = 0
        UNION ALL
        SELECT 'pg_constraint'::regclass, o.oid, 0, 'constraint', o.connamespace, o.conname::text
        FROM pg_constraint o
        UNION ALL
        SELECT 'pg_attrdef'::regclass, f.oid, 0, 'default', c.relnamespace, c.relname::text
        FROM pg_attrdef f JOIN pg_class c ON c.oid = f.adrelid
        UNION ALL
        SELECT 'pg_trigger'::regclass, g.oid, 0, 'trigger', c.relnamespace, c.relname || '.' || g.tgname
        FROM pg_trigger g JOIN pg_class c ON c.oid = g.tgrelid WHERE NOT g.tgisinternal
        UNION ALL
        SELECT 'pg_policy'::regclass, p.oid, 0, 'policy', c.relnamespace, c.relname || '.' || p.polname
        FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid
        UNION ALL
        SELECT 'pg_rewrite'::regclass, r.oid, 0, 'rule', c.relnamespace, c.relname || '.' || r.rulename
        FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class
        UNION ALL
        SELECT 'pg_statistic_ext'::regclass, s.oid, 0, 'statistics', s.stxnamespace, s.stxname::text
        FROM pg_statistic_ext s
        UNION ALL
        SELECT 'pg_operator'::regclass, o.oid, 0, 'operator', o.oprnamespace, o.oprname::text FROM pg_operator o
        UNION ALL
        SELECT 'pg_opclass'::regclass, o.oid, 0, 'operator class', o.opcnamespace, o.opcname::text
        FROM pg_opclass o
        UNION ALL
        SELECT 'pg_collation'::regclass, o.oid, 0, 'collation', o.collnamespace, o.collname::text
        FROM pg_collation o
        UNION ALL
        SELECT 'pg_ts_config'::regclass, o.oid, 0, 'text search configuration', o.cfgnamespace, o.cfgname::text
        FROM pg_ts_config o
        UNION ALL
        SELECT 'pg_publication_rel'::regclass, r.oid, 0, 'publication of table', c.relnamespace,
               p.pubname || ' ' || c.relname
        FROM pg_publication_rel r JOIN pg_publication p ON p.oid = r.prpubid JOIN pg_class c ON c.oid = r.prrelid
        UNION ALL
        SELECT 'pg_extension'::regclass, e.oid, 0, 'extension', 0, e.extname::text FROM pg_extension e
        UNION ALL
        SELECT 'pg_event_trigger'::regclass, e.oid, 0, 'event trigger', 0, e.evtname::text
        FROM pg_event_trigger e
        UNION ALL
        SELECT 'pg_foreign_server'::regclass, s.oid, 0, 'server', 0, s.srvname::text FROM pg_foreign_server s
        UNION ALL
        SELECT 'pg_foreign_data_wrapper'::regclass, w.oid, 0, 'foreign data wrapper', 0, w.fdwname::text
        FROM pg_foreign_data_wrapper w
        UNION ALL
        SELECT 'pg_cast'::regclass, k.oid, 0, 'cast', 0,
               format_type(k.castsource, NULL) || ' AS ' || format_type(k.casttarget, NULL) FROM pg_cast k
        UNION ALL
        SELECT 'pg_publication'::regclass, p.oid, 0, 'publication', 0, p.pubname::text FROM pg_publication p
    )
    SELECT f.classid::oid::bigint, f.objid::bigint, f.subid, f.kind, coalesce(n.nspname, ''), f.name,
           coalesce(m.extname, '')
    FROM found f LEFT JOIN pg_namespace n ON n.oid = f.namespace
    LEFT JOIN member m ON m.classid = f.classid AND m.objid = f.objid
    WHERE f.objid >= 16384 AND n.nspname IS DISTINCT FROM 'pg_toast'
"""

#: Tables of extensions that are not dumped, and whose extension has objects in one of the schemas.
_UNSAVED = """
    WITH falling AS (
        SELECT DISTINCT d.refobjid AS extension FROM pg_depend d
        LEFT JOIN pg_class c ON d.classid = 'pg_class'::regclass AND c.oid = d.objid
        LEFT JOIN pg_proc p ON d.classid = 'pg_proc'::regclass AND p.oid = d.objid
        LEFT JOIN pg_type y ON d.classid = 'pg_type'::regclass AND y.oid = d.objid
        JOIN pg_namespace n ON n.oid = coalesce(c.relnamespace, p.pronamespace, y.typnamespace)
        WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e' AND n.nspname = ANY (%s)
    )
    SELECT n.nspname, c.relname, e.extname
    FROM falling f JOIN pg_extension e ON e.oid = f.extension
    JOIN pg_depend d ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid AND d.deptype = 'e'
                    AND d.classid = 'pg_class'::regclass
    JOIN pg_class c ON c.oid = d.objid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind = 'r' AND NOT c.oid = ANY (coalesce(e.extconfig, '{}'))
    ORDER BY 1, 2
"""

_ROWS_OF = ("table", "materialized view", "sequence", "foreign table", "view")
_PUBLISHED = "publication of table"
_UNCHANGED = "The database is unchanged."

_Key = t.Tuple[int, int, int]


@dataclass(frozen=True)
class _Object:
    kind: str
    schema: str
    name: str
    extension: str

    @property
    def title(self) -> str:
        return f"{self.kind} {self.schema + '.' if self.schema else ''}{self.name}"


def refuse_unsaved_rows(conn: Connection, removal: Removal) -> None:
    """Raise RecoveryError(unsupported) when rows would fall with an extension whose tables no dump holds."""
    lost = []
    for schema, name, extension in fetch_all(conn, _UNSAVED, (list(removal.schemas),)):
        if fetch_value(conn, f"SELECT 1 FROM {quote_identifier(schema, name)} LIMIT 1"):
            lost.append(f"rows of table {schema}.{name} of the extension {extension}")
    _refuse(lost, "which no backup set holds")


class Collateral:
    """Compares the objects of a database before and after a removal, within one transaction."""

    def __init__(self, conn: Connection) -> None:
        self._conn = conn
        self._before = _objects(conn)

    def refuse(self, removal: Removal, restored: Toc, undo: Toc) -> None:
        """Raise RecoveryError(unsupported) unless everything that is gone is in the undo set, and comes back.

        restored and undo are the tables of contents of the set that is restored and of the undo set.
        """
        after = _objects(self._conn)
        gone = [item for key, item in self._before.items() if key not in after]
        replaced = {*removal.schemas, *removal.kept_schemas}
        extensions = {entry.tag for entry in restored.of_kind("EXTENSION")}
        dropped = {(entry.kind.lower(), entry.tag) for entry in restored.entries if not entry.schema}
        published = {(entry.schema, entry.tag) for entry in restored.of_kind("PUBLICATION TABLE")}
        casts = any(entry.kind == "CAST" for entry in restored.entries)
        saved = {(entry.schema, entry.tag) for entry in undo.entries}
        # Triggers and policies of users on tables of a schema that stays are replaced too.
        put = {(entry.schema, entry.tag.replace(" ", ".")) for entry in undo.of_kind("TRIGGER", "POLICY")}
        put = {item for item in put if item[0] in removal.foreign_schemas}
        outside, unsaved = [], []
        for item in gone:
            if item.extension or item.kind == "extension":
                if (item.extension or item.name) not in extensions:
                    outside.append(item.title)
            elif not item.schema:
                if (item.kind, item.name) not in dropped and not (item.kind == "cast" and casts):
                    outside.append(item.title)
            elif item.kind in ("trigger", "policy") and (item.schema, item.name.replace(" ", ".")) in put:
                continue
            elif item.schema not in replaced or (item.kind == _PUBLISHED and (item.schema, item.name) not in published):
                outside.append(item.title)
            elif item.kind in _ROWS_OF and (item.schema, item.name) not in saved:
                unsaved.append(item.title)
        _refuse(sorted(outside), "which the set does not hold")
        _refuse(sorted(unsaved), "which the undo set does not hold")


def _objects(conn: Connection) -> t.Dict[_Key, _Object]:
    return {(row[0], row[1], row[2]): _Object(*row[3:]) for row in fetch_all(conn, _OBJECTS)}


def _refuse(lost: t.Sequence[str], why: str) -> None:
    if lost:
        raise RecoveryError(
            ErrorKind.UNSUPPORTED,
            f"Replacing the content would also remove {len(lost)} objects {why}: {', '.join(lost[:5])}.",
            left=_UNCHANGED,
            next_step="Use mode swap, which keeps the old database, or export and drop these objects first.",
            details={"lost": list(lost)},
        )
