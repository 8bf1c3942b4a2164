# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An application that publishes courses: a database and a bucket, with what its editor would do."""

from __future__ import annotations

import json
import typing as t
from dataclasses import dataclass

from tests.support.data.learnplay import PUBLISHER
from tests.support.runner.modules import run_module
from tests.support.servers.postgres import PostgresServer
from tests.support.servers.s3 import S3Server

Options = dict[str, t.Any]


@dataclass
class Platform:
    """The database and the bucket of an application."""

    server: PostgresServer
    database: str
    bucket: S3Server
    prefix: str

    @property
    def options(self) -> Options:
        files = self.bucket.store_options(prefix=self.prefix)
        return {**self.server.module_options(self.database), "files": files}

    def key(self, course: str) -> str:
        return f"{self.prefix}/{course}.json"

    def upload(self, course: str, data: bytes, **headers: str) -> None:
        self.bucket.client().put_object(
            Bucket=self.bucket.bucket, Key=self.key(course), Body=data, ContentType="application/json",
            CacheControl="max-age=60", **headers,
        )  # fmt: skip

    def published(self, course: str) -> bytes:
        answer = self.bucket.client().get_object(Bucket=self.bucket.bucket, Key=self.key(course))
        return bytes(answer["Body"].read())

    def publish(self, course: str, *contents: t.Any) -> None:
        """Publish versions as the application does, one after the other."""
        for content in contents:
            self.run(
                "INSERT INTO course_metadata (id, content_version, etag) VALUES (%s, 0, 0) ON CONFLICT DO NOTHING",
                (course,),
            )
            self.run(
                "WITH m AS (UPDATE course_metadata SET content_version = content_version + 1, etag = etag + 1 "
                "WHERE id = %s RETURNING id, content_version, etag) "
                "INSERT INTO course_versions (course_id, version, snapshot, published_by, changelog, etag) "
                "SELECT id, content_version, %s::jsonb, %s, 'published', etag FROM m",
                (course, json.dumps(content), PUBLISHER),
            )
            self.upload(course, json.dumps(content).encode())

    def run(self, sql: str, parameters: t.Any = None) -> list[tuple[t.Any, ...]]:
        with self.server.session(self.database) as cursor:
            cursor.execute(sql, parameters)
            return list(cursor.fetchall()) if cursor.description else []

    def versions(self, course: str) -> list[tuple[int, t.Any]]:
        sql = "SELECT version, snapshot FROM course_versions WHERE course_id = %s ORDER BY version"
        return [(row[0], row[1]) for row in self.run(sql, (course,))]

    def current(self, course: str) -> tuple[int, int]:
        ((version, etag),) = self.run("SELECT content_version, etag FROM course_metadata WHERE id = %s", (course,))
        return version, etag

    def everything(self) -> tuple[t.Any, ...]:
        """The content of tables and bucket."""
        client = self.bucket.client()
        keys = client.list_objects_v2(Bucket=self.bucket.bucket, Prefix=f"{self.prefix}/").get("Contents", [])
        objects = {
            one["Key"]: client.get_object(Bucket=self.bucket.bucket, Key=one["Key"])["Body"].read() for one in keys
        }
        rows = self.run("SELECT course_id, version, snapshot::text FROM course_versions ORDER BY 1, 2")
        return rows, self.run("SELECT id, content_version, etag FROM course_metadata ORDER BY 1"), objects

    def restore(self, *courses: str, check_mode: bool = False, **options: t.Any) -> Options:
        arguments = {**self.options, "documents": list(courses), **options}
        return run_module("course_version_restore", arguments, check_mode=check_mode)

    def info(self, *courses: str, **options: t.Any) -> Options:
        return run_module("course_version_info", {**self.options, "documents": list(courses), **options})
