# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The only place where the domain meets Ansible: errors become fail_json, results exit_json."""

from __future__ import annotations

import dataclasses
import os
import traceback
import typing as t
from datetime import datetime
from enum import Enum
from urllib.parse import urlsplit

from ansible.module_utils.basic import AnsibleModule

from .._core.clock import format_instant
from .._core.errors import ErrorKind, RecoveryError
from .._core.notices import notices
from .options import ArgumentSpec
from .variable_names import in_variables

#: Notices of the domain packages, which the module prints as warnings.
WARNINGS: t.List[str] = []


class _Module(AnsibleModule):  # type: ignore[misc]
    """Errors in arguments name the variables of the playbook as all others do."""

    def fail_json(self, msg: str, **kwargs: t.Any) -> t.Any:
        return super().fail_json(in_variables(msg, self.argument_spec), **kwargs)


def create_module(spec: ArgumentSpec, *, supports_check_mode: bool = True) -> AnsibleModule:
    module = _Module(supports_check_mode=supports_check_mode, **spec.to_kwargs())
    for place in (module.params.get("store"), module.params.get("files")):
        module.no_log_values.update(_misplaced_secrets(place or {}))
    return module


def _misplaced_secrets(place: t.Mapping[str, t.Any]) -> t.Iterator[str]:
    """Secrets in options that are shown, because they do not belong there."""
    for one in (place, *(place.get("copies") or ())):
        password = urlsplit(one.get("endpoint_url") or "").password
        if password:
            yield password
    for key in place.get("encrypt_to") or ():
        if "SECRET" in key.upper() or "PRIVATE KEY" in key.upper():
            yield key


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
            what=in_variables(error.what, module.argument_spec),
            left=in_variables(error.left, module.argument_spec),
            next_step=in_variables(error.next_step, module.argument_spec),
            **details,
        )
    except KeyboardInterrupt:
        module.fail_json(msg="Interrupted by a signal.", error_kind=ErrorKind.INTERRUPTED)
    except Exception as error:
        # Neither its text nor its traceback is shown, for they may hold secrets.
        where = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{os.path.basename(where.filename)}:{where.lineno}"
        reason = f"{error.filename}: {error.strerror}" if isinstance(error, OSError) and error.filename else ""
        module.fail_json(
            msg=f"Unexpected {type(error).__name__} at {place}. {reason}".strip(),
            error_kind=ErrorKind.UNEXPECTED,
            next_step="Check paths and their rights; else report it with the options that you gave, without secrets.",
        )
    result.setdefault("changed", False)
    _warn(module)
    # Other texts of a result may be data.
    for place, names in ((result, ("summary",)), (result.get("unchanged"), ("reason", "next_step"))):
        for name in names:
            if isinstance(place, dict) and isinstance(place.get(name), str):
                place[name] = in_variables(place[name], module.argument_spec)
    module.exit_json(**result)


def _warn(module: AnsibleModule) -> None:
    for text in (*WARNINGS, *notices()):
        module.warn(in_variables(text, module.argument_spec))


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
