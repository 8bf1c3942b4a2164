# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Options that the fields of a dataclass declare."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path

import pytest
from ansible.module_utils.basic import env_fallback

from ansible_collections.lifeline.recovery.plugins.module_utils._ansible.options import request_of, spec_of
from ansible_collections.lifeline.recovery.plugins.module_utils._core.clock import PhaseListener
from ansible_collections.lifeline.recovery.plugins.module_utils._core.errors import RecoveryError
from ansible_collections.lifeline.recovery.plugins.module_utils._core.options import (
    BY_MODULE,
    FAMILY,
    INTERNAL,
    SUBOPTIONS,
    FilePath,
    Secret,
    option,
)


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
        "x", "swap", 3, 1.0, None, "/p", datetime(2026, 3, 1, 12, 40, tzinfo=timezone.utc), ("a", "b"),
        ("b",), {}, _Inner(7), None, 9, True,
    )  # fmt: skip
    with pytest.raises(RecoveryError, match="tomorrow"):
        request_of(_Request, {**params, "since": "tomorrow"}, check_mode=False)


@dataclass(frozen=True)
class _Part:
    bucket: str
    access_key: t.Optional[str] = field(default=None, metadata=option(shown=True, environment=("KEY", "OTHER_KEY")))


@dataclass(frozen=True)
class _Family:
    environment: str = field(default="production", metadata=option("recovery_environment", choices=("production", "x")))
    most: t.Optional[int] = field(default=None, metadata=option("max_rows", default=1000))
    plan_only: bool = field(default=False, metadata=BY_MODULE)
    check_mode: bool = False


@dataclass(frozen=True)
class _Composed:
    which: str = field(default="latest", metadata=option("set", default=None))
    points: t.Tuple[datetime, ...] = ()
    values: t.Sequence[t.Any] = ()
    variables: t.Mapping[str, Secret] = field(default_factory=dict)
    family: _Family = field(default_factory=_Family, metadata=FAMILY)
    part: t.Optional[_Part] = field(default=None, metadata=SUBOPTIONS)
    parts: t.Tuple[_Part, ...] = field(default=(), metadata=SUBOPTIONS)
    found: t.Sequence[_Inner] = ()
    hidden: t.Optional[_Inner] = field(default=None, metadata=INTERNAL)
    listener: t.Optional[PhaseListener] = field(default=None, metadata=option("journal"))


def test_families_and_suboptions_are_part_of_the_spec() -> None:
    part = {
        "bucket": {"type": "str", "required": True},
        "access_key": {"type": "str", "no_log": False, "fallback": (env_fallback, ["KEY", "OTHER_KEY"])},
    }
    assert spec_of(_Composed).options == {
        "set": {"type": "str"},
        "points": {"type": "list", "elements": "str", "default": []},
        "values": {"type": "list", "elements": "raw", "default": []},
        "variables": {"type": "dict", "default": {}, "no_log": True},
        "recovery_environment": {"type": "str", "choices": ["production", "x"], "default": "production"},
        "max_rows": {"type": "int", "default": 1000},
        "part": {"type": "dict", "options": part},
        "parts": {"type": "list", "elements": "dict", "options": part, "default": []},
        "journal": {"type": "path"},
    }


def test_families_and_suboptions_are_part_of_the_request() -> None:
    options: dict[str, t.Any] = {
        "set": None, "points": ["2026-03-01T12:40:00Z"], "values": [1, "a"], "variables": {"A": "b"},
        "recovery_environment": "x", "max_rows": 0, "part": None, "parts": [{"bucket": "b", "access_key": "k"}],
        "journal": None,
    }  # fmt: skip
    instant = datetime(2026, 3, 1, 12, 40, tzinfo=timezone.utc)
    expected = _Composed(
        "latest", (instant,), [1, "a"], {"A": "b"}, _Family("x", 0, False, True), None, (_Part("b", "k"),)
    )
    assert request_of(_Composed, options, check_mode=True) == expected
    planned = request_of(_Composed, {**options, "plan_only": True, "set": "random"}, check_mode=True, values=(2,))
    assert planned == replace(expected, which="random", values=(2,), family=_Family("x", 0, True, True))
    assert request_of(_Composed, {**options, "set": ""}, check_mode=True).which == "latest"


def test_the_option_journal_records_phases(tmp_path: Path) -> None:
    listener = request_of(_Composed, {"journal": str(tmp_path / "journal")}, check_mode=False).listener
    assert listener is not None
    listener("restore", "start")
    assert "restore" in (tmp_path / "journal").read_text()


def test_a_type_that_no_option_has_is_refused() -> None:
    @dataclass
    class Wrong:
        x: t.Union[int, str] = 0

    with pytest.raises(TypeError, match="no type of an option"):
        spec_of(Wrong)
