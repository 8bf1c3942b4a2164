# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Creates checks from their descriptions; all mistakes are found before a check runs."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from .._core.errors import ErrorKind, RecoveryError
from .._core.nearest import suggestion
from .._core.severity import ERROR, WARNING
from .check import Check
from .fingerprints import Fingerprint
from .options import OptionReader


@dataclass(frozen=True)
class PlannedCheck:
    """A check with its run options. timeout: seconds for each statement, None for that of the run."""

    name: str
    type: str
    severity: str
    skip: bool
    timeout: t.Optional[int]
    check: Check


def plan_checks(
    kinds: t.Mapping[str, t.Type[Check]],
    descriptions: t.Sequence[t.Any],
    *,
    fingerprint_known: bool,
    secrets: t.Collection[str] = (),
) -> t.List[PlannedCheck]:
    """Read every description. secrets: the names that exist.

    Raises RecoveryError(invalid_options) that names each mistake with its index; its details hold
    them as a list of dictionaries with index and mistake.
    """
    if not descriptions:
        raise RecoveryError(
            ErrorKind.INVALID_OPTIONS,
            "`checks` must contain at least one check.",
            next_step="Add a check: a run without checks proves nothing.",
        )
    planned: t.List[PlannedCheck] = []
    mistakes: t.List[t.Dict[str, t.Any]] = []
    for index, description in enumerate(descriptions):
        found, check = _read(kinds, description, fingerprint_known, secrets)
        mistakes += [{"index": index, "mistake": text} for text in found]
        if check:
            planned.append(check)
    if mistakes:
        mistakes_text = "; ".join(f"checks[{item['index']}]: {item['mistake']}" for item in mistakes)
        raise RecoveryError(
            ErrorKind.INVALID_OPTIONS,
            f"`checks` is invalid: {mistakes_text}.",
            left="No check was run, so the state of the content is unknown.",
            next_step="Correct these entries of checks.",
            details={"mistakes": mistakes},
        )
    return planned


def _read(
    kinds: t.Mapping[str, t.Type[Check]], description: t.Any, fingerprint_known: bool, secrets: t.Collection[str]
) -> t.Tuple[t.List[str], t.Optional[PlannedCheck]]:
    if not isinstance(description, t.Mapping):
        return ["it must be a dictionary with at least a type"], None
    options = OptionReader(description)
    kind = options.text("type")
    if kind not in kinds:
        return options.mistakes or [f"unknown type {kind!r} ({suggestion(kind, kinds)})"], None
    name = options.optional_text("name")
    severity = options.enum("severity", (ERROR, WARNING), ERROR)
    skip = options.boolean("skip", False)
    timeout = options.integer("timeout")
    check = kinds[kind].read(options)
    options.finish()
    if isinstance(check, Fingerprint) and not fingerprint_known and not skip:
        options.mistake("there is no backup set to compare with")
    if not all(name in secrets for name in check.secrets):
        # Without the value, which may be a secret in the wrong place.
        options.mistake("a secret must be named as in the option secrets")
    if options.mistakes:
        return [f"{kind}: {text}" for text in options.mistakes], None
    return [], PlannedCheck(name or f"{kind} {check.subject}", kind, severity, skip, timeout, check)
