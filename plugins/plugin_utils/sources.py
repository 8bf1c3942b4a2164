# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The source model: what recovery_sources may hold, which sources a run is about, and the options of each."""

from __future__ import annotations

import typing as t

from ..module_utils._core.nearest import nearest

Source = t.Mapping[str, t.Any]

POSTGRESQL, BUCKET, D1, SUPABASE = "postgresql", "bucket", "d1", "supabase"
KINDS = (POSTGRESQL, BUCKET, D1, SUPABASE)

_DATABASES = (POSTGRESQL, D1)
#: Kinds whose backup sets are in a store. Supabase keeps the backups of a project itself.
_SETS = (POSTGRESQL, BUCKET, D1)
#: Kinds that another site can take over.
_MOVED = (*_DATABASES, SUPABASE)
#: Each option of a source with its kinds and the value that stands for "unset". The variable recovery_<option> of the
#: inventory is the default of all sources.
_OPTIONS: dict[str, tuple[t.Sequence[str], t.Any]] = {
    "store": (KINDS, {}),
    "environment": (KINDS, "production"),
    "tiers": (_SETS, ["daily"]),
    "retention": (_SETS, []),
    "rpo_seconds": (KINDS, ""),
    "thresholds": (KINDS, {}),
    "verify_depth": (_SETS, ""),
    "verify_tier": (_SETS, ""),
    "days_present": (_SETS, 30),
    "size_tolerance": (_SETS, 0.2),
    "window_seconds": (_SETS, 604800),
    "copies": (_SETS, True),
    "grace_seconds": (_SETS, 86400),
    "audit_days": (_SETS, {}),
    "abort_uploads_days": (_SETS, 0),
    "bucket_locks": (_SETS, []),
    "database": (_DATABASES, ""),
    "connection": ((*_DATABASES, SUPABASE), {}),
    "restore_connection": (_DATABASES, {}),
    "checks": (_SETS, []),
    "check_files": (_DATABASES, {}),
    "check_secrets": (_SETS, {}),
    "run_as": ((POSTGRESQL,), ""),
    "profile": ((POSTGRESQL,), "none"),
    "include_schemas": ((POSTGRESQL,), []),
    "exclude_schemas": ((POSTGRESQL,), []),
    "exclude_tables": ((POSTGRESQL,), []),
    "jobs": ((POSTGRESQL,), 2),
    "lock_timeout": ((POSTGRESQL,), 30),
    "exclude_table_data": ((POSTGRESQL,), []),
    "skip_extensions": ((POSTGRESQL,), []),
    "create_roles": ((POSTGRESQL,), False),
    "tablespaces": ((POSTGRESQL,), True),
    "materialized_views": ((POSTGRESQL,), "refresh"),
    "object_errors": ((POSTGRESQL,), "fail"),
    "locale": ((POSTGRESQL,), "exact"),
    "rows_as": ((POSTGRESQL,), "owner"),
    "owner": ((POSTGRESQL,), True),
    "privileges": ((POSTGRESQL,), True),
    "kept_databases": ((POSTGRESQL,), {}),
    "postgres_version": ((POSTGRESQL,), ""),
    "stanza": ((POSTGRESQL,), ""),
    "pgbackrest_config": ((POSTGRESQL,), ""),
    "pgbackrest_repository": ((POSTGRESQL,), {}),
    "pgbackrest_cipher_pass": ((POSTGRESQL,), ""),
    "data_directory": ((POSTGRESQL,), ""),
    "settings_file": ((POSTGRESQL,), ""),
    "service": ((POSTGRESQL,), ""),
    "cluster_port": ((POSTGRESQL,), ""),
    "socket_directory": ((POSTGRESQL,), ""),
    "courses": ((POSTGRESQL,), {}),
    "course_safeguards": ((POSTGRESQL,), {}),
    "kept_copies": ((POSTGRESQL,), {}),
    "maintenance_steps": (KINDS, []),
    "tags": ((POSTGRESQL,), {}),
    "organization": ((POSTGRESQL,), {}),
    "media": ((POSTGRESQL,), {}),
    "buckets": ((POSTGRESQL,), []),
    "frontend": ((POSTGRESQL,), ""),
    "git": ((POSTGRESQL,), {}),
    "edge_functions": ((POSTGRESQL,), {}),
    "frontend_hosting": ((POSTGRESQL,), {}),
    "immutable_store": ((POSTGRESQL,), {}),
    "attack_hooks": ((POSTGRESQL,), []),
    "attack_statements": ((POSTGRESQL,), []),
    "canaries": ((POSTGRESQL,), []),
    "neutralize_rules": ((POSTGRESQL,), {}),
    "migrations_path": ((POSTGRESQL,), ""),
    "ledger": ((POSTGRESQL,), "supabase_migrations.schema_migrations"),
    "ignored_ledgers": ((POSTGRESQL,), []),
    "failover_way": (_MOVED, "postgresql"),
    "sites": (_MOVED, []),
    "redirects": (_MOVED, []),
    "poolers": (_MOVED, []),
    "client_connection": (_MOVED, {}),
    "vantage_points": (_MOVED, []),
    "quorum": (_MOVED, 0),
    "failover_window": (_MOVED, {}),
    "failover_approval": (_MOVED, {}),
    "failover_deploy": (_MOVED, ""),
    "smoke_checks": (_MOVED, []),
    "step_seconds": (_MOVED, {}),
    "sandbox_path": (_SETS, ""),
    "sql_name": ((D1,), ""),
    "location": ((D1,), ""),
    "files": ((BUCKET,), {}),
    "restore_files": ((BUCKET,), {}),
    "prefixes": ((BUCKET,), []),
    "parallel": ((BUCKET,), 16),
    "archived": ((BUCKET,), "fail"),
    "state_dir": ((BUCKET,), ""),
    "allow_same_bucket": ((BUCKET,), False),
    "project_name": ((SUPABASE,), ""),
    "window_days": ((SUPABASE,), 0),
    "point_in_time": ((SUPABASE,), False),
    "undo_first": ((SUPABASE,), "required"),
}
#: The options of an element of recovery_sources.
SOURCE_KEYS = ("name", "kind", *_OPTIONS)
_PREFIX = "recovery_"


class Values(t.Mapping[str, t.Any]):
    """Variables whose values are templated when they are read."""

    def __init__(self, raw: t.Mapping[str, t.Any], template: t.Callable[[t.Any], t.Any]) -> None:
        self._raw, self._template = raw, template

    def __getitem__(self, name: str) -> t.Any:
        return self._template(self._raw[name])

    def __contains__(self, name: object) -> bool:
        return name in self._raw

    def __iter__(self) -> t.Iterator[str]:
        return iter(self._raw)

    def __len__(self) -> int:
        return len(self._raw)


def of_the_inventory(variables: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """The variables that describe all sources, without those that an earlier source of the same run replaced."""
    kept = {name: variables[name] for name in (_PREFIX + key for key in SOURCE_KEYS) if name in variables}
    for name in variables.get("_recovery_loaded", ()):
        kept.pop(name, None)
    return {**kept, **variables.get("_recovery_inventory", {})}


def listed(given: t.Any, template: t.Callable[[t.Any], t.Any]) -> list[Source]:
    """recovery_sources as a list whose options are not templated yet. Raises TypeError for anything but a list."""
    given = template(given) if isinstance(given, str) else given
    if not isinstance(given or [], list):
        raise TypeError("recovery_sources is not a list")
    return [template(source) if isinstance(source, str) else source for source in given or []]


def outlines(sources: t.Iterable[Source], template: t.Callable[[t.Any], t.Any]) -> list[dict[str, t.Any]]:
    """Names, kinds and the names of the options, whose values may refer to secrets that are not loaded."""
    return [
        {**dict.fromkeys(source), **{key: template(source[key]) for key in ("name", "kind") if key in source}}
        for source in sources
    ]


def kind_of(source: Source) -> str:
    """The kind of a source. If it is unset, a source with files is a bucket, any other a PostgreSQL database."""
    return str(source.get("kind") or (BUCKET if "files" in source else POSTGRESQL))


def selected_names(given: t.Any) -> list[str]:
    """The names in recovery_source: a list, or names with commas between them; empty if unset."""
    names = given if isinstance(given, (list, tuple)) else str(given or "").split(",")
    return [name for name in (str(one).strip() for one in names) if name]


def single_source(name: str, inventory: Source) -> dict[str, t.Any]:
    """The source that an inventory without recovery_sources describes by its variables."""
    kind = inventory.get("recovery_kind") or (BUCKET if inventory.get("recovery_files") else POSTGRESQL)
    return {"name": name, "kind": kind}


def complete(source: Source, inventory: Source, command_line: Source) -> dict[str, t.Any]:
    """The source with its name, its kind and each option that is set: on the command line, in it, in the inventory."""
    found: dict[str, t.Any] = {"name": source["name"], "kind": kind_of(source)}
    for option, (kinds, _unset) in _OPTIONS.items():
        if found["kind"] in kinds:
            value = value_of(option, source, inventory, command_line)
            if value is not None:
                found[option] = value
    return found


def value_of(option: str, source: Source, inventory: Source, command_line: Source) -> t.Any:
    """An option of a source: from the command line, the source, or the variable for all sources. None if unset."""
    variable = _PREFIX + option
    for values, key in ((command_line, variable), (source, option), (inventory, variable)):
        if key in values and values[key] is not None:
            return values[key]
    return None


def variables(source: Source, own: t.Iterable[str], loaded: t.Iterable[str]) -> dict[str, t.Any]:
    """The variables that a complete source replaces: its own options, and what an earlier source of the run replaced.

    own: the options that the source itself sets; others keep the value of the inventory. Facts cannot be removed, so a
    variable of an earlier source that nothing sets now gets the value that stands for unset.
    """
    options = {"kind", *own, *(name[len(_PREFIX) :] for name in loaded)} - {"name"}
    return {_PREFIX + option: source.get(option, _OPTIONS.get(option, ((), ""))[1]) for option in sorted(options)}


def faults(sources: t.Sequence[Source]) -> list[str]:
    """A sentence for each source without a name of its own, and for each option that does not exist or does not fit."""
    found: list[str] = []
    seen: set[str] = set()
    for number, source in enumerate(sources):
        name = source.get("name")
        where = f"recovery_sources, {name}" if name else f"recovery_sources[{number}]"
        if not name:
            found.append(f"{where}: name is required.")
        elif name in seen:
            found.append(f"{where}: two sources have this name.")
        seen.add(str(name))
        kind = kind_of(source)
        if kind not in KINDS:
            found.append(f"{where}: kind must be {_either(KINDS)}, got {kind}.")
            continue
        found += [_option_fault(where, kind, key) for key in source if key not in ("name", "kind")]
    return [fault for fault in found if fault]


def _option_fault(where: str, kind: str, key: str) -> str:
    if key not in _OPTIONS:
        # The names of variables are familiar; within a source the prefix is left out.
        return f"{where}: {key} is not an option of a source.{meant(key.removeprefix(_PREFIX), SOURCE_KEYS)}"
    kinds = _OPTIONS[key][0]
    if kind in kinds:
        return ""
    return f"{where}: {key} is an option of the kind {_either(kinds)}; this source is of the kind {kind}."


def selection_faults(
    sources: t.Sequence[Source],
    selected: t.Sequence[str],
    kinds: t.Sequence[str],
    *,
    every: bool,
    playbook: str,
    lacking: t.Collection[str] = (),
    option: str = "",
) -> list[str]:
    """A sentence for each reason why the playbook cannot work on the selected sources.

    every: the playbook works on all sources if none is selected. Without sources, one name is required unless every.
    lacking: the sources that have no value for the option, which the playbook requires.
    """
    by_name = {str(source.get("name")): kind_of(source) for source in sources}
    fitting = [name for name, kind in by_name.items() if kind in kinds and name not in lacking]
    if not selected and every:
        if fitting or not sources:
            return []
        needed = f" with the option {option}" if option else ""
        return [f"{playbook}.yml works on sources of the kind {_either(kinds)}{needed}; recovery_sources has none."]
    if not selected and not sources:
        return ["recovery_source is required: the name of the source."]
    if not selected:
        named = ", ".join(fitting) or "no source of recovery_sources"
        return [f"recovery_source is required: {named} fits {playbook}.yml."]
    if not sources:
        return [] if len(selected) == 1 else ["recovery_sources is required for more than one source."]
    found = []
    for name in selected:
        if name not in by_name:
            found.append(f"recovery_source must be one of recovery_sources, got {name}.{meant(name, by_name)}")
        elif by_name[name] not in kinds:
            found.append(
                f"recovery_source {name} is of the kind {by_name[name]}; {playbook}.yml works on {_either(kinds)}."
            )
        elif name in lacking:
            found.append(f"recovery_source {name} has no option {option}, which {playbook}.yml requires.")
    return found


def meant(name: str, known: t.Iterable[str]) -> str:
    """A question for the nearest known name, or nothing."""
    found = nearest(name, known)
    return f" Is {found} meant?" if found else ""


def _either(names: t.Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} or {names[-1]}" if len(names) > 1 else names[0]
