# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Options that the fields of a dataclass declare."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field
from datetime import datetime, timezone

import pytest

from ansible_collections.lifeline.recovery.plugins.module_utils._ansible.options import request_of, spec_of
from ansible_collections.lifeline.recovery.plugins.module_utils._core.errors import RecoveryError
from ansible_collections.lifeline.recovery.plugins.module_utils._core.options import INTERNAL, FilePath, Secret


@dataclass(frozen=True)
class _Inner:
    x: int = 0


@dataclass(frozen=True)
class _Request:
    name: str
    mode: t.Literal["new", "swap"] = "new"
    jobs: int = 2
    wait: float = 0.5
    token: t.Optional[Secret] = None
    path: t.Optional[FilePath] = None
    since: t.Optional[datetime] = None
    tables: t.Tuple[str, ...] = ()
    tiers: t.Tuple[t.Literal["a", "b"], ...] = ("a",)
    where: t.Mapping[str, t.Any] = field(default_factory=dict)
    inner: _Inner = field(default_factory=_Inner)
    listener: t.Optional[t.Callable[[str], None]] = None
    parallel: int = field(default=4, metadata=INTERNAL)
    check_mode: bool = False


def test_fields_declare_type_default_choices_and_secrecy() -> None:
    assert spec_of(_Request).options == {
        "name": {"type": "str", "required": True},
        "mode": {"type": "str", "choices": ["new", "swap"], "default": "new"},
        "jobs": {"type": "int", "default": 2},
        "wait": {"type": "float", "default": 0.5},
        "token": {"type": "str", "no_log": True},
        "path": {"type": "path"},
        "since": {"type": "str"},
        "tables": {"type": "list", "elements": "str", "default": []},
        "tiers": {"type": "list", "elements": "str", "choices": ["a", "b"], "default": ["a"]},
        "where": {"type": "dict", "default": {}},
    }


def test_a_request_has_the_values_of_its_options_and_of_code() -> None:
    params = {
        "name": "x", "mode": "swap", "jobs": 3, "wait": 1.0, "token": None, "path": "/p",
        "since": "2026-03-01T12:40:00Z", "tables": ["a", "b"], "tiers": ["b"], "where": {}, "store": {"bucket": "b"},
    }  # fmt: skip
    found = request_of(_Request, params, check_mode=True, inner=_Inner(7), parallel=9)
    assert found == _Request(
        "x", "swap", 3, 1.0, None, FilePath("/p"), datetime(2026, 3, 1, 12, 40, tzinfo=timezone.utc), ("a", "b"),
        ("b",), {}, _Inner(7), None, 9, True,
    )  # fmt: skip
    with pytest.raises(RecoveryError, match="tomorrow"):
        request_of(_Request, {**params, "since": "tomorrow"}, check_mode=False)


def test_a_type_that_no_option_has_is_refused() -> None:
    @dataclass
    class Wrong:
        x: t.Union[int, str] = 0

    with pytest.raises(TypeError, match="no type of an option"):
        spec_of(Wrong)
