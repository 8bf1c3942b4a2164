# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files that are replaced while other processes read them."""

from __future__ import annotations

import contextlib
import os
import secrets
import typing as t


def replace_file(path: str, content: t.Union[str, t.Iterable[str]], mode: int) -> None:
    """Replace the file in one step, so that a reader sees the old or the new one. content: a text, or its lines.

    Raises OSError.

    Root keeps the owner of the file, or gives the file to the owner of the folder, because that user writes it next.
    """
    temporary = os.path.join(os.path.dirname(path), f".{os.path.basename(path)}.{secrets.token_hex(4)}")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.writelines([content] if isinstance(content, str) else content)
            stream.flush()
            os.fchmod(descriptor, mode)
            hand_over(descriptor, path)
            os.fsync(descriptor)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def hand_over(descriptor: int, path: str) -> None:
    """Give an open file to the owner of path, or of its folder where there is none; only root can. Raises OSError."""
    if os.geteuid() != 0:
        return
    try:
        owner = os.lstat(path)
    except FileNotFoundError:
        owner = os.stat(os.path.dirname(path) or ".")
    os.fchown(descriptor, owner.st_uid, owner.st_gid)
