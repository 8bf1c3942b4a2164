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

import yaml

from .sources import SOURCE_KEYS, meant

# Options that define one run. A run that does not read one of them would not do what the operator requested. All other
# options describe sources and hosts, and may be given to every playbook.
_REQUESTS = (
    *("set", "tier", "before", "to", "mode", "level", "target", "into", "undo_db", "archive", "seed", "reason"),
    *("tables", "keys", "where", "closure", "references", "column_map", "on_schema_drift", "triggers", "emergency"),
    *("max_rows", "max_deletes", "diff_rows", "tenant_table", "tenant_keys", "tenant_columns", "tenant_references"),
    *("create_roles", "terminate_sessions", "tablespaces", "materialized_views", "object_errors", "locale", "rows_as"),
    *("stand_ins", "create_schemas", "create_extensions", "skip_database_statements", "owner", "privileges"),
    *("location", "accept_identity", "export_path", "prefixes"),
    *("documents", "version", "version_above", "etag_above", "max_documents"),
    *("state", "migrations", "without_transaction", "include_older", "maintenance"),
    *("roll_back", "ref", "kept", "delete_functions", "commits"),
    *("from_site", "to_site", "abort", "takeover", "down_since"),
    *("accept_answering", "accept_split_brain", "override_window", "override_cooldown"),
)
# Requests that mean something for one source only.
_OF_ONE_SOURCE = (
    *("set", "to", "target", "into", "undo_db", "archive", "confirm", "tables", "keys", "where", "tenant_table"),
    *("accept_identity", "documents", "version"),
    *("migrations", "without_transaction"),
    *("ref", "kept", "delete_functions", "commits"),
    *("from_site", "to_site", "abort", "takeover", "down_since"),
)
# Options that identify a source: on the command line they would replace those of several sources.
_IDENTITIES = (
    *("sites", "database", "connection", "restore_connection", "files", "restore_files", "sql_name"),
    *("stanza", "pgbackrest_config", "data_directory", "settings_file", "service", "migrations_path"),
)
_PREFIX = "recovery_"
#: Options of sources, which the lookup sources reads for each playbook.
_SOURCE_VARIABLES = frozenset(_PREFIX + key for key in SOURCE_KEYS if key != "name")
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
        found = frozenset(name for text in self._texts for name in _names(text) if name.startswith(prefixes))
        return found | _SOURCE_VARIABLES

    @functools.cached_property
    def inputs(self) -> frozenset[str]:
        """Every variable that something reads: names that are only registered or exported are results."""
        return _SOURCE_VARIABLES.union(*(_names_read(text) for text in self._texts))

    def roles_of(self, playbook: str) -> list[str]:
        """The roles that a playbook runs, and those that these include."""
        pending, found = self._roles_named(playbook), set()
        while pending:
            role = pending.pop()
            if role in self.roles and role not in found:
                found.add(role)
                pending |= _roles_named(self._role_texts[role])
        return sorted(found)

    def read_by(self, playbook: str) -> frozenset[str]:
        """The variables that a playbook and its own roles read.

        Roles that these include get what they are to do from the role that includes them. Of a role with several entry
        points, a playbook reads the variables of one.
        """
        text = self._playbook_text(playbook)
        entry_point = re.search(r"_role: lifeline\.recovery\.(\w+)\s+_entry_point: (\w+)", text)
        if entry_point:
            return _names_read(text) | self._names_of_entry_point(*entry_point.groups())
        roles = sorted(self._roles_named(playbook) & set(self.roles))
        return _names_read(text + "".join(self._role_texts[role] for role in roles))

    def _names_of_entry_point(self, role: str, entry_point: str) -> frozenset[str]:
        """The variables in the argument specification of an entry point, and those that their defaults read."""
        folder = self._collection / "roles" / role
        specifications = yaml.safe_load((folder / "meta/argument_specs.yml").read_text())["argument_specs"]
        defaults = yaml.safe_load((folder / "defaults/main.yml").read_text())
        options = specifications[entry_point]["options"]
        return _names_read("\n".join(f"{name} {defaults[name]}" for name in options))

    def _roles_named(self, playbook: str) -> set[str]:
        """The role of the same name, which the playbook runs for each source, and those that the playbook names."""
        return {playbook} | _roles_named(self._playbook_text(playbook))

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
    """A sentence for each name of the command line that resembles a variable of the collection but is not read."""
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


def requests_of_one_source(names: t.Iterable[str], selected: t.Sequence[t.Mapping[str, t.Any]]) -> list[str]:
    """A sentence for each variable of the command line that cannot be meant for each of several sources."""
    if len(selected) < 2:
        return []
    own = {option for source in selected for option in source}
    single = {_PREFIX + option for option in (*_OF_ONE_SOURCE, *(own & set(_IDENTITIES)))} & set(names)
    return [f"{name} fits one source, and {len(selected)} are selected." for name in sorted(single)]


def _unknown(name: str, files: Files) -> str:
    return f"There is no variable {name}.{meant(name, files.inputs)}"


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
