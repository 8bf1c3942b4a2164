# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A file whose existence makes a web server answer 503, with the maintenance page as its content."""

from __future__ import annotations

import contextlib
import os
import typing as t
from dataclasses import dataclass, field

from .._core.errors import ErrorKind, RecoveryError
from .._core.files import replace_file
from .._core.options import FilePath, Secret, option
from .means import Before, Means
from .requests import read_status, require_url

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>Maintenance</title></head>
<body><h1>Temporarily unavailable</h1><p>We are restoring the service. Please try again later.</p></body>
</html>
"""


@dataclass(frozen=True)
class FlagFileOptions:
    """path: of the file. content: of the file. url: a page that answers begun_status while the file exists."""

    path: FilePath
    content: str = field(default=_PAGE, metadata=option(default=None))
    mode: str = "0644"
    url: t.Optional[str] = None
    begun_status: int = 503
    headers: t.Mapping[str, Secret] = field(default_factory=dict)

    def require_valid(self) -> None:
        """Raise RecoveryError(invalid_options)."""
        if not os.path.isabs(self.path):
            raise RecoveryError(
                ErrorKind.INVALID_OPTIONS, f"`flag_file.path` must be an absolute path, got {self.path!r}."
            )
        if not self.mode.isascii() or not self.mode.isdigit() or not set(self.mode) <= set("01234567"):
            raise RecoveryError(
                ErrorKind.INVALID_OPTIONS,
                f"`flag_file.mode` must be an octal number such as '0644', got {self.mode!r}.",
            )
        if self.url is not None:
            require_url(self.url, "flag_file.url")


class FlagFile(Means):
    kind = "flag_file"

    def __init__(self, options: FlagFileOptions, timeout: float) -> None:
        options.require_valid()
        self._options, self._timeout = options, timeout

    def read(self) -> Before:
        folder = os.path.dirname(self._options.path)
        if not os.path.isdir(folder):
            raise RecoveryError(
                ErrorKind.INVALID_OPTIONS,
                f"`flag_file.path` must be in a folder that exists, got {self._options.path}.",
                next_step=f"Create {folder}, or correct the path.",
            )
        return {"exists": os.path.lexists(self._options.path)}

    def why_not_begun(self) -> str:
        if not os.path.lexists(self._options.path):
            return f"the file {self._options.path} does not exist"
        status = self._status()
        wanted = self._options.begun_status
        return "" if status in (None, wanted) else f"{self._options.url} answers {status}, not HTTP {wanted}"

    def begin(self, before: Before) -> None:
        if before["exists"]:
            return
        try:
            replace_file(self._options.path, self._options.content, int(self._options.mode, 8))
        except OSError as error:
            raise self._failed(error, "written") from None

    def why_not_ended(self, before: Before) -> str:
        if os.path.lexists(self._options.path) != before["exists"]:
            return f"the file {self._options.path} {'is missing' if before['exists'] else 'still exists'}"
        status = self._status()
        begun = self._options.begun_status
        return f"{self._options.url} still answers HTTP {begun}" if status == begun and not before["exists"] else ""

    def end(self, before: Before) -> None:
        if before["exists"]:
            return
        try:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._options.path)
        except OSError as error:
            raise self._failed(error, "removed") from None

    def _status(self) -> t.Optional[int]:
        if self._options.url is None:
            return None
        return read_status(self._options.url, self._options.headers, self._timeout)

    def _failed(self, error: OSError, done: str) -> RecoveryError:
        return RecoveryError(
            ErrorKind.ACCESS_DENIED,
            f"The file {self._options.path} cannot be {done}: {error.strerror}.",
            next_step="Run the step as the owner of the folder.",
        )
