# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Proof of a restore: content equal to the set, valid foreign keys, statistics for the planner."""

from __future__ import annotations

import typing as t
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace

from ...._core.clock import Timings
from ...._core.errors import ErrorKind, RecoveryError
from ...._core.sizes import first_of
from ...._repository.fetch import read_object
from ...._repository.fingerprint import Comparison, Fingerprint, compare
from ...._repository.manifest import Manifest
from ...._store.base import ObjectStore
from ..archive.dump import TOC_NAME
from ..archive.partition_trees import with_merged_partitions
from ..archive.selection import Selection
from ..archive.structure import (
    OWNERS,
    PRIVILEGES,
    TABLESPACES,
    Definitions,
    Structure,
    merged,
    narrowed,
    read_structure,
    replayed_structure,
    structure_of,
)
from ..archive.toc import Toc, parse_toc
from ..backup.fingerprint import Scope, take_fingerprint
from ..server.confined import begin_reading
from ..server.connection import ConnectionOptions, connection
from ..server.foreign_keys import foreign_keys, violations
from ..server.row_hash import ALGORITHM, algorithm_of

#: How many differences a result lists; the count is always whole.
_SHOWN = 50
_APPLICATION = "lifeline.recovery verify"


@dataclass(frozen=True)
class Rules:
    """The extent of a comparison. mode: C(full), C(counts) or C(none).

    owner, privileges and tablespaces are false where a restore left these out. restored: the part of the set's
    archive that was restored, None for all of it; columns: tables that have more columns than the set, with those of
    the set. See compare for the others.
    """

    mode: str = "full"
    owner: bool = True
    privileges: bool = True
    tablespaces: bool = True
    allow_additional: bool = False
    views_refreshed: bool = False
    restored: t.Optional[Toc] = None
    columns: t.Mapping[t.Tuple[str, str], t.Sequence[str]] = field(default_factory=dict)

    def reduced(self, structure: Definitions) -> Structure:
        left_out = [] if self.owner else [OWNERS]
        left_out += [] if self.privileges else PRIVILEGES
        left_out += [] if self.tablespaces else [TABLESPACES]
        return narrowed(structure, lambda category, _name: category not in left_out)

    def expected(self, recorded: Fingerprint, structure: Structure) -> Fingerprint:
        """The recorded fingerprint with this structure, limited to what was restored."""
        complete = replace(recorded, structure=self.reduced(structure))
        return complete if self.restored is None else _limited(complete, self.restored)

    def compare(self, expected: Fingerprint, actual: Fingerprint) -> Comparison:
        return compare(
            expected, actual, allow_additional=self.allow_additional, views_refreshed=self.views_refreshed,
            object_rights=self.owner and self.privileges,
        )  # fmt: skip


@dataclass(frozen=True)
class Content:
    """The comparison inside the transaction of a restore: rows, sequences and large objects, or foreign keys."""

    fingerprint: t.Optional[Fingerprint]
    foreign_keys: t.Optional[t.Mapping[str, t.Any]]


@dataclass(frozen=True)
class Proof:
    """fingerprint: mode, equal (None when there was nothing to compare with), tables, rows, differences.

    foreign_keys: checked, violated (a list of names with counts).
    """

    fingerprint: t.Mapping[str, t.Any] = field(default_factory=lambda: {"mode": "none", "equal": None})
    foreign_keys: t.Mapping[str, t.Any] = field(default_factory=lambda: {"checked": 0, "violated": []})

    @property
    def good(self) -> bool:
        return self.fingerprint["equal"] is not False and not self.foreign_keys["violated"]

    @property
    def outcome(self) -> str:
        found = self.fingerprint
        if found["equal"] is None:
            return "its content was not compared"
        counted = f"{found['rows']} rows in {found['tables']} tables"
        if found["mode"] != "full":
            return f"{counted} are as many as in the set, their content was not compared"
        weaker = ", by the digest of an earlier version, which is weaker" if found["weaker"] else ""
        refreshed = f"; {len(found['refreshed'])} materialized views were computed again" if found["refreshed"] else ""
        return f"{counted} are equal to the set{weaker}{refreshed}"

    def without(self, objects: t.Collection[str]) -> Proof:
        """The proof without the differences of objects that the result names as not restored.

        Objects that were not compared are listed as not_compared. A proof that does not list all its differences is
        returned unchanged.
        """
        shown = self.fingerprint.get("differences", [])
        rest = [item for item in shown if item["what"] not in objects]
        if len(rest) == len(shown) or self.fingerprint["difference_count"] > len(shown):
            return self
        left_out = sorted(item["what"] for item in shown if item["what"] in objects)
        found = {"differences": rest, "difference_count": len(rest), "equal": not rest, "not_compared": left_out}
        return replace(self, fingerprint={**self.fingerprint, **found})

    @property
    def complaint(self) -> str:
        found = [
            f"{item['what']} ({item['expected']}, now {item['actual']})"
            for item in self.fingerprint.get("differences", [])
        ]
        found += [f"{item['name']} has {item['rows']} rows without parent" for item in self.foreign_keys["violated"]]
        return first_of(found, 3, separator="; ")


def prove(
    options: ConnectionOptions,
    manifest: t.Optional[Manifest],
    store: t.Optional[ObjectStore],
    rules: Rules,
    *,
    jobs: int,
    timings: Timings,
    before: t.Optional[Content] = None,
) -> Proof:
    """Compare with the set of the manifest, test foreign keys, and ANALYZE, in parallel.

    before: what was compared already, and is not read again.
    PostgreSQL tests every row when the restore of a set adds a foreign key, so that the same test again could not fail.
    A dump of another tool may load rows behind the keys, with their triggers disabled.
    """
    with timings.phase("verify"), ThreadPoolExecutor(max_workers=2) as pool:
        analyzed = pool.submit(_analyze, options)
        tested = before.foreign_keys if before else None
        keys = pool.submit(_test_keys, options, again=manifest is None and tested is None)
        fingerprint: t.Mapping[str, t.Any] = {"mode": "none", "equal": None}
        if manifest is not None and store is not None and manifest.fingerprint is not None and rules.mode != "none":
            content = before.fingerprint if before else None
            comparison = compare_with(options, manifest, store, rules, jobs=jobs, content=content)
            fingerprint = described(comparison, manifest.fingerprint, rules.mode)
        analyzed.result()
        return Proof(fingerprint, tested or keys.result())


def compare_with(
    options: ConnectionOptions,
    manifest: Manifest,
    store: ObjectStore,
    rules: Rules,
    *,
    jobs: int,
    content: t.Optional[Fingerprint] = None,
) -> Comparison:
    """Fingerprint the database as it is now and compare it with a set that has a fingerprint.

    content: rows, sequences and large objects that were read already. Definitions are compared by the text that
    pg_dump writes, and where that differs by their meaning. Raises RecoveryError: unsupported for a set without
    fingerprint, those of take_fingerprint, live_structure and the store.
    """
    if manifest.fingerprint is None:
        raise RecoveryError(ErrorKind.UNSUPPORTED, f"The set {manifest.set_id} has no fingerprint.")
    toc = read_object(store, manifest.object_at(TOC_NAME))
    selection = recorded_selection(manifest)
    return compare_database(options, manifest.fingerprint, toc, selection, rules, jobs=jobs, content=content)


def compare_database(
    options: ConnectionOptions,
    recorded: Fingerprint,
    toc: bytes,
    selection: Selection,
    rules: Rules,
    *,
    jobs: int,
    content: t.Optional[Fingerprint] = None,
) -> Comparison:
    """As compare_with, with the recorded fingerprint, the bytes of toc.dat and what the dump was limited to."""
    parsed = parse_toc(toc)
    complete = structure_of(parsed)
    expected = rules.expected(recorded, complete)
    with ThreadPoolExecutor(max_workers=1) as pool:
        reading = pool.submit(read_structure, options, selection)
        content = _content_now(options, recorded, scope_of_rules(expected, rules), rules, jobs=jobs, known=content)
        found = reading.result()
    restored = expected.structure

    def compared(structure: Structure) -> Structure:
        """Omit what the set defines and the restore left out: it is neither expected nor additional in the target."""
        return narrowed(
            rules.reduced(structure),
            lambda category, name: name in restored.get(category, {}) or name not in complete.get(category, {}),
        )

    actual = replace(with_merged_partitions(content, parsed), structure=compared(found))
    expected = with_merged_partitions(expected, parsed)
    if expected.structure == actual.structure:
        return rules.compare(expected, actual)
    try:
        replayed, accepted = replayed_structure(
            options, toc, selection, owner=rules.owner, privileges=rules.privileges
        )  # fmt: skip
    except RecoveryError as error:
        return replace(rules.compare(expected, actual), note=error.what)
    moved = accepted and expected.server_major != actual.server_major
    structure = compared(merged(expected.structure, replayed, actual.structure, everything=moved))
    return rules.compare(replace(expected, structure=structure), actual)


def _content_now(
    options: ConnectionOptions,
    recorded: Fingerprint,
    scope: Scope,
    rules: Rules,
    *,
    jobs: int,
    known: t.Optional[Fingerprint],
) -> Fingerprint:
    """The content of the database; only the materialized views where everything else is known."""
    found = take_fingerprint(
        options, depth_of(recorded, rules.mode), jobs=jobs,
        scope=scope if known is None else Scope(frozenset(), scope.views, False),
        sequences=None if known is None else known.sequences,
        structure={}, algorithm=algorithm_of(recorded.algorithm),
    )  # fmt: skip
    return found if known is None else replace(known, views=found.views)


def recorded_selection(manifest: Manifest) -> Selection:
    """The exclusions of the dump of a set, so that the same part of the live database is compared."""
    recorded = manifest.coverage.get("excluded", {})
    return Selection(**{name: tuple(patterns) for name, patterns in recorded.items()})


def described(comparison: Comparison, expected: Fingerprint, mode: str) -> t.Dict[str, t.Any]:
    algorithm = algorithm_of(expected.algorithm)
    return {
        "mode": depth_of(expected, mode),
        "equal": comparison.equal,
        "algorithm": algorithm,
        "weaker": algorithm != ALGORITHM,
        "tables": comparison.tables,
        "rows": comparison.rows,
        "differences": [asdict(item) for item in comparison.differences[:_SHOWN]],
        "difference_count": len(comparison.differences),
        "additional": list(comparison.additional[:_SHOWN]),
        "refreshed": list(comparison.refreshed[:_SHOWN]),
        "note": comparison.note,
    }


def _limited(expected: Fingerprint, restored: Toc) -> Fingerprint:
    rows = {(entry.schema, entry.tag) for entry in restored.of_kind("TABLE DATA")}
    positions = {(entry.schema, entry.tag) for entry in restored.of_kind("SEQUENCE SET")}
    views = {(entry.schema, entry.tag) for entry in restored.of_kind("MATERIALIZED VIEW")}
    definitions = structure_of(restored)
    return replace(
        expected,
        tables=tuple(table for table in expected.tables if (table.schema, table.name) in rows),
        sequences=tuple(item for item in expected.sequences if (item.schema, item.name) in positions),
        views=tuple(view for view in expected.views or () if (view.schema, view.name) in views),
        structure=narrowed(expected.structure, lambda category, name: name in definitions.get(category, {})),
    )


def scope_of_rules(expected: Fingerprint, rules: Rules) -> Scope:
    """The tables and materialized views that the set knows; what it does not know shows in the structure."""
    return Scope(
        frozenset((table.schema, table.name) for table in expected.tables),
        frozenset((view.schema, view.name) for view in expected.views or ()),
        expected.large_objects is not None,
        rules.columns,
    )


def depth_of(expected: Fingerprint, mode: str) -> str:
    """C(full) where that is asked for and can be compared, else C(counts)."""
    return "full" if mode == "full" and expected.mode == "full" else "counts"


def _analyze(options: ConnectionOptions) -> None:
    with connection(options, application=_APPLICATION) as conn, conn.cursor() as cursor:
        cursor.execute("ANALYZE")


def _test_keys(options: ConnectionOptions, *, again: bool) -> t.Dict[str, t.Any]:
    with connection(options, application=_APPLICATION) as conn:
        # Enough for the keys of most parents, so that the joins need no temporary files.
        session = begin_reading(conn, settings={"work_mem": "64MB"})
        keys = [key for key in foreign_keys(conn) if key.valid]
        return {"checked": len(keys), "violated": violations(session, keys) if again else []}
