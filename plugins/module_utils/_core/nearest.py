# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Suggestions for an unknown name."""

from __future__ import annotations

import difflib
import typing as t


def nearest(name: t.Any, known: t.Iterable[str]) -> t.Optional[str]:
    """The known name that is spelt most like the given name, or None."""
    return next(iter(difflib.get_close_matches(str(name), list(known), n=1)), None)


def suggestion(name: t.Any, known: t.Iterable[str]) -> str:
    """C(did you mean 'x'?), or the list of known names."""
    names = list(known)
    close = nearest(name, names)
    return f"did you mean {close!r}?" if close else f"known are {', '.join(sorted(names))}"
