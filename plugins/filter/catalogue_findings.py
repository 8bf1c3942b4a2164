# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

Catalogue = t.Mapping[str, t.Any]


def catalogue_findings(catalogue: Catalogue, title: str, size_tolerance: t.Any = 0.2) -> dict[str, list[str]]:
    """Problems of the sets of a source, from a result of backup_info with one source and a selected set.

    findings fail a verification. warnings do not: a source that grows is not damaged, as the playbook status judges it.
    """
    source = catalogue["sources"][0]
    findings, warnings = [], []
    if not source.get("rpo_met"):
        findings.append(
            f"{title}: the longest gap between recovery points is {source.get('exposure_seconds')} seconds, more than"
            f" its objective of {source.get('rpo_seconds')}. Back up more often."
        )
    unreadable = [one["problem"] for one in catalogue.get("unreadable") or ()]
    if unreadable:
        findings.append(f"{title}: {' '.join(unreadable)}")
    missing = source.get("missing_days")
    if missing:
        findings.append(
            f"{title}: there is no backup set of {', '.join(missing)}. Find out why; a restore cannot return to these"
            " days."
        )
    change = float((catalogue.get("selected") or {}).get("size_change") or 0)
    if abs(change) > float(size_tolerance):
        warnings.append(
            f"WARNING: {title}: the newest set differs in size from earlier sets by {change * 100:.1f} %. Find out why"
            " before older sets are pruned."
        )
    return {"findings": findings, "warnings": warnings}


class FilterModule:
    """Findings in the catalogue of a source."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"catalogue_findings": catalogue_findings}
