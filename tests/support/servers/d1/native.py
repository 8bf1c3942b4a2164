# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""D1's own export and import by plain calls of its API, to compare the collection with."""

from __future__ import annotations

import hashlib
import json
import typing as t
import urllib.error
import urllib.request
from pathlib import Path

from tests.support.servers.d1 import ACCOUNT, D1Server

Answer = dict[str, t.Any]


class Refused(Exception):
    """An error of the service; complete is its answer, or the end of a job."""

    def __init__(self, complete: Answer) -> None:
        super().__init__(complete.get("error") or "; ".join(item["message"] for item in complete["errors"]))
        self.complete = complete


class NativeD1:
    """The account of a server. Databases are given by their id or name."""

    def __init__(self, server: D1Server) -> None:
        self._base = f"{server.api_url}/accounts/{ACCOUNT}/d1/database"
        self._token = server.api_token

    def call(self, method: str, path: str, body: t.Any = None) -> t.Any:
        """The result of a call below the databases. Raises Refused."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {self._token}"}
        try:
            with _opened(
                urllib.request.Request(self._base + path, data=data, headers=headers, method=method)
            ) as answer:
                return json.load(answer)["result"]
        except urllib.error.HTTPError as error:
            raise Refused(json.load(error)) from None

    def create(self, name: str) -> str:
        return str(self.call("POST", "", {"name": name})["uuid"])

    def query(self, database: str, sql: str) -> list[Answer]:
        """The rows of the last statement."""
        return t.cast("list[Answer]", self.call("POST", f"/{database}/query", {"sql": sql})[-1]["results"])

    def export(self, database: str, **options: t.Any) -> bytes:
        """The file that D1 writes. options are those of the dump: no_schema, no_data, tables."""
        asked = {"output_format": "polling", "dump_options": options}
        path = f"/{database}/export"
        done = self._ended(path, self.call("POST", path, asked), asked)
        with _opened(urllib.request.Request(done["result"]["signed_url"])) as answer:
            return t.cast("bytes", answer.read())

    def import_file(self, database: str, file: Path) -> Answer:
        """Import a file into D1; the last answer. Raises Refused."""
        with file.open("rb") as stream:
            etag = hashlib.file_digest(stream, "md5").hexdigest()
        path = f"/{database}/import"
        begun = self.call("POST", path, {"action": "init", "etag": etag})
        if "upload_url" in begun:
            with file.open("rb") as stream:
                headers = {"Content-Length": str(file.stat().st_size)}
                request = urllib.request.Request(begun["upload_url"], data=stream, headers=headers, method="PUT")
                with _opened(request) as answer:
                    assert answer.headers["ETag"] == f'"{etag}"'
            begun = self.call("POST", path, {"action": "ingest", "etag": etag, "filename": begun["filename"]})
        return self._ended(path, begun, {"action": "poll"})

    def _ended(self, path: str, answered: Answer, asked: Answer) -> Answer:
        while answered["status"] == "active":
            answered = self.call("POST", path, {**asked, "current_bookmark": answered["at_bookmark"]})
        if answered["status"] == "error":
            raise Refused(answered)
        return answered


def _opened(request: urllib.request.Request) -> t.Any:
    return urllib.request.build_opener().open(request)
