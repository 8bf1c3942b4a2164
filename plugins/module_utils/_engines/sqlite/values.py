# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Values of SQLite as people write and read them in JSON."""

from __future__ import annotations

import base64
import binascii
import math
import typing as t

from ..._core.errors import ErrorKind, RecoveryError

_BASE64 = "base64"


def as_json(value: t.Any) -> t.Any:
    """A value for a result: bytes as C({base64: ...}), what JSON has no number for as text."""
    if isinstance(value, bytes):
        return {_BASE64: base64.b64encode(value).decode()}
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value


def from_json(value: t.Any) -> t.Any:
    """A value as it is given for a parameter. Raises RecoveryError(invalid_options) for what SQLite does not have."""
    if isinstance(value, dict) and set(value) == {_BASE64}:
        try:
            return base64.b64decode(str(value[_BASE64]), validate=True)
        except (ValueError, binascii.Error):
            raise _invalid("A parameter is no base64.") from None
    if value is None or isinstance(value, (bool, float, str)):
        return value
    if isinstance(value, int):
        if not -(2**63) <= value < 2**63:
            raise _invalid(f"{value} is larger than integers of SQLite are.")
        return value
    raise _invalid(f"A parameter is a {type(value).__name__}.")


def _invalid(what: str) -> RecoveryError:
    return RecoveryError(
        ErrorKind.INVALID_OPTIONS,
        what,
        left="Nothing was executed.",
        next_step='Give texts, numbers, true, false, null, or {"base64": "..."} for bytes.',
    )
