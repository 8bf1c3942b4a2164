# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The audit record: one document an operation, in the store that the operation worked with."""

from __future__ import annotations

import getpass
import json
import os
import socket
import typing as t

from .._core.clock import compact_instant, format_instant, utc_now
from .._store.base import ObjectStore
from .layout import audit_key

SCHEMA = "lifeline.recovery/audit/1"


def write_audit(store: ObjectStore, source: str, operation: str, status: str, details: t.Mapping[str, t.Any]) -> str:
    """Write who did what, when, and how it ended; returns the key. details must hold no secrets."""
    now = utc_now()
    record = {
        "schema": SCHEMA,
        "operation_type": operation,
        "performed_by": _actor(),
        "performed_at": format_instant(now),
        "host": socket.gethostname(),
        "source": source,
        "status": status,
        "details": dict(details),
    }
    # The process id keeps two operations of one second apart.
    key = audit_key(source, compact_instant(now), f"{operation}-{os.getpid()}")
    store.put(key, [json.dumps(record, sort_keys=True).encode() + b"\n"])
    return key


def _actor() -> str:
    try:
        return os.environ.get("SUDO_USER") or getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"
