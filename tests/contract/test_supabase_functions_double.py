# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Requests about edge functions, and the answers of the double, conform to the OpenAPI document of the API.

The paths of functions are those of https://github.com/supabase/cli (packages/api/src/generated/openapi.json, MIT),
without their prose.
"""

from __future__ import annotations

import json
import re
import typing as t
from pathlib import Path

import jsonschema
import pytest

from tests.support.fakes.supabase import Fault
from tests.support.fakes.supabase_functions import functions_server
from tests.support.git import Repository
from tests.support.runner.modules import ModuleFailed, run_module
from tests.support.schemas import Schema, check, strict

Exchange = dict[str, t.Any]
DOCUMENT = json.loads((Path(__file__).parent / "data" / "supabase_functions.json").read_text())
BASE = "supabase/functions"

#: Statuses that the document does not have for each operation.
UNDOCUMENTED = {400, 404, 409, 402, 429}
#: A function that was never deployed from an import map may lack these.
NOT_ALWAYS = {"import_map", "import_map_path", "entrypoint_path", "ezbr_sha256", "verify_jwt", "created_at"}


def resolved(schema: t.Any) -> t.Any:
    if isinstance(schema, list):
        return [resolved(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return resolved(DOCUMENT["components"]["schemas"][schema["$ref"].rpartition("/")[2]])
    return {key: resolved(value) for key, value in schema.items()}


def operation(exchange: Exchange) -> tuple[str, Schema]:
    method = exchange["method"].lower()
    # A literal path comes before one with a parameter.
    for path, methods in sorted(DOCUMENT["paths"].items(), key=lambda item: item[0].count("{")):
        if re.fullmatch(re.sub("{[^}]*}", "[^/]+", path), exchange["path"]) and method in methods:
            return f"{method} {path}", methods[method]
    raise AssertionError(f"the document has no {method} {exchange['path']}")


def check_request(exchange: Exchange) -> None:
    _name, found = operation(exchange)
    known = {item["name"]: item for item in found["parameters"] if item["in"] == "query"}
    for name, value in exchange["query"].items():
        schema = known[name]["schema"]
        check({"true": True, "false": False}[value] if schema["type"] == "boolean" else value, schema)
    body = exchange["body"]
    if "requestBody" not in found:
        assert body is None
        return
    content = found["requestBody"]["content"]
    if "multipart/form-data" in content:
        files = [data.decode("latin-1") for data in body["file"].values()]
        check({**body, "file": files}, strict(resolved(content["multipart/form-data"]["schema"]), all_of=False))
        assert all(name and not name.startswith(("/", "..")) for name in body["file"])
    elif isinstance(body, dict) and "eszip" in body:
        check(body["eszip"], content["application/vnd.denoland.eszip"]["schema"])
    else:
        check(body, strict(resolved(content["application/json"]["schema"]), optional=NOT_ALWAYS))


def check_answer(exchange: Exchange) -> None:
    _name, found = operation(exchange)
    status, answer = exchange["status"], exchange["answer"]
    assert str(status) in found["responses"] or status in UNDOCUMENTED
    if status >= 400:
        assert set(answer) == {"message"}
        return
    content = found["responses"][str(status)].get("content")
    if content is None or isinstance(answer, bytes):
        assert answer is None or exchange["path"].endswith("/body")
        return
    check(answer, strict(resolved(content["application/json"]["schema"]), optional=NOT_ALWAYS))


@pytest.fixture(scope="module")
def exchanges(tmp_path_factory: pytest.TempPathFactory) -> list[Exchange]:
    """All requests and answers while the module did everything that it does."""
    folder = tmp_path_factory.mktemp("functions")
    repository = Repository.create(folder)
    files = {f"{BASE}/a/index.ts": "1\n", f"{BASE}/a/deno.json": "{}\n", f"{BASE}/b/index.ts": "2\n"}
    repository.commit("Release 1", files)
    with functions_server(folder / "api") as server:
        server.deploy("a", {f"{BASE}/a/index.ts": "bad"}, verify_jwt=False)
        options = server.options(
            api_timeout=4, poll_seconds=0.02, keep_dir=str(folder / "kept"), remote=str(repository.bare), ref="main"
        )

        def act(**changes: t.Any) -> dict[str, t.Any]:
            return run_module("supabase_function", {**options, **changes})

        server.faults = [Fault("PUT functions", before="409")]
        with pytest.raises(ModuleFailed):
            act(functions=["a", "b"])
        undo = act(functions=["a", "b"])["undo"]
        act(**undo)
        act(**act(state="absent", functions=["a"], recovery_confirm="a")["undo"])
        return server.exchanges


def test_every_operation_that_is_used_is_checked(exchanges: list[Exchange]) -> None:
    base = "/v1/projects/{ref}/functions"
    one = f"{base}/{{function_slug}}"
    assert {operation(item)[0] for item in exchanges} == {
        *(f"get {base}", f"put {base}", f"post {base}", f"post {base}/deploy"),
        *(f"get {one}", f"patch {one}", f"delete {one}", f"get {one}/body"),
    }


def test_every_request_and_every_answer_conforms_to_the_document(exchanges: list[Exchange]) -> None:
    for exchange in exchanges:
        check_request(exchange)
        check_answer(exchange)


def test_a_request_that_does_not_conform_is_found(exchanges: list[Exchange]) -> None:
    (switch, *_rest) = [item for item in exchanges if item["method"] == "PUT"]
    for name in ("id", "slug", "version", "status"):
        item = {key: value for key, value in switch["body"][0].items() if key != name}
        with pytest.raises(jsonschema.ValidationError):
            check_request({**switch, "body": [item]})
    (form, *_rest) = [item for item in exchanges if item["path"].endswith("/deploy")]
    with pytest.raises(jsonschema.ValidationError):
        check_request({**form, "body": {**form["body"], "metadata": {"verify_jwt": True}}})
