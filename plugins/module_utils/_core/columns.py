# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tables for a terminal of 80 columns."""

from __future__ import annotations

import textwrap
import typing as t

#: 80 columns without the indentation and the quotes that Ansible prints around each line.
WIDTH = 69


def columns(rows: t.Sequence[t.Sequence[str]]) -> t.List[str]:
    """A line for each row, cells padded. A first cell that is too wide for the table stands on a line of its own."""
    others = [max(len(row[number]) for row in rows) for number in range(1, len(rows[0]))]
    widest = max(len(row[0]) for row in rows)
    gap = " " if WIDTH - sum(others) - 2 * len(others) < widest <= WIDTH - sum(others) - len(others) else "  "
    first = min(widest, WIDTH - sum(others) - len(gap) * len(others))
    lines = []
    for row in rows:
        cells = [row[0].ljust(first)] if len(row[0]) <= first else [" " * first]
        if len(row[0]) > first:
            lines.append(row[0])
        cells += [cell.ljust(width) for cell, width in zip(row[1:], others)]
        lines.append(gap.join(cells).rstrip())
    return lines


def wrapped(text: str, indent: str) -> t.List[str]:
    """The text in lines that fit, all but the first indented further."""
    return textwrap.wrap(
        text, WIDTH, initial_indent=indent, subsequent_indent=f"{indent}  ", break_long_words=False
    ) or [indent]
