# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""HTML and SVG built from elements, so that text from outside is escaped wherever it ends up."""

from __future__ import annotations

import html
import re
import typing as t

#: Not allowed in HTML, or able to turn the reading direction of what surrounds it.
_UNSHOWABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")

_VOID = frozenset(("br", "hr", "link", "meta"))


class Markup(str):
    """Text that is markup already. Everything else that enters an element is escaped."""


Child = t.Union[str, Markup, None, t.Iterable[t.Any]]
Attribute = t.Union[str, int, float, None]


def element(tag: str, /, *children: Child, **attributes: Attribute) -> Markup:
    """One element. class_ gives class; an underscore in a name gives a hyphen; None leaves an attribute out."""
    inside = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(str(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    if tag in _VOID:
        return Markup(f"<{tag}{inside}>")
    return Markup(f"<{tag}{inside}>{joined(*children)}</{tag}>")


def joined(*children: Child) -> Markup:
    """Children in a row: markup as it is, text escaped, None left out, sequences flattened."""
    return Markup("".join(_as_markup(child) for child in children))


def escape(text: str) -> Markup:
    if isinstance(text, Markup):
        return text
    return Markup(html.escape(_UNSHOWABLE.sub("\N{REPLACEMENT CHARACTER}", text), quote=True))


def _as_markup(child: Child) -> str:
    if child is None:
        return ""
    if isinstance(child, str):
        return escape(child)
    return joined(*child)
