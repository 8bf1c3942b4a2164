# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The settings with which a stopped cluster follows a primary, in one place: postgresql.auto.conf."""

from __future__ import annotations

import contextlib
import os
import pwd
import re
import typing as t
from dataclasses import dataclass

from .._core.errors import ErrorKind, RecoveryError
from .._core.files import replace_file
from .._core.options import FilePath, Secret

#: postgresql.auto.conf overrides the other files, so that a value in them has no effect.
_FILE = "postgresql.auto.conf"
_OURS = re.compile(r"\s*(primary_conninfo|primary_slot_name)\s*=?\s", re.IGNORECASE)
#: A start without another hba_file on the command line fails with this one.
_GUARD = "hba_file = '/nonexistent/lifeline.recovery-saves-rows-of-this-cluster'\n"
_HOST, _NAME = re.compile(r"[A-Za-z0-9_.:/-]+"), re.compile(r"[A-Za-z0-9_]+")
_SLOT = re.compile(r"[a-z0-9_]{1,63}")


@dataclass(frozen=True)
class Replication:
    """The address of the new primary as the standby reaches it, and the role that streams.

    passfile: where the password is stored for libpq, outside of the data directory.
    """

    host: str
    user: str
    password: t.Optional[Secret] = None
    port: int = 5432
    sslmode: str = "prefer"
    passfile: t.Optional[FilePath] = None

    def require_valid(self) -> None:
        """Raise RecoveryError(invalid_options)."""
        for name, pattern in (("host", _HOST), ("user", _NAME), ("sslmode", re.compile("[a-z-]+"))):
            if not pattern.fullmatch(getattr(self, name)):
                raise RecoveryError(
                    ErrorKind.INVALID_OPTIONS,
                    f"`replication.{name}` must consist of plain letters, digits and . _ : / -, "
                    f"got {getattr(self, name)!r}.",
                )


def require_slot(slot: str) -> None:
    """Raise RecoveryError(invalid_options) for a name that cannot be a slot."""
    if not _SLOT.fullmatch(slot):
        raise RecoveryError(ErrorKind.INVALID_OPTIONS, f"`slot` must consist of a-z, 0-9 and underscore, got {slot!r}.")


def write_follow_settings(data_dir: str, replication: Replication, slot: str) -> None:
    """Write the password file and the settings; other settings of the file stay.

    Raises RecoveryError: access_denied, damaged.
    """
    conninfo = (
        f"host={replication.host} port={replication.port} user={replication.user} sslmode={replication.sslmode} "
        f"application_name={slot}"
    )
    with _file_errors(data_dir):
        if replication.password is not None:
            passfile = replication.passfile or f"{data_dir.rstrip('/')}.pgpass"
            fields = (replication.host, str(replication.port), "*", replication.user, replication.password)
            line = ":".join(field.replace("\\", "\\\\").replace(":", "\\:") for field in fields)
            replace_file(passfile, f"{line}\n", 0o600)
            _give_to_owner(passfile, data_dir)
            conninfo += f" passfile={_quoted(passfile)}"
        settings = {"primary_conninfo": conninfo, "primary_slot_name": slot}
        ours = [f"{name} = '{value.replace(chr(39), chr(39) * 2)}'\n" for name, value in settings.items()]
        kept = [line for line in _lines(data_dir) if not _OURS.match(line) and line != _GUARD]
        replace_file(os.path.join(data_dir, _FILE), [*kept, *ours], 0o600)


def add_guard(data_dir: str) -> None:
    """Make each regular start of the cluster fail. Raises RecoveryError: access_denied, damaged."""
    with _file_errors(data_dir):
        lines = _lines(data_dir)
        if _GUARD not in lines:
            replace_file(os.path.join(data_dir, _FILE), [*lines, _GUARD], 0o600)


def remove_guard(data_dir: str) -> None:
    """Raises RecoveryError: access_denied, damaged."""
    with _file_errors(data_dir):
        lines = _lines(data_dir)
        if _GUARD in lines:
            replace_file(os.path.join(data_dir, _FILE), [line for line in lines if line != _GUARD], 0o600)


def _lines(data_dir: str) -> t.List[str]:
    try:
        with open(os.path.join(data_dir, _FILE), encoding="utf-8") as stream:
            text = stream.read()
    except FileNotFoundError:
        return []
    return f"{text}\n".splitlines(keepends=True) if text and not text.endswith("\n") else text.splitlines(keepends=True)


@contextlib.contextmanager
def _file_errors(data_dir: str) -> t.Iterator[None]:
    path = os.path.join(data_dir, _FILE)
    try:
        yield
    except UnicodeDecodeError:
        raise RecoveryError(
            ErrorKind.DAMAGED, f"{path} is not UTF-8.", next_step="Write its settings in UTF-8, then run this again."
        ) from None
    except OSError as error:
        raise RecoveryError(
            ErrorKind.ACCESS_DENIED,
            f"{error.filename or path} cannot be written: {error.strerror}.",
            next_step="Run it as root or as the owner of the data directory.",
        ) from None


def _give_to_owner(path: str, data_dir: str) -> None:
    if os.geteuid() == 0:
        owner = pwd.getpwuid(os.stat(data_dir).st_uid)
        os.chown(path, owner.pw_uid, owner.pw_gid, follow_symlinks=False)


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
