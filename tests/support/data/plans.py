# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Plans to judge: the sound one of the sandbox's inventory, and five of real platforms."""

from __future__ import annotations

import copy
import functools
import re
import typing as t
from datetime import date

import yaml

from ansible_collections.lifeline.recovery.plugins.module_utils._plan.check import find
from ansible_collections.lifeline.recovery.plugins.module_utils._plan.findings import Finding
from ansible_collections.lifeline.recovery.plugins.module_utils._plan.reader import read_plan
from tests.support.runner.server import ROOT

PLATFORMS = ("learnplay", "vibecraft", "inner_odyssey", "heypeter", "studio")
TODAY = date(2026, 3, 1)
#: The value that removes a key.
GONE = object()


def sound() -> dict[str, t.Any]:
    return copy.deepcopy(_load("inventories/sandbox/host_vars/localhost.yml")["recovery_plan"])


def plan_of(platform: str) -> dict[str, t.Any]:
    return copy.deepcopy(_load(f"tests/data/plans/{platform}.yml"))


def changed(document: dict[str, t.Any], changes: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """The document with other values at some paths; an index behind the last element adds one."""
    for path, value in changes.items():
        *way, last = [int(part) if part.isdigit() else part for part in re.findall(r"[^.\[\]]+", path)]
        place: t.Any = document
        for part in way:
            place = place[part] if isinstance(place, list) else place.setdefault(part, {})
        if value is GONE:
            del place[last]
        elif isinstance(place, list) and last == len(place):
            place.append(value)
        else:
            place[last] = value
    return document


def judge(document: t.Any) -> list[Finding]:
    reading = read_plan(document)
    assert [str(problem) for problem in reading.problems] == []
    return find(reading.plan, TODAY)


@functools.lru_cache(maxsize=None)
def _load(path: str) -> t.Any:
    return yaml.safe_load((ROOT / path).read_text(encoding="utf-8"))


def plain(document: t.Any) -> t.Any:
    """As JSON has it: dates are texts."""
    if isinstance(document, dict):
        return {key: plain(value) for key, value in document.items()}
    if isinstance(document, list):
        return [plain(item) for item in document]
    return document.isoformat() if isinstance(document, date) else document
