# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The options of projects of Supabase."""

from __future__ import annotations

from .._core.errors import ErrorKind, RecoveryError
from .._supabase.api import Access, SupabaseApi
from .._supabase.points import Patience, PointRequest
from .._supabase.recover import RecoverRequest
from .options import request_of
from .requests import Params


def supabase_api(params: Params) -> SupabaseApi:
    """Raises RecoveryError(invalid_options) when the token is missing or the ref is none."""
    return SupabaseApi(supabase_access(params))


def supabase_access(params: Params) -> Access:
    """Raises RecoveryError(invalid_options) when the token is missing."""
    if not params["access_token"]:
        raise RecoveryError(
            ErrorKind.INVALID_OPTIONS,
            "The option access_token is missing.",
            next_step="Give it, or set SUPABASE_ACCESS_TOKEN.",
        )
    return Access(params["project_ref"], params["access_token"], params["api_url"], params["api_timeout"])


def supabase_patience(params: Params) -> Patience:
    """Raises RecoveryError(invalid_options) for times that cannot be waited."""
    found = request_of(Patience, params, check_mode=False)
    if found.poll <= 0 or found.begin < 0 or found.timeout < 0:
        raise RecoveryError(
            ErrorKind.INVALID_OPTIONS,
            "poll_seconds has to be above 0, and no timeout below.",
            next_step="Correct it.",
        )
    return found


def supabase_recover_request(params: Params, *, check_mode: bool) -> RecoverRequest:
    """Raises RecoveryError(invalid_options) when what is wanted and the action do not belong together."""
    undo = params["action"] == "undo"
    wanted = [name for name in ("to", "backup_id", "name") if params[name] is not None]
    if wanted not in ([["name"]] if undo else [["to"], ["backup_id"]]):
        raise RecoveryError(
            ErrorKind.INVALID_OPTIONS,
            f"action {params['action']} was given {' and '.join(wanted) or 'no target'}.",
            next_step="Give it the name of a restore point." if undo else "Give it to, or backup_id.",
        )
    point, patience = params["name"] if undo else None, supabase_patience(params)
    return request_of(RecoverRequest, params, check_mode=check_mode, point=point, patience=patience)


def supabase_point_request(params: Params, *, check_mode: bool) -> PointRequest:
    return request_of(PointRequest, params, check_mode=check_mode, patience=supabase_patience(params))
