# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A key of a Kubernetes secret. The patch names the resource version that was read, so that the API server refuses it
with 409 after the change of another client:
https://kubernetes.io/docs/reference/using-api/api-concepts/#patch-and-apply.
"""

from __future__ import annotations

import base64
import os
import typing as t
import urllib.parse
from dataclasses import dataclass, field

from .._core.errors import Applied, ErrorKind, RecoveryError
from .._core.json_api import Begun, Judge, Refusal, Reply, Service, ask, understood
from .._core.options import FilePath, Secret, option
from .way import Answer, Look, State, Way, changed_meanwhile

#: The kinds of the statuses with which the API server refuses a request.
_KINDS = {
    401: (ErrorKind.ACCESS_DENIED, "Check the token and its rights to get and patch secrets."),
    403: (ErrorKind.ACCESS_DENIED, "Check the token and its rights to get and patch secrets."),
    404: (ErrorKind.OBJECT_MISSING, "Check the namespace and the name."),
    409: (ErrorKind.CONFLICT, "Read the secret again, then find out who changes it."),
}


@dataclass(frozen=True)
class KubernetesSecretOptions:
    """api_url, token, ca_file: of the API server. namespace, name, key: of the value."""

    api_url: str
    token: Secret
    name: str
    key: str = field(metadata=option(shown=True))
    namespace: str = "default"
    ca_file: t.Optional[FilePath] = None

    def require_valid(self) -> None:
        """Raise RecoveryError(invalid_options)."""
        if not self.api_url.startswith("https://"):
            raise RecoveryError(
                ErrorKind.INVALID_OPTIONS,
                f"`kubernetes_secret.api_url` must be an address with https://, got {self.api_url!r}.",
            )
        if self.ca_file is not None and not os.path.isfile(self.ca_file):
            raise RecoveryError(
                ErrorKind.INVALID_OPTIONS, f"`kubernetes_secret.ca_file` must be a file, got {self.ca_file!r}."
            )


class KubernetesSecret(Way):
    kind = "kubernetes_secret"
    hides = True

    def __init__(self, options: KubernetesSecretOptions, timeout: float) -> None:
        options.require_valid()
        self._options = options
        self._service = Service(
            options.api_url.rstrip("/"), options.token, timeout, limit_seconds=timeout, ca_bundle=options.ca_file
        )

    @property
    def target(self) -> str:
        return f"the key {self._options.key} of the secret {self._options.namespace}/{self._options.name}"

    def read(self) -> State:
        document = self._ask("GET")
        with understood(self.target):
            data, version = document.get("data") or {}, str(document["metadata"]["resourceVersion"])
            immutable = bool(document.get("immutable"))
            found = data.get(self._options.key)
            value = None if found is None else base64.b64decode(found, validate=True).decode()
        if value is None:
            raise RecoveryError(
                ErrorKind.OBJECT_MISSING,
                f"The secret {self._options.namespace}/{self._options.name} has no key {self._options.key}.",
                next_step="Correct `kubernetes_secret.key`.",
            )
        if immutable:
            raise RecoveryError(
                ErrorKind.UNSUPPORTED,
                f"The secret {self._options.namespace}/{self._options.name} is immutable.",
                next_step="Use a secret that may be changed, or lead the application to another secret.",
            )
        return State(value, {"resource_version": version})

    def write(self, state: State, value: str) -> None:
        body = {
            "metadata": {"resourceVersion": state.facts["resource_version"]},
            "data": {self._options.key: base64.b64encode(value.encode()).decode()},
        }
        try:
            self._ask("PATCH", body=body, headers={"Content-Type": "application/merge-patch+json"}, repeatable=False)
        except RecoveryError as error:
            if error.kind == ErrorKind.CONFLICT:
                raise changed_meanwhile(self.target) from None
            if error.applied != Applied.UNKNOWN:
                raise
            if self.read().value != value:
                raise error.restated(left="The secret had another value when it was read again.") from None

    def look(self, value: str) -> Look:
        state = self.read()
        answers = (Answer(f"resource version {state.facts['resource_version']}", state.value),)
        return Look(answers, "" if state.value == value else "the secret has another value")

    def _ask(self, method: str, **options: t.Any) -> t.Dict[str, t.Any]:
        parts = (urllib.parse.quote(one, safe="") for one in (self._options.namespace, self._options.name))
        path = "api/v1/namespaces/{}/secrets/{}".format(*parts)
        document = ask(self._service, method, path, self._judge(), **options)
        return t.cast(t.Dict[str, t.Any], document)

    def _judge(self) -> Judge:
        def judge(reply: Reply) -> t.Optional[Refusal]:
            if reply.status < 300 and isinstance(reply.document, dict):
                return None
            # The message of the API server is not shown, because that of a rejected value has the value.
            kind, then = _KINDS.get(reply.status, (ErrorKind.SERVICE_FAILED, "Check the API server."))
            error = RecoveryError(
                kind, f"The API server refused the request for {self.target}: HTTP {reply.status}.", next_step=then
            )
            begun = Begun.NO if reply.status == 429 else Begun.MAYBE if reply.status >= 500 else Begun.REFUSED
            return Refusal(error, begun)

        return judge
