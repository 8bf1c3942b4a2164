# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The tables of a set: the objects with their rows, their columns and keys, and their references."""

from __future__ import annotations

import json
import typing as t
from dataclasses import dataclass, field

from ...._core.documents import read_document
from ...._core.errors import ErrorKind, RecoveryError
from ...._repository.manifest import Manifest, ObjectEntry
from ..archive.statements import (
    Column,
    Reference,
    copied_columns,
    defined_columns,
    foreign_key,
    partition_of,
    primary_key,
)
from ..archive.toc import Toc
from ..server.names import QualifiedName, parse_qualified_name

ROWS_FILE = "rows.json"


@dataclass(frozen=True)
class Rows:
    """One stored object with COPY lines, and the columns that these have."""

    entry: ObjectEntry
    columns: t.Tuple[str, ...]


@dataclass(frozen=True)
class SetTable:
    """A table of the set. keys is the object with the keys that an undo set is about, where it has one."""

    name: QualifiedName
    columns: t.Tuple[Column, ...]
    key: t.Tuple[str, ...]
    rows: t.Tuple[Rows, ...]
    keys: t.Optional[Rows] = None

    @property
    def stored_size(self) -> int:
        return sum(rows.entry.stored_size for rows in self.rows)

    def type_of(self, column: str) -> t.Optional[str]:
        return next((item.type for item in self.columns if item.name == column), None)


@dataclass(frozen=True)
class Description:
    """All tables of a set by name, partitioned ones with the rows of their partitions, and all references.

    is_database: this describes the live database, so its rows are not in objects. incomplete: partitioned tables of
    which the set holds the rows of some partitions only, each with a partition that it holds no rows of.
    """

    set_id: str
    tables: t.Mapping[QualifiedName, SetTable]
    references: t.Tuple[Reference, ...]
    partitions: t.Mapping[QualifiedName, QualifiedName]
    is_database: bool = False
    incomplete: t.Mapping[QualifiedName, QualifiedName] = field(default_factory=dict)

    @property
    def title(self) -> str:
        return "The live database" if self.is_database else f"The set {self.set_id}"

    def table(self, name: QualifiedName) -> SetTable:
        """Raises RecoveryError(table_missing) for a table that the set lacks, or whose rows it lacks."""
        found = self.tables.get(name)
        if found is None:
            others = [str(other) for other in self.tables if other.name == name.name]
            near = others or [str(other) for other in list(self.tables)[:10]]
            raise RecoveryError(
                ErrorKind.TABLE_MISSING,
                f"The set {self.set_id} has no table {name}.",
                next_step=f"It has {', '.join(near)}." if near else "It has no tables at all.",
            )
        if not (found.rows or found.keys or self.is_database):
            raise RecoveryError(
                ErrorKind.TABLE_MISSING,
                f"The set {self.set_id} has the table {name} without rows, because the backup left them out.",
                next_step="Choose a set that was taken without excluding them.",
            )
        if name in self.incomplete:
            raise RecoveryError(
                ErrorKind.TABLE_MISSING,
                f"The set {self.set_id} has the table {name} without the rows of its partition "
                f"{self.incomplete[name]}, because the backup left them out.",
                next_step="Name the partitions that the set has rows of, or choose a set taken without excluding any.",
            )
        return found


def describe(manifest: Manifest, toc: Toc) -> Description:
    """The tables of a set whose archive has this table of contents."""
    entries = {entry.path: entry for entry in manifest.objects}
    columns = {QualifiedName(item.schema, item.tag): defined_columns(item.definition) for item in toc.of_kind("TABLE")}
    keys: t.Dict[QualifiedName, t.Tuple[str, ...]] = {}
    by_id = {item.dump_id: QualifiedName(item.schema, item.tag) for item in toc.of_kind("TABLE")}
    for item in toc.of_kind("CONSTRAINT"):
        key = primary_key(item.definition)
        owner = next((by_id[number] for number in item.dependencies if number in by_id), None)
        if key and owner:
            keys[owner] = key
    attached = [partition_of(item.definition) for item in toc.of_kind("TABLE ATTACH")]
    partitions = {pair[0]: pair[1] for pair in attached if pair}
    rows: t.Dict[QualifiedName, t.List[Rows]] = {name: [] for name in columns}
    for item in toc.of_kind("TABLE DATA"):
        if item.file_name not in entries:
            continue
        found = Rows(entries[item.file_name], copied_columns(item.copy_statement))
        name: t.Optional[QualifiedName] = QualifiedName(item.schema, item.tag)
        while name is not None:
            rows.setdefault(name, []).append(found)
            name = partitions.get(name)
    references = [foreign_key(item.definition) for item in toc.of_kind("FK CONSTRAINT")]
    return Description(
        manifest.set_id,
        {name: SetTable(name, columns.get(name, ()), keys.get(name, ()), tuple(found)) for name, found in rows.items()},
        tuple(reference for reference in references if reference),
        partitions,
        incomplete={**_missing_partitions(manifest), **_incomplete(toc, rows, partitions)},
    )


def _missing_partitions(manifest: Manifest) -> t.Dict[QualifiedName, QualifiedName]:
    """Partitioned tables with a partition that the backup left out with its definition."""
    recorded = manifest.coverage.get("missing_partitions", {})
    return {parse_qualified_name(table): parse_qualified_name(partition) for table, partition in recorded.items()}


def _incomplete(
    toc: Toc, rows: t.Mapping[QualifiedName, t.Sequence[Rows]], partitions: t.Mapping[QualifiedName, QualifiedName]
) -> t.Dict[QualifiedName, QualifiedName]:
    """Partitioned tables with a partition without rows in the set, and that partition."""
    found: t.Dict[QualifiedName, QualifiedName] = {}
    parents = set(partitions.values())
    for item in toc.of_kind("TABLE"):
        partition = QualifiedName(item.schema, item.tag)
        if rows[partition] or partition in parents or "PARTITION BY" in item.definition:
            continue
        parent = partitions.get(partition)
        while parent is not None:
            found.setdefault(parent, partition)
            parent = partitions.get(parent)
    return found


def describe_rows(manifest: Manifest, document: bytes) -> Description:
    """The tables of a set of rows; document is its rows.json."""
    content = read_document(document, f"{ROWS_FILE} of the set {manifest.set_id}", next_step="Use another set.")
    try:
        tables = {}
        for item in content["tables"]:
            name = QualifiedName(item["schema"], item["name"])
            names = tuple(column["name"] for column in item["columns"])
            tables[name] = SetTable(
                name,
                tuple(Column(column["name"], column["type"]) for column in item["columns"]),
                tuple(item["key"]),
                (Rows(manifest.object_at(item["rows"]), names),),
                Rows(manifest.object_at(item["keys"]), tuple(item["key"] or names)) if item["keys"] else None,
            )
        references = tuple(
            Reference(
                parse_qualified_name(item["child"]),
                tuple(item["columns"]),
                parse_qualified_name(item["parent"]),
                tuple(item["parent_columns"]),
            )
            for item in content["references"]
        )
    except (KeyError, TypeError, ValueError, AttributeError, RecoveryError) as error:
        raise RecoveryError(
            ErrorKind.DAMAGED, f"{ROWS_FILE} of the set {manifest.set_id} cannot be read: {error!r}.", left=""
        ) from None
    return Description(manifest.set_id, tables, references, {})


def rows_document(tables: t.Sequence[SetTable], references: t.Iterable[Reference], paths: t.Mapping[str, str]) -> bytes:
    """The document that describe_rows reads. paths: C(rows <table>) and C(keys <table>) to the file of each."""
    content = {
        "tables": [
            {
                "schema": table.name.schema,
                "name": table.name.name,
                "columns": [{"name": column.name, "type": column.type} for column in table.columns],
                "key": list(table.key),
                "rows": paths[f"rows {table.name}"],
                "keys": paths.get(f"keys {table.name}"),
            }
            for table in tables
        ],
        "references": [
            {
                "child": str(item.child),
                "columns": list(item.columns),
                "parent": str(item.parent),
                "parent_columns": list(item.parent_columns),
            }
            for item in references
        ],
    }
    return json.dumps(content, indent=1, sort_keys=True).encode() + b"\n"
