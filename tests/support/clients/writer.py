# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A client that writes numbered rows without end, and records the outcome of each.

It runs alone, in tests and in containers: C(writer.py RECORD HOST PORT [RESOLVER:PORT]). Login, database and
password are those of libpq's environment. If a resolver is given, it is asked for HOST before each connection.
WRITER_PATIENCE is the number of seconds that the client waits for a reply; a pooler holds clients back for long.
"""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import time
import typing as t

import psycopg2
from psycopg2 import extensions

#: The client waits this many seconds for a connection or for a reply.
PATIENCE = float(os.environ.get("WRITER_PATIENCE", "3"))
#: Seconds between two rows.
PACE = 0.02
INSERT = (
    "INSERT INTO written (client, number) VALUES (%s, %s)"
    " RETURNING coalesce(host(inet_server_addr()), 'local') || ':' || coalesce(inet_server_port(), 0)"
)


class Silent(Exception):
    """The server sent no reply in time."""


def wait(connection: t.Any) -> None:
    """psycopg2's wait, with a limit."""
    deadline = time.monotonic() + PATIENCE
    while True:
        state = connection.poll()
        if state == extensions.POLL_OK:
            return
        reads = [connection.fileno()] if state == extensions.POLL_READ else []
        writes = [connection.fileno()] if state == extensions.POLL_WRITE else []
        if not any(select.select(reads, writes, [], max(deadline - time.monotonic(), 0))):
            raise Silent("no reply in time")


def address(host: str, resolver: str | None) -> str:
    if resolver is None:
        return host
    import dns.resolver

    server, _colon, port = resolver.rpartition(":")
    asked = dns.resolver.Resolver(configure=False)
    asked.nameservers, asked.port, asked.lifetime = [server], int(port), PATIENCE
    return str(asked.resolve(host, "A")[0])


def main(record: str, host: str, port: str, resolver: str | None = None) -> None:
    extensions.set_wait_callback(wait)
    stopped = []
    signal.signal(signal.SIGTERM, lambda *_signal: stopped.append(True))
    client = os.path.splitext(os.path.basename(record))[0]
    connection = None
    number = 0
    with open(record, "a", encoding="utf-8", buffering=1) as lines:
        while not stopped:
            number += 1
            server, error, began = None, None, time.time()
            try:
                if connection is None:
                    connection = psycopg2.connect(
                        host=address(host, resolver), port=port, application_name=client, gssencmode="disable"
                    )
                    connection.autocommit = True
                with connection.cursor() as cursor:
                    cursor.execute(INSERT, (client, number))
                    server = cursor.fetchone()[0]
            except Exception as caught:
                error = f"{type(caught).__name__}: {caught}".strip()[:300]
                # A connection that failed is not used again; the next row resolves the name again.
                if connection is not None:
                    connection.close()
                    connection = None
            line = {"number": number, "began": began, "ended": time.time(), "server": server, "error": error}
            lines.write(json.dumps(line) + "\n")
            time.sleep(PACE if error is None else 5 * PACE)


if __name__ == "__main__":
    main(*sys.argv[1:])
