# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ..module_utils._core.sizes import counted

_SET = ("source", "set_id", "recovery_point", "tables", "rows", "bytes_plain")


def export_facts(results: t.Sequence[t.Mapping[str, t.Any]]) -> dict[str, t.Any]:
    """The content of an export: databases as backup sets, and the number and bytes of the files of each bucket.

    not_exported: by source, what the export does not hold.
    results: the result of a module for each source, with the name of the source.
    """
    buckets = [result for result in results if "bytes_transferred" in result]
    left_out = {
        result["source"]: [
            *result.get("not_covered", ()),
            *(result.get("coverage") or {}).get("not_covered", ()),
            *([f"{counted(archived, 'file')} in an archive storage class"] if archived else []),
        ]
        for result in results
        for archived in [result.get("files_archived", 0)]
    }
    return {
        "databases": [{key: result[key] for key in _SET if key in result} for result in results if "set_id" in result],
        "files": {result["source"]: len(result["created"]) for result in buckets},
        "bytes": {result["source"]: result["bytes_transferred"] for result in buckets},
        "not_exported": {source: parts for source, parts in left_out.items() if parts},
    }


class FilterModule:
    """The content of an export."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"export_facts": export_facts}
