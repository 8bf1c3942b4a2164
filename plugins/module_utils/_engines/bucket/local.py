# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Comparison of files of this host with objects of a store, and the paths of folders."""

from __future__ import annotations

import hashlib
import os
import stat
import typing as t
from dataclasses import dataclass

from ..._core.digest import bare_etag, file_chunks
from ..._core.errors import ErrorKind, RecoveryError
from ..._store.base import ObjectInfo, ObjectStore

#: The metadata that holds our digest, because the ETag of an upload in parts is none.
DIGEST = "lifeline-sha256"

#: The start of the name of an incomplete download; a digest of the file's name follows.
PARTIAL = ".lifeline-partial-"


@dataclass(frozen=True)
class Digests:
    """Of the same bytes: size in bytes, and hexadecimal digests."""

    size: int
    sha256: str
    md5: str


def digests_of(chunks: t.Iterable[bytes]) -> Digests:
    size, sha256, md5 = 0, hashlib.sha256(), hashlib.md5(usedforsecurity=False)
    for chunk in chunks:
        size += len(chunk)
        sha256.update(chunk)
        md5.update(chunk)
    return Digests(size, sha256.hexdigest(), md5.hexdigest())


def is_same(store: ObjectStore, info: t.Optional[ObjectInfo], digests: Digests) -> bool:
    """Whether an object has these bytes: by our digest, else by an ETag that is an MD5, else by reading it.

    info may come from a listing; then HEAD returns the metadata that a listing lacks.
    """
    if info is None or info.size != digests.size:
        return False
    etag = bare_etag(info.etag)
    if len(etag) == 32 and "-" not in etag and etag == digests.md5:
        return True
    if info.headers is None:
        info = store.head(info.key) or info
    kept = info.headers.metadata.get(DIGEST) if info.headers else None
    if kept:
        return kept == digests.sha256
    if len(etag) == 32 and "-" not in etag:
        return False
    return digests_of(store.read(info.key)).sha256 == digests.sha256


def walk(folder: str) -> t.Iterator[t.Tuple[str, str]]:
    """Key and path of every regular file below a folder, by key. Links are left out.

    Raises RecoveryError(invalid_options) for a folder that is none or a name that is no text.
    """
    if not os.path.isdir(folder):
        raise RecoveryError(
            ErrorKind.INVALID_OPTIONS, f"{folder} is no folder.", next_step="Give the folder to transfer."
        )
    yield from _walk(folder, "")


def _walk(folder: str, prefix: str) -> t.Iterator[t.Tuple[str, str]]:
    with os.scandir(folder) as entries:
        ordered = sorted(entries, key=lambda item: item.name + ("/" if item.is_dir(follow_symlinks=False) else ""))
    for entry in ordered:
        name = prefix + entry.name
        try:
            name.encode()
        except UnicodeEncodeError:
            raise RecoveryError(
                ErrorKind.INVALID_OPTIONS,
                f"The name of {entry.path!r} is no UTF-8 text, which keys must be.",
                next_step="Rename the file.",
            ) from None
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(entry.path, f"{name}/")
        elif entry.is_file(follow_symlinks=False) and not entry.name.startswith(PARTIAL):
            yield name, entry.path


def refuse_way_out(folder: str, paths: t.Iterable[str]) -> None:
    """Raise RecoveryError(invalid_options) when a link below the folder would lead a path out of it."""
    root = os.path.realpath(folder)
    for parent in sorted({os.path.dirname(path) for path in paths}):
        if os.path.commonpath([root, os.path.realpath(parent)]) != root:
            raise RecoveryError(
                ErrorKind.INVALID_OPTIONS,
                f"A link leads from {parent} out of {folder}.",
                next_step="Remove the link, or download to another folder.",
            )


def local_digests(path: str) -> t.Optional[Digests]:
    """Of a file, or None when it is none. Raises RecoveryError(access_denied)."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            return None
        return digests_of(file_chunks(path))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise RecoveryError(
            ErrorKind.ACCESS_DENIED, f"{path} cannot be read: {error.strerror}.", next_step="Check the path."
        ) from None
