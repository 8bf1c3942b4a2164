# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The application of a sandbox: an HTTP service over the sample database and the files in the buckets of the sandbox.

Runs as a program of its own from a copy in the sandbox, with nothing but Python. It reads rows with psql and objects
from the folder of the S3 server, not with the code that recovers them, so that its answers are evidence in a drill.
"""

from __future__ import annotations

import hashlib
import http.server
import json
import mimetypes
import os
import subprocess
import sys
import typing as t
import urllib.parse

_ROLE = "SELECT min(r.role) FROM public.user_roles r JOIN auth.users u ON u.id = r.user_id WHERE u.email = :'one'"
_ORGANIZATION = "SELECT to_jsonb(o) FROM public.organizations o WHERE o.slug = :'one'"
_COURSES_OF_TAG = """
    SELECT coalesce(jsonb_agg(m.id ORDER BY m.id), '[]')
    FROM public.course_metadata m WHERE EXISTS (
        SELECT FROM public.tags t WHERE t.slug = :'one' AND t.id = ANY (m.tag_ids)
    )
"""
_HAS_VERSIONS = "SELECT count(*) > 0 FROM public.course_versions WHERE course_id = :'one'"
_NEWEST_VERSIONS = """
    SELECT coalesce(jsonb_object_agg(m.id, v.snapshot), '{}')
    FROM public.course_metadata m JOIN public.course_versions v ON v.course_id = m.id AND v.version = m.content_version
"""
_ASSETS = "SELECT coalesce(jsonb_object_agg(path, size_bytes), '{}') FROM public.media_assets"

_COURSES, _MEDIA = "courses", "media"


class NotServed(Exception):
    """A request that has no answer. status: the status of HTTP."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class Application:
    """The pages of the service. settings: the content of its file."""

    def __init__(self, settings: t.Mapping[str, t.Any]) -> None:
        self._psql: t.Sequence[str] = settings["psql"]
        self._environment: t.Mapping[str, str] = settings["environment"]
        self._buckets: str = settings["buckets"]

    def answer(self, path: str) -> t.Tuple[str, bytes]:
        """The content type and the body of the page. Raises NotServed."""
        first, _slash, rest = urllib.parse.unquote(path).lstrip("/").partition("/")
        if first == "media":
            return mimetypes.guess_type(rest)[0] or "application/octet-stream", self._object(_MEDIA, rest)
        pages: t.Mapping[str, t.Callable[[str], t.Any]] = {
            "health": lambda _rest: {"status": self._query("SELECT 'ok'")},
            "play": self._course,
            "catalog": lambda tag: json.loads(self._query(_COURSES_OF_TAG, tag)),
            "organization": self._organization,
            "login": self._role,
            "buckets": self._listing,
        }
        if first not in pages:
            raise NotServed(404, "There is no such page.")
        return "application/json", json.dumps(pages[first](rest), sort_keys=True).encode()

    def publish(self, folder: str) -> None:
        """Write the published copies and the media of the sample, to be uploaded: a folder for each bucket."""
        for course, content in json.loads(self._query(_NEWEST_VERSIONS)).items():
            _write(os.path.join(folder, _COURSES, f"{course}.json"), json.dumps(content).encode())
        for name, size in json.loads(self._query(_ASSETS)).items():
            _write(os.path.join(folder, _MEDIA, name), sample_bytes(name, size))

    def _course(self, course: str) -> t.Any:
        try:
            content = json.loads(self._object(_COURSES, f"{course}.json"))
        except ValueError:
            raise NotServed(500, "The course is not JSON.") from None
        if not isinstance(content, dict) or not content.get("items"):
            raise NotServed(500, "The course has no items.")
        return {"content": content, "has_versions": self._query(_HAS_VERSIONS, course) == "t"}

    def _organization(self, slug: str) -> t.Any:
        found = self._query(_ORGANIZATION, slug)
        if not found:
            raise NotServed(404, "Organization not found.")
        return json.loads(found)

    def _role(self, email: str) -> t.Any:
        role = self._query(_ROLE, email)
        if not role:
            raise NotServed(403, "The user has no role.")
        return {"role": role}

    def _listing(self, bucket: str) -> t.Any:
        root = self._path(bucket, "")
        if not os.path.isdir(root):
            raise NotServed(404, "There is no such bucket.")
        listed = {}
        for folder, _folders, files in os.walk(root):
            for name in files:
                file = os.path.join(folder, name)
                with open(file, "rb") as stream:
                    listed[os.path.relpath(file, root)] = hashlib.sha256(stream.read()).hexdigest()
        return listed

    def _object(self, bucket: str, key: str) -> bytes:
        try:
            with open(self._path(bucket, key), "rb") as stream:
                return stream.read()
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
            raise NotServed(404, "There is no such object.") from None

    def _path(self, bucket: str, key: str) -> str:
        root = os.path.join(self._buckets, bucket)
        path = os.path.normpath(os.path.join(root, key))
        if bucket not in (_COURSES, _MEDIA) or "\0" in path or not f"{path}/".startswith(f"{root}/"):
            raise NotServed(404, "There is no such bucket or object.")
        return path

    def _query(self, sql: str, one: str = "") -> str:
        """The one value of a query as text; empty for null. Raises NotServed(503) if the database refuses it."""
        done = subprocess.run(
            [*self._psql, "-XAtq", "-v", "ON_ERROR_STOP=1", "-v", f"one={one}"],
            input=sql, env=dict(self._environment), capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode != 0:
            raise NotServed(503, "The database does not answer.")
        return done.stdout.rstrip("\n")


def sample_bytes(name: str, size: int) -> bytes:
    """The content of a sample file: of each name another."""
    part = hashlib.md5(name.encode()).hexdigest().encode()
    return (part * (size // len(part) + 1))[:size]


def _write(path: str, content: bytes) -> None:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as stream:
        stream.write(content)


def serve(application: Application, port: int) -> None:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            try:
                kind, body = application.answer(urllib.parse.urlsplit(self.path).path)
                status = 200
            except NotServed as error:
                status, kind, body = error.status, "application/json", json.dumps({"error": str(error)}).encode()
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()


def main(arguments: t.Sequence[str]) -> None:
    """C(FILE serve PORT), or C(FILE publish FOLDER). FILE holds the settings."""
    with open(arguments[0], encoding="utf-8") as stream:
        application = Application(json.load(stream))
    if arguments[1] == "publish":
        application.publish(arguments[2])
    else:
        serve(application, int(arguments[2]))


if __name__ == "__main__":
    main(sys.argv[1:])
