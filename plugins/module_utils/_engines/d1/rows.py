# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The live database that rows are restored into: of D1, or a file."""

from __future__ import annotations

import os
import typing as t

from ..._core.errors import ErrorKind, RecoveryError
from ..sqlite.engine import Engine
from ..sqlite.file import FileEngine
from ..sqlite.portable import LONGEST, UNLIMITED
from .api import D1Api
from .apply import apply_all
from .engine import D1Engine


class OpenedTarget(t.NamedTuple):
    """name is the name that a confirmation needs; apply runs statements in one transaction, with a folder for files."""

    name: str
    engine: Engine
    longest: int
    apply: t.Callable[[t.Iterable[str], str, str], None]


def open_target(api: t.Optional[D1Api], database: t.Optional[str], path: t.Optional[str]) -> OpenedTarget:
    """Raises RecoveryError(target_missing)."""
    if api is None:
        if not os.path.exists(path or ""):
            raise RecoveryError(ErrorKind.TARGET_MISSING, f"There is no file {path}.", next_step="Check path.")
        file = FileEngine(path or "")
        return OpenedTarget(path or "", file, UNLIMITED, lambda texts, _folder, state: file.apply(texts, state))
    service, found = api, api.require(database or "")
    engine = D1Engine(service, found.uuid, found.name)

    def apply(texts: t.Iterable[str], folder: str, state: str) -> None:
        apply_all(service, found, engine, texts, folder, state)

    return OpenedTarget(found.name, engine, LONGEST, apply)
