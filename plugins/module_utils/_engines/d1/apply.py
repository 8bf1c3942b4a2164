# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Statements applied to D1 as a whole or not at all: in one batch, or by one import."""

from __future__ import annotations

import hashlib
import os
import secrets
import typing as t

from ..._core.digest import file_chunks
from ..._core.errors import ErrorKind, RecoveryError
from ..sqlite.engine import Bound
from ..sqlite.statements import terminated
from .api import D1Api, D1Facts
from .engine import LIMITS, D1Engine


def apply_all(
    api: D1Api,
    target: D1Facts,
    engine: D1Engine,
    statements: t.Iterable[str],
    folder: str,
    state: t.Optional[str] = None,
) -> None:
    """A batch while it fits, which is done in a moment; an import holds the database up.

    Raises those of both, and before a batch RecoveryError(inconsistent) when the state is another by then.
    """
    path = os.path.join(folder, "statements.sql")
    few: t.List[str] = []
    count = size = 0
    with open(path, "w", encoding="utf-8", newline="") as stream:
        for text in statements:
            stream.write(f"{terminated(text)}\n")
            count += 1
            size += len(text.encode())
            if size <= LIMITS.batch_size and count <= LIMITS.batch_statements:
                few.append(text)
        # A file that is known is not taken again, which would be wrong after what it made was replaced.
        stream.write(f"-- {secrets.token_hex(8)}\n")
    if len(few) == count:
        if state is not None and engine.state() != state:
            raise RecoveryError(
                ErrorKind.INCONSISTENT, f"{engine.location} was changed while it was read.", next_step="Run it again."
            )
        engine.run([Bound(text) for text in few])
    else:
        api.import_file(target.uuid, path, _md5(path))


def _md5(path: str) -> str:
    """The name of a file in the import protocol."""
    digest = hashlib.md5(usedforsecurity=False)
    for chunk in file_chunks(path):
        digest.update(chunk)
    return digest.hexdigest()
