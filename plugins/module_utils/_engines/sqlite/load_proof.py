# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Loads a dump as D1 loads it, and compares the result with what was read."""

from __future__ import annotations

import os
import typing as t

from ..._core.errors import ErrorKind, RecoveryError
from ..._core.notices import note
from .load import ReferencesRefused, load_files
from .opened import differences, opened_file, refused_by_d1
from .script import Dump, ignore_checks


def prove_dump(dump: Dump, folder: str, location: str) -> t.List[str]:
    """Load a dump and compare it. Returns what SQLite of this host refuses, so that it is not proved.

    location: the database, for messages. Raises RecoveryError(not_equal).
    """
    path = os.path.join(folder, "loaded.sqlite")
    try:
        try:
            loaded = load_files(path, folder, dump.files, dump.stand_ins, judged=True)
            opened = opened_file(path, loaded, dump.not_rebuilt)
        except ReferencesRefused as refused:
            os.unlink(path)
            loaded = load_files(path, folder, dump.files, dump.stand_ins)
            opened = opened_file(path, loaded, dump.not_rebuilt)
            reasons = refused_by_d1(opened) or ([] if opened.aside else [f"{refused}."])
            if reasons:
                note(f"D1 refuses rows of {location}, a file takes them. {' '.join(reasons)}")
    except RecoveryError as error:
        raise RecoveryError(
            ErrorKind.NOT_EQUAL,
            f"The rows that were read from {location} cannot be loaded: {error.what}",
            left="No backup set was written; earlier sets are unchanged.",
            next_step="Check the database with PRAGMA integrity_check; report the schema of the table if it is ok.",
        ) from None
    different = differences(opened, dump.content, dump.structure)
    if different:
        raise RecoveryError(
            ErrorKind.NOT_EQUAL,
            f"The database loaded from the new dump differs from {location} in {', '.join(different[:10])}.",
            left="No backup set was written; earlier sets are unchanged.",
            next_step="Report it with the schema of these tables.",
        )
    os.unlink(path)
    if loaded.unchecked:
        broken = ", ".join(loaded.unchecked)
        note(f"Rows of {broken} break a CHECK of their table. A restore writes these rows without the check.")
        ignore_checks(folder)
    return opened.not_proved
