# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Keeps files of a bucket in a set of the tier undo before a restore replaces them."""

from __future__ import annotations

import typing as t

from ..._repository.engine import take_undo_set
from ..._store.base import ObjectStore, seal_for
from .backup import BucketBackup, BucketBackupRequest


def keep_files(
    target: ObjectStore,
    store: ObjectStore,
    source: str,
    keys: t.Sequence[str],
    *,
    recipients: t.Iterable[str],
    parallel: int,
    spool_dir: t.Optional[str],
) -> t.Dict[str, str]:
    """Store these files of the target; the options of a restore that restores them.

    recipients: of the sets that the files are replaced from.
    """
    seal_for(store, tuple(recipients))
    undo = BucketBackup(
        target, BucketBackupRequest(source=source, tier="undo", keys=keys, parallel=parallel, spool_dir=spool_dir)
    )
    taken = take_undo_set(undo, store)
    return {"set": taken.set_id, "tier": "undo", "mode": "all"}
