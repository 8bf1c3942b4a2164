# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Argument specs and requests from one declaration: the fields of a dataclass."""

from __future__ import annotations

import collections.abc
import dataclasses
import typing as t
from datetime import datetime

from .._core.options import FilePath, Secret, option_fields, optional_type
from .argument_specs import ArgumentSpec
from .requests import Params, optional_instant

Request = t.TypeVar("Request")
_PLAIN = {str: "str", int: "int", float: "float", bool: "bool", FilePath: "path", Secret: "str", datetime: "str"}
_LISTS = (tuple, list, collections.abc.Sequence)


def spec_of(request: t.Any) -> ArgumentSpec:
    """The argument spec of the options that the fields of a dataclass declare.

    A field without a default is a required option; t.Literal gives the choices, t.Tuple[x, ...] a list of x. Raises
    TypeError for a type that no option has.
    """
    return ArgumentSpec({field.name: _option(field, hint) for field, hint in option_fields(request)})


def request_of(request: t.Callable[..., Request], params: Params, *, check_mode: bool, **composed: t.Any) -> Request:
    """The dataclass with the values of its options; composed are the fields that code sets.

    Raises RecoveryError(invalid_options) for a text that is no instant.
    """
    values = {field.name: _value(hint, params[field.name]) for field, hint in option_fields(request)}
    names = {field.name for field in dataclasses.fields(t.cast(t.Any, request))}
    mode = {"check_mode": check_mode} if "check_mode" in names else {}
    return request(**values, **mode, **composed)


def _option(field: dataclasses.Field[t.Any], hint: t.Any) -> t.Dict[str, t.Any]:
    default = field.default
    if field.default_factory is not dataclasses.MISSING:
        default = field.default_factory()
    option = _type(optional_type(hint) or hint)
    if default is dataclasses.MISSING:
        return {**option, "required": True}
    if default is None:
        return option
    return {**option, "default": list(default) if isinstance(default, tuple) else default}


def _type(hint: t.Any) -> t.Dict[str, t.Any]:
    if t.get_origin(hint) is t.Literal:
        choices = list(t.get_args(hint))
        return {"type": _PLAIN[type(choices[0])], "choices": choices}
    if t.get_origin(hint) in _LISTS:
        inner = _type(t.get_args(hint)[0])
        return {"type": "list", "elements": inner.pop("type"), **inner}
    if t.get_origin(hint) in (dict, collections.abc.Mapping):
        return {"type": "dict"}
    if hint not in _PLAIN:
        raise TypeError(f"{hint} is no type of an option")
    return {"type": _PLAIN[hint], **({"no_log": True} if hint is Secret else {})}


def _value(hint: t.Any, given: t.Any) -> t.Any:
    inner = optional_type(hint) or hint
    if inner is datetime:
        return optional_instant(given)
    return tuple(given) if given is not None and t.get_origin(inner) is tuple else given
