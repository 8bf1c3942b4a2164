# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which migrations are to run, from the versions of the files and those of the ledger. Pure.

The rules are those of "supabase db push": https://github.com/supabase/cli (pkg/migration/apply.go, 1d1e7191).
"""

from __future__ import annotations

import typing as t

from .._core.errors import ErrorKind, RecoveryError
from .._core.sizes import first_of
from .files import Folder, MigrationFile
from .script import shortened

_NAMED = 10


def pending(folder: Folder, recorded: t.Collection[str], *, include_older: bool) -> t.List[MigrationFile]:
    """The files that the ledger does not have, in order.

    Raises RecoveryError(conflict) if the ledger has versions without a file, or a newer version than a pending file.
    """
    versions = {one.version for one in folder.migrations}
    without_file = sorted(set(recorded) - versions, key=_order)
    if without_file:
        names = listed(without_file)
        raise RecoveryError(
            ErrorKind.CONFLICT,
            f"The ledger has {len(without_file)} versions that have no file in {folder.path}: {names}.",
            next_step="Get the files from the repository of the application. If they were taken back by hand, set "
            f"`state` to reverted and `migrations` to [{names}], which deletes them from the ledger and runs no SQL.",
            details={"without_file": without_file},
        )
    found = [one for one in folder.migrations if one.version not in recorded]
    newest = max(recorded, key=_order) if recorded else ""
    older = [one for one in found if newest and _order(one.version) < _order(newest)]
    if older and not include_older:
        raise RecoveryError(
            ErrorKind.CONFLICT,
            f"{len(older)} migrations are older than {newest}, the newest version of the ledger: "
            f"{listed([one.file for one in older])}.",
            next_step="Give them a newer version. If they may run after the newer ones, set `include_older` to true. "
            f"If the database has them already, set `state` to recorded and `migrations` to "
            f"[{listed([one.version for one in older])}].",
            details={"older": [one.version for one in older]},
        )
    return found


def newest_first(versions: t.Iterable[str]) -> t.List[str]:
    return sorted(set(versions), key=_order, reverse=True)


def require_newest(versions: t.Collection[str], recorded: t.Collection[str]) -> None:
    """Raise RecoveryError(conflict) if the ledger has versions that are newer than these and are none of them."""
    oldest = min(versions, key=_order)
    newer = [one for one in newest_first(recorded) if one not in versions and _order(one) > _order(oldest)]
    if newer:
        raise RecoveryError(
            ErrorKind.CONFLICT,
            f"{len(newer)} newer versions than {oldest} are in the ledger: {listed(newer)}.",
            next_step="Add them to `migrations`. If they do not depend on it, set `include_older` to true.",
            details={"newer": newer},
        )


def listed(names: t.Sequence[str]) -> str:
    """The first names of a list."""
    return first_of([shortened(name) for name in names], _NAMED)


def _order(version: str) -> t.Tuple[int, int, str]:
    """By number; a version of a ledger may be any text."""
    number = int(version) if version.isascii() and version.isdigit() and len(version) < 256 else None
    return (0, number, version) if number is not None else (1, 0, version)
