# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Differences of two sets of one source: tables and definitions by fingerprints, files by inventories."""

from __future__ import annotations

import json
import typing as t
from dataclasses import dataclass

from .._core.errors import ErrorKind, RecoveryError
from .._core.sizes import counted
from .._store.base import ObjectStore
from .catalogue import find_set
from .fetch import read_object
from .fingerprint import Difference, Fingerprint, compare
from .manifest import BUCKET_ENGINE, DATABASE_ENGINE, SQLITE_ENGINE, Manifest, ObjectEntry
from .manifest_shape import ENGINES
from .recovery_points import Selection

_MISSING = "missing"
_File = t.Tuple[str, t.Mapping[str, t.Any]]


@dataclass(frozen=True)
class ComparedSet:
    set_id: str
    tier: str
    recovery_point: str


@dataclass(frozen=True)
class SetsComparison:
    """equal is None if nothing differs but only row counts were compared. differences holds the first of them."""

    source: str
    first: ComparedSet
    second: ComparedSet
    equal: t.Optional[bool]
    differences: t.List[Difference]
    difference_count: int
    summary: str


def compare_sets(store: ObjectStore, source: str, first: Selection, second: Selection, limit: int) -> SetsComparison:
    """Compare two sets of a source. limit: how many differences are returned; all are counted.

    Raises RecoveryError(unsupported) for sets of rows, of different kinds, or whose content cannot be compared, and
    RecoveryError(invalid_options) for one set given twice, and for encrypted sets without an identity.
    """
    one, other = find_set(store, source, first), find_set(store, source, second)
    if (one.set_id, one.tier) == (other.set_id, other.tier):
        raise RecoveryError(
            ErrorKind.INVALID_OPTIONS,
            f"`set` and `other_set` must be two sets, got the set {one.set_id} ({one.tier}) twice.",
            left="Nothing was compared.",
            next_step="Set set to the id of another set.",
        )
    if one.engine != other.engine or one.engine not in _DIFFERENCES:
        raise RecoveryError(
            ErrorKind.UNSUPPORTED,
            f"The set {one.set_id} holds {ENGINES[one.engine].holds},"
            f" the set {other.set_id} {ENGINES[other.engine].holds}.",
            left="Nothing was compared.",
            next_step="Choose two sets of one database or one bucket.",
        )
    found: t.List[Difference] = []
    count = 0
    for difference in _DIFFERENCES[one.engine](store, one, other):
        count += 1
        if len(found) < limit:
            found.append(difference)
    is_counted = one.engine == DATABASE_ENGINE and "full" not in (_mode(one), _mode(other))
    equal = False if count else None if is_counted else True
    return SetsComparison(
        source, _named(one), _named(other), equal, found, count, _summary(one, other, equal, count)
    )  # fmt: skip


def _database(_store: ObjectStore, one: Manifest, other: Manifest) -> t.Iterator[Difference]:
    expected, actual = _fingerprint(one), _fingerprint(other)
    yield from compare(expected, actual).differences


def _sqlite(_store: ObjectStore, one: Manifest, other: Manifest) -> t.Iterator[Difference]:
    before, after = _tables(one), _tables(other)
    for name in sorted({*before, *after}):
        if before.get(name) != after.get(name):
            yield Difference(name, _presence(before, name), _presence(after, name))


def _bucket(store: ObjectStore, one: Manifest, other: Manifest) -> t.Iterator[Difference]:
    """Both inventories are ordered by key. Parts that both sets have hold the same files and are not read."""
    shared = {_digest(one, entry) for entry in _parts(one)} & {_digest(other, entry) for entry in _parts(other)}
    before, after = _files(store, one, shared), _files(store, other, shared)
    left, right = next(before, None), next(after, None)
    while left or right:
        if right is None or (left is not None and left[0] < right[0]):
            left = t.cast(_File, left)
            yield Difference(f"file {left[0]}", _content(left[1]), _MISSING)
            left = next(before, None)
        elif left is None or right[0] < left[0]:
            yield Difference(f"file {right[0]}", _MISSING, _content(right[1]))
            right = next(after, None)
        else:
            if _content(left[1]) != _content(right[1]):
                yield Difference(f"file {left[0]}", _content(left[1]), _content(right[1]))
            elif left[1].get("headers") != right[1].get("headers"):
                yield Difference(f"headers of file {left[0]}", "as in the first set", "different")
            left, right = next(before, None), next(after, None)


_DIFFERENCES: t.Mapping[str, t.Callable[[ObjectStore, Manifest, Manifest], t.Iterator[Difference]]] = {
    DATABASE_ENGINE: _database,
    SQLITE_ENGINE: _sqlite,
    BUCKET_ENGINE: _bucket,
}


def _files(store: ObjectStore, manifest: Manifest, shared: t.Container[str]) -> t.Iterator[_File]:
    for entry in _parts(manifest):
        if entry.plain_sha256 in shared:
            continue
        for line in read_object(store, entry).splitlines():
            document = json.loads(line)
            yield str(document["key"]), document


def _parts(manifest: Manifest) -> t.List[ObjectEntry]:
    return [entry for entry in manifest.objects if entry.role == "inventory"]


def _tables(manifest: Manifest) -> t.Dict[str, t.Tuple[str, ...]]:
    """The digests of the statements of each table, and of the definitions before and after them."""
    found: t.Dict[str, t.Tuple[str, ...]] = {}
    for entry in manifest.objects:
        if entry.role in ("schema", "table", "after"):
            name = f"table {entry.table}" if entry.table else f"definitions ({entry.role})"
            found[name] = (*found.get(name, ()), _digest(manifest, entry))
    return found


def _digest(manifest: Manifest, entry: ObjectEntry) -> str:
    if not entry.plain_sha256:
        raise _encrypted(manifest)
    return entry.plain_sha256


def _fingerprint(manifest: Manifest) -> Fingerprint:
    if manifest.fingerprint is None and manifest.sealed:
        raise _encrypted(manifest)
    if manifest.fingerprint is None:
        raise RecoveryError(
            ErrorKind.UNSUPPORTED,
            f"The set {manifest.set_id} has no fingerprint.",
            left="Nothing was compared.",
            next_step="Choose a set with a fingerprint.",
        )
    return manifest.fingerprint


def _encrypted(manifest: Manifest) -> RecoveryError:
    return RecoveryError(
        ErrorKind.INVALID_OPTIONS,
        f"The set {manifest.set_id} is encrypted, and store.identity_file is not set.",
        left="Nothing was compared.",
        next_step="Set store.identity_file to the file with the key that decrypts the set.",
    )


def _mode(manifest: Manifest) -> str:
    return manifest.fingerprint.mode if manifest.fingerprint else ""


def _presence(tables: t.Mapping[str, t.Tuple[str, ...]], name: str) -> str:
    return f"content {tables[name][0]}" if name in tables else _MISSING


def _content(document: t.Mapping[str, t.Any]) -> str:
    return f"{document['size']} bytes, content {document['sha256']}"


def _named(manifest: Manifest) -> ComparedSet:
    return ComparedSet(manifest.set_id, manifest.tier, manifest.recovery_point)


def _summary(one: Manifest, other: Manifest, equal: t.Optional[bool], count: int) -> str:
    sets = f"The sets {one.set_id} ({one.tier}) and {other.set_id} ({other.tier}) of {one.source}"
    if count:
        return f"{sets} differ: {counted(count, 'difference')}."
    return f"{sets} are equal." if equal else f"{sets} have equal row counts; their content was not compared."
