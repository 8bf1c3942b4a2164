# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The verifier of each kind of set, by the engine that the manifest names."""

from __future__ import annotations

import typing as t

from .._repository.manifest_shape import (
    BUCKET_ENGINE,
    DATABASE_ENGINE,
    ROWS_ENGINE,
    SQLITE_ENGINE,
    SQLITE_ROWS_ENGINE,
)
from .._repository.verifier import SetVerifier
from .bucket.verify import BucketVerifier
from .postgresql.restore.verify import DatabaseVerifier, RowsVerifier
from .sqlite.verify import SqliteVerifier

VERIFIERS: t.Dict[str, SetVerifier] = {
    DATABASE_ENGINE: DatabaseVerifier(),
    ROWS_ENGINE: RowsVerifier(),
    BUCKET_ENGINE: BucketVerifier(),
    SQLITE_ENGINE: SqliteVerifier(),
    SQLITE_ROWS_ENGINE: SqliteVerifier(),
}
