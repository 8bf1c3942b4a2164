# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A real BIND with one zone that accepts signed updates (RFC 2136)."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import tempfile
import time
import typing as t
from dataclasses import dataclass
from pathlib import Path

import dns.exception
import dns.message
import dns.query

from tests.support.servers.postgres import as_server_user, free_port, give_to_server

PROGRAM = shutil.which("named") or shutil.which("named", path="/usr/sbin")

_KEY_NAME = "lifeline-failover"
#: 32 bytes in base64, as `tsig-keygen` writes them.
_KEY_SECRET = "c2VjcmV0LW9mLXRoZS1mYWlsb3Zlci1vZi10ZXN0cyE="

#: Loads the zone: `min-refresh-time` lets a secondary follow within a second.
_CONFIGURATION = """
options {{
  directory "{root}";
  listen-on port {port} {{ {address}; }};
  listen-on-v6 {{ none; }};
  pid-file none;
  session-keyfile none;
  recursion no;
  dnssec-validation no;
  allow-transfer {{ any; }};
  min-refresh-time 1;
  max-refresh-time 1;
}};
controls {{ }};
key "{key_name}" {{ algorithm hmac-sha256; secret "{key_secret}"; }};
zone "{zone}" {{ file "{root}/zone"; {role} }};
"""
_ZONE = (
    "$TTL 60\n@ IN SOA ns.{zone}. hostmaster.{zone}. 1 1 1 3600 1\n@ IN NS ns.{zone}.\nns IN A {address}\n{records}\n"
)


@dataclass
class DnsServer:
    """zone, key_name and records as given; address and port: of the server; key_secret: of the key, in base64."""

    zone: str
    address: str
    port: int
    key_name: str
    key_secret: str
    records: tuple[str, ...]

    @property
    def endpoint(self) -> str:
        return f"{self.address}:{self.port}"

    def ask(self, name: str, kind: str) -> list[str]:
        """The sorted values that the server answers for a name."""
        query = dns.message.make_query(name, kind)
        answer = dns.query.udp(query, self.address, timeout=5, port=self.port).answer
        return sorted(str(value) for found in answer for value in found)

    def ttl(self, name: str, kind: str) -> int:
        query = dns.message.make_query(name, kind)
        return int(dns.query.udp(query, self.address, timeout=5, port=self.port).answer[0].ttl)


@contextlib.contextmanager
def dns_server(
    *records: str,
    zone: str = "example.test",
    address: str = "127.0.0.1",
    port: t.Optional[int] = None,
    primary: t.Optional[DnsServer] = None,
) -> t.Iterator[DnsServer]:
    """A server of a zone with these lines of a zone file; with primary, a secondary that follows the primary.

    An update needs the key of the server. A relative name in records belongs to the zone.
    """
    root = Path(tempfile.mkdtemp(prefix="lifeline-dns-", dir="/tmp"))
    server = DnsServer(zone, address, port or free_port(), _KEY_NAME, _KEY_SECRET, records)
    role = f"type primary; allow-update {{ key {_KEY_NAME}; }};"
    if primary is not None:
        role = f"type secondary; primaries {{ {primary.address} port {primary.port}; }}; masterfile-format text;"
    else:
        text = _ZONE.format(zone=zone, address=address, records="\n".join(records))
        (root / "zone").write_text(text, encoding="utf-8")
    configuration = _CONFIGURATION.format(
        root=root, port=server.port, address=address, key_name=_KEY_NAME, key_secret=_KEY_SECRET, zone=zone, role=role
    )
    (root / "named.conf").write_text(configuration, encoding="utf-8")
    for path in (root, *root.iterdir()):
        give_to_server(path)
    with (root / "log").open("wb") as log:
        process = subprocess.Popen(
            [str(PROGRAM), "-g", "-n", "1", "-c", str(root / "named.conf")],
            stdout=log, stderr=subprocess.STDOUT, **as_server_user(),
        )  # fmt: skip
    try:
        _wait(server, process, root / "log")
        yield server
    finally:
        process.terminate()
        process.wait(10)
        shutil.rmtree(root, ignore_errors=True)


def _wait(server: DnsServer, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 20
    while True:
        with contextlib.suppress(dns.exception.DNSException, OSError):
            if server.ask(server.zone, "SOA"):
                return
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(log.read_text(encoding="utf-8", errors="replace")[-2000:])
        time.sleep(0.05)
