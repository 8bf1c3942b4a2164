# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Edge functions of a project of Supabase to test against: deployed, bundled, switched and run.

A bundle has the files that were sent; one that lacks an imported file is refused, as the service refuses it. A function
answers below /functions/v1 with the value of BUILD in its sources, and refuses requests without a token if it verifies
them. Needs Python and supabase.py only: supabase_functions.py PORT FOLDER TOKEN.
"""

from __future__ import annotations

import contextlib
import email.parser
import email.policy
import hashlib
import json
import posixpath
import re
import sys
import threading
import time
import typing as t
from dataclasses import dataclass, field
from pathlib import Path

if __package__:
    from .supabase import REF, Fault, SupabaseServer, serving
else:
    from supabase import REF, Fault, SupabaseServer, serving  # type: ignore[import-not-found, no-redef]

_ESZIP = "application/vnd.denoland.eszip"
_BASE = f"/v1/projects/{REF}/functions"
_Answer = tuple[int, t.Any]


@dataclass
class FunctionsServer(SupabaseServer):
    """functions: as GET returns them. bundles: what the bundles of each function id and version are.

    slow_looks: so many looks at a function after a switch still show the former version. most: functions of the plan.
    """

    functions: dict[str, dict[str, t.Any]] = field(default_factory=dict)
    bundles: dict[tuple[str, int], bytes] = field(default_factory=dict)
    slow_looks: int = 0
    most: int = 100
    digests: bool = True
    forms: list[dict[str, t.Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._former: dict[str, tuple[int, dict[str, t.Any]]] = {}

    def read(self, kind: str, data: bytes) -> t.Any:
        if kind.startswith("multipart/form-data"):
            return _read_form(kind, data)
        return {"eszip": data.decode("latin-1")} if kind == _ESZIP else super().read(kind, data)

    def deploy(self, slug: str, files: dict[str, str], **more: t.Any) -> None:
        """Deploy as a developer did before."""
        metadata = {"entrypoint_path": f"supabase/functions/{slug}/index.ts", "name": slug, **more}
        form = {"metadata": metadata, "file": {name: content.encode() for name, content in files.items()}}
        status, answer = self._deploy({"slug": slug}, form)
        if status != 201:
            raise ValueError(answer)

    def handle(
        self, method: str, target: str, authorization: str, data: bytes, kind: str = "application/json"
    ) -> tuple[Fault | None, _Answer | None]:
        if target.startswith("/functions/v1/"):
            return None, self._run(target.removeprefix("/functions/v1/"), authorization)
        return super().handle(method, target, authorization, data, kind)

    def files(self, slug: str) -> dict[str, str]:
        """The sources that a function runs."""
        function = self.functions[slug]
        bundle = self.bundles[function["id"], function["version"]]
        return t.cast("dict[str, str]", json.loads(bundle.removeprefix(b"EZBR"))["files"])

    def _run(self, slug: str, authorization: str) -> _Answer:
        function = self.functions.get(slug)
        if function is None:
            return 404, {"code": "NOT_FOUND", "message": "Requested function was not found"}
        if function["verify_jwt"] and not authorization:
            return 401, {"code": 401, "message": "Missing authorization header"}
        found = re.search(r'BUILD = "([^"]*)"', "".join(self.files(slug).values()))
        return 200, {"build": found.group(1) if found else None}

    def _answer(self, line: str, path: str, query: dict[str, str], authorization: str, body: t.Any) -> _Answer:
        if not path.startswith(_BASE):
            return super()._answer(line, path, query, authorization, body)
        if authorization != f"Bearer {self.token}":
            return 401, {"message": "Unauthorized"}
        rest = path.removeprefix(_BASE).strip("/")
        method = line.split()[0]
        if rest == "deploy" and method == "POST":
            return self._deploy(query, body)
        if not rest:
            if method == "GET":
                return 200, [self._shown(one) for one in self.functions.values()]
            if method == "PUT":
                return self._switch(body)
            if method == "POST":
                return self._put(query["slug"], query, body, 201)
        slug, _slash, part = rest.partition("/")
        if slug not in self.functions:
            return 404, {"message": "Function not found"}
        if part == "body" and method == "GET":
            function = self.functions[slug]
            return 200, self.bundles[function["id"], function["version"]]
        if part:
            return 404, {"message": f"Cannot {line}"}
        if method == "GET":
            return 200, self._look(slug)
        if method == "PATCH":
            return self._put(slug, query, body, 200)
        if method == "DELETE":
            del self.functions[slug]
            return 200, None
        return 404, {"message": f"Cannot {line}"}

    def _look(self, slug: str) -> dict[str, t.Any]:
        looks, former = self._former.get(slug, (0, {}))
        if looks:
            self._former[slug] = (looks - 1, former)
            return former
        return self._shown(self.functions[slug])

    def _shown(self, function: dict[str, t.Any]) -> dict[str, t.Any]:
        return function if self.digests else {k: v for k, v in function.items() if k != "ezbr_sha256"}

    def _deploy(self, query: dict[str, str], form: t.Any) -> _Answer:
        slug, metadata, files = query["slug"], form["metadata"], form["file"]
        if query.get("bundleOnly") == "true":
            self.forms.append({"slug": slug, "metadata": metadata, "files": sorted(files)})
        if slug not in self.functions and len(self.functions) >= self.most:
            return 402, {"message": "Maximum number of functions reached for Plan"}
        problem = _missing(metadata, files)
        if problem:
            return 400, {"message": f"Failed to bundle the function (reason: {problem})"}
        bundle = (
            b"EZBR"
            + json.dumps(
                {"entrypoint": metadata["entrypoint_path"], "files": {k: v.decode() for k, v in sorted(files.items())}}
            ).encode()
        )
        function = self._next(slug, bundle, metadata)
        if query.get("bundleOnly") != "true":
            self.functions[slug] = {**function, "updated_at": _now()}
        return 201, self._shown(function)

    def _next(self, slug: str, bundle: bytes, metadata: dict[str, t.Any]) -> dict[str, t.Any]:
        """The version after the current one, which is not switched to."""
        before = self.functions.get(slug)
        identity = before["id"] if before else hashlib.sha256(slug.encode()).hexdigest()[:36]
        version = before["version"] + 1 if before else 1
        self.bundles[identity, version] = bundle
        return {
            "id": identity,
            "slug": slug,
            "name": metadata.get("name", slug),
            "status": "ACTIVE",
            "version": version,
            "created_at": before["created_at"] if before else _now(),
            "updated_at": _now(),
            "verify_jwt": metadata.get("verify_jwt", True),
            "import_map": bool(metadata.get("import_map_path")),
            "entrypoint_path": metadata["entrypoint_path"],
            "import_map_path": metadata.get("import_map_path") or "",
            "ezbr_sha256": hashlib.sha256(bundle).hexdigest(),
        }

    def _switch(self, updates: list[dict[str, t.Any]]) -> _Answer:
        for update in updates:
            before = self.functions.get(update["slug"])
            if before and update["version"] <= before["version"]:
                return 409, {"message": "deployment already exists"}
            if (update["id"], update["version"]) not in self.bundles:
                return 500, {"message": "no bundle"}
        for update in updates:
            before = self.functions.get(update["slug"])
            if before and self.slow_looks:
                self._former[update["slug"]] = (self.slow_looks, before)
            self.functions[update["slug"]] = {**update, "updated_at": _now()}
            self.functions[update["slug"]].setdefault(
                "ezbr_sha256", hashlib.sha256(self.bundles[update["id"], update["version"]]).hexdigest()
            )
        return 200, {"functions": [self._shown(self.functions[update["slug"]]) for update in updates]}

    def _put(self, slug: str, query: dict[str, str], body: t.Any, status: int) -> _Answer:
        bundle = body["eszip"].encode("latin-1")
        if query.get("ezbr_sha256") not in (None, hashlib.sha256(bundle).hexdigest()):
            return 400, {"message": "ezbr_sha256 does not match"}
        metadata = {**query, "verify_jwt": query.get("verify_jwt") == "true"}
        self.functions[slug] = {**self._next(slug, bundle, metadata), "import_map": query.get("import_map") == "true"}
        return status, self._shown(self.functions[slug])


def _now() -> int:
    return int(time.time() * 1000)


def _read_form(kind: str, data: bytes) -> dict[str, t.Any]:
    message = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(
        f"Content-Type: {kind}\r\n\r\n".encode() + data
    )
    form: dict[str, t.Any] = {"file": {}}
    for part in message.iter_parts():  # type: ignore[attr-defined]
        name = part.get_param("name", header="content-disposition")
        content = part.get_payload(decode=True)
        if name == "metadata":
            form["metadata"] = json.loads(content)
        elif name == "file":
            form["file"][part.get_param("filename", header="content-disposition")] = content
        else:
            raise ValueError(f"the form has a field {name}")
    return form


def _missing(metadata: dict[str, t.Any], files: dict[str, bytes]) -> str:
    """The first module that a bundle needs and the form does not have."""
    mapping: dict[str, str] = {}
    import_map = metadata.get("import_map_path")
    if import_map:
        if import_map not in files:
            return f"Import map not found {import_map}"
        without_comments = re.sub(rb"^\s*//.*$", b"", files[import_map], flags=re.MULTILINE)
        document = json.loads(re.sub(rb",(\s*})", rb"\1", without_comments))
        if "importMap" in document:
            import_map = posixpath.normpath(posixpath.join(posixpath.dirname(import_map), document["importMap"]))
            if import_map not in files:
                return f"Import map not found {import_map}"
            document = json.loads(files[import_map])
        mapping = {
            key: posixpath.normpath(posixpath.join(posixpath.dirname(import_map), value)) + "/" * value.endswith("/")
            for key, value in document.get("imports", {}).items()
            if value.startswith(".")
        }
    pending, seen = [metadata["entrypoint_path"]], set()
    while pending:
        path = pending.pop()
        if path in seen:
            continue
        seen.add(path)
        if path not in files:
            return f'Module not found "file:///src/{path}"'
        for specifier in re.findall(r"""(?:from|import\(?)\s*["']([^"']+)["']""", files[path].decode()):
            key = next(
                (key for key in mapping if specifier == key or (key.endswith("/") and specifier.startswith(key))), ""
            )
            if key:
                pending.append(mapping[key] + specifier[len(key) :])
            elif specifier.startswith("."):
                pending.append(posixpath.normpath(posixpath.join(posixpath.dirname(path), specifier)))
    return ""


@contextlib.contextmanager
def functions_server(folder: Path, port: int = 0) -> t.Iterator[FunctionsServer]:
    with serving(FunctionsServer(folder), port) as api:
        yield api


def main() -> None:
    """Serve until killed, with a function of the bad release that the scenario rolls back."""
    port, folder, token = int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
    folder.mkdir(parents=True, exist_ok=True)
    with functions_server(folder, port) as api:
        api.token = token
        api.deploy("hello", {"supabase/functions/hello/index.ts": 'export const BUILD = "2";\n'}, verify_jwt=False)
        threading.Event().wait()


if __name__ == "__main__":
    main()
