# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Types of dataclass fields that are options: a field declares the name, type, default and choices of its option."""

from __future__ import annotations

import dataclasses
import typing as t

#: A path on the host where the operation runs.
FilePath = t.NewType("FilePath", str)
#: A text that no log, result or error may show.
Secret = t.NewType("Secret", str)

#: The metadata of a field that code sets and no user.
INTERNAL = {"internal": True}


def option_fields(request: t.Any) -> t.Iterator[t.Tuple[dataclasses.Field[t.Any], t.Any]]:
    """The fields of a dataclass that are options, with their types.

    A field of another dataclass or of a callable is composed by code, and check_mode comes with the run.
    """
    hints = t.get_type_hints(request)
    for field in dataclasses.fields(request):
        inner = optional_type(hints[field.name]) or hints[field.name]
        composed = dataclasses.is_dataclass(inner) or t.get_origin(inner) is _CALLABLE
        if field.name != "check_mode" and not composed and not field.metadata.get("internal"):
            yield field, hints[field.name]


def optional_type(hint: t.Any) -> t.Any:
    """The type X of Optional[X], or None for another type."""
    if t.get_origin(hint) is not t.Union:
        return None
    inner = [one for one in t.get_args(hint) if one is not type(None)]
    return inner[0] if len(inner) == 1 else None


_CALLABLE = t.get_origin(t.Callable[..., t.Any])
