# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The only place where the domain meets Ansible: errors become fail_json, results exit_json."""

from __future__ import annotations

import dataclasses
import typing as t
from datetime import datetime
from enum import Enum

from ansible.module_utils.basic import AnsibleModule

from .._core.clock import format_instant
from .._core.errors import ErrorKind, RecoveryError
from .argument_specs import ArgumentSpec

#: What the domain wants to be said beside the result.
WARNINGS: t.List[str] = []


def create_module(spec: ArgumentSpec, *, supports_check_mode: bool = True) -> AnsibleModule:
    return AnsibleModule(supports_check_mode=supports_check_mode, **spec.to_kwargs())


def run_module(module: AnsibleModule, work: t.Callable[[], t.Any]) -> None:
    """Call work and leave the module with its result: a dataclass or a dictionary.

    Keys whose name starts with an underscore are not returned.
    """
    try:
        result = as_plain(work())
    except RecoveryError as error:
        details = as_plain(error.details)
        details.setdefault("changed", False)
        _warn(module)
        module.fail_json(
            msg=str(error),
            error_kind=error.kind,
            what=error.what,
            left=error.left,
            next_step=error.next_step,
            **details,
        )
    except KeyboardInterrupt:
        module.fail_json(msg="Interrupted by a signal.", error_kind=ErrorKind.INTERRUPTED)
    result.setdefault("changed", False)
    _warn(module)
    module.exit_json(**result)


def _warn(module: AnsibleModule) -> None:
    for text in WARNINGS:
        module.warn(text)


def as_plain(value: t.Any) -> t.Any:
    """Dataclasses, enums and instants as the JSON values that a result may hold."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            field.name: as_plain(getattr(value, field.name))
            for field in dataclasses.fields(value)
            if not field.name.startswith("_")
        }
    if isinstance(value, t.Mapping):
        return {str(key): as_plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [as_plain(item) for item in value]
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, datetime):
        return format_instant(value)
    return value
