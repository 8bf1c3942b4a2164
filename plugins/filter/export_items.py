# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

_Given = t.Mapping[str, t.Any]
_Item = t.Dict[str, t.Any]

_BUCKET = "bucket"
_D1 = "d1"
_DATABASE = "postgresql"


#: The variable that lists what to export of a kind.
_LISTS = {_DATABASE: "recovery_databases", _D1: "recovery_d1_databases", _BUCKET: "recovery_buckets"}


def export_items(sources: t.Sequence[_Given], variables: _Given) -> list[_Item]:
    """What an export takes: name, kind, connection, and files with prefix, or the database.

    A list of the variables, such as recovery_databases, replaces the sources of its kind. connection holds the options
    of the module that reads the item.
    """
    listed = [_described(one, kind, variables) for kind, name in _LISTS.items() for one in variables.get(name) or ()]
    replaced = {kind for kind, name in _LISTS.items() if variables.get(name)}
    found = [_of_source(source, variables) for source in sources]
    return [item for item in found if item and item["kind"] not in replaced] + listed


def _described(given: _Given, kind: str, variables: _Given) -> _Item:
    if kind == _BUCKET:
        return {"name": given["name"], "kind": kind, "files": given["files"], "prefix": given.get("prefix", "")}
    shared = variables.get("recovery_d1_connection" if kind == _D1 else "recovery_connection") or {}
    own = {name: value for name, value in given.items() if name != "name"}
    return {"name": given["name"], "kind": kind, "connection": {**shared, **own}}


def _of_source(source: _Given, variables: _Given) -> _Item | None:
    known = {**variables, **(source.get("vars") or {})}
    # A single source without a kind is a bucket if recovery_files names its files.
    kind = source.get("kind") or (_BUCKET if known.get("recovery_files") else _DATABASE)
    if not source.get("kind") and kind == _DATABASE and not known.get("recovery_database"):
        return None
    item: _Item = {"name": source["name"], "kind": kind}
    if kind == _BUCKET:
        return {**item, "files": known.get("recovery_files") or {}, "prefix": ""}
    connection = dict(known.get("recovery_connection") or {})
    if known.get("recovery_database"):
        connection["database" if kind == _D1 else "login_db"] = known["recovery_database"]
    return {**item, "connection": connection}


class FilterModule:
    """What an export takes."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"export_items": export_items}
