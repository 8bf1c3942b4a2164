# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The backup of a source of any kind: check, record, dump, commit, report."""

from __future__ import annotations

import typing as t

from .._repository.audit import audited
from .._repository.engine import BackupEngine, BackupResult, prepared, take_set
from .._store.base import ObjectStore

_Result = t.TypeVar("_Result", bound=BackupResult)


def back_up(engine: BackupEngine[_Result], store: ObjectStore) -> _Result:
    """Take one backup set of a source, and write an audit record of the success or the failure.

    Check mode tests all refusals, and dumps, stores and records nothing.
    Raises RecoveryError with a kind that names the reason. Then no set was written (except for copy_failed), earlier
    sets are unchanged, no lock stays and no child process runs.
    """
    request = engine.request
    request.require_valid(store)
    with audited(store, request.source, "backup", {"tier": request.tier}, check_mode=request.check_mode) as outcome:
        with prepared(engine, store) as run:
            if request.check_mode:
                # A run stores its set before it copies: only the prediction stops at a copy that cannot be written.
                for copy in store.copies:
                    copy.require_writable(f"{request.source}/{request.tier}/")
                return engine.predicted(run)
            result = engine.result(run, take_set(engine, run))
        outcome.update(result.audit_details())
        if run.former is not None:
            outcome["identity_changed"] = {"from": str(run.former), "to": str(run.current)}
    return result
