# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The results of checks as a JUnit file, with expected and actual values and without rows."""

from __future__ import annotations

import json
import os
import tempfile
import typing as t

from .._core.errors import ErrorKind, RecoveryError
from .._core.junit import TestCase, junit_xml
from .._core.severity import PASSED, WARNING
from .result import CheckResult

_SUITE = "lifeline.recovery.integrity_check"


def prepare_junit(path: str) -> None:
    """Test before the checks run whether the file can be written. Raises RecoveryError(invalid_options)."""
    folder = os.path.dirname(os.path.abspath(path))
    if os.path.isdir(path) or not os.path.isdir(folder) or not os.access(folder, os.W_OK):
        raise RecoveryError(
            ErrorKind.INVALID_OPTIONS,
            f"The JUnit file {path} cannot be written.",
            left="No check was run.",
            next_step="Set junit_path to a file in an existing, writable folder.",
        )


def write_junit(path: str, results: t.Sequence[CheckResult]) -> None:
    """Replace the file atomically. Raises RecoveryError(invalid_options) if that fails."""
    text = junit_xml(_SUITE, [as_case(result) for result in results])
    folder = os.path.dirname(os.path.abspath(path))
    try:
        handle, temporary = tempfile.mkstemp(dir=folder, prefix=".junit-")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as stream:
                stream.write(text)
            # Other users read reports too, and this one contains no row.
            os.chmod(temporary, 0o644)
            os.replace(temporary, path)
        except BaseException:
            os.unlink(temporary)
            raise
    except OSError as error:
        raise RecoveryError(
            ErrorKind.INVALID_OPTIONS, f"The JUnit file {path} could not be written: {error.strerror}."
        ) from None


def as_case(result: CheckResult) -> TestCase:
    """A warning is a passed test with a message, because JUnit has no warnings."""
    status = PASSED if result.status == WARNING else result.status
    message = f"warning: {result.message}" if result.status == WARNING else result.message
    facts = {"expected": result.expected, "actual": result.actual}
    detail = "" if result.actual is None else "\n".join(f"{key}: {_json(value)}" for key, value in facts.items())
    return TestCase(result.name, f"{_SUITE}.{result.type}", status, message, detail, result.seconds)


def _json(value: t.Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)
