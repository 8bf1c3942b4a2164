# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The folder of reports: one folder for each drill, the link C(latest), and the history of the drills."""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import typing as t
from dataclasses import dataclass
from datetime import datetime

from .._core.clock import compact_instant, parse_instant
from .._core.errors import ErrorKind, RecoveryError
from .._core.files import replace_file
from .._pages.report_format import Report, origin_of
from .report import validate_report

REPORT_NAME = "report.json"
LATEST = "latest"

#: A report may name tables and hold a few rows, so it is for the owner and the group.
_FOLDER_MODE = 0o750
_FILE_MODE = 0o640

_FOLDER = re.compile(r"\d{8}T\d{6}Z-")


@dataclass(frozen=True)
class History:
    """Earlier reports, oldest first; broken: folder names whose report cannot be read."""

    reports: t.Tuple[Report, ...] = ()
    broken: t.Tuple[str, ...] = ()


def folder_name(started_at: datetime, scenario: str) -> str:
    """C(20260301T020005Z-database_loss); characters that are awkward in paths become a hyphen."""
    return f"{compact_instant(started_at)}-{re.sub(r'[^A-Za-z0-9_-]+', '-', scenario).strip('-')[:80] or 'drill'}"


def reserve_folder(reports_dir: str, name: str) -> str:
    """Make a folder of that name, or with a number behind it when another drill has it. Returns its path."""
    with _refusing(reports_dir):
        os.makedirs(reports_dir, mode=_FOLDER_MODE, exist_ok=True)
        for attempt in range(1, 1000):
            folder = os.path.join(reports_dir, name if attempt == 1 else f"{name}-{attempt}")
            try:
                os.mkdir(folder, _FOLDER_MODE)
            except FileExistsError:
                continue
            return folder
    raise RecoveryError(ErrorKind.ALREADY_EXISTS, f"{reports_dir} already has a thousand reports of {name}.")


def write_file(path: str, content: str, mode: int = _FILE_MODE) -> None:
    """Replace the file in one step. Raises RecoveryError(report_failed)."""
    with _refusing(path):
        replace_file(path, content, mode)


def point_latest(reports_dir: str, folder: str) -> None:
    """Let C(latest) point to the folder; at no moment is there none. Raises RecoveryError(report_failed)."""
    link = os.path.join(reports_dir, LATEST)
    temporary = os.path.join(reports_dir, f".{LATEST}.{secrets.token_hex(4)}")
    with _refusing(link):
        try:
            os.symlink(os.path.basename(folder), temporary)
            os.replace(temporary, link)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise


def read_history(reports_dir: str) -> History:
    """All reports in the folder; those that cannot be read are named instead."""
    try:
        names = sorted(os.listdir(reports_dir))
    except FileNotFoundError:
        return History()
    except OSError as error:
        raise _failed(reports_dir, error) from error
    reports: t.List[Report] = []
    broken: t.List[str] = []
    for name in names:
        folder = os.path.join(reports_dir, name)
        if not _FOLDER.match(name) or os.path.islink(folder) or not os.path.isdir(folder):
            continue
        try:
            with open(os.path.join(folder, REPORT_NAME), encoding="utf-8") as stream:
                report = json.load(stream)
            validate_report(report)
        except (OSError, ValueError, RecursionError, RecoveryError):
            broken.append(name)
        else:
            reports.append(report)
    reports.sort(key=lambda report: parse_instant(report["started_at"]))
    return History(tuple(reports), tuple(broken))


def same_drill(history: History, report: Report) -> t.List[Report]:
    """Earlier runs of this scenario with this source and origin of data in this environment, oldest first."""
    keys = ("scenario", "source", "environment")
    return [
        earlier
        for earlier in history.reports
        if all(earlier[key] == report[key] for key in keys)
        and origin_of(earlier) == origin_of(report)
        and parse_instant(earlier["started_at"]) <= parse_instant(report["started_at"])
    ]


@contextlib.contextmanager
def _refusing(path: str) -> t.Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _failed(path, error) from error


def _failed(path: str, error: OSError) -> RecoveryError:
    return RecoveryError(
        ErrorKind.REPORT_FAILED,
        f"{path} cannot be written or read: {error.strerror}.",
        left="Earlier reports and the link latest are unchanged.",
        next_step="Give in reports_dir a folder on a disk with space that this user may write.",
    )
