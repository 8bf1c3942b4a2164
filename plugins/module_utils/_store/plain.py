# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The content of a stored object without its Content-Encoding."""

from __future__ import annotations

from .._core.codec import decompress
from .._core.errors import ErrorKind, RecoveryError
from .base import ObjectInfo


def plain_content(info: ObjectInfo, data: bytes, location: str, *, limit: int) -> bytes:
    """The bytes that a client gets which unpacks gzip.

    Raises RecoveryError: damaged for bytes that are not complete or more than limit, unsupported for another encoding.
    """
    return b"".join(decompress([data], _codec(info, location), limit=limit))


def _codec(info: ObjectInfo, location: str) -> str:
    """C(aws-chunked) is an encoding of the transfer, which some clients leave behind."""
    named = (info.headers.content_encoding if info.headers else None) or ""
    encodings = [one.strip().lower() for one in named.split(",")]
    found = [one for one in encodings if one not in ("", "identity", "aws-chunked")]
    if found in ([], ["gzip"]):
        return "gzip" if found else "none"
    raise RecoveryError(
        ErrorKind.UNSUPPORTED,
        f"{info.key} in {location} has the Content-Encoding {named[:50]!r}, which cannot be read.",
        next_step="Store it without an encoding or with gzip; or leave it out.",
    )
