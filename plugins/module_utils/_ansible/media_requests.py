# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The options of a table of media and its bucket."""

from __future__ import annotations

from .._media.rebuild import MediaRebuildRequest
from .._media.restore import MediaRestoreRequest
from .._media.scan import MediaRequest
from .options import request_of
from .postgres_requests import connection_options, repair_request
from .requests import Params, required_source
from .store_requests import files_name, opened_files, set_selection


def media_restore_request(params: Params, *, check_mode: bool) -> MediaRestoreRequest:
    """Raises RecoveryError(invalid_options) without a source, unless files are only reported."""
    reports = params["state"] == "reported"
    if not reports:
        required_source(params)
    return request_of(
        MediaRestoreRequest,
        params,
        check_mode=check_mode,
        media=_media_request(params),
        selection=set_selection(params),
        reports=reports,
        target_name=files_name(params),
    )


def media_rebuild_request(params: Params, *, check_mode: bool, diff_mode: bool) -> MediaRebuildRequest:
    media = _media_request(params)
    repair = repair_request(params, check_mode=check_mode, diff_mode=diff_mode, table=media.media.table)
    return request_of(MediaRebuildRequest, params, check_mode=check_mode, media=media, repair=repair)


def _media_request(params: Params) -> MediaRequest:
    files = params["files"] or {}
    return request_of(
        MediaRequest,
        params,
        check_mode=False,
        connection=connection_options(params),
        files=opened_files(params),
        bucket=params["bucket"] or files.get("bucket") or "",
        run_as=params["run_as"],
        spool_dir=params["spool_dir"],
    )
