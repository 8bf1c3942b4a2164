# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A store in a local folder: temporary file, fsync, atomic rename."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import stat
import tempfile
import typing as t
from datetime import datetime, timezone

from .._core.clock import utc_now
from .._core.errors import ErrorKind, RecoveryError
from .._core.sealing import Sealing
from .base import AuditSink, Headers, ObjectInfo, ObjectStore, Opened

_CHUNK = 1024 * 1024

#: What a killed writer leaves is never listed; the second is what the first becomes.
_TEMPORARY = ".unfinished-"
_UNFINISHED = re.compile(r"\.unfinished-[a-z0-9_]{8}")

#: A folder is no object, and nothing lies below a file.
_NO_OBJECT = (FileNotFoundError, NotADirectoryError, IsADirectoryError)


class DirectoryStore:
    """Objects as files below a folder. Files are 0600, folders 0700."""

    def __init__(self, path: str, prefix: str = "") -> None:
        self._root = os.path.abspath(os.path.join(path, prefix.strip("/")))
        self.location = self._root
        self.sealing = Sealing()
        self.locks = False
        self.requests = 0
        self.copies: t.Sequence[ObjectStore] = ()
        self.audit_sinks: t.Sequence[AuditSink] = ()

    def put(
        self, key: str, chunks: t.Iterable[bytes], *, if_absent: bool = False, headers: t.Optional[Headers] = None
    ) -> ObjectInfo:
        target = self._path(key)
        folder = os.path.dirname(target)
        with self._failures(key):
            self._refuse_way_out(folder, key)
            self._make_folders(folder)
            handle, temporary = tempfile.mkstemp(prefix=_TEMPORARY, dir=folder)
        try:
            with os.fdopen(handle, "wb", buffering=0) as stream:
                # A failure of the chunks' own source is not the store's, so only writes are guarded.
                for chunk in chunks:
                    with self._failures(key):
                        _write(stream, chunk)
                with self._failures(key):
                    os.fsync(stream.fileno())
            with self._failures(key):
                if if_absent:
                    self._link(temporary, target, key)
                else:
                    os.replace(temporary, target)
                _sync_folder(folder)
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)
        info = self.head(key)
        if info is None:
            raise RecoveryError(ErrorKind.STORE_FAILED, f"{key} vanished from {self.location} while it was written.")
        return info

    def read(self, key: str, *, start: int = 0) -> t.Iterator[bytes]:
        try:
            stream = open(self._path(key), "rb")
        except _NO_OBJECT:
            raise RecoveryError(ErrorKind.OBJECT_MISSING, f"There is no object {key} in {self.location}.") from None
        except OSError as error:
            raise self._error(error, key) from None
        with stream, self._failures(key):
            size = os.fstat(stream.fileno()).st_size
            stream.seek(start)
            position = start
            while position < size:
                chunk = stream.read(min(_CHUNK, size - position))
                if not chunk:
                    raise RecoveryError(
                        ErrorKind.STORE_FAILED, f"{key} in {self.location} became shorter while it was read."
                    )
                position += len(chunk)
                yield chunk

    def open(self, key: str) -> Opened:
        info = self.head(key)
        if info is None:
            raise RecoveryError(ErrorKind.OBJECT_MISSING, f"There is no object {key} in {self.location}.")
        return Opened(info, self.read(key))

    def open_small(self, key: str) -> Opened:
        return self.open(key)

    def head(self, key: str) -> t.Optional[ObjectInfo]:
        try:
            status = os.stat(self._path(key))
        except _NO_OBJECT:
            return None
        except OSError as error:
            raise self._error(error, key) from None
        if stat.S_ISDIR(status.st_mode):
            return None
        return ObjectInfo(key, status.st_size, datetime.fromtimestamp(status.st_mtime, timezone.utc))

    def list(self, prefix: str = "") -> t.Iterator[ObjectInfo]:
        folder = prefix.rpartition("/")[0]
        if not os.path.isdir(self._root):
            return
        for key in self._walk(self._path(folder) if folder else self._root, f"{folder}/" if folder else ""):
            if key.startswith(prefix):
                info = self.head(key)
                if info is not None:
                    yield info

    def delete(self, keys: t.Iterable[str]) -> None:
        for key in keys:
            path = self._path(key)
            with self._failures(key), contextlib.suppress(*_NO_OBJECT):
                if not os.path.isdir(path):
                    os.unlink(path)

    def remove(self, key: str) -> t.Optional[str]:
        try:
            self.delete([key])
        except RecoveryError as error:
            # A file with the immutable flag, or in a folder that this user may not change.
            if error.kind != ErrorKind.ACCESS_DENIED:
                raise
            return error.what
        return None

    def retain(self, key: str) -> None:
        """Files are not locked."""

    def require_there(self) -> None:
        if not os.path.isdir(self._root):
            raise RecoveryError(
                ErrorKind.UNREACHABLE,
                f"There is no folder {self._root}.",
                left="Nothing was changed.",
                next_step="Mount it, or check path.",
            )

    def require_writable(self, prefix: str) -> None:
        folder = self._path(prefix.rstrip("/"))
        while not os.path.exists(folder) and folder != os.path.dirname(folder):
            folder = os.path.dirname(folder)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise self._error(PermissionError(errno.EACCES, os.strerror(errno.EACCES)), prefix)

    def now(self) -> datetime:
        return utc_now()

    def tidy(self, before: datetime) -> None:
        for folder, _folders, names in os.walk(self._root):
            for name in filter(_UNFINISHED.fullmatch, names):
                path = os.path.join(folder, name)
                with self._failures(name), contextlib.suppress(FileNotFoundError):
                    if os.stat(path).st_mtime < before.timestamp():
                        os.unlink(path)

    def thaw(self, key: str, *, days: int, speed: str) -> bool:
        return True

    def close(self) -> None:
        """There is nothing to release."""

    def _walk(self, folder: str, prefix: str) -> t.Iterator[str]:
        try:
            entries = list(os.scandir(folder))
        except _NO_OBJECT:
            return
        except OSError as error:
            raise self._error(error, prefix) from None
        # A folder sorts as its name with a slash, which is what makes the order that of the keys.
        for entry in sorted(entries, key=lambda item: item.name + ("/" if _is_folder(item) else "")):
            if not entry.name.isprintable() and _is_no_text(entry.name):
                raise RecoveryError(
                    ErrorKind.INVALID_OPTIONS,
                    f"The name of {entry.path!r} is no UTF-8 text, which keys must be.",
                    next_step="Rename the file.",
                )
            if _is_folder(entry):
                yield from self._walk(entry.path, f"{prefix}{entry.name}/")
            elif entry.is_file(follow_symlinks=False) and not _UNFINISHED.fullmatch(entry.name):
                # Links are left out: they lead to other places, and round in circles.
                yield prefix + entry.name

    def _refuse_way_out(self, folder: str, key: str) -> None:
        """A link to elsewhere must not carry what is written out of the folder."""
        root = os.path.realpath(self._root)
        if os.path.commonpath([root, os.path.realpath(folder)]) != root:
            raise RecoveryError(
                ErrorKind.INVALID_OPTIONS,
                f"A link leads from {key} out of {self.location}.",
                next_step="Remove the link, or name the folder that it leads to.",
            )

    def _path(self, key: str) -> str:
        if (
            not key
            or "\0" in key
            or key.startswith("/")
            or any(part in ("", ".", "..") for part in key.split("/"))
            or _UNFINISHED.fullmatch(key.rpartition("/")[2])
        ):
            raise RecoveryError(
                ErrorKind.INVALID_OPTIONS, f"{key!r} cannot be a key.", next_step="Check source and prefix."
            )
        return os.path.join(self._root, *key.split("/"))

    def _make_folders(self, folder: str) -> None:
        missing = []
        while not os.path.isdir(folder):
            missing.append(folder)
            folder = os.path.dirname(folder)
        for path in reversed(missing):
            with contextlib.suppress(FileExistsError):
                os.mkdir(path, 0o700)
            _sync_folder(os.path.dirname(path))

    def _link(self, temporary: str, target: str, key: str) -> None:
        try:
            os.link(temporary, target)
        except FileExistsError:
            if os.path.isdir(target):
                raise IsADirectoryError(errno.EISDIR, "a folder is in the way") from None
            raise RecoveryError(
                ErrorKind.ALREADY_EXISTS,
                f"There is an object {key} in {self.location} already.",
                left="It is as it was.",
            ) from None

    @contextlib.contextmanager
    def _failures(self, key: str) -> t.Iterator[None]:
        try:
            yield
        except OSError as error:
            raise self._error(error, key) from None

    def _error(self, error: OSError, key: str) -> RecoveryError:
        words = f"{self.location} failed at {key}: {error.strerror}."
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            return RecoveryError(
                ErrorKind.STORE_FULL,
                words,
                left="Earlier sets are as they were.",
                next_step="Make room, then run it again.",
            )
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            return RecoveryError(
                ErrorKind.ACCESS_DENIED, words, next_step="Give the user that runs this the right to it."
            )
        return RecoveryError(ErrorKind.STORE_FAILED, words, next_step="Check the file system, then run it again.")


def _is_folder(entry: os.DirEntry[str]) -> bool:
    return entry.is_dir(follow_symlinks=False)


def _is_no_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return True
    return False


def _write(stream: t.BinaryIO, chunk: bytes) -> None:
    rest = memoryview(chunk)
    while rest:
        rest = rest[stream.write(rest) :]


def _sync_folder(folder: str) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
