# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One variable of a file of C(KEY=value) lines, as systemd, Docker, shells and dotenv libraries read it."""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass, field

from .._core.errors import ErrorKind, RecoveryError, guaranteed
from .._core.options import FilePath, option
from .host_file import HostFile
from .way import Answer, Look, State, Way

_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
#: A value in quotes or bare, and the rest of its line, which stays.
_LINE = (
    r"^[ \t]*(?:export[ \t]+)?{key}[ \t]*=[ \t]*"
    r"(?P<value>'[^'\r\n]*'|\"(?:[^\"\\\r\n]|\\[^\r\n])*\"|[^\s'\"]*)(?P<rest>[^\r\n]*)"
)
#: Characters that programs read in different ways within these quotes; the empty key is a value without quotes.
_UNSAFE: t.Mapping[str, str] = {"'": "'", '"': '"\\$`', "": "'\"\\$`#;&|<>()*?~ \t"}


@dataclass(frozen=True)
class EnvFileOptions:
    """path: of the file. key: name of the variable. hidden: whether results show no values."""

    path: FilePath
    key: str = field(metadata=option(shown=True))
    hidden: bool = True

    def require_valid(self) -> None:
        """Raise RecoveryError(invalid_options)."""
        if not _KEY.fullmatch(self.key):
            raise RecoveryError(
                ErrorKind.INVALID_OPTIONS, f"`env_file.key` must be the name of a variable, got {self.key!r}."
            )


@dataclass(frozen=True)
class _Found:
    """The value of the variable with its quote, and where it is in the text."""

    value: str
    quote: str
    start: int
    end: int


class EnvFile(Way):
    kind = "env_file"

    def __init__(self, options: EnvFileOptions, timeout: float) -> None:
        options.require_valid()
        self._options, self.hides = options, options.hidden
        self._file: t.Optional[HostFile] = None

    @property
    def target(self) -> str:
        return f"the variable {self._options.key} in {self._options.path}"

    def read(self) -> State:
        self._file = HostFile(self._options.path, "env_file.path")
        return State(self._found(self._file.text).value)

    def require_valid(self, expected: str, value: str) -> None:
        super().require_valid(expected, value)
        if value != value.strip() or expected != expected.strip():
            raise RecoveryError(ErrorKind.INVALID_OPTIONS, "`expected` and `value` must not begin or end with a blank.")

    def write(self, state: State, value: str) -> None:
        file = guaranteed(self._file)
        found = self._found(file.text)
        self._require_writable(found, value)
        file.replace(f"{file.text[: found.start]}{found.quote}{value}{found.quote}{file.text[found.end :]}")

    def look(self, value: str) -> Look:
        read = self.read().value
        reason = "" if read == value else f"{self._options.path} has another value"
        return Look((Answer(self._options.path, read),), reason)

    def _require_writable(self, found: _Found, value: str) -> None:
        # A character that the value had already is read as the program of this file reads it.
        wrong = sorted(
            {one for one in value if one in _UNSAFE[found.quote] and (found.quote or one not in found.value)}
        )
        if wrong:
            inside = (
                f"within {'single' if found.quote == chr(39) else 'double'} quotes" if found.quote else "without quotes"
            )
            raise RecoveryError(
                ErrorKind.INVALID_OPTIONS,
                f"`value` has the characters {' '.join(map(repr, wrong))}, which programs read in different ways "
                f"{inside}, and {self.target} has its value {inside}.",
                next_step="Change the quotes of the line in the file first, in the form that the application reads.",
            )

    def _found(self, text: str) -> _Found:
        matches = list(re.finditer(_LINE.format(key=re.escape(self._options.key)), text, re.MULTILINE))
        if len(matches) != 1:
            raise RecoveryError(
                ErrorKind.OBJECT_MISSING if not matches else ErrorKind.INCONSISTENT,
                f"{self._options.path} has {len(matches)} lines for {self._options.key}, and must have one.",
                next_step="Correct the file, or `env_file.key`.",
            )
        (match,) = matches
        rest = match.group("rest").strip(" \t")
        if rest and not (rest.startswith("#") and match.group("rest")[0] in " \t"):
            raise RecoveryError(
                ErrorKind.INCONSISTENT,
                f"Programs read the line of {self._options.key} in {self._options.path} in different ways: it has "
                "text behind its value.",
                next_step="Put the value of the line in quotes.",
            )
        raw = match.group("value")
        quote = raw[0] if raw[:1] in ("'", '"') else ""
        value = raw[1:-1] if quote else raw
        if quote == '"':
            value = re.sub(r"\\([\"\\$`])", r"\1", value)
        return _Found(value, quote, *match.span("value"))
