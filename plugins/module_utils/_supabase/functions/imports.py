# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Finds the files that a module imports: relative imports, and those that an import map leads to a file. Pure.

Follows the client of Supabase: only imports with a suffix are files, and only paths of the repository
(https://github.com/supabase/cli, pkg/function/deno.go).
"""

from __future__ import annotations

import json
import posixpath
import re
import typing as t

from ..._core.errors import ErrorKind, RecoveryError

#: "import x from 'y'", "import 'y'", "export * from 'y'" and "import('y')", with clauses over several lines.
#: Clauses are bounded, so that the time does not grow with the square of a file.
_IMPORT = re.compile(
    r"\b(?:import|export)\b(?:\s+type\b)?(?:[\s\w$*,]|\{[^{}]{0,5000}\}){0,300}?\bfrom\s*(['\"])(?P<a>[^'\"\n]+)\1"
    r"|\bimport\s*(['\"])(?P<b>[^'\"\n]+)\3"
    r"|\bimport\s*\(\s*(['\"])(?P<c>[^'\"\n]+)\5"
)
#: A text, or a comment that JSON with comments may have.
_COMMENT = re.compile(r"(\"(?:[^\"\\]|\\.)*\")|//[^\n]*|/\*.*?\*/", re.DOTALL)
_TRAILING_COMMA = re.compile(r"(\"(?:[^\"\\]|\\.)*\")|,(?=\s*[}\]])")

Mapping = t.Dict[str, str]


def imported_files(content: bytes, path: str, mapping: Mapping) -> t.List[str]:
    """The paths that a module imports, in the order of its imports. A path above the repository begins with C(..)."""
    found: t.Dict[str, None] = {}
    for match in _IMPORT.finditer(content.decode("utf-8", "replace")):
        specifier = (match.group("a") or match.group("b") or match.group("c")).strip()
        target = _resolved(specifier, posixpath.dirname(path), mapping)
        if target is not None:
            found[target] = None
    return list(found)


def _resolved(specifier: str, folder: str, mapping: Mapping) -> t.Optional[str]:
    key = max((key for key in mapping if _applies(key, specifier)), key=len, default=None)
    if key is not None:
        target = mapping[key] + specifier[len(key) :]
        relative = "" if target.startswith("./") else None
    else:
        target = specifier
        relative = folder if target.startswith(("./", "../")) else None
    if relative is None or not posixpath.splitext(target)[1]:
        return None
    return posixpath.normpath(posixpath.join(relative, target))


def _applies(key: str, specifier: str) -> bool:
    return specifier == key or (key.endswith("/") and specifier.startswith(key))


def read_import_map(content: bytes, path: str) -> t.Tuple[Mapping, t.Optional[str]]:
    """The imports of an import map, paths relative to the repository and with C(./), and the map that it refers to.

    Scopes count as imports. Raises RecoveryError(unsupported) for a file that is not JSON, also not with comments.
    """
    text = content.decode("utf-8", "replace")
    for pattern in (_COMMENT, _TRAILING_COMMA):
        text = pattern.sub(lambda match: match.group(1) or "", text)
    try:
        document = json.loads(text)
        scopes = (document.get("scopes") or {}).values()
        pairs = [pair for one in (*scopes, document.get("imports") or {}) for pair in one.items()]
        reference = document.get("importMap")
    except (ValueError, AttributeError, RecursionError):
        raise RecoveryError(
            ErrorKind.UNSUPPORTED,
            f"The import map {path} of the commit is not a JSON object with imports.",
            next_step="Check the file at `ref`.",
        ) from None
    folder = posixpath.dirname(path)
    mapping = {str(key): _from_map(str(value), folder) for key, value in pairs}
    is_reference = not mapping and isinstance(reference, str) and posixpath.basename(path).startswith("deno.json")
    return mapping, posixpath.normpath(posixpath.join(folder, reference)) if is_reference else None


def _from_map(value: str, folder: str) -> str:
    """A path of the map relative to the repository; an address or a package unchanged."""
    if not value.startswith(("./", "../")):
        return value
    slash = "/" if value.endswith("/") else ""
    return f"./{posixpath.normpath(posixpath.join(folder, value))}{slash}"
