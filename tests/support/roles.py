# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The argument specifications of roles, which have the entry point main or one for each of their subjects."""

from __future__ import annotations

import typing as t

import yaml

from tests.support.runner.server import ROOT

Options = dict[str, dict[str, t.Any]]


def entry_points_of(role: str) -> dict[str, Options]:
    """The options of each entry point."""
    text = (ROOT / f"roles/{role}/meta/argument_specs.yml").read_text(encoding="utf-8")
    found: dict[str, dict[str, t.Any]] = yaml.safe_load(text)["argument_specs"]
    return {name: specification.get("options", {}) for name, specification in found.items()}


def options_of(role: str) -> Options:
    """The options of all entry points, each once."""
    return {name: option for options in entry_points_of(role).values() for name, option in options.items()}
