# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a restore has to show: content equal to the set, foreign keys that hold, statistics for the planner."""

from __future__ import annotations

import typing as t
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace

from .._core.clock import Timings
from .._sets.fingerprint import Comparison, Fingerprint, compare
from .connection import ConnectionOptions, connection
from .fingerprint import Scope, take_fingerprint
from .foreign_keys import count_violations, foreign_keys

#: How many differences a result lists; the count is always whole.
_SHOWN = 50
_APPLICATION = "lifeline.recovery verify"


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
    def words(self) -> str:
        equal = self.fingerprint["equal"]
        if equal is None:
            return "its content was not compared"
        return f"{self.fingerprint['rows']} rows in {self.fingerprint['tables']} tables are equal to the set"

    @property
    def complaint(self) -> str:
        found = [
            f"{item['what']} ({item['expected']}, now {item['actual']})"
            for item in self.fingerprint.get("differences", [])
        ]
        found += [f"{item['name']} has {item['rows']} rows without parent" for item in self.foreign_keys["violated"]]
        return "; ".join(found[:3]) + (f" and {len(found) - 3} more" if len(found) > 3 else "")


def prove(
    options: ConnectionOptions,
    expected: t.Optional[Fingerprint],
    *,
    mode: str,
    jobs: int,
    grants: bool,
    timings: Timings,
) -> Proof:
    """Compare with the expected fingerprint, test foreign keys, and ANALYZE, at the same time."""
    with timings.phase("verify"), ThreadPoolExecutor(max_workers=2) as pool:
        analyzed = pool.submit(_analyze, options)
        keys = pool.submit(_test_keys, options)
        fingerprint: t.Mapping[str, t.Any] = {"mode": "none", "equal": None}
        if expected is not None and mode != "none":
            fingerprint = _compared(options, expected, mode, jobs, grants)
        analyzed.result()
        return Proof(fingerprint, keys.result())


def compare_with(
    options: ConnectionOptions,
    expected: Fingerprint,
    mode: str,
    *,
    jobs: int,
    grants: bool = True,
) -> Comparison:
    """Fingerprint the database as it is now and compare; grants false leaves rights out."""
    actual = take_fingerprint(options, _depth(expected, mode), jobs=jobs, scope=_scope(expected))
    if not grants:
        kept = {name: items for name, items in expected.structure.items() if name not in ("grants", "schemas")}
        expected = replace(expected, structure=kept)
    return compare(expected, actual)


def _compared(
    options: ConnectionOptions,
    expected: Fingerprint,
    mode: str,
    jobs: int,
    grants: bool,
) -> t.Dict[str, t.Any]:
    comparison = compare_with(options, expected, mode, jobs=jobs, grants=grants)
    return {
        "mode": _depth(expected, mode),
        "equal": comparison.equal,
        "tables": comparison.tables,
        "rows": comparison.rows,
        "differences": [asdict(item) for item in comparison.differences[:_SHOWN]],
        "difference_count": len(comparison.differences),
    }


def _scope(expected: Fingerprint) -> Scope:
    """Tables that the set knows; relations are not limited, so a renamed one shows as missing."""
    tables = frozenset((table.schema, table.name) for table in expected.tables)
    return Scope(tables, None, expected.large_objects is not None)


def _depth(expected: Fingerprint, mode: str) -> str:
    """C(full) where that is asked for and can be compared, else C(counts)."""
    return "full" if mode == "full" and expected.mode == "full" else "counts"


def _analyze(options: ConnectionOptions) -> None:
    with connection(options, application=_APPLICATION) as conn, conn.cursor() as cursor:
        cursor.execute("ANALYZE")


def _test_keys(options: ConnectionOptions) -> t.Dict[str, t.Any]:
    with connection(options, application=_APPLICATION) as conn:
        with conn.cursor() as cursor:
            # Enough for the keys of most parents, so that the joins need no temporary files.
            cursor.execute("SET work_mem = '64MB'")
        keys = [key for key in foreign_keys(conn) if key.valid]
        violated = []
        for key in keys:
            rows = count_violations(conn, key)
            if rows:
                violated.append({"name": f"{key.name} on {key.table.name}", "rows": rows})
    return {"checked": len(keys), "violated": violated}
