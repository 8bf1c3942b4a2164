# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""psycopg2, or None on a host that does not have it: modules that need no database must run there too."""

from __future__ import annotations

import typing as t

from ...._core.errors import ErrorKind, RecoveryError

try:
    import psycopg2
    import psycopg2.errors
    import psycopg2.extensions

    DriverConnection: t.Any = psycopg2.extensions.connection
    DriverCursor: t.Any = psycopg2.extensions.cursor
except ImportError:
    psycopg2 = None  # type: ignore[assignment]
    DriverConnection = DriverCursor = object

__all__ = ["DriverConnection", "DriverCursor", "psycopg2", "require_psycopg2"]


def require_psycopg2() -> None:
    """Raise RecoveryError(library_missing) if the host has no psycopg2."""
    if psycopg2 is None:
        raise RecoveryError(
            ErrorKind.LIBRARY_MISSING,
            "The Python library psycopg2 is missing on this host.",
            next_step="Install it with: pip install psycopg2-binary",
        )
