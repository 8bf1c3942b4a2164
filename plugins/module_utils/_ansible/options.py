# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Argument specs and requests from one declaration: the fields of a dataclass."""

from __future__ import annotations

import collections.abc
import dataclasses
import typing as t
from datetime import datetime

from ansible.module_utils.basic import env_fallback

from .._core.clock import PhaseListener, parse_instant
from .._core.options import BY_MODULE, FAMILY, FilePath, Option, Secret, options_of
from .requests import Params, journal_listener, optional_instant

Request = t.TypeVar("Request")
_Names = t.Sequence[t.Sequence[str]]
_PLAIN: t.Dict[t.Any, str] = {
    str: "str", int: "int", float: "float", bool: "bool", t.Any: "raw",
    FilePath: "path", Secret: "str", datetime: "str", PhaseListener: "path",
}  # fmt: skip
_LISTS = (tuple, list, collections.abc.Sequence)


@dataclasses.dataclass
class ArgumentSpec:
    """An argument spec together with the rules that belong to it, so that both merge."""

    options: t.Dict[str, t.Any] = dataclasses.field(default_factory=dict)
    mutually_exclusive: _Names = ()
    required_together: _Names = ()
    required_one_of: _Names = ()
    required_if: t.Sequence[t.Any] = ()

    def merge(self, *others: ArgumentSpec) -> ArgumentSpec:
        specs = (self, *others)
        return ArgumentSpec(
            {name: option for spec in specs for name, option in spec.options.items()},
            [names for spec in specs for names in spec.mutually_exclusive],
            [names for spec in specs for names in spec.required_together],
            [names for spec in specs for names in spec.required_one_of],
            [rule for spec in specs for rule in spec.required_if],
        )

    def to_kwargs(self) -> t.Dict[str, t.Any]:
        return {
            "argument_spec": self.options,
            "mutually_exclusive": self.mutually_exclusive,
            "required_together": self.required_together,
            "required_one_of": self.required_one_of,
            "required_if": self.required_if,
        }


def spec_of(request: t.Any) -> ArgumentSpec:
    """The argument spec of the options that the fields of a dataclass declare.

    A field without a default is a required option; t.Literal gives the choices, t.Tuple[x, ...] a list of x. Raises
    TypeError for a type that no option has.
    """
    spec = ArgumentSpec()
    for option in options_of(request):
        if option.has(BY_MODULE):
            continue
        if option.has(FAMILY):
            spec = spec.merge(spec_of(option.inner))
        else:
            spec.options[option.name] = _declaration(option)
    return spec


def request_of(request: t.Callable[..., Request], params: Params, *, check_mode: bool, **composed: t.Any) -> Request:
    """The dataclass with the values of its options; composed are the fields that code sets or converts.

    A field whose option the module does not have keeps its default. Raises RecoveryError(invalid_options) for a text
    that is no instant.
    """
    values: t.Dict[str, t.Any] = {}
    for option in options_of(request):
        name = option.field.name
        if name in composed:
            continue
        if option.has(FAMILY):
            values[name] = request_of(option.inner, params, check_mode=check_mode)
        elif option.name in params and not _leaves_default(option, params[option.name]):
            values[name] = _value(option.inner, params[option.name])
    if any(field.name == "check_mode" for field in dataclasses.fields(t.cast(t.Any, request))):
        values["check_mode"] = check_mode
    return request(**values, **composed)


def _declaration(option: Option) -> t.Dict[str, t.Any]:
    field, metadata = option.field, option.field.metadata
    declared = _type(metadata.get("type", option.inner))
    if "choices" in metadata:
        declared["choices"] = list(metadata["choices"])
    if "environment" in metadata:
        declared["fallback"] = (env_fallback, list(metadata["environment"]))
    if metadata.get("shown"):
        declared["no_log"] = False
    default = field.default if field.default_factory is dataclasses.MISSING else field.default_factory()
    default = metadata.get("default", default)
    if default is dataclasses.MISSING:
        return {**declared, "required": True}
    if default is None:
        return declared
    return {**declared, "default": list(default) if isinstance(default, tuple) else default}


def _type(hint: t.Any) -> t.Dict[str, t.Any]:
    origin, inner = t.get_origin(hint), t.get_args(hint)
    if origin is t.Literal:
        return {"type": _PLAIN[type(inner[0])], "choices": list(inner)}
    if origin in _LISTS:
        element = _type(inner[0])
        return {"type": "list", "elements": element.pop("type"), **element}
    if origin in (dict, collections.abc.Mapping):
        return {"type": "dict", **({"no_log": True} if inner[1] is Secret else {})}
    if dataclasses.is_dataclass(hint):
        return {"type": "dict", "options": spec_of(hint).options}
    if hint not in _PLAIN:
        raise TypeError(f"{hint} is no type of an option")
    return {"type": _PLAIN[hint], **({"no_log": True} if hint is Secret else {})}


def _leaves_default(option: Option, given: t.Any) -> bool:
    """Whether the option is unset and its field cannot be."""
    return "default" in option.field.metadata and not option.is_optional and given in (None, "")


def _value(hint: t.Any, given: t.Any) -> t.Any:
    if hint is datetime:
        return optional_instant(given)
    if hint == PhaseListener:
        return journal_listener(given)
    if given is None:
        return None
    if dataclasses.is_dataclass(hint):
        return request_of(t.cast(t.Any, hint), given, check_mode=False)
    if t.get_origin(hint) in _LISTS:
        element = t.get_args(hint)[0]
        values = [parse_instant(one) if element is datetime else _value(element, one) for one in given]
        return tuple(values) if t.get_origin(hint) is tuple else values
    return given
