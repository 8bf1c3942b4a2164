# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An HTTP server that sends an answer byte by byte, so that no single wait is ever too long."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
import typing as t

HEADERS = b'HTTP/1.1 200 OK\r\nETag: "x"\r\nLast-Modified: Fri, 27 Nov 2026 10:00:00 GMT\r\n'
LARGE = HEADERS + b"Content-Length: 50000000\r\n\r\n"


@contextlib.contextmanager
def dripping_server(quick: bytes) -> t.Iterator[str]:
    """The URL of a server that answers quick immediately, and then one byte each 100 ms for ever."""
    listener = socket.create_server(("127.0.0.1", 0))
    ended = threading.Event()

    def serve(client: socket.socket) -> None:
        with contextlib.suppress(OSError), client:
            client.recv(65536)
            client.sendall(quick)
            while not ended.is_set():
                client.sendall(b"x")
                time.sleep(0.1)

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        ended.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
