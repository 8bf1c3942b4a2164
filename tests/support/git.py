# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Real git repositories: a bare remote, and the working tree of a developer."""

from __future__ import annotations

import base64
import contextlib
import os
import subprocess
import threading
import typing as t
import urllib.parse
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

_ENVIRONMENT = {
    "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "GIT_OPTIONAL_LOCKS": "0",
    "GIT_AUTHOR_NAME": "Developer", "GIT_AUTHOR_EMAIL": "dev@example.org",
    "GIT_COMMITTER_NAME": "Developer", "GIT_COMMITTER_EMAIL": "dev@example.org",
}  # fmt: skip


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(folder), *arguments], check=True, capture_output=True, text=True,
        env={**os.environ, **_ENVIRONMENT},
    )  # fmt: skip
    return done.stdout.strip()


@dataclass
class Repository:
    """bare: the remote. tree: a clone of it."""

    bare: Path
    tree: Path

    @classmethod
    def create(cls, folder: Path) -> Repository:
        bare, tree = folder / "remote.git", folder / "tree"
        git(folder, "init", "--quiet", "--bare", "--initial-branch=main", str(bare))
        git(folder, "init", "--quiet", "--initial-branch=main", str(tree))
        git(tree, "remote", "add", "origin", str(bare))
        return cls(bare, tree)

    def commit(self, message: str, files: t.Mapping[str, str | None], *, push: bool = True) -> str:
        """Write or delete files, commit, and push the branch that is checked out."""
        for name, content in files.items():
            path = self.tree / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.unlink() if content is None else path.write_text(content)
        git(self.tree, "add", "--all")
        git(self.tree, "commit", "--quiet", "--message", message)
        if push:
            self.push()
        return git(self.tree, "rev-parse", "HEAD")

    def push(self) -> None:
        git(self.tree, "push", "--quiet", "origin", "HEAD")

    def files(self, revision: str = "main") -> dict[str, str]:
        """The files of a commit of the remote."""
        names = git(self.bare, "ls-tree", "-r", "--name-only", revision).splitlines()
        return {name: git(self.bare, "show", f"{revision}:{name}") for name in names}

    def log(self, revision: str = "main") -> list[str]:
        return git(self.bare, "log", "--format=%s", revision).splitlines()

    def refs(self) -> list[str]:
        """All that a push could change."""
        return git(self.bare, "for-each-ref", "--format=%(refname) %(objectname)").splitlines()

    def hook(self, name: str, script: str) -> None:
        """A hook of the remote, which runs on its side."""
        path = self.bare / "hooks" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    def state(self) -> tuple[t.Any, ...]:
        """The working tree of the developer: HEAD, index, files, configuration and references."""
        files = {
            str(path.relative_to(self.tree)): (path.read_bytes(), path.stat().st_mtime_ns)
            for path in sorted(self.tree.rglob("*"))
            if path.is_file()
        }
        return files, git(self.tree, "status", "--porcelain=v2", "--branch")


@contextlib.contextmanager
def git_over_http(root: Path, login: str, seen: t.Callable[[str], None]) -> t.Iterator[str]:
    """The URL of a server of the bare repositories in root, which the program git-http-backend reads and writes.

    login: "user:password", which each request must have. seen: called with the path of each accepted request.
    """
    wanted = f"Basic {base64.b64encode(login.encode()).decode()}"
    backend = git(root, "--exec-path") + "/git-http-backend"

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urllib.parse.urlsplit(self.path)
            if self.headers.get("Authorization") != wanted:
                self.send_response(401)
                self.send_header("WWW-Authenticate", 'Basic realm="git"')
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            seen(parts.path)
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            done = subprocess.run(
                [backend], input=body, capture_output=True, check=True,
                env={
                    **os.environ, **_ENVIRONMENT, "GIT_PROJECT_ROOT": str(root), "GIT_HTTP_EXPORT_ALL": "1",
                    "PATH_INFO": parts.path, "QUERY_STRING": parts.query, "REQUEST_METHOD": self.command,
                    "REMOTE_USER": "user", "CONTENT_TYPE": self.headers.get("Content-Type", ""),
                    "CONTENT_LENGTH": str(len(body)), "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
                },
            )  # fmt: skip
            head, _blank, content = done.stdout.partition(b"\r\n\r\n")
            lines = dict(line.split(": ", 1) for line in head.decode().splitlines())
            self.send_response(int(lines.pop("Status", "200").split()[0]))
            for name, value in {**lines, "Content-Length": str(len(content))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        do_POST = do_GET

        def log_message(self, format: str, *args: object) -> None:
            """Tests look at the repositories."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
