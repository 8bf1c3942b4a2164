# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Requests of our modules to D1, and the answers of its double, conform to Cloudflare's OpenAPI document.

The paths of D1 are those of https://github.com/cloudflare/api-schemas (BSD-3-Clause), without its prose.
"""

from __future__ import annotations

import copy
import json
import re
import secrets
import typing as t
from pathlib import Path

import jsonschema
import pytest

from tests.support.runner.modules import ModuleFailed, run_module
from tests.support.schemas import Schema, check, fields, strict
from tests.support.servers.d1 import D1Server, d1_server
from tests.support.servers.d1.native import NativeD1, Refused

_GIVEN = Path(__file__).parent / "data" / "cloudflare_d1.json"
_PATH = "/accounts/{account_id}/d1/database"

Exchange = dict[str, t.Any]

#: Where the document is older than the service or contradicts itself: the place, what is there instead, and why.
#: Where it only lacks a property, that is added.
CONTRADICTIONS: list[tuple[str, Schema, str]] = [
    (
        "d1_params/items",
        {"type": ["string", "number", "null"]},
        "Only strings are in the document; wrangler sends numbers and null, and the engine binds them.",
    ),
    (
        "d1_raw-result-response/properties/results/properties/rows/items/items",
        {"anyOf": [{"type": ["number", "string", "null"]}, {"type": "array", "items": {"type": "integer"}}]},
        "NULL is missing, and a BLOB comes as a list of its bytes, not as an object.",
    ),
    (
        "d1_messages/items/properties/code",
        {"type": "integer"},
        "Codes below 1000 are excluded; too many requests are refused with 971.",
    ),
    (
        "d1_query-meta",
        {
            "served_by": {"type": "string"},
            "served_by_region": {"type": "string"},
            "served_by_colo": {"type": "string"},
            "served_by_primary": {"type": "boolean"},
            "timings": {
                "type": "object",
                "properties": {"sql_duration_ms": {"type": "number"}},
            },
        },
        "Newer: who answered, and how long SQL took.",
    ),
    (
        "d1_database-details-response",
        {"read_replication": {"type": "object", "properties": {"mode": {"enum": ["auto", "disabled"]}}}},
        "Newer: replicas to read from.",
    ),
]

#: Properties that are not in each answer, by the operation, and why.
NOT_ALWAYS: dict[tuple[str, str], str] = {
    **{
        ("import", name): "An answer to init has no state, and one that has is not to init."
        for name in ("at_bookmark", "error", "filename", "messages", "result", "status", "upload_url")
    },
    **{("export", name): "Only at the end of a job, according to its description." for name in ("error", "result")},
}

#: Further fields of an answer with the first.
BELONGS = [
    ({"properties": {"status": {"const": "complete"}}, "required": ["status"]}, ["result", "at_bookmark", "messages"]),
    ({"properties": {"status": {"const": "error"}}, "required": ["status"]}, ["error", "at_bookmark", "messages"]),
    ({"properties": {"status": {"const": "active"}}, "required": ["status"]}, ["at_bookmark", "messages"]),
    ({"not": {"required": ["status"]}}, ["upload_url", "filename"]),
]

#: Requests that the document has not: the service takes several statements with parameters of their own.
BATCH = "Newer: the body of query and raw may be a batch instead of one text."

#: Answers that the document has not, which are as those of 4XX elsewhere.
FAILURES = "Time travel was added from the types of the SDK, without failures; 5XX is nowhere."


class Document:
    """The document, with its contradictions settled."""

    def __init__(self, path: Path) -> None:
        self._document = json.loads(path.read_text())
        self._schemas = self._document["components"]["schemas"]
        for place, instead, _reason in CONTRADICTIONS:
            *parents, last = place.split("/")
            found = self._schemas
            for name in parents:
                found = found[name]
            if "properties" in found[last]:
                found[last]["properties"].update(instead)
            else:
                found[last] = instead

    def operations(self) -> set[str]:
        """Methods and paths below the databases."""
        return {
            f"{method} {path[len(_PATH) :]}".strip()
            for path, methods in self._document["paths"].items()
            if path.startswith(_PATH)
            for method in methods
        }

    def operation(self, exchange: Exchange) -> tuple[str, Schema]:
        """The operation that a request is for, with its name as operations gives it."""
        method = exchange["method"].lower()
        for path, methods in self._document["paths"].items():
            if re.fullmatch(f"/client/v4{re.sub('{[^}]*}', '[^/]+', path)}", exchange["path"]) and method in methods:
                return f"{method} {path[len(_PATH) :]}".strip(), methods[method]
        raise AssertionError(f"the document has no {method} {exchange['path']}")

    def check_request(self, exchange: Exchange) -> None:
        name, operation = self.operation(exchange)
        known = {item["name"]: item["schema"] for item in operation["parameters"] if item["in"] == "query"}
        for key, value in exchange["query"].items():
            schema = self._resolved(known[key])
            check(json.loads(value) if schema.get("type") == "number" else value, schema)
        asked = exchange["body"]
        if "requestBody" not in operation:
            assert asked is None
            return
        schema = strict(self._resolved(operation["requestBody"]["content"]["application/json"]["schema"]), all_of=False)
        if name.endswith(("/query", "/raw")) and "batch" in asked:
            assert list(asked) == ["batch"], BATCH
            for statement in asked["batch"]:
                check(statement, schema)
            return
        check(asked, schema)

    def check_answer(self, exchange: Exchange) -> None:
        name, operation = self.operation(exchange)
        status, responses = str(exchange["status"]), operation["responses"]
        if status.startswith(("4", "5")):
            schema = self._schemas["d1_api-response-common-failure"]
        else:
            schema = responses[status]["content"]["application/json"]["schema"]
        kind = name.rpartition("/")[2]
        optional = {key for operation_name, key in NOT_ALWAYS if operation_name == kind}
        resolved = strict(self._resolved(schema), optional=optional)
        if kind in ("import", "export") and exchange["status"] < 400:
            more = [{"if": condition, "then": {"required": names}} for condition, names in BELONGS]
            resolved["properties"]["result"]["allOf"] = more
        check(exchange["answer"], resolved)

    def _resolved(self, schema: t.Any) -> t.Any:
        """Without references, and with allOf merged: the result of the envelope is that of the operation.

        The document declares a result as an object and also as a list.
        """
        if isinstance(schema, list):
            return [self._resolved(item) for item in schema]
        if not isinstance(schema, dict):
            return schema
        if "$ref" in schema:
            return self._resolved(self._schemas[schema["$ref"].rpartition("/")[2]])
        found = {key: self._resolved(value) for key, value in schema.items() if key != "allOf"}
        for part in self._resolved(schema.get("allOf", [])):
            properties = {**found.get("properties", {}), **part.get("properties", {})}
            found = {**found, **part}
            if properties:
                found.update(properties=properties, type="object")
        if found.pop("nullable", False) and "type" in found:
            found["type"] = [found["type"], "null"]
        # A limit of lists, which the document sets on their items.
        found.pop("uniqueItems", None)
        return found


@pytest.fixture(scope="module")
def document() -> Document:
    return Document(_GIVEN)


@pytest.fixture(scope="module")
def exchanges(tmp_path_factory: pytest.TempPathFactory) -> list[Exchange]:
    """All that was asked and answered while our modules did everything that they do."""
    folder = tmp_path_factory.mktemp("d1")
    with d1_server() as server:
        server.record()
        work(server, folder)
        server.rules()
        return server.exchanges()


def refused(name: str, options: t.Mapping[str, t.Any]) -> None:
    with pytest.raises(ModuleFailed):
        run_module(name, options)


def work(server: D1Server, folder: Path) -> None:
    database = f"school-{secrets.token_hex(4)}"
    options, store = server.options(database), {"provider": "directory", "path": str(folder / "store")}
    made = run_module("d1_database", {**options, "location": "weur"})
    run_module("d1_database", {**options, "database": made["facts"]["uuid"]})
    run_module("d1_execute", {**options, "sql": "CREATE TABLE t (id INTEGER PRIMARY KEY, x)"})
    for value in (1, 1.5, None, "text", {"base64": "AP8="}, 2**53 + 1):
        run_module("d1_execute", {**options, "sql": "INSERT INTO t (x) VALUES (?)", "params": [value]})
    read = run_module("d1_execute", {**options, "sql": "SELECT * FROM t"})
    refused("d1_execute", {**options, "sql": "SELECT * FROM other"})
    refused("d1_execute", {**options, "sql": "SELECT 1", "api_token": "wrong"})
    refused("d1_execute", {**server.options("nobody"), "sql": "SELECT 1"})
    refused("d1_execute", {**server.options("00000000-0000-0000-0000-000000000000"), "sql": "SELECT 1"})
    here = run_module("d1_time_travel", options)["bookmark"]
    run_module("d1_time_travel", {**options, "to": "2100-01-01T00:00:00Z"})
    refused("d1_time_travel", {**options, "to": "2020-01-01T00:00:00Z"})
    run_module("d1_execute", {**options, "sql": "DELETE FROM t"})
    run_module("d1_time_travel", {**options, "bookmark": here, "restore": True, "recovery_confirm": database})
    assert run_module("d1_execute", {**options, "sql": "SELECT * FROM t"})["rows"] == read["rows"]
    server.rules({"at": 2, "before": "429"}, {"at": 3, "before": "503"})
    run_module("d1_backup", {**options, "source": "school", "store": store})
    server.rules()
    target = server.options(f"{database}-back")
    run_module("d1_restore", {**target, "source": "school", "store": store})
    replaced = {"mode": "in_place", "recovery_environment": "sandbox"}
    run_module("d1_restore", {**target, "source": "school", "store": store, **replaced})
    native = NativeD1(server)
    native.query(database, "SELECT 1 AS one; SELECT id FROM t")
    native.export(database, no_data=True, tables=["t"])
    broken = folder / "broken.sql"
    broken.write_text("INSERT INTO other VALUES (1);")
    with pytest.raises(Refused):
        native.import_file(database, broken)
    native.query(database, "CREATE VIRTUAL TABLE f USING fts5(x)")
    with pytest.raises(Refused):
        native.export(database)
    run_module("d1_database", {**options, "state": "absent", "recovery_confirm": database})


def test_every_operation_is_asked_for(document: Document, exchanges: list[Exchange]) -> None:
    assert {document.operation(item)[0] for item in exchanges} == document.operations()
    assert {item["status"] for item in exchanges} == {200, 202, 400, 401, 404, 429, 503}


def test_every_request_is_one_that_the_document_knows(document: Document, exchanges: list[Exchange]) -> None:
    for exchange in exchanges:
        document.check_request(exchange)


def test_every_answer_is_one_that_the_document_knows(document: Document, exchanges: list[Exchange]) -> None:
    for exchange in exchanges:
        document.check_answer(exchange)


def test_an_answer_that_lacks_a_field_or_has_one_of_another_kind_is_found(
    document: Document, exchanges: list[Exchange]
) -> None:
    tried = set()
    for exchange in exchanges:
        name = document.operation(exchange)[0]
        for path in fields(exchange["answer"]):
            if (
                name,
                exchange["status"],
                shape := tuple("*" if isinstance(key, int) else key for key in path),
            ) in tried:
                continue
            tried.add((name, exchange["status"], shape))
            # Rows of query have the columns that were asked for.
            if "results" in path[:-1] and name.endswith("/query"):
                continue
            for harm in (lambda parent, key: parent.pop(key), lambda parent, key: parent.update({key: {"x": object}})):
                harmed = copy.deepcopy(exchange)
                parent = harmed["answer"]
                for key in path[:-1]:
                    parent = parent[key]
                harm(parent, path[-1])
                with pytest.raises(jsonschema.ValidationError):
                    document.check_answer(harmed)
    assert len(tried) > 100
