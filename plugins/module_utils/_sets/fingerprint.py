# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a database held at its recovery point, and how two such descriptions differ."""

from __future__ import annotations

import typing as t
from dataclasses import asdict, dataclass, field

from .._core.errors import ErrorKind, RecoveryError


@dataclass(frozen=True)
class TableFingerprint:
    """rows is a count; digest an order-independent sum of row hashes, or None when only counted."""

    schema: str
    name: str
    rows: int
    digest: t.Optional[str] = None


@dataclass(frozen=True)
class SequenceFingerprint:
    schema: str
    name: str
    last_value: int
    is_called: bool


@dataclass(frozen=True)
class Fingerprint:
    """structure maps a category (policies, constraints, ...) to {identity: digest of its definition}."""

    algorithm: str
    mode: str
    server_major: int
    tables: t.Tuple[TableFingerprint, ...] = ()
    sequences: t.Tuple[SequenceFingerprint, ...] = ()
    large_objects: t.Optional[TableFingerprint] = None
    structure: t.Mapping[str, t.Mapping[str, str]] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        return sum(table.rows for table in self.tables)

    def as_dict(self) -> t.Dict[str, t.Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, data: t.Mapping[str, t.Any]) -> Fingerprint:
        large_objects = data["large_objects"]
        return cls(
            algorithm=data["algorithm"],
            mode=data["mode"],
            server_major=data["server_major"],
            tables=tuple(TableFingerprint(**table) for table in data["tables"]),
            sequences=tuple(SequenceFingerprint(**sequence) for sequence in data["sequences"]),
            large_objects=TableFingerprint(**large_objects) if large_objects else None,
            structure=data["structure"],
        )


@dataclass(frozen=True)
class Difference:
    """One thing that is not as it was: what it is, and the two sides as text."""

    what: str
    expected: str
    actual: str


@dataclass(frozen=True)
class Comparison:
    """equal only when nothing differs; tables and rows say how much was compared."""

    equal: bool
    tables: int
    rows: int
    differences: t.Tuple[Difference, ...] = ()


def compare(expected: Fingerprint, actual: Fingerprint) -> Comparison:
    """Compare what was recorded with what is there now.

    Things that exist only in actual are no difference: a target may hold more. Definitions are compared
    between servers of one major version, because another prints some of them in other words; names always.
    Raises RecoveryError(unsupported) when the two were computed in ways that cannot be compared.
    """
    if expected.algorithm != actual.algorithm and "full" in (expected.mode, actual.mode):
        raise RecoveryError(
            ErrorKind.UNSUPPORTED,
            f"The fingerprint of the set is {expected.algorithm}, this server computes {actual.algorithm}.",
            left="The restored data was kept, but not proved equal.",
            next_step="Compare on a server of the same architecture.",
        )
    differences = [
        *_table_differences(expected, actual),
        *_sequence_differences(expected, actual),
        *_structure_differences(expected, actual),
    ]
    return Comparison(not differences, len(expected.tables), expected.rows, tuple(differences))


def _table_differences(expected: Fingerprint, actual: Fingerprint) -> t.Iterator[Difference]:
    there = {(table.schema, table.name): table for table in actual.tables}
    pairs = [
        (f"table {table.schema}.{table.name}", table, there.get((table.schema, table.name)))
        for table in expected.tables
    ]
    if expected.large_objects:
        pairs.append(("large objects", expected.large_objects, actual.large_objects))
    for what, before, after in pairs:
        if after is None:
            yield Difference(what, f"{before.rows} rows", "missing")
        elif before.rows != after.rows:
            yield Difference(what, f"{before.rows} rows", f"{after.rows} rows")
        elif before.digest and after.digest and before.digest != after.digest:
            yield Difference(what, f"content {before.digest}", f"content {after.digest}")


def _sequence_differences(expected: Fingerprint, actual: Fingerprint) -> t.Iterator[Difference]:
    there = {(sequence.schema, sequence.name): sequence for sequence in actual.sequences}
    for before in expected.sequences:
        after = there.get((before.schema, before.name))
        if after != before:
            yield Difference(f"sequence {before.schema}.{before.name}", _position(before), _position(after))


def _position(sequence: t.Optional[SequenceFingerprint]) -> str:
    if sequence is None:
        return "missing"
    return f"{sequence.last_value} ({'used' if sequence.is_called else 'next'})"


def _structure_differences(expected: Fingerprint, actual: Fingerprint) -> t.Iterator[Difference]:
    same_major = expected.server_major == actual.server_major
    for category, items in sorted(expected.structure.items()):
        there = actual.structure.get(category, {})
        for identity, digest in sorted(items.items()):
            what = f"{category}: {identity}"
            if identity not in there:
                yield Difference(what, "present", "missing")
            elif same_major and there[identity] != digest:
                yield Difference(what, "as in the set", "defined differently")
