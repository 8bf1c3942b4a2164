# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The edge functions of a project through the Management API: read, bundled, switched, deleted."""

from __future__ import annotations

import typing as t

from ..._core.errors import ErrorKind, RecoveryError
from ..answers import of_kind
from ..api import SupabaseApi
from .answers import Function, read_function, read_functions
from .form import Sources, deployment_form

_READ, _WRITE = "edge_functions:read", "edge_functions:write"
_ESZIP = "application/vnd.denoland.eszip"


class FunctionsApi(SupabaseApi):
    """Raises RecoveryError as SupabaseApi."""

    def functions(self) -> t.Dict[str, Function]:
        """The functions of the project by their slugs."""
        return read_functions(self._ask("GET", "functions", f"the functions of {self.ref}", _READ))

    def function(self, slug: str) -> Function:
        return read_function(self._ask("GET", f"functions/{slug}", f"the function {slug}", _READ))

    def body(self, slug: str) -> bytes:
        """The bundle of a function."""
        return bytes(
            self._ask("GET", f"functions/{slug}/body", f"the bundle of the function {slug}", _READ, binary=True)
        )

    def bundle(self, sources: Sources, verify_jwt: bool) -> Function:
        """The bundle that the service makes of sources. It does not become the current one."""
        kind, form = deployment_form(sources, verify_jwt)
        try:
            document = self._ask(
                *("POST", "functions/deploy", f"the bundle of the function {sources.slug}", _WRITE),
                query={"slug": sources.slug, "bundleOnly": "true"},
                body=form,
                headers={"Content-Type": kind},
            )
        except RecoveryError as error:
            if error.kind != ErrorKind.INVALID_OPTIONS:
                raise
            raise error.restated(
                next_step="Check the imports of the function at `ref`, or set `ref` to a commit that was deployed."
            ) from None
        return read_function(document)

    def switch(self, functions: t.Sequence[t.Mapping[str, t.Any]]) -> None:
        """Make bundles the current ones, all of them in one request, which is sent once."""
        slugs = ", ".join(str(function["slug"]) for function in functions)
        what = f"the deployment of {slugs}"
        answer = self._ask("PUT", "functions", what, _WRITE, body=list(functions), repeatable=False)
        read_functions(of_kind(answer, dict, "answer to a deployment").get("functions"))

    def put_bundle(self, function: Function, body: bytes, *, exists: bool) -> None:
        """Send a kept bundle back, as the current one of its function."""
        query: t.Dict[str, t.Any] = {"name": function.name}
        for name in ("verify_jwt", "import_map"):
            value = getattr(function, name)
            query.update({} if value is None else {name: str(value).lower()})
        for name in ("entrypoint_path", "import_map_path", "ezbr_sha256"):
            value = getattr(function, name)
            query.update({} if value is None else {name: value})
        if not exists:
            query["slug"] = function.slug
        read_function(
            self._ask(
                "PATCH" if exists else "POST",
                f"functions/{function.slug}" if exists else "functions",
                f"the bundle of the function {function.slug}",
                _WRITE,
                query=query,
                body=body,
                headers={"Content-Type": _ESZIP},
                repeatable=False,
            )
        )

    def delete(self, slug: str) -> None:
        self._ask("DELETE", f"functions/{slug}", f"the deletion of the function {slug}", _WRITE, repeatable=False)

    def _ask(self, method: str, path: str, what: str, scope: str, **options: t.Any) -> t.Any:
        try:
            return self._call(method, path, what, scope, **options)
        except RecoveryError as error:
            if error.kind == ErrorKind.UNSUPPORTED:
                step = "Delete a function that is not needed, or change the plan of the project."
            elif error.kind == ErrorKind.TARGET_IN_USE:
                step = "Wait until the other deployment of the project ends, then run it again."
            else:
                raise
            raise error.restated(next_step=step) from None
