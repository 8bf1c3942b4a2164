# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The end of a failed run: the error, the things that are unchanged, and the next step."""

from __future__ import annotations

import typing as t

from .reports import line

Result = t.Mapping[str, t.Any]

_UNKNOWN = "An earlier task failed; its error is above."
#: The titles of the lines with the fields of a failed module of the collection.
_FIELDS = (("Error", "what"), ("State", "left"), ("Next", "next_step"))


def failure_lines(result: Result) -> list[str]:
    """result: that of a failed task, of a failed loop, or of a task that printed these lines of an earlier failure."""
    if isinstance(result.get("msg"), list):
        return [str(one) for one in result["msg"]]
    # Results of a loop. A module of another collection may return other elements under this name.
    items = result.get("results") or ()
    failed = [one for one in items if isinstance(one, t.Mapping) and one.get("failed")]
    if failed:
        return list(dict.fromkeys(text for one in failed for text in failure_lines(one)))
    if result.get("what"):
        return [line(title, result[field]) for title, field in _FIELDS if result.get(field)]
    return [line("Error", result.get("msg") or _UNKNOWN)]


def failure_text(result: Result, otherwise: str = _UNKNOWN) -> str:
    """The same as sentences of one line. otherwise: the text for a result without a message."""
    if not isinstance(result.get("msg"), list):
        return str(result.get("msg") or otherwise)
    starts = tuple(line(title, "") for title, _field in _FIELDS)
    texts = [str(one) for one in result["msg"]]
    return " ".join(text[len(starts[0]) :] if text.startswith(starts) else text for text in texts)
