# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A store in a local folder: temporary file, fsync, atomic rename."""

from __future__ import annotations

import contextlib
import errno
import os
import pwd
import re
import shlex
import stat
import tempfile
import typing as t
from datetime import datetime, timezone

from .._core.clock import utc_now
from .._core.errors import ErrorKind, RecoveryError
from .._core.sealing import Sealing
from .base import AuditSink, Headers, ObjectInfo, ObjectStore, Opened, changed_error, is_same_version

_CHUNK = 1024 * 1024

#: Files of a killed writer are never listed; the second is the next state of the first.
_TEMPORARY = ".unfinished-"
_UNFINISHED = re.compile(r"\.unfinished-[a-z0-9_]{8}")

#: A folder is no object, and nothing lies below a file.
_NO_OBJECT = (FileNotFoundError, NotADirectoryError, IsADirectoryError)


#: Limits of Linux in bytes, for one part of a path and for the path. https://man7.org/linux/man-pages/man3/realpath.3.html
_LONGEST_PART = 255
_LONGEST_PATH = 4095

#: Errors of one path, not of the file system: a file instead of a folder, or a folder instead of a file.
_IN_THE_WAY = (errno.EISDIR, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG)


def refused_name(key: str) -> str:
    """The reason why no file below a folder can have that name, as a clause; empty if one can."""
    parts = key.split("/")
    try:
        longest = max(len(part.encode()) for part in parts)
    except UnicodeEncodeError:
        return "the name is no UTF-8 text"
    if key.startswith("/"):
        return "the name starts with a slash"
    if "" in parts:
        return "the name has an empty part"
    if not {".", ".."}.isdisjoint(parts):
        return "the name has a part of dots, which leads to another folder"
    if "\0" in key:
        return "the name has a NUL character"
    if longest > _LONGEST_PART:
        return f"a part of the name has {longest} bytes, and a file system allows {_LONGEST_PART}"
    return ""


class DirectoryStore:
    """Objects as files below a folder. Files are 0600, folders 0700.

    A key that ends with a slash is a folder: an empty object that some consoles create to show a folder.
    """

    paths = True

    def __init__(self, path: str, prefix: str = "") -> None:
        self._root = os.path.abspath(os.path.join(path, prefix.strip("/")))
        self.location, self.key_prefix = self._root, ""
        self.sealing = Sealing()
        self.locks = False
        self.requests = 0
        self.copies: t.Sequence[ObjectStore] = ()
        self.audit_sinks: t.Sequence[AuditSink] = ()

    def put(
        self,
        key: str,
        chunks: t.Iterable[bytes],
        *,
        if_absent: bool = False,
        replaces: t.Optional[ObjectInfo] = None,
        headers: t.Optional[Headers] = None,
    ) -> ObjectInfo:
        target = self._path(key)
        if key.endswith("/"):
            return self._put_folder(key, target, chunks, if_absent)
        folder = os.path.dirname(target)
        with self._failures(key):
            self._refuse_way_out(folder, key)
            self._make_folders(folder)
            handle, temporary = tempfile.mkstemp(prefix=_TEMPORARY, dir=folder)
        try:
            with os.fdopen(handle, "wb", buffering=0) as stream:
                # An error of the source of the chunks is no error of the store, so only writes are guarded.
                for chunk in chunks:
                    with self._failures(key):
                        _write(stream, chunk)
                with self._failures(key):
                    os.fsync(stream.fileno())
            with self._failures(key):
                if replaces is not None and not is_same_version(replaces, self.head(key)):
                    raise changed_error(key, self.location)
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

    def _put_folder(self, key: str, target: str, chunks: t.Iterable[bytes], if_absent: bool) -> ObjectInfo:
        size = sum(map(len, chunks))
        if size:
            raise RecoveryError(
                ErrorKind.NAME_REFUSED,
                f"{self.location} cannot hold {key}: {self.refuses(key, size)}.",
                next_step="Use a bucket, or another name.",
            )
        with self._failures(key):
            self._refuse_way_out(target, key)
            if os.path.lexists(target) and not os.path.isdir(target):
                raise NotADirectoryError(errno.ENOTDIR, "a file is in the way")
            if if_absent and os.path.isdir(target):
                raise self._exists(key)
            self._make_folders(target)
            status = os.stat(target)
        return ObjectInfo(key, 0, datetime.fromtimestamp(status.st_mtime, timezone.utc))

    def refuses(self, key: str, size: int) -> str:
        problem = refused_name(key[:-1] if key.endswith("/") else key)
        if problem:
            return problem
        if key.endswith("/") and size:
            return "the name ends with a slash, as that of a folder, and the object has bytes"
        if _UNFINISHED.fullmatch(key.rpartition("/")[2]):
            return "the name is reserved for a file that is being written"
        length = len(os.path.join(self._root, key).encode())
        if length > _LONGEST_PATH:
            return f"the path has {length} bytes, and a file system allows {_LONGEST_PATH}"
        return ""

    def read(self, key: str, *, start: int = 0) -> t.Iterator[bytes]:
        if key.endswith("/") and self.head(key) is not None:
            return
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

    def open(self, key: str, *, size: t.Optional[int] = None) -> Opened:
        info = self.head(key)
        if info is None:
            raise RecoveryError(ErrorKind.OBJECT_MISSING, f"There is no object {key} in {self.location}.")
        return Opened(info, self.read(key))

    def open_small(self, key: str, *, size: t.Optional[int] = None) -> Opened:
        return self.open(key)

    def tags(self, key: str) -> t.Mapping[str, str]:
        return {}

    def head(self, key: str, *, size: t.Optional[int] = None) -> t.Optional[ObjectInfo]:
        try:
            status = os.stat(self._path(key))
        except _NO_OBJECT:
            return None
        except OSError as error:
            raise self._error(error, key) from None
        if stat.S_ISDIR(status.st_mode) != key.endswith("/"):
            return None
        if key.endswith("/"):
            return ObjectInfo(key, 0, datetime.fromtimestamp(status.st_mtime, timezone.utc))
        return ObjectInfo(key, status.st_size, datetime.fromtimestamp(status.st_mtime, timezone.utc))

    def list(self, prefix: str = "") -> t.Iterator[ObjectInfo]:
        folder = prefix.rpartition("/")[0]
        if not os.path.isdir(self._root) or (folder and refused_name(folder)):
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
                f"The folder {self._root} does not exist.",
                left="Nothing was changed.",
                next_step="Mount it, or correct path.",
            )

    def require_writable(self, prefix: str) -> None:
        folder = wanted = self._path(prefix.rstrip("/"))
        while not os.path.lexists(folder) and folder != os.path.dirname(folder):
            folder = os.path.dirname(folder)
        if not os.path.isdir(folder):
            raise RecoveryError(
                ErrorKind.STORE_FAILED,
                f"The folder {wanted} cannot be created: {folder} is no folder.",
                next_step="Remove the file of that name, or use another folder.",
            )
        with self._failures(prefix):
            # A run of another user leaves folders of that user below the prefix.
            below = [entry.path for entry in os.scandir(folder) if _is_folder(entry)] if folder == wanted else []
        for path in (folder, *below):
            if not os.access(path, os.W_OK | os.X_OK):
                raise self._not_writable(path)

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

    def lifecycle_rules(self) -> t.List[t.Dict[str, t.Any]]:
        return []

    def set_lifecycle_rules(self, rules: t.Sequence[t.Mapping[str, t.Any]]) -> None:
        raise RecoveryError(
            ErrorKind.UNSUPPORTED,
            f"The folder {self.location} has no lifecycle rules.",
            next_step="Use this module for buckets.",
        )

    def close(self) -> None:
        """There is nothing to release."""

    def _walk(self, folder: str, prefix: str) -> t.Iterator[str]:
        try:
            entries = list(os.scandir(folder))
        except _NO_OBJECT:
            return
        except OSError as error:
            raise self._error(error, prefix) from None
        # A folder sorts as its name with a slash, so that the order is that of the keys.
        for entry in sorted(entries, key=lambda item: item.name + ("/" if _is_folder(item) else "")):
            if not entry.name.isprintable() and _is_no_text(entry.name):
                raise RecoveryError(
                    ErrorKind.INVALID_OPTIONS,
                    f"The name of {entry.path!r} is not UTF-8; keys must be UTF-8.",
                    next_step="Rename the file.",
                )
            if _is_folder(entry):
                yield from self._walk(entry.path, f"{prefix}{entry.name}/")
            elif entry.is_file(follow_symlinks=False) and not _UNFINISHED.fullmatch(entry.name):
                # Links are skipped: they lead out of the folder, and may form loops.
                yield prefix + entry.name

    def _refuse_way_out(self, folder: str, key: str) -> None:
        """A link to another folder must not redirect a write out of this folder."""
        root = os.path.realpath(self._root)
        if os.path.commonpath([root, os.path.realpath(folder)]) != root:
            raise RecoveryError(
                ErrorKind.NAME_REFUSED,
                f"A link leads from {key} out of {self.location}.",
                next_step="Remove the link, or name the folder that it leads to.",
            )

    def _path(self, key: str) -> str:
        problem = self.refuses(key, 0)
        if problem:
            raise RecoveryError(
                ErrorKind.INVALID_OPTIONS,
                f"{key!r} cannot be a key: {problem}.",
                next_step="Check source and prefix.",
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
            raise self._exists(key) from None

    def _exists(self, key: str) -> RecoveryError:
        return RecoveryError(
            ErrorKind.ALREADY_EXISTS, f"There is an object {key} in {self.location} already.", left="It is unchanged."
        )

    @contextlib.contextmanager
    def _failures(self, key: str) -> t.Iterator[None]:
        try:
            yield
        except OSError as error:
            raise self._error(error, key) from None

    def _not_writable(self, path: str) -> RecoveryError:
        """The error of a folder that the user of this process may not write, with the command that mends it."""
        user, root = _user(), shlex.quote(self._root)
        if os.path.isdir(self._root):
            return RecoveryError(
                ErrorKind.ACCESS_DENIED,
                f"{self.location} cannot be written: the user {user} may not write the folder {path}.",
                next_step=f"Make {user} the owner of the store: chown -R {user} {root}",
            )
        return RecoveryError(
            ErrorKind.ACCESS_DENIED,
            f"The folder {self.location} does not exist, and the user {user} may not create it in {path}.",
            next_step=f"Create the folder as root, owned by {user}: install -d -o {user} -m 750 {root}",
        )

    def _error(self, error: OSError, key: str) -> RecoveryError:
        problem = f"{self.location} failed at {key}: {error.strerror}."
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            return RecoveryError(
                ErrorKind.STORE_FULL,
                problem,
                left="Earlier sets are unchanged.",
                next_step="Free space, then run it again.",
            )
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            return RecoveryError(
                ErrorKind.ACCESS_DENIED,
                problem,
                next_step=f"Grant the user {_user()} the right to read and write {os.path.join(self._root, key)}.",
            )
        if error.errno in _IN_THE_WAY:
            return RecoveryError(
                ErrorKind.NAME_REFUSED, problem, next_step="Remove the file of that name, or use another folder."
            )
        return RecoveryError(ErrorKind.STORE_FAILED, problem, next_step="Check the file system, then run it again.")


def _user() -> str:
    """The user of this process; the number of a user without an entry, as in a container."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


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
