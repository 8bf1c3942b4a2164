# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A text file of the host that is replaced in one step, and keeps its owner, its mode and its other attributes."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import stat
import time
import typing as t

from .._core.errors import ErrorKind, RecoveryError
from .way import changed_meanwhile

#: Configuration files are smaller; a larger one is another file.
_LARGEST = 16 * 1024 * 1024
#: Seconds after which the temporary file of another run is a leftover.
_LONGEST_RUN = 60


class HostFile:
    """A file as it was read. Bytes that are no UTF-8 stay the same bytes. option: the option that names it."""

    def __init__(self, path: str, option: str) -> None:
        if not os.path.isabs(path):
            raise RecoveryError(ErrorKind.INVALID_OPTIONS, f"`{option}` must be an absolute path, got {path!r}.")
        # The target of a link is replaced, and not the link.
        self.path = os.path.realpath(path)
        self._option = option
        self._content = self._bytes()

    @property
    def text(self) -> str:
        return self._content.decode("utf-8", "surrogateescape")

    def replace(self, text: str) -> None:
        """Replace the content, if it is still the one that was read. Raises RecoveryError: conflict, access_denied."""
        folder, name = os.path.split(self.path)
        temporary = os.path.join(folder, f".{name}.lifeline-{secrets.token_hex(4)}")
        try:
            _remove_leftovers(folder, name)
            found = os.stat(self.path)
            if os.geteuid() not in (0, found.st_uid):
                raise self._failed("belongs to another user")
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(text.encode("utf-8", "surrogateescape"))
                stream.flush()
                os.fchown(descriptor, found.st_uid, found.st_gid)
                os.fchmod(descriptor, stat.S_IMODE(found.st_mode))
                _copy_attributes(self.path, descriptor)
                os.fsync(descriptor)
            if self._bytes() != self._content:
                raise changed_meanwhile(f"the file {self.path}")
            os.replace(temporary, self.path)
            _sync_folder(folder)
        except OSError as error:
            raise self._failed(f"cannot be replaced: {error.strerror}") from None
        finally:
            with contextlib.suppress(OSError):
                os.unlink(temporary)

    def _bytes(self) -> bytes:
        try:
            with open(self.path, "rb") as stream:
                content = stream.read(_LARGEST + 1)
        except FileNotFoundError:
            raise RecoveryError(
                ErrorKind.OBJECT_MISSING,
                f"The file {self.path} does not exist.",
                next_step=f"Correct `{self._option}`, or run the module on the host that has the file.",
            ) from None
        except OSError as error:
            raise self._failed(f"cannot be read: {error.strerror}") from None
        if len(content) > _LARGEST:
            raise RecoveryError(
                ErrorKind.INVALID_OPTIONS,
                f"`{self._option}` must be a file of at most {_LARGEST} bytes; {self.path} is larger.",
            )
        return content

    def _failed(self, reason: str) -> RecoveryError:
        return RecoveryError(
            ErrorKind.ACCESS_DENIED,
            f"The file {self.path} {reason}.",
            next_step="Run the module as root or as the owner of the file and its folder. A file that is mounted by "
            "itself cannot be replaced; mount its folder.",
        )


def _copy_attributes(path: str, descriptor: int) -> None:
    """Copy labels and access lists to an open file; a path could be a link of the owner of the folder by now."""
    names: t.List[str] = []
    # Not every file system has them.
    with contextlib.suppress(OSError):
        names = os.listxattr(path, follow_symlinks=False)
    for name in names:
        # The system sets some of them itself.
        with contextlib.suppress(OSError):
            os.setxattr(descriptor, name, os.getxattr(path, name, follow_symlinks=False))


def _remove_leftovers(folder: str, name: str) -> None:
    """Remove files of runs that were killed, because they can hold a password; a younger one is of another run."""
    leftover = re.compile(rf"\.{re.escape(name)}\.lifeline-[0-9a-f]{{8}}")
    for one in os.listdir(folder):
        path = os.path.join(folder, one)
        if leftover.fullmatch(one) and time.time() - os.lstat(path).st_mtime > _LONGEST_RUN:
            os.unlink(path)


def _sync_folder(folder: str) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
