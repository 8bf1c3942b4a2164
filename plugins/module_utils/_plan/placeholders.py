# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Detects placeholders that nothing replaced."""

from __future__ import annotations

import re
import typing as t

#: A longer text is no placeholder.
_LONGEST = 200
_PLACEHOLDER = re.compile(
    r"""
    ^[\W_]*$                                            # nothing but marks
    | ^[\W_]*[\[{].*[\]}][\W_]*$                        # [CONTACT INFO], _[To be filled in]_
    | ^[\W_]*<[^@]*>[\W_]*$                             # <name>, but not <ops@school.internal>
    | \b(tbd|tba|todo|fixme|xxx+|n/a|changeme|placeholder|lorem)\b
    | \bto\ be\ (filled|configured|defined|determined|announced)\b
    | \b(your|somebody|someone|firstname|username|user|name)@
    | @(example\.|domain\.|company\.|your|test\.com)
    | \b(john|jane)\ doe\b
    | \b555[\s.-]?(01\d\d|1234|x+)\b                    # numbers of films
    | \b123[\s.-]?456[\s.-]?7890\b
    | ^\+?[\s0x.()-]+$                                  # +00 000 0000
    """,
    re.IGNORECASE | re.VERBOSE,
)


def is_placeholder(text: t.Optional[str]) -> bool:
    """Whether it is a placeholder. None and the empty text count."""
    return text is None or (len(text) < _LONGEST and bool(_PLACEHOLDER.search(text)))
