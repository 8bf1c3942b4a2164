# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Authentication of stored documents: a code that only a holder of the name_key can make.

The key stays with the hosts that write and read sets. An owner of the store
without the key cannot write, change or rename a set so that a host with the key accepts it.
"""

from __future__ import annotations

import copy
import hashlib
import hmac
import json
import typing as t

from .._core.clock import parse_instant
from .._core.errors import ErrorKind, RecoveryError
from .._core.sealing import Sealing

_PURPOSE = b"lifeline.recovery authentication of stored documents"


def code_of(document: t.Mapping[str, t.Any], name_key: str) -> str:
    """HMAC-SHA256, hexadecimal, of the document without its own code and without the ETags of its objects.

    ETags belong to one store, and a copy in another store has none. The document names its source, tier and set.
    """
    covered = {name: value for name, value in document.items() if name != "mac"}
    if isinstance(covered.get("objects"), (list, tuple)):
        covered["objects"] = [{**entry, "etag": None} for entry in covered["objects"]]
    key = hmac.new(name_key.encode(), _PURPOSE, hashlib.sha256).digest()
    return hmac.new(key, json.dumps(covered, sort_keys=True).encode(), hashlib.sha256).hexdigest()


def sign(document: t.Mapping[str, t.Any], name_key: t.Optional[str]) -> t.Dict[str, t.Any]:
    """The document with its code; unchanged where there is no key."""
    signed = dict(copy.copy(document))
    if name_key:
        signed["mac"] = code_of(signed, name_key)
    return signed


def judge_authenticity(document: t.Mapping[str, t.Any], key: str, dated: str, sealing: Sealing) -> t.Optional[bool]:
    """Whether the document carries the code of this key: false without any code, None where there is no key.

    dated is the instant by which a document counts as older than authentication. Raises RecoveryError(damaged) for a
    wrong code, and for a missing code where sealing requires codes: to take the code away must not be enough.
    """
    if not sealing.name_key:
        return None
    given = document.get("mac")
    if given is None:
        if sealing.require_authentic and not _is_older(dated, sealing.authentic_since):
            raise _refused(
                key,
                "it has no authentication code, and the store has a name_key",
                "An attacker may have removed the code. If the document was written before the name_key was set, set "
                "store.authentic_since to that instant, or store.require_authentic to false.",
            )
        return False
    if not hmac.compare_digest(str(given), code_of(document, sealing.name_key)):
        raise _refused(
            key,
            "its authentication code does not fit the name_key of the store",
            "The document was forged, changed or moved, or was written with another name_key. Use another set.",
        )
    return True


def _is_older(dated: str, since: t.Optional[str]) -> bool:
    return since is not None and parse_instant(dated) < parse_instant(since)


def _refused(key: str, why: str, next_step: str) -> RecoveryError:
    return RecoveryError(ErrorKind.DAMAGED, f"{key} is refused: {why}.", next_step=next_step)
