# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Comparison of files of a set with objects of a bucket: headers, and names that exclude each other."""

from __future__ import annotations

import contextlib
import email.errors
import email.header
import typing as t

from ..._core.errors import ErrorKind, RecoveryError
from ..._store.base import ObjectInfo
from .inventory import FileEntry

#: The headers in sets that have no list of their headers.
EARLIER_HEADERS = (
    "cache_control",
    "content_disposition",
    "content_encoding",
    "content_language",
    "content_type",
    "metadata",
)

#: Lifecycle rules move objects between storage classes, so that another class is no difference.
_NEVER_COMPARED = ("storage_class",)


def differing_headers(
    entry: FileEntry,
    info: ObjectInfo,
    kept: t.Collection[str],
    tags_of: t.Callable[[str], t.Mapping[str, str]],
) -> t.List[str]:
    """Names of the headers that an object has not as the set has them.

    kept are the headers that the set records. A set of a folder, and an object in one, have no headers to compare.
    """
    if not entry.headers or info.headers is None:
        return []
    differing = []
    for name in sorted(set(kept).difference(_NEVER_COMPARED)):
        mine, theirs = entry.headers.get(name), getattr(info.headers, name, None)
        if name == "tags":
            # Asking for tags is a request of its own, with a right of its own.
            try:
                theirs = tags_of(info.key) if mine or info.tag_count else None
            except RecoveryError as error:
                if error.kind != ErrorKind.ACCESS_DENIED:
                    raise
                continue
        if name == "content_type" and not mine:
            # A store gives each object a type.
            continue
        if _plain(mine) != _plain(theirs):
            differing.append(name)
    return differing


#: Why a store of paths cannot hold a name together with others.
EXCLUDED_FILE = "other files need a folder of that name"
EXCLUDED_FOLDER = "another file has that name"


def excluded_names(files: t.Iterable[t.Tuple[str, int]], refuses: t.Callable[[str, int], str]) -> t.Iterator[str]:
    """Names that a store of paths cannot hold with others: a file in the place of a folder that other files need.

    Where the only other file is the folder itself, as an object of no bytes, that one is left out. files are keys and
    sizes in the order of the keys, so that only the names that begin the current one are remembered.
    """
    begun: t.List[str] = []
    for key, size in files:
        while begun and not key.startswith(begun[-1]):
            begun.pop()
        if refuses(key, size):
            continue
        if key.endswith("/") and key[:-1] in begun:
            yield key
        yield from (name for name in begun if key.startswith(f"{name}/") and key != f"{name}/")
        begun.append(key)


def _plain(value: t.Any) -> t.Any:
    """A header as text, whichever way it was encoded; nothing for an empty one."""
    if not value:
        return None
    if isinstance(value, t.Mapping):
        return {name: _plain(text) for name, text in value.items()}
    text = str(value)
    with contextlib.suppress(UnicodeError):
        # The HTTP client reads headers as Latin-1, and some services send raw UTF-8.
        text = text.encode("latin-1").decode()
    with contextlib.suppress(UnicodeError, LookupError, email.errors.HeaderParseError):
        text = str(email.header.make_header(email.header.decode_header(text)))
    return text
