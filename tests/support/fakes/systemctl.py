# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A systemctl whose units are a JSON file; the scenarios of Molecule run the real one.

A running trigger starts its service again, as a busy socket does, and a service that runs refuses the start of its
socket. Drop-ins in the folder `runtime` refuse starts.
"""

from __future__ import annotations

import json
import typing as t
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Systemctl:
    """The units of units.json in the folder: each with its state and the units that trigger it."""

    folder: Path

    def units(self) -> dict[str, dict[str, t.Any]]:
        return t.cast("dict[str, dict[str, t.Any]]", json.loads((self.folder / "units.json").read_text()))

    def run(self, arguments: t.Sequence[str], **_options: t.Any) -> tuple[int, str]:
        """As run_program, for arguments that begin with systemctl. Raises RuntimeError for a failed job."""
        _program, verb, *rest = arguments
        names = rest[rest.index("--") + 1 :] if "--" in rest else []
        units = self.units()
        if verb == "show":
            return 0, "\n\n".join(self._shown(units, name) for name in names)
        for name in names:
            self._change(units, verb, name)
        for unit in units.values():
            if unit.get("busy") and any(units[trigger]["state"] == "active" for trigger in unit["triggers"]):
                unit["state"] = "active"
        (self.folder / "units.json").write_text(json.dumps(units))
        return 0, ""

    @staticmethod
    def _shown(units: dict[str, dict[str, t.Any]], name: str) -> str:
        unit = units.get(name, {"state": "inactive", "triggers": []})
        lines = [f"Id={name}", f"LoadState={'loaded' if name in units else 'not-found'}"]
        return "\n".join([*lines, f"ActiveState={unit['state']}", f"TriggeredBy={' '.join(unit['triggers'])}"])

    def _change(self, units: dict[str, dict[str, t.Any]], verb: str, name: str) -> None:
        if verb == "start":
            if (self.folder / "runtime" / f"{name}.d").is_dir():
                raise RuntimeError(f"Assertion failed on job for {name}.")
            if any(name in unit["triggers"] and unit["state"] == "active" for unit in units.values()):
                raise RuntimeError(f"{name}: Socket service already active, refusing.")
            units[name]["state"] = "active"
        elif units[name]["state"] != "failed":
            units[name]["state"] = "inactive"
