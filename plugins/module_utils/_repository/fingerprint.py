# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The content of a database at its recovery point, and the differences of two such descriptions."""

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
    """structure maps a kind of object (TABLE, POLICY, ...) to {identity: digest of its definition}.

    views holds the rows of materialized views that were populated. object_rights is the digest of owners, rights and
    comments of large objects.
    """

    algorithm: str
    mode: str
    server_major: int
    tables: t.Tuple[TableFingerprint, ...] = ()
    sequences: t.Tuple[SequenceFingerprint, ...] = ()
    large_objects: t.Optional[TableFingerprint] = None
    structure: t.Mapping[str, t.Mapping[str, str]] = field(default_factory=dict)
    views: t.Optional[t.Tuple[TableFingerprint, ...]] = None
    object_rights: t.Optional[TableFingerprint] = None

    @property
    def rows(self) -> int:
        return sum(table.rows for table in self.tables)

    def as_dict(self) -> t.Dict[str, t.Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, data: t.Mapping[str, t.Any]) -> Fingerprint:
        large_objects, views, rights = data["large_objects"], data.get("views"), data.get("object_rights")
        return cls(
            algorithm=data["algorithm"],
            mode=data["mode"],
            server_major=data["server_major"],
            tables=tuple(TableFingerprint(**table) for table in data["tables"]),
            sequences=tuple(SequenceFingerprint(**sequence) for sequence in data["sequences"]),
            large_objects=TableFingerprint(**large_objects) if large_objects else None,
            structure=data["structure"],
            views=None if views is None else tuple(TableFingerprint(**view) for view in views),
            object_rights=TableFingerprint(**rights) if rights else None,
        )


@dataclass(frozen=True)
class Difference:
    """One difference: the object, and the two sides as text."""

    what: str
    expected: str
    actual: str


@dataclass(frozen=True)
class Comparison:
    """equal only if nothing differs; tables and rows count what was compared.

    additional: what exists only in the database compared. refreshed: materialized views whose rows differ because
    they were computed again. note: why definitions could not be compared by their meaning, or empty.
    """

    equal: bool
    tables: int
    rows: int
    differences: t.Tuple[Difference, ...] = ()
    additional: t.Tuple[str, ...] = ()
    refreshed: t.Tuple[str, ...] = ()
    note: str = ""


def compare(
    expected: Fingerprint,
    actual: Fingerprint,
    *,
    allow_additional: bool = False,
    views_refreshed: bool = False,
    object_rights: bool = True,
) -> Comparison:
    """Compare what was recorded with what is there now.

    If allow_additional is true, definitions that exist only in actual are listed and are no difference. If
    views_refreshed is true, the rows of a materialized view may differ, because a restore computes them again. If
    object_rights is false, owners and rights of large objects are not compared.
    Raises RecoveryError(unsupported) when the two were computed in ways that cannot be compared.
    """
    if expected.algorithm != actual.algorithm and "full" in (expected.mode, actual.mode):
        raise RecoveryError(
            ErrorKind.UNSUPPORTED,
            f"The fingerprint of the set is {expected.algorithm}, this server computes {actual.algorithm}.",
            left="The restored data was kept, but not proved equal.",
            next_step="Compare on a server of the same architecture and with a database of the same encoding.",
        )
    full = expected.mode == actual.mode == "full"
    differences = [*_table_differences(expected, actual, full=full), *_sequence_differences(expected, actual)]
    if expected.object_rights and object_rights:
        what = "owners, rights and comments of large objects"
        differences += _content(what, expected.object_rights, actual.object_rights, "missing", full)
    views = list(_view_differences(expected, actual, full=full))
    missing, additional = list(_definition_differences(expected, actual)), list(_additional(expected, actual))
    refreshed = [item.what for item in views if views_refreshed and item.actual != _NOT_POPULATED]
    differences += [item for item in views if item.what not in refreshed]
    differences += missing
    if not allow_additional:
        differences += [Difference(what, "missing", "additional") for what in additional]
    return Comparison(
        not differences, len(expected.tables), expected.rows, tuple(differences), tuple(additional), tuple(refreshed)
    )


_NOT_POPULATED = "not populated"


def _table_differences(expected: Fingerprint, actual: Fingerprint, *, full: bool) -> t.Iterator[Difference]:
    there = {(table.schema, table.name): table for table in actual.tables}
    for before in expected.tables:
        yield from _content(
            f"table {before.schema}.{before.name}", before, there.get((before.schema, before.name)), "missing", full
        )
    if expected.large_objects:
        yield from _content("large objects", expected.large_objects, actual.large_objects, "missing", full)


def _view_differences(expected: Fingerprint, actual: Fingerprint, *, full: bool) -> t.Iterator[Difference]:
    # Sets of earlier versions record no materialized views.
    there = {(view.schema, view.name): view for view in actual.views or ()}
    for before in expected.views or ():
        after = there.get((before.schema, before.name))
        yield from _content(f"materialized view {before.schema}.{before.name}", before, after, _NOT_POPULATED, full)


def _content(
    what: str, before: TableFingerprint, after: t.Optional[TableFingerprint], gone: str, full: bool
) -> t.Iterator[Difference]:
    if after is None:
        yield Difference(what, f"{before.rows} rows", gone)
    elif before.rows != after.rows:
        yield Difference(what, f"{before.rows} rows", f"{after.rows} rows")
    elif full and (before.digest is None or after.digest is None):
        yield Difference(what, _described(before), f"{_described(after)}, so that the content was not compared")
    elif full and before.digest != after.digest:
        yield Difference(what, _described(before), _described(after))


def _described(table: TableFingerprint) -> str:
    return "no digest" if table.digest is None else f"content {table.digest}"


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


def _definition_differences(expected: Fingerprint, actual: Fingerprint) -> t.Iterator[Difference]:
    for category, items in sorted(expected.structure.items()):
        there = actual.structure.get(category, {})
        for identity, digest in sorted(items.items()):
            if identity not in there:
                yield Difference(f"{category}: {identity}", "present", "missing")
            elif there[identity] != digest:
                yield Difference(f"{category}: {identity}", "as in the set", "defined differently")


def _additional(expected: Fingerprint, actual: Fingerprint) -> t.Iterator[str]:
    for category, items in sorted(actual.structure.items()):
        there = expected.structure.get(category, {})
        yield from (f"{category}: {identity}" for identity in sorted(items) if identity not in there)
