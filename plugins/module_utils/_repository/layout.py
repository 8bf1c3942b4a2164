# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Keys of objects and documents in a store. The listing of C(sets/) is the catalogue."""

from __future__ import annotations

import re
import typing as t

from .._core.clock import parse_instant
from .._core.errors import ErrorKind, RecoveryError

TIERS = ("hourly", "daily", "weekly", "monthly", "emergency", "undo")

#: Where store_check writes, and a lock holds, what is no part of a set.
PROBES = "probes/"

_SOURCE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def check_source(source: str) -> str:
    """A source's name is a folder in the store, so it is limited to safe characters."""
    if not _SOURCE.fullmatch(source):
        raise RecoveryError(
            ErrorKind.INVALID_OPTIONS,
            f"{source!r} cannot be the name of a source.",
            next_step="Use letters, digits, dot, underscore and hyphen, beginning with a letter or digit.",
        )
    return source


def objects_prefix(source: str, tier: str) -> str:
    return f"{source}/{tier}/objects/"


def object_key(source: str, tier: str, name: str) -> str:
    """name: 64 hexadecimal digits, the digest of the plain bytes or what stands for it."""
    return f"{objects_prefix(source, tier)}{name[:2]}/{name}"


def sql_prefix(source: str, tier: str) -> str:
    return f"{source}/{tier}/sql/"


def sql_key(source: str, tier: str, name: str) -> str:
    """The key of the readable dump of sets of a tier. Raises RecoveryError(invalid_options)."""
    parts = name.split("/")
    if "" in parts or "." in parts or ".." in parts or any(ord(sign) < 32 for sign in name):
        raise RecoveryError(
            ErrorKind.INVALID_OPTIONS,
            f"sql_name must be a relative path without empty parts and without '..', got {name!r}.",
            next_step="Set sql_name to a name such as backups/backup-%Y-%m-%d.sql.",
        )
    return f"{sql_prefix(source, tier)}{name}"


def sets_prefix(source: str, tier: str) -> str:
    return f"{source}/{tier}/sets/"


def set_key(source: str, tier: str, set_id: str) -> str:
    return f"{sets_prefix(source, tier)}{set_id}.json"


def verified_prefix(source: str, tier: str) -> str:
    return f"{source}/{tier}/verified/"


def verified_key(source: str, tier: str, set_id: str) -> str:
    return f"{verified_prefix(source, tier)}{set_id}.json"


def restored_prefix(source: str, tier: str) -> str:
    return f"{source}/{tier}/restored/"


def restored_key(source: str, tier: str, set_id: str) -> str:
    """The key of the outcome of the last restore of a set."""
    return f"{restored_prefix(source, tier)}{set_id}.json"


def pruned_prefix(source: str, tier: str) -> str:
    return f"{source}/{tier}/pruned/"


def pruned_key(source: str, tier: str, set_id: str) -> str:
    """The key of the manifest of a pruned set, which is kept for a while."""
    return f"{pruned_prefix(source, tier)}{set_id}.json"


def audit_prefix(source: str) -> str:
    return f"{source}/audit/"


def audit_key(source: str, instant: str, operation: str) -> str:
    """instant is in the compact form, so its first six digits are year and month."""
    return f"{audit_prefix(source)}{instant[:4]}/{instant[4:6]}/{instant}-{operation}.json"


def audit_head_key(source: str) -> str:
    """The document that names the newest audit record. It is stored with the records, which are never replaced."""
    return f"{source}/audit-head.json"


def states_prefix(source: str, name: str) -> str:
    """The prefix of the numbered states of one thing of a source."""
    return f"{source}/states/{name}/"


class SetName(t.NamedTuple):
    source: str
    tier: str
    set_id: str


def parse_set_key(key: str) -> t.Optional[SetName]:
    """The set that a key is the manifest of, or None for any other object."""
    match = re.fullmatch(r"([^/]+)/([a-z]+)/sets/(\d{8}T\d{6}Z)\.json", key)
    if match is None or match.group(2) not in TIERS or not _SOURCE.fullmatch(match.group(1)):
        return None
    try:
        parse_instant(match.group(3))
    except RecoveryError:
        # The digits are no date, so the object is not a set.
        return None
    return SetName(*match.groups())
