# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Dataclass fields that are options: a field declares the name, type, default and choices of its option."""

from __future__ import annotations

import dataclasses
import typing as t

#: A path on the host where the operation runs.
FilePath = t.Annotated[str, "path"]
#: A text that no log, result or error may show.
Secret = t.Annotated[str, "secret"]

Metadata = t.Mapping[str, t.Any]

#: The metadata of a field that code sets and no user.
INTERNAL: Metadata = {"internal": True}
#: The metadata of a dataclass whose fields are options of the module too.
FAMILY: Metadata = {"family": True}
#: The metadata of a dataclass, or of a sequence of dataclasses, whose fields are suboptions.
SUBOPTIONS: Metadata = {"suboptions": True}
#: The metadata of a field that only some modules offer: their own spec declares its options.
BY_MODULE: Metadata = {"by_module": True}

_CALLABLE = t.get_origin(t.Callable[..., t.Any])


def option(name: str = "", **properties: t.Any) -> Metadata:
    """The metadata of an option that differs from its field.

    name: of the option. type: of the option, if its field has a wider one. choices: its valid values. environment:
    variables that it falls back to. shown: True if its name looks like that of a secret and its value is none. default:
    of the option, if its field has another.
    """
    return {**({"name": name} if name else {}), **properties}


class Option(t.NamedTuple):
    """A field that is an option. inner: its type, for Optional[X] the type X."""

    field: dataclasses.Field[t.Any]
    inner: t.Any
    is_optional: bool

    @property
    def name(self) -> str:
        return str(self.field.metadata.get("name", self.field.name))

    def has(self, metadata: Metadata) -> bool:
        return any(name in self.field.metadata for name in metadata)


def options_of(request: t.Any) -> t.Iterator[Option]:
    """The fields of a dataclass that are options.

    A field of another dataclass, of a sequence of dataclasses, or of a callable is composed by code unless its metadata
    declares it, and check_mode comes with the run.
    """
    hints = t.get_type_hints(request, include_extras=True)
    for field in dataclasses.fields(request):
        inner = _optional_type(hints[field.name])
        declared = field.metadata or not _is_composed(inner)
        if declared and field.name != "check_mode" and "internal" not in field.metadata:
            yield Option(field, inner, inner is not hints[field.name])


def _optional_type(hint: t.Any) -> t.Any:
    """The type X of Optional[X], and another type itself."""
    inner = [one for one in t.get_args(hint) if one is not type(None)]
    return inner[0] if t.get_origin(hint) is t.Union and len(inner) == 1 else hint


def _is_composed(inner: t.Any) -> bool:
    parts = (inner, *t.get_args(inner)[:1])
    return t.get_origin(inner) is _CALLABLE or any(dataclasses.is_dataclass(part) for part in parts)
