# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A TCP proxy that keeps connections open and stops passing bytes, as a firewall that lost its state does."""

from __future__ import annotations

import contextlib
import socket
import threading
import typing as t


class StallingProxy:
    """Forwards to a port of this host until it is set to stall.

    budget and upload_budget: bytes from and to the server after which a connection stalls; None for no limit. A
    connection stalls for ever, new ones are forwarded while their budget is large enough, unless stall_all is set.
    lose_answer_to: bytes to the server; a client that sends them gets no answer, and its connection ends.
    """

    def __init__(self, port: int) -> None:
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.budget: int | None = None
        self.upload_budget: int | None = None
        self.lose_answer_to = b""
        self.stall_all = False
        self.connections = 0
        self.stalled = threading.Event()
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        for one in (self._listener, *self._open):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _address = self._listener.accept()
                self.connections += 1
                server = socket.create_connection(("127.0.0.1", self._target))
                self._open += [client, server]
                for pair in ((client, server, self.upload_budget, self.lose_answer_to), (server, client, self.budget)):
                    threading.Thread(target=self._pump, args=pair, daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket, budget: int | None, last: bytes = b"") -> None:
        passed = 0
        with contextlib.suppress(OSError):
            while True:
                data = source.recv(65536)
                if not data:
                    sink.shutdown(socket.SHUT_WR)
                    return
                passed += len(data)
                if self.stall_all or (budget is not None and passed > budget):
                    self.stalled.set()
                    return
                if last and last in data:
                    source.shutdown(socket.SHUT_RDWR)
                    sink.sendall(data)
                    return
                sink.sendall(data)


@contextlib.contextmanager
def stalling_proxy(port: int) -> t.Iterator[StallingProxy]:
    proxy = StallingProxy(port)
    try:
        yield proxy
    finally:
        proxy.close()
