# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The gate before a destructive step: what a person read is what runs."""

from __future__ import annotations

import hashlib
import json
import typing as t

from .errors import ErrorKind, RecoveryError

ENVIRONMENTS = ("production", "staging", "sandbox")


def plan_digest(plan: t.Mapping[str, t.Any]) -> str:
    """Sixteen hexadecimal digits that change when any part of the plan does."""
    return hashlib.sha256(json.dumps(plan, sort_keys=True, default=str).encode()).hexdigest()[:16]


def missing_confirmation(
    environment: str, confirm: t.Optional[str], target: str, digest: str, elsewhere: t.Optional[str] = None
) -> str:
    """The digest if require_confirmation would refuse these arguments, otherwise an empty string."""
    try:
        require_confirmation(environment, confirm, target, digest, elsewhere=elsewhere)
    except RecoveryError:
        return digest
    return ""


def require_confirmation(
    environment: str,
    confirm: t.Optional[str],
    target: str,
    digest: str,
    does: str = "replaces",
    elsewhere: t.Optional[str] = None,
) -> None:
    """Raise RecoveryError(confirmation_required) unless production is confirmed by target name or plan digest.

    A confirmation that is given is checked in every environment, because it names what was meant.
    elsewhere: why the target is not what its name suggests; then only the digest confirms it in production.
    """
    named = confirm == target and (elsewhere is None or environment != "production")
    if named or confirm == digest or (confirm is None and environment != "production"):
        return
    if elsewhere is not None:
        raise RecoveryError(
            ErrorKind.CONFIRMATION_REQUIRED,
            f"{elsewhere}: its name does not confirm that this {does} {target!r} in {environment}.",
            next_step=f"Read the plan in check mode, then set `recovery_confirm` to its digest {digest}.",
            details={"plan_digest": digest},
        )
    given = "was not confirmed" if confirm is None else f"was confirmed as {confirm!r}"
    raise RecoveryError(
        ErrorKind.CONFIRMATION_REQUIRED,
        f"This {does} {target!r} in {environment}, which {given}.",
        next_step=f"Set `recovery_confirm` to {target!r}, or to the plan's digest {digest} as check mode prints it.",
        details={"plan_digest": digest},
    )
