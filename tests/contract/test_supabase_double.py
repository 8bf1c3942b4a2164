# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Requests of our modules to Supabase, and the answers of its double, conform to the OpenAPI document of its API.

The paths of backups are those of https://github.com/supabase/cli (packages/api/src/generated/openapi.json, MIT),
without their prose.
"""

from __future__ import annotations

import copy
import json
import re
import time
import typing as t
from pathlib import Path

import jsonschema
import pytest

from tests.support.fakes.supabase import REF, Fault, supabase_server
from tests.support.runner.modules import ModuleFailed, run_module
from tests.support.schemas import Schema, check, fields, strict

_DATA = Path(__file__).parent / "data"
_PATH = "/v1/projects/{ref}"

Exchange = dict[str, t.Any]

#: States that the document has not for some operation, and where they come from.
UNDOCUMENTED = {
    400: "A recorded answer to restore-pitr of a project without it, and that of the double while a restore runs.",
    402: "The answer of other operations on a lower plan.",
    404: "The answer of other operations for a missing object.",
    409: "The double's own, for a name that is used.",
    422: "The double's own, for an instant outside the window.",
    429: "Documented without a body.",
    500: "Documented without a body, and not for each operation.",
}

#: The document gives no body to any failure; each recorded one has this.
FAILURE: Schema = {
    "type": "object",
    "properties": {"message": {"type": "string"}},
    "required": ["message"],
    "additionalProperties": False,
}

#: Properties that are not in each answer: details of a service, which we do not read.
NOT_ALWAYS = {"info", "error"}


class Document:
    """The document, asked for one exchange at a time."""

    def __init__(self, name: str) -> None:
        self._document = json.loads((_DATA / name).read_text())

    def operations(self) -> set[str]:
        return {f"{method} {path}" for path, methods in self._document["paths"].items() for method in methods}

    def operation(self, exchange: Exchange) -> tuple[str, Schema]:
        method = exchange["method"].lower()
        for path, methods in self._document["paths"].items():
            if re.fullmatch(re.sub("{[^}]*}", "[^/]+", path), exchange["path"]) and method in methods:
                return f"{method} {path}", methods[method]
        raise AssertionError(f"the document has no {method} {exchange['path']}")

    def check_request(self, exchange: Exchange) -> None:
        _name, operation = self.operation(exchange)
        parameters = {item["name"]: item for item in operation["parameters"]}
        ref = parameters.pop("ref")
        check(exchange["path"].split("/")[3], ref["schema"])
        assert {name for name, item in parameters.items() if item["required"]} <= set(exchange["query"])
        for key, value in exchange["query"].items():
            schema = parameters[key]["schema"]
            check([value] if schema["type"] == "array" else value, schema)
        if "requestBody" not in operation:
            assert exchange["body"] is None
            return
        schema = operation["requestBody"]["content"]["application/json"]["schema"]
        check(exchange["body"], strict(self._resolved(schema)))

    def check_answer(self, exchange: Exchange) -> None:
        _name, operation = self.operation(exchange)
        status = exchange["status"]
        assert str(status) in operation["responses"] or status in UNDOCUMENTED
        if status >= 400:
            check(exchange["answer"], FAILURE)
            return
        content = operation["responses"][str(status)].get("content")
        if content is None:
            assert exchange["answer"] is None
            return
        check(exchange["answer"], strict(self._resolved(content["application/json"]["schema"]), optional=NOT_ALWAYS))

    def _resolved(self, schema: t.Any) -> t.Any:
        """Without references; nullable as a kind."""
        if isinstance(schema, list):
            return [self._resolved(item) for item in schema]
        if not isinstance(schema, dict):
            return schema
        if "$ref" in schema:
            return self._resolved(self._document["components"]["schemas"][schema["$ref"].rpartition("/")[2]])
        found = {key: self._resolved(value) for key, value in schema.items()}
        if found.pop("nullable", False):
            found["type"] = [found["type"], "null"]
        return found


@pytest.fixture(scope="module")
def document() -> Document:
    return Document("supabase_backups.json")


@pytest.fixture(scope="module")
def exchanges(tmp_path_factory: pytest.TempPathFactory) -> list[Exchange]:
    """All that was asked and answered while our modules did everything that they do."""
    with supabase_server(tmp_path_factory.mktemp("supabase")) as server:
        options = server.options(poll_seconds=0.02, timeout=10, begin_timeout=5, recovery_confirm=REF)
        to = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(server.latest - 100))

        def act(**changes: t.Any) -> dict[str, t.Any]:
            return run_module("supabase_backup", {**options, **changes})

        def refused(**changes: t.Any) -> None:
            with pytest.raises(ModuleFailed):
                act(**changes)

        run_module("supabase_backup_info", server.options())
        server.faults = [Fault("GET backups", before="429"), Fault("GET backups", before="500")]
        act(**act(action="restore", to=to)["undo"])
        act(action="restore", backup_id=99, undo_first="none")
        act(action="restore_point", name="before")
        refused(action="undo", name="nobody")
        refused(access_token="wrong")
        refused(project_ref="z" * 20)
        server.offers_points = False
        refused(action="restore_point", name="another")
        server.faults = [Fault("POST restore-pitr", before="400")]
        refused(action="restore", to=to, undo_first="try")
        server.pitr, server.earliest, server.latest, server.backups = False, 0, 0, []
        act(action="list")
        return server.exchanges


def test_every_operation_is_asked_for(document: Document, exchanges: list[Exchange]) -> None:
    assert {document.operation(item)[0] for item in exchanges} == document.operations()
    assert {item["status"] for item in exchanges} == {200, 201, 400, 401, 403, 404, 429, 500}


def test_every_request_is_one_that_the_document_knows(document: Document, exchanges: list[Exchange]) -> None:
    for exchange in exchanges:
        document.check_request(exchange)


def test_every_answer_is_one_that_the_document_knows(document: Document, exchanges: list[Exchange]) -> None:
    for exchange in exchanges:
        if exchange["answer"] is None or "physical_backup_data" not in exchange["answer"]:
            document.check_answer(exchange)
            continue
        # Neither end of the window is required, and a project without backups has none.
        known = {"earliest_physical_backup_date_unix": 1, "latest_physical_backup_date_unix": 1}
        filled = exchange["answer"]["physical_backup_data"] or known
        document.check_answer({**exchange, "answer": {**exchange["answer"], "physical_backup_data": filled}})


def test_an_answer_or_a_request_that_lacks_a_field_or_has_one_of_another_kind_is_found(
    document: Document, exchanges: list[Exchange]
) -> None:
    tried = set()
    for exchange in exchanges:
        for part, judge in (("answer", document.check_answer), ("body", document.check_request)):
            for path in fields(exchange[part]):
                shape = tuple("*" if isinstance(key, int) else key for key in path)
                if (key := (document.operation(exchange)[0], exchange["status"], part, shape)) in tried:
                    continue
                tried.add(key)
                for harm in (
                    lambda parent, name: parent.pop(name),
                    lambda parent, name: parent.update({name: {"x": 1}}),
                ):
                    harmed = copy.deepcopy(exchange)
                    parent = harmed[part]
                    for name in path[:-1]:
                        parent = parent[name]
                    harm(parent, path[-1])
                    with pytest.raises(jsonschema.ValidationError):
                        judge(harmed)
    assert len(tried) > 40
