# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ..plugin_utils.sources import BUCKET, D1, POSTGRESQL

#: A source with checks is late when its newest checks are older than 26 hours.
_CHECKED_WITHIN_SECONDS = 93600
_ENGINES = {POSTGRESQL: "postgresql", BUCKET: "bucket", D1: "sqlite"}


def status_options(source: t.Mapping[str, t.Any], thresholds: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Options of recovery_status for a complete source. Its own thresholds replace those for all sources.

    A source without a database, file or bucket is judged by its sets only.
    """
    kind, database = source["kind"], source.get("database")
    connection = {} if kind == BUCKET else dict(source.get("connection") or {})
    if kind == POSTGRESQL and database:
        connection["login_db"] = database
    elif kind == D1 and database and not connection.get("path"):
        connection["database"] = database
    elif kind == BUCKET and source.get("files"):
        connection["files"] = source["files"]
    is_reached = any(connection.get(key) for key in ("login_db", "dsn", "database", "path", "files"))
    own = {key: source[key] for key in ("rpo_seconds", "size_tolerance", "window_seconds") if source.get(key, "") != ""}
    checked = {"checked_within_seconds": _CHECKED_WITHIN_SECONDS} if source.get("checks") else {}
    return {
        **checked,
        **thresholds,
        **own,
        **(source.get("thresholds") or {}),
        **connection,
        "store": source.get("store") or {},
        "engine": _ENGINES[kind] if is_reached else "none",
    }


class FilterModule:
    """The options of a status check."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"status_options": status_options}
