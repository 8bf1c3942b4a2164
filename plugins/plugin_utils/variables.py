# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which variables the collection reads, found in its own files, and which of the given ones it does not read."""

from __future__ import annotations

import difflib
import functools
import re
import typing as t
from pathlib import Path

from ..module_utils._core.nearest import nearest

# Options of a source in recovery_sources.
SOURCE_KEYS = (
    *("name", "kind", "vars", "tiers", "tier", "rpo_seconds", "retention", "checks", "thresholds"),
    *("days_present", "size_tolerance", "skip_extensions"),
)
KINDS = ("postgresql", "bucket", "d1")

# Options that say what one run does. A run that does not read one of them would not do what was asked. All other
# options describe sources and hosts, and may be given to every playbook.
_REQUESTS = (
    *("set", "tier", "before", "to", "mode", "level", "target", "into", "undo_db", "archive", "seed", "reason"),
    *("tables", "keys", "where", "closure", "references", "column_map", "on_schema_drift", "triggers", "emergency"),
    *("max_rows", "max_deletes", "diff_rows", "tenant_table", "tenant_keys", "tenant_columns", "tenant_references"),
    *("create_roles", "terminate_sessions", "tablespaces", "materialized_views", "object_errors", "locale", "rows_as"),
    *("stand_ins", "create_schemas", "create_extensions", "skip_database_statements", "owner", "privileges"),
    *("location", "accept_identity", "export_path", "prefixes"),
)
_PREFIX = "recovery_"
_FOLDERS = ("defaults", "handlers", "meta", "tasks", "templates", "vars")


class Files:
    """The playbooks and roles of the collection at a path."""

    def __init__(self, collection: Path) -> None:
        self._collection = collection

    @functools.cached_property
    def roles(self) -> list[str]:
        return sorted(entry.name for entry in (self._collection / "roles").iterdir() if entry.is_dir())

    @functools.cached_property
    def known(self) -> frozenset[str]:
        """Every variable of the collection that anything reads or sets."""
        prefixes = (_PREFIX, *(f"{role}_" for role in self.roles))
        return frozenset(name for text in self._texts for name in _names(text) if name.startswith(prefixes))

    @functools.cached_property
    def inputs(self) -> frozenset[str]:
        """Every variable that something reads: names that are only registered or handed on are results."""
        return frozenset(name for text in self._texts for name in _names_read(text))

    def roles_of(self, playbook: str) -> list[str]:
        """The roles that a playbook runs, and those that these include."""
        tasks = self._text(self._collection / "playbooks/tasks")
        pending, found = _roles_named(self._playbook_text(playbook) + tasks), set()
        while pending:
            role = pending.pop()
            if role in self.roles and role not in found:
                found.add(role)
                pending |= _roles_named(self._role_texts[role])
        return sorted(found)

    def read_by(self, playbook: str) -> frozenset[str]:
        """The variables that a playbook and its own roles read.

        Roles that these include get what they are to do from the role that includes them.
        """
        text = self._playbook_text(playbook)
        roles = sorted(_roles_named(text) & set(self.roles))
        return _names_read(text + "".join(self._role_texts[role] for role in roles))

    def _playbook_text(self, playbook: str) -> str:
        return (self._collection / "playbooks" / f"{playbook}.yml").read_text()

    @property
    def _texts(self) -> list[str]:
        return [self._text(self._collection / "playbooks"), *self._role_texts.values()]

    @functools.cached_property
    def _role_texts(self) -> dict[str, str]:
        roles = self._collection / "roles"
        return {role: "".join(self._text(roles / role / folder) for folder in _FOLDERS) for role in self.roles}

    @staticmethod
    def _text(folder: Path) -> str:
        return "".join(file.read_text() for file in sorted(folder.rglob("*")) if file.suffix in (".yml", ".j2"))


def unknown_names(names: t.Iterable[str], files: Files, roles: t.Sequence[str]) -> list[str]:
    """A sentence for each name that looks like a variable of the collection, or of one of the roles, and is none."""
    suspects = {name for name in names if name.startswith(_PREFIX) or _role_of(name, files) in roles}
    return [_unknown(name, files) for name in sorted(suspects - files.known)]


def misspelt_extra(names: t.Iterable[str], files: Files) -> list[str]:
    """A sentence for each name of the command line that looks like one of ours and that nothing reads."""
    return [
        _unknown(name, files)
        for name in sorted(set(names) - files.inputs)
        if name.startswith(_PREFIX)
        or _role_of(name, files)
        or difflib.get_close_matches(name, files.inputs, n=1, cutoff=0.88)
    ]


def ignored_requests(names: t.Iterable[str], playbook: str, files: Files) -> list[str]:
    """A sentence for each variable of the command line that asks for something the playbook cannot do."""
    read = files.read_by(playbook)
    return [
        f"{name} has no effect in {playbook}.yml."
        for name in sorted(set(names) & files.inputs - read)
        if _option_of(name, files) in _REQUESTS
    ]


def source_faults(sources: t.Sequence[t.Mapping[str, t.Any]], files: Files) -> list[str]:
    """A sentence for each part of recovery_sources that has no name of its own, or a name that means nothing."""
    faults: list[str] = []
    seen: set[str] = set()
    for number, source in enumerate(sources):
        name = source.get("name")
        where = f"recovery_sources[{number}]" if not name else f"recovery_sources, {name}"
        if not name:
            faults.append(f"{where} has no name.")
        elif name in seen:
            faults.append(f"{where}: two sources have this name.")
        seen.add(str(name))
        faults += [
            f"{where}: {key} is not an option of a source.{_nearest(key, SOURCE_KEYS)}"
            for key in source
            if key not in SOURCE_KEYS
        ]
        if source.get("kind", KINDS[0]) not in KINDS:
            faults.append(f"{where}: kind must be {', '.join(KINDS[:-1])} or {KINDS[-1]}, got {source['kind']}.")
        given = source.get("vars") or {}
        faults += [
            f"{where}, vars: {_unknown(one, files)}"
            for one in given
            if one.startswith(_PREFIX) and one not in files.known
        ]
    return faults


def selection_fault(
    sources: t.Sequence[t.Mapping[str, t.Any]], selected: str, kinds: t.Sequence[str], playbook: str
) -> str | None:
    """Why the playbook cannot work on the selected source: it must be one of recovery_sources and of one of the kinds.

    A playbook of every kind works on all sources if none is selected.
    """
    by_name = {str(source.get("name")): source for source in sources}
    if not selected and len(kinds) == len(KINDS):
        return None
    if not selected:
        fitting = [name for name, source in by_name.items() if source.get("kind", KINDS[0]) in kinds]
        return (
            f"recovery_source is required: {', '.join(fitting) or 'no source of recovery_sources'} fits {playbook}.yml."
        )
    if selected not in by_name:
        return f"recovery_source must be one of recovery_sources, got {selected}.{_nearest(selected, by_name)}"
    kind = by_name[selected].get("kind", KINDS[0])
    if kind not in kinds:
        return f"recovery_source {selected} is of the kind {kind}; {playbook}.yml works on {' or '.join(kinds)}."
    return None


def _unknown(name: str, files: Files) -> str:
    return f"There is no variable {name}.{_nearest(name, files.inputs)}"


def _nearest(name: str, known: t.Iterable[str]) -> str:
    found = nearest(name, known)
    return f" Is {found} meant?" if found else ""


def _role_of(name: str, files: Files) -> str | None:
    """The role with the longest name that a variable begins with: backup_host_user is of backup_host, not of backup."""
    return max((role for role in files.roles if name.startswith(f"{role}_")), key=len, default=None)


def _option_of(name: str, files: Files) -> str:
    role = _role_of(name, files)
    return name[len(role) + 1 :] if role else name.removeprefix(_PREFIX)


def _names(text: str) -> set[str]:
    return set(re.findall(r"(?<![A-Za-z0-9_.])[a-z][a-z0-9]*_[a-z0-9_]+", text))


def _names_read(text: str) -> frozenset[str]:
    """Names that a text uses as variables, without those that hold results."""
    results = set(re.findall(r"register: (\w+)", text))
    # Not the keys of YAML, and not those of results, which are quoted or in a plain list.
    shown = re.sub(r"(?m)^[ -]*[\"']?\w+[\"']?:|'\w+'|\[[\w, ]+\]", "", text)
    return frozenset(_names(shown) - results)


def _roles_named(text: str) -> set[str]:
    return set(re.findall(r"lifeline\.recovery\.([a-z0-9_]+)", text))
