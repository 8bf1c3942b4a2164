# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files whose names a store gave, which is untrusted: every one is made here, directly in the folder of the caller."""

from __future__ import annotations

import os
import re
import typing as t

from .errors import ErrorKind, RecoveryError

#: A name without separators, blanks and control characters that begins with neither a dot nor a hyphen.
#: Names that this collection and pg_dump write for files of a set all look like this.
PLAIN_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,199}")


def is_plain_name(name: t.Any) -> bool:
    return isinstance(name, str) and PLAIN_NAME.fullmatch(name) is not None


def require_plain_name(name: t.Any, what: str) -> str:
    """The name. what names the document that has it. Raises RecoveryError(damaged) for any other name."""
    if not is_plain_name(name):
        raise RecoveryError(
            ErrorKind.DAMAGED,
            f"{what} names the file {name!r}, which is not a plain file name.",
            left="That file was not written.",
            next_step="The set was changed in the store. Use another set or another copy.",
        )
    return str(name)


def create_file(folder: str, name: str, what: str) -> t.IO[bytes]:
    """A new file of that name in folder, open for writing, mode 0600.

    Raises RecoveryError(damaged) for a name that is not plain or that the folder has, be it as a link; OSError.
    """
    require_plain_name(name, what)
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        return os.fdopen(os.open(name, flags, 0o600, dir_fd=opened), "wb")
    except FileExistsError:
        raise RecoveryError(
            ErrorKind.DAMAGED,
            f"{what} names the file {name!r} twice.",
            left="The first of the two was kept.",
            next_step="The set was changed in the store. Use another set or another copy.",
        ) from None
    finally:
        os.close(opened)
