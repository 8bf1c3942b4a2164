# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Collects the files of a function at a commit, as the client of Supabase does for a deployment without Docker."""

from __future__ import annotations

import fnmatch
import posixpath
import re
import typing as t

from ..._core.errors import ErrorKind, RecoveryError
from ..._core.sizes import first_of
from ..._git.client import printable
from ..._git.snapshot import Snapshot
from .config import FunctionConfig, read_config
from .form import Sources
from .imports import Mapping, imported_files, read_import_map

_SLUG = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,127}")
_MODULE = re.compile(r"\.(?:[cm]?[jt]sx?)\Z", re.IGNORECASE)
_MOST_FILES = 2000
_MOST_BYTES = 100 * 1024 * 1024


def require_slugs(slugs: t.Sequence[str], option: str) -> None:
    """Raise RecoveryError(invalid_options) for an empty list, a slug that no function has, or the same one twice."""
    if not slugs:
        raise RecoveryError(ErrorKind.INVALID_OPTIONS, f"`{option}` is required.", next_step="Set it to the slugs.")
    for slug in slugs:
        if not _SLUG.fullmatch(slug):
            raise RecoveryError(
                ErrorKind.INVALID_OPTIONS,
                f"`{option}` must be slugs of letters, digits, underscores and hyphens, got {printable(slug)[:100]!r}.",
            )
    if len(set(slugs)) < len(slugs):
        raise RecoveryError(ErrorKind.INVALID_OPTIONS, f"`{option}` has a slug twice.")


def collect(snapshot: Snapshot, slug: str, workdir: str = "") -> Sources:
    """The files of a function. workdir: the folder of the repository that has the folder supabase.

    Raises RecoveryError: target_missing if the commit does not have the function, unsupported, limit_exceeded.
    """
    return _Collection(snapshot, slug, workdir).complete()


class _Collection:
    """Paths are those of the repository until the end, where they become relative to workdir."""

    def __init__(self, snapshot: Snapshot, slug: str, workdir: str) -> None:
        self._snapshot, self._slug = snapshot, slug
        self._root = posixpath.normpath(workdir) if workdir else "."
        self._base = posixpath.normpath(posixpath.join(self._root, "supabase"))
        self._files: t.Dict[str, bytes] = {}
        self._missing: t.Dict[str, None] = {}

    def complete(self) -> Sources:
        config = self._config()
        default = f"functions/{self._slug}/index.ts"
        entrypoint = self._below_base(config.entrypoint or default)
        if entrypoint not in self._snapshot.names:
            raise RecoveryError(
                ErrorKind.TARGET_MISSING,
                f"The commit {self._snapshot.sha[:12]} has no function {self._slug}: the file {printable(entrypoint)} "
                "is missing.",
                next_step="Set `ref` to a commit that has the function, or delete the function with state absent.",
            )
        import_map = self._import_map(config, posixpath.dirname(entrypoint))
        mapping = self._read_maps(import_map)
        patterns = [self._below_base(pattern) for pattern in config.static_files]
        for name in sorted(self._snapshot.names):
            if any(_matches(name, pattern) for pattern in patterns):
                self._add(name)
        self._walk(entrypoint, mapping)
        return Sources(
            slug=self._slug,
            entrypoint=self._relative(entrypoint),
            import_map=self._relative(import_map) if import_map else None,
            static_patterns=[self._relative(pattern) for pattern in patterns],
            files={self._relative(name): content for name, content in self._files.items()},
            missing=[self._relative(name) for name in self._missing],
            verify_jwt=config.verify_jwt,
        )

    def _config(self) -> FunctionConfig:
        name = f"{self._base}/config.toml"
        if name not in self._snapshot.names:
            return FunctionConfig()
        return read_config(self._snapshot.read(name), self._slug)

    def _below_base(self, path: str) -> str:
        return posixpath.normpath(posixpath.join(self._base, path))

    def _relative(self, path: str) -> str:
        return posixpath.relpath(path, self._root)

    def _import_map(self, config: FunctionConfig, folder: str) -> t.Optional[str]:
        if config.import_map:
            return self._below_base(config.import_map)
        names = [f"{folder}/{name}" for name in ("deno.json", "deno.jsonc", "import_map.json")]
        names.append(f"{self._base}/functions/import_map.json")
        return next((name for name in names if name in self._snapshot.names), None)

    def _read_maps(self, path: t.Optional[str]) -> Mapping:
        if path is None:
            return {}
        mapping, reference = read_import_map(self._add(path), path)
        if reference is not None:
            mapping, _further = read_import_map(self._add(reference), reference)
        return mapping

    def _walk(self, entrypoint: str, mapping: Mapping) -> None:
        pending = [entrypoint]
        seen: t.Set[str] = set()
        while pending:
            path = pending.pop()
            if path in seen:
                continue
            seen.add(path)
            if path not in self._snapshot.names:
                self._missing[path] = None
                continue
            content = self._add(path)
            if _MODULE.search(path):
                pending.extend(reversed(imported_files(content, path, mapping)))

    def _add(self, path: str) -> bytes:
        if path not in self._files:
            self._files[path] = self._snapshot.read(path)
            if len(self._files) > _MOST_FILES or sum(map(len, self._files.values())) > _MOST_BYTES:
                raise RecoveryError(
                    ErrorKind.LIMIT_EXCEEDED,
                    f"The function {self._slug} has more than {_MOST_FILES} files or 100 MiB.",
                    next_step="Check static_files in supabase/config.toml.",
                )
        return self._files[path]


def _matches(name: str, pattern: str) -> bool:
    """Whether a path matches a pattern in which C(*) is no slash."""
    parts, patterns = name.split("/"), pattern.split("/")
    return len(parts) == len(patterns) and all(map(fnmatch.fnmatchcase, parts, patterns))


def missing_note(sources: Sources) -> str:
    """The sentence about imports that the commit does not have; empty if it has them."""
    if not sources.missing:
        return ""
    names = first_of([printable(name)[:200] for name in sources.missing], 5)
    return f"The function {sources.slug} imports files that the commit does not have: {names}."
