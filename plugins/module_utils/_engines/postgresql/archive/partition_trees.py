# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Compares partitions whose rows a dump loads through the root of their tree as one table.

The hash of an enum value is that of its OID, which another database does not share. Such rows come back in other
partitions than before, so only the rows of all partitions together can be equal.
"""

from __future__ import annotations

import typing as t
from dataclasses import replace

from ...._repository.fingerprint import Fingerprint, TableFingerprint
from .copy_in import copy_target
from .toc import Toc


def with_merged_partitions(fingerprint: Fingerprint, toc: Toc) -> Fingerprint:
    """The fingerprint with one entry, under the name of the root, for all partitions that are loaded through it.

    The digest of a table is a sum over its rows, so that of the tree is the sum over its partitions.
    """
    roots = {
        (entry.schema, entry.tag): copy_target(entry)
        for entry in toc.of_kind("TABLE DATA")
        if copy_target(entry) != (entry.schema, entry.tag)
    }
    if not roots:
        return fingerprint
    kept: t.List[TableFingerprint] = []
    trees: t.Dict[t.Tuple[str, str], t.List[TableFingerprint]] = {}
    for table in fingerprint.tables:
        root = roots.get((table.schema, table.name))
        if root is None:
            kept.append(table)
        else:
            trees.setdefault(root, []).append(table)
    merged = [TableFingerprint(*root, sum(part.rows for part in parts), _sum(parts)) for root, parts in trees.items()]
    return replace(fingerprint, tables=(*kept, *merged))


def _sum(parts: t.Sequence[TableFingerprint]) -> t.Optional[str]:
    digests = [part.digest for part in parts]
    return None if None in digests else str(sum(int(digest or 0) for digest in digests))
