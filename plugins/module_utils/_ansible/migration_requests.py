# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The options of migrations."""

from __future__ import annotations

from .._migrations.request import MigrationsRequest
from .options import request_of
from .postgres_requests import connection_options
from .requests import Params


def migrations_request(params: Params, *, check_mode: bool) -> MigrationsRequest:
    return request_of(MigrationsRequest, params, check_mode=check_mode, connection=connection_options(params))
