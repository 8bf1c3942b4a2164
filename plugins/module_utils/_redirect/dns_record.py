# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Questions to DNS servers, and the values of a record in one form."""

from __future__ import annotations

import contextlib
import socket
import typing as t
from dataclasses import dataclass

from .._core.errors import ErrorKind, RecoveryError
from .._core.parallel import in_order
from .way import Answer, Look

try:
    import dns.exception
    import dns.flags
    import dns.message
    import dns.name
    import dns.query
    import dns.rcode
    import dns.rdata
    import dns.rdataclass
    import dns.rdatatype
    import dns.rrset
except ImportError:
    dns = None  # type: ignore[assignment]

#: No server is waited for longer in a single question, in seconds.
_LONGEST_ANSWER = 2.0


def require_dnspython() -> None:
    """Raise RecoveryError(library_missing) without dnspython."""
    if dns is None:
        raise RecoveryError(
            ErrorKind.LIBRARY_MISSING,
            "The Python library dnspython is missing on this host.",
            next_step="Install it with: pip install dnspython",
        )


@dataclass(frozen=True)
class Endpoint:
    """A DNS server. host: a name or an address."""

    host: str
    port: int = 53

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def address(self) -> str:
        """Raises RecoveryError(unreachable) for a name without an address."""
        try:
            return str(socket.getaddrinfo(self.host, self.port, type=socket.SOCK_DGRAM)[0][4][0])
        except OSError:
            raise RecoveryError(
                ErrorKind.UNREACHABLE, f"The DNS server {self.host} has no address.", next_step="Give its address."
            ) from None


def endpoint(text: str, option: str) -> Endpoint:
    """A server written as C(192.0.2.1), C(192.0.2.1:5353) or C([2001:db8::1]:53). Raises RecoveryError."""
    host, port = text, ""
    if text.startswith("["):
        host, _bracket, port = text[1:].partition("]")
        port = port.lstrip(":")
    elif text.count(":") == 1:
        host, _colon, port = text.partition(":")
    if not host or not host.isprintable() or (port and not (port.isascii() and port.isdigit() and int(port) < 65536)):
        raise RecoveryError(
            ErrorKind.INVALID_OPTIONS, f"`{option}` must be an address with or without a port, got {text!r}."
        )
    return Endpoint(host, int(port or 53))


@dataclass(frozen=True)
class Found:
    """An answer. value is empty if there is no record. alias: the target of a CNAME at the name of another type."""

    value: str
    ttl: int
    is_authoritative: bool
    alias: str


class Record:
    """A name and a type; a value of type A or AAAA is a list of addresses, separated by blanks."""

    def __init__(self, name: str, kind: str, option: str) -> None:
        require_dnspython()
        try:
            self.name = dns.name.from_text(name)
        except dns.exception.DNSException:
            raise RecoveryError(ErrorKind.INVALID_OPTIONS, f"`{option}` must be a name of DNS, got {name!r}.") from None
        self.kind = kind

    def __str__(self) -> str:
        return f"{self.name} {self.kind}"

    def texts(self, value: str, option: str = "value") -> t.List[str]:
        """The sorted values in the form of a zone file. Raises RecoveryError(invalid_options)."""
        parts = value.split() if self.kind in ("A", "AAAA") else [value.strip()]
        try:
            found = {
                dns.rdata.from_text("IN", self.kind, one, origin=dns.name.root, relativize=False).to_text().lower()
                for one in parts
            }
        except (dns.exception.DNSException, ValueError):
            raise RecoveryError(
                ErrorKind.INVALID_OPTIONS, f"`{option}` must be a value of a record of type {self.kind}, got {value!r}."
            ) from None
        return sorted(found)

    def is_same(self, one: str, other: str) -> bool:
        return bool(one and other) and self.texts(one) == self.texts(other)

    def lookup(self, server: Endpoint, timeout: float, *, recursive: bool) -> Found:
        """The values that a server answers. Raises RecoveryError: unreachable, service_failed."""
        query = dns.message.make_query(self.name, self.kind, flags=dns.flags.RD if recursive else 0)
        seconds = min(timeout, _LONGEST_ANSWER)
        try:
            answer, _tcp = dns.query.udp_with_fallback(query, server.address(), timeout=seconds, port=server.port)
        except (dns.exception.DNSException, OSError) as error:
            raise RecoveryError(
                ErrorKind.UNREACHABLE,
                f"The DNS server {server} gave no answer: {type(error).__name__}.",
                next_step="Check the address, the port and the network.",
            ) from None
        if answer.rcode() not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
            raise RecoveryError(
                ErrorKind.SERVICE_FAILED,
                f"The DNS server {server} answered {dns.rcode.to_text(answer.rcode())}.",
                next_step="Check that it serves the zone, and that it answers this host.",
            )
        sets = {dns.rdatatype.to_text(one.rdtype): one for one in answer.answer if one.name == self.name}
        alias = sets.get("CNAME") if self.kind != "CNAME" else None
        found = sets.get(self.kind)
        return Found(
            " ".join(sorted(one.to_text().lower() for one in found)) if found is not None else "",
            int(found.ttl) if found is not None else 0,
            bool(answer.flags & dns.flags.AA),
            alias[0].to_text() if alias is not None else "",
        )

    def look(self, servers: t.Iterable[t.Tuple[Endpoint, bool]], value: str, timeout: float) -> Look:
        """Ask each server, which is recursive or not, and report the first one with another answer.

        A server that is silent, for example one of a lost region, is no reason unless every server is.
        """
        asked = list(servers)
        found = in_order(asked, lambda one: self._answer(*one, timeout), parallel=max(1, len(asked)), name="dns")
        answers: t.List[Answer] = []
        silent: t.List[str] = []
        reason = failure = ""
        for (server, _recursive), given in zip(asked, found):
            if isinstance(given, RecoveryError):
                failure = given.what.rstrip(".")
                if given.kind == ErrorKind.UNREACHABLE:
                    silent.append(str(server))
                else:
                    reason = reason or failure
                continue
            answers.append(Answer(str(server), given))
            if not self.is_same(given, value):
                reason = reason or (f"{server} answers {given}" if given else f"{server} has no record {self}")
        if silent and not answers:
            reason = reason or failure
        return Look(tuple(answers), reason, tuple(silent))

    def _answer(self, server: Endpoint, recursive: bool, timeout: float) -> t.Union[str, RecoveryError]:
        """The values of a server, or its error. It is asked twice, because a packet can be lost."""
        with contextlib.suppress(RecoveryError):
            return self.lookup(server, timeout, recursive=recursive).value
        try:
            return self.lookup(server, timeout, recursive=recursive).value
        except RecoveryError as error:
            return error
