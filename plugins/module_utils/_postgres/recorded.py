# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Records how a restore ended: an audit record for every end, and beside the set whether it could be restored."""

from __future__ import annotations

import contextlib
import typing as t

from .._core.errors import ErrorKind, RecoveryError
from .._sets.audit import write_audit
from .._sets.restores import OF_THE_SET, record_restore
from .restore_request import RestoreResult
from .restore_state import RestoreState


class Outcome:
    """What a restore that did not raise came to."""

    def __init__(self) -> None:
        self.result: t.Optional[RestoreResult] = None

    def succeeded(self, result: RestoreResult) -> None:
        self.result = result


@contextlib.contextmanager
def recorded(state: RestoreState) -> t.Iterator[Outcome]:
    """Record what happens inside, also internal errors and interruptions; nothing in check mode, nor without a store.

    A store that takes no record does not change how the restore ends.
    """
    outcome = Outcome()
    try:
        yield outcome
    except RecoveryError as error:
        _failed(state, error.kind, _objects_of(error))
        raise
    except Exception:
        _failed(state, ErrorKind.UNEXPECTED)
        raise
    except BaseException:
        _failed(state, ErrorKind.INTERRUPTED)
        raise
    result = outcome.result
    if result is None or not result.changed:
        return
    refused = [failure.object for failure in state.refused]
    equal = result.fingerprint.get("equal")
    if refused or equal is False:
        _record(state, ErrorKind.NOT_EQUAL, refused or _differences(result.fingerprint))
    elif equal is True:
        _record(state, None)
    details = {"set_id": result.set_id, "mode": result.mode, "target_db": result.target_db, "equal": equal}
    _audit(state, "succeeded", {**details, **({"objects_refused": len(refused)} if refused else {})})


def _failed(state: RestoreState, kind: str, objects: t.Sequence[str] = ()) -> None:
    if kind in OF_THE_SET:
        _record(state, kind, objects)
    manifest = state.manifest
    details = {"error_kind": kind, "mode": state.request.mode, "target_db": state.request.target_db}
    _audit(state, "failed", {**details, **({"set_id": manifest.set_id} if manifest else {})})


def _audit(state: RestoreState, status: str, details: t.Mapping[str, t.Any]) -> None:
    if state.store is None or not state.request.source or state.request.check_mode:
        return
    with contextlib.suppress(RecoveryError):
        write_audit(state.store, state.request.source, "restore", status, details)


def _record(state: RestoreState, kind: t.Optional[str], objects: t.Sequence[str] = ()) -> None:
    if state.store is None or state.manifest is None or state.request.check_mode:
        return
    with contextlib.suppress(RecoveryError):
        record_restore(state.store, state.manifest, kind, objects)


def _objects_of(error: RecoveryError) -> t.List[str]:
    """Names only: reasons and statements may hold data."""
    refused = [str(failure["object"]) for failure in error.details.get("failed_objects", ())]
    return refused or _differences(error.details.get("fingerprint", {}))


def _differences(fingerprint: t.Mapping[str, t.Any]) -> t.List[str]:
    return [str(item["what"]) for item in fingerprint.get("differences", ())]
