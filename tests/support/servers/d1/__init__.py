# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""D1 to test against: the real engine behind the paths of Cloudflare's API."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import hmac
import json
import os
import secrets
import shutil
import subprocess
import tempfile
import typing as t
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.runner.server import ROOT

_HERE = Path(__file__).parent
ACCOUNT = "0123456789abcdef0123456789abcdef"


@dataclass(frozen=True)
class D1Server:
    """The API on loopback with one account."""

    api_url: str
    api_token: str = field(repr=False)

    def options(self, database: str | None = None) -> dict[str, t.Any]:
        """The options of our modules."""
        return {
            "account_id": ACCOUNT,
            "api_token": self.api_token,
            "api_url": self.api_url,
            **({"database": database} if database else {}),
        }

    def rules(self, *rules: dict[str, t.Any]) -> None:
        """Faults of requests from now on: C(at) counts them from 1, or is C(always); C(every) is such as each third.

        C(before) and C(after) name a fault of the service, answered instead of the work or after it. C(drop) closes
        the connection C(before) or C(after) the work. C(slow) is for how many seconds an
        import that a request begins waits.
        """
        self._control({"rules": list(rules)})

    def requests(self) -> list[str]:
        """The requests since rules were set, as C(POST raw)."""
        return t.cast("list[str]", self._control({})["log"])

    def copy(self, database: str, file: Path) -> None:
        """Copy the engine's own file of a database, and its log beside it."""
        self._control({"copy": {"database": database, "to": str(file)}})

    def record(self) -> None:
        """Keep what is asked and answered from now on."""
        self._control({"record": True})

    def exchanges(self) -> list[dict[str, t.Any]]:
        """The requests and answers since then; no later ones are kept."""
        return t.cast("list[dict[str, t.Any]]", self._control({"record": False})["exchanges"])

    def _control(self, sent: dict[str, t.Any]) -> dict[str, t.Any]:
        url = self.api_url.partition("/client")[0] + "/control"
        request = urllib.request.Request(url, data=json.dumps(sent).encode(), method="POST")
        with urllib.request.build_opener().open(request) as answer:
            return t.cast("dict[str, t.Any]", json.load(answer))


@contextlib.contextmanager
def d1_server() -> t.Iterator[D1Server]:
    """Started in less than a second once its packages are installed."""
    with tempfile.TemporaryDirectory(prefix="lifeline-d1-double-") as home:
        yield from _served(home)


def _served(home: str) -> t.Iterator[D1Server]:
    token = secrets.token_hex(16)
    process = subprocess.Popen(
        [
            program("node"),
            str(_HERE / "server.mjs"),
            str(node_modules(_HERE / "package.json", ROOT / ".cache" / "node")),
            home,
        ],
        stdout=subprocess.PIPE,
        env={**os.environ, "D1_TOKEN": token},
        text=True,
    )
    try:
        assert process.stdout is not None
        port = process.stdout.readline().strip()
        if not port:
            raise RuntimeError("the D1 double did not start")
        yield D1Server(f"http://127.0.0.1:{port}/client/v4", token)
    finally:
        process.terminate()
        process.wait(10)


def object_id(namespace: str, name: str) -> str:
    """As workerd derives the id of an object, and so the name of its file, from a name."""
    key = hashlib.sha256(namespace.encode()).digest()
    first = hmac.digest(key, name.encode(), "sha256")[:16]
    return (first + hmac.digest(key, first, "sha256")[:16]).hex()


def node_modules(package: Path, folder: Path) -> Path:
    """The packages, installed when they are not the wanted ones. Several test processes may ask in parallel."""
    folder.mkdir(parents=True, exist_ok=True)
    wanted = package.read_text()
    with open(folder / "lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        stamp = folder / "installed.json"
        if not stamp.exists() or stamp.read_text() != wanted:
            shutil.copy(package, folder / "package.json")
            subprocess.run(
                [program("npm"), "install", "--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts"],
                cwd=folder,
                check=True,
                stdout=subprocess.DEVNULL,
            )
            stamp.write_text(wanted)
    return folder / "node_modules"


def program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise RuntimeError(f"{name} is not installed; on Debian: apt-get install nodejs npm")
    return found
