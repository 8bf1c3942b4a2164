# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A deploy hook: its address is a secret, and a request to it builds the head of a branch."""

from __future__ import annotations

import typing as t
import urllib.request
from dataclasses import dataclass, field

from .._core.errors import Applied, ErrorKind, RecoveryError
from .._core.http import NoAnswer, exchange
from .._core.options import Secret
from .._maintenance.requests import require_url
from .hosting import Deployment, Hosting

_LARGEST = 64 * 1024


@dataclass(frozen=True)
class HookOptions:
    """url: of the hook, which is a secret."""

    url: Secret = field(repr=False)
    method: t.Literal["POST", "GET"] = "POST"


class Hook(Hosting):
    """No error contains the address or the answer of the hook."""

    kind, provider = "hook", "The deploy hook"

    def __init__(self, options: HookOptions, timeout: float) -> None:
        require_url(options.url, "hook.url")
        self._options, self._timeout = options, timeout

    def current(self) -> t.Optional[Deployment]:
        return None

    def target(self) -> t.Optional[Deployment]:
        return None

    def why_not_current(self, target: t.Optional[Deployment]) -> str:
        return ""

    def switch(self, target: t.Optional[Deployment]) -> None:
        method = self._options.method
        request = urllib.request.Request(self._options.url, b"" if method == "POST" else None, method=method)
        try:
            answer = exchange(request, timeout=self._timeout, largest=_LARGEST)
        except NoAnswer as error:
            raise RecoveryError(
                ErrorKind.UNREACHABLE,
                f"The deploy hook did not answer: {error.reason}.",
                next_step="Check `hook.url` and the network.",
                applied=Applied.UNKNOWN if error.begun else Applied.NO,
            ) from None
        if not 200 <= answer.status < 300:
            is_unknown = answer.status >= 500
            raise RecoveryError(
                ErrorKind.SERVICE_FAILED if is_unknown or answer.status == 429 else ErrorKind.ACCESS_DENIED,
                f"The deploy hook refused the request: {answer.outcome}.",
                next_step="Check `hook.url`; a hook that was deleted answers like this.",
                applied=Applied.UNKNOWN if is_unknown else Applied.NO,
            )

    def undo(self, former: t.Optional[Deployment]) -> t.Mapping[str, t.Any]:
        return {}
