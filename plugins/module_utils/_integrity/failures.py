# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The reason why a check on PostgreSQL could not run, in one sentence."""

from __future__ import annotations

import typing as t

from .._core.errors import RecoveryError
from .._core.severity import ERROR, FAILED
from .check import CannotVerify, NotThere

#: undefined_table, undefined_column, invalid_schema_name.
#: https://www.postgresql.org/docs/current/errcodes-appendix.html
_NOT_THERE = ("42P01", "42703", "3F000")
#: data_corrupted, index_corrupted.
_DAMAGED = ("XX001", "XX002")
_NO_RIGHT = "42501"
_CANCELLED = "57014"
_READ_ONLY = "25006"


def explain(error: Exception, *, timeout: int, show_values: bool) -> t.Tuple[str, str]:
    """Status and message for an error of a check: failed if an object is missing or damaged, error otherwise.

    show_values: whether a message of the server may be repeated if it quotes a value of a row.
    """
    if isinstance(error, NotThere):
        return FAILED, str(error)
    if isinstance(error, CannotVerify):
        return ERROR, str(error)
    if isinstance(error, RecoveryError):
        return ERROR, error.what
    code = getattr(error, "pgcode", None)
    # Functions and casts can put the content of a row into any message of the server.
    message = _said(error)
    said = message if show_values or code is None else f"condition {code}, whose text is not shown with sample 0"
    if code in _NOT_THERE:
        return FAILED, f"An object of the check does not exist: {said}."
    if code in _DAMAGED:
        return FAILED, f"The server cannot read its own data: {said}."
    if code == _NO_RIGHT and "row-level security" in message:
        return ERROR, f"Row-level security would hide rows from this role, which needs BYPASSRLS: {said}."
    if code == _NO_RIGHT:
        return ERROR, f"This role lacks a right: {said}."
    if code == _CANCELLED:
        return ERROR, f"It was cancelled after its time limit of {timeout} s: {said}."
    if code == _READ_ONLY:
        return ERROR, f"A check may only read: {said}."
    if code is None:
        return ERROR, f"It ended unexpectedly: {said}."
    return ERROR, f"PostgreSQL refused a statement: {said}."


def _said(error: Exception) -> str:
    diagnosis = getattr(error, "diag", None)
    message = getattr(diagnosis, "message_primary", None) or str(error) or type(error).__name__
    return str(message).strip().splitlines()[0].rstrip(".")
