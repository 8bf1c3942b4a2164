# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every role and playbook that works on tables of an operator lets the operator choose whose rights the work has."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
MODULES = (
    "lifeline.recovery.integrity_check",
    "lifeline.recovery.pg_restore_table",
    "lifeline.recovery.pg_export_rows",
)


def tasks(document: t.Any) -> t.Iterator[tuple[str, t.Any]]:
    """Every task that calls one of the modules, with its arguments."""
    if isinstance(document, list):
        for item in document:
            yield from tasks(item)
    elif isinstance(document, dict):
        for name, value in document.items():
            if name in MODULES:
                yield document.get("name", ""), value
            elif name != "module_defaults":
                yield from tasks(value)


CALLS = [
    pytest.param(arguments, id=f"{path.relative_to(ROOT)}: {name}")
    for path in sorted([*ROOT.glob("roles/*/tasks/**/*.yml"), *ROOT.glob("playbooks/*.yml")])
    # A drill works in its own sandbox, as the login role of the sandbox.
    if "drill" not in path.parts
    for name, arguments in tasks(yaml.safe_load(path.read_text()))
    # Requests to an application read no tables.
    if "http_checks" not in str(arguments.get("checks"))
]


def test_calls_are_found() -> None:
    assert len(CALLS) >= 4


@pytest.mark.parametrize("arguments", CALLS)
def test_run_as_can_be_set(arguments: dict[str, t.Any]) -> None:
    assert "run_as" in arguments
