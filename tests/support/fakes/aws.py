# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A strict service in front of moto: it refuses requests that AWS refuses and moto accepts.

moto deletes a record of Route 53 by its name and type, refuses a batch that deletes and creates one record, reports
every change as INSYNC, and lets a parameter of SSM change its type.
"""

from __future__ import annotations

import contextlib
import json
import re
import threading
import typing as t
import urllib.error
import urllib.request
import xml.etree.ElementTree as ET
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import boto3

_ROUTE53 = "{https://route53.amazonaws.com/doc/2013-04-01/}"


@dataclass
class StrictAws:
    """pending: so many reports of a change are PENDING. before_change: called before a change is judged.

    requests: the actions of Route 53 and of SSM, with their arguments. broken: so many changes are done, and their
    answer is lost. refuses: the next changes are refused with these codes, and not done.
    """

    moto: str
    endpoint_url: str = ""
    pending: int = 0
    broken: int = 0
    refuses: list[str] = field(default_factory=list)
    before_change: t.Callable[[], None] | None = None
    requests: list[tuple[str, t.Any]] = field(default_factory=list)

    def client(self, service: str) -> t.Any:
        """A client of moto without the strict part."""
        return boto3.client(
            service, endpoint_url=self.moto, aws_access_key_id="a", aws_secret_access_key="b", region_name="eu-west-1"
        )

    def options(self) -> dict[str, t.Any]:
        return {
            "endpoint_url": self.endpoint_url,
            "region": "eu-west-1",
            "access_key": "an-access-key",
            "secret_key": "the-secret-key-of-aws",
        }

    def judge(self, method: str, path: str, target: str, body: bytes) -> str:
        """The code with which AWS refuses a request; empty for one that goes to moto."""
        zone = re.match(r"/2013-04-01/hostedzone/(\w+)/rrset/?$", path)
        is_put = target.endswith(".PutParameter")
        if (zone and method == "POST") or is_put:
            if self.before_change is not None:
                change, self.before_change = self.before_change, None
                change()
            if self.refuses:
                return self.refuses.pop(0)
        if zone and method == "POST":
            return self._judge_batch(zone.group(1), ET.fromstring(body))
        if is_put:
            return self._judge_put(json.loads(body))
        return ""

    def _judge_batch(self, zone: str, batch: ET.Element) -> str:
        changes = []
        for change in batch.iter(f"{_ROUTE53}Change"):
            values = sorted(str(one.text) for one in change.iter(f"{_ROUTE53}Value"))
            texts = [change.findtext(f".//{_ROUTE53}{name}", "") for name in ("Action", "Name", "Type", "TTL")]
            changes.append((*texts, values))
        self.requests.append(("ChangeResourceRecordSets", changes))
        stored = self.client("route53").list_resource_record_sets(HostedZoneId=zone)["ResourceRecordSets"]
        sets = {
            (one["Name"], one["Type"]): (str(one["TTL"]), sorted(value["Value"] for value in one["ResourceRecords"]))
            for one in stored
            if "TTL" in one
        }
        for action, name, kind, ttl, values in changes:
            if action == "DELETE" and sets.pop((name, kind), None) != (ttl, values):
                return "InvalidChangeBatch"
            if action == "CREATE" and (name, kind) in sets:
                return "InvalidChangeBatch"
        return ""

    def _judge_put(self, given: dict[str, t.Any]) -> str:
        self.requests.append(("PutParameter", given))
        stored = self.client("ssm").get_parameter(Name=given["Name"])["Parameter"]
        return "" if given.get("Type", stored["Type"]) == stored["Type"] else "HierarchyTypeMismatchException"


@contextlib.contextmanager
def strict_aws(moto: str) -> t.Iterator[StrictAws]:
    """The strict service in front of a server of moto."""
    aws = StrictAws(moto)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            target = self.headers.get("x-amz-target") or ""
            code = aws.judge(self.command, self.path.partition("?")[0], target, body)
            if code:
                self._answer(400, _refusal(code, is_json=bool(target)))
                return
            if self.command == "POST" and self.path.endswith("/rrset/"):
                body = body.replace(b"<Action>CREATE</Action>", b"<Action>UPSERT</Action>")
                body = re.sub(rb"<Change><Action>DELETE</Action>.*?</Change>", b"", body, flags=re.DOTALL)
            headers = {
                name: value for name, value in self.headers.items() if name.lower() not in ("host", "content-length")
            }
            # moto reads a body with the type of urllib as a form.
            headers.setdefault("Content-Type", "application/xml")
            request = urllib.request.Request(f"{moto}{self.path}", body or None, headers, method=self.command)
            try:
                with urllib.request.urlopen(request) as answer:
                    status, data = answer.status, answer.read()
            except urllib.error.HTTPError as error:
                status, data = error.code, error.read()
            if "/change/" in self.path and aws.pending:
                aws.pending -= 1
                data = data.replace(b"INSYNC", b"PENDING")
            changes = self.command == "POST" and (self.path.endswith("/rrset/") or target.endswith(".PutParameter"))
            if changes and aws.broken:
                aws.broken -= 1
                self.close_connection = True
                return
            self._answer(status, data)

        do_POST = do_GET

        def _answer(self, status: int, data: bytes) -> None:
            self.send_response(status)
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: object) -> None:
            """Silence."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    aws.endpoint_url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield aws
    finally:
        server.shutdown()
        server.server_close()


def _refusal(code: str, *, is_json: bool) -> bytes:
    if is_json:
        return json.dumps({"__type": code, "message": "by rule"}).encode()
    space = _ROUTE53.strip("{}")
    error = f"<Error><Type>Sender</Type><Code>{code}</Code><Message>by rule</Message></Error>"
    return f'<?xml version="1.0"?><ErrorResponse xmlns="{space}">{error}</ErrorResponse>'.encode()
