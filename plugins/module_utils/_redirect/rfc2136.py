# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A record of DNS that is exchanged by one signed update: https://www.rfc-editor.org/rfc/rfc2136.

The prerequisites and the change are in one message, which the server applies as a whole. A prerequisite in a message of
its own, and a deletion of one value, would let another client's change pass.
"""

from __future__ import annotations

import binascii
import typing as t
from dataclasses import dataclass, field

from .._core.errors import Applied, ErrorKind, RecoveryError
from .._core.options import Secret, option
from .dns_record import Endpoint, Record, endpoint
from .way import Look, State, Way, changed_meanwhile

try:
    import dns.exception
    import dns.query
    import dns.rcode
    import dns.tsig
    import dns.tsigkeyring
    import dns.update
except ImportError:
    dns = None  # type: ignore[assignment]

RecordType = t.Literal["A", "AAAA", "CNAME", "SRV"]


@dataclass(frozen=True)
class Rfc2136Options:
    """server, port: take the update. authoritative: further servers of the zone. resolvers: the servers of clients."""

    server: str
    zone: str
    record: str
    type: RecordType = "CNAME"
    port: int = 53
    ttl: t.Optional[int] = None
    key_name: t.Optional[str] = field(default=None, metadata=option(shown=True))
    key_secret: t.Optional[Secret] = None
    key_algorithm: t.Literal["hmac-sha224", "hmac-sha256", "hmac-sha384", "hmac-sha512"] = field(
        default="hmac-sha256", metadata=option(shown=True)
    )
    authoritative: t.Tuple[str, ...] = ()
    resolvers: t.Tuple[str, ...] = ()

    def require_valid(self) -> None:
        """Raise RecoveryError(invalid_options)."""
        require_ttl(self.ttl, "rfc2136.ttl")
        if bool(self.key_name) != bool(self.key_secret):
            raise RecoveryError(
                ErrorKind.INVALID_OPTIONS, "`rfc2136.key_name` and `rfc2136.key_secret` are required together."
            )


def require_ttl(ttl: t.Optional[int], name: str, least: int = 0) -> None:
    """Raise RecoveryError(invalid_options) for a TTL that no record has."""
    if ttl is not None and not least <= ttl <= 2**31 - 1:
        raise RecoveryError(ErrorKind.INVALID_OPTIONS, f"`{name}` must be a number of seconds from {least}, got {ttl}.")


class Rfc2136(Way):
    kind = "rfc2136"

    def __init__(self, options: Rfc2136Options, timeout: float) -> None:
        options.require_valid()
        self._options, self._timeout = options, timeout
        self._record = Record(options.record, options.type, "rfc2136.record")
        self._zone = Record(options.zone, "SOA", "rfc2136.zone").name
        if not self._record.name.is_subdomain(self._zone):
            raise RecoveryError(
                ErrorKind.INVALID_OPTIONS,
                f"`rfc2136.record` must be a name in the zone {self._zone}, got {self._record.name}.",
            )
        self._server = Endpoint(options.server, options.port)
        self._keyring = self._keys()
        self._others = [
            *((endpoint(one, "rfc2136.authoritative"), False) for one in options.authoritative),
            *((endpoint(one, "rfc2136.resolvers"), True) for one in options.resolvers),
        ]

    @property
    def target(self) -> str:
        return f"the record {self._record}"

    def require_valid(self, expected: str, value: str) -> None:
        super().require_valid(expected, value)
        self._record.texts(expected, "expected")
        self._record.texts(value, "value")

    def is_same(self, one: str, other: str) -> bool:
        return self._record.is_same(one, other)

    def read(self) -> State:
        found = self._record.lookup(self._server, self._timeout, recursive=False)
        if not found.is_authoritative:
            raise RecoveryError(
                ErrorKind.INVALID_OPTIONS,
                f"`rfc2136.server` must be a server of the zone {self._zone}; {self._server} is not.",
                next_step="Set it to the primary server of the zone.",
            )
        if found.alias:
            raise RecoveryError(
                ErrorKind.CONFLICT,
                f"The name {self._record.name} has a CNAME to {found.alias}, so that a server ignores other records.",
                next_step="Set `rfc2136.type` to CNAME, or replace the CNAME first.",
            )
        if not found.value:
            raise RecoveryError(
                ErrorKind.OBJECT_MISSING,
                f"{self._server} has no record {self._record}.",
                next_step="Create the record with the expected value, or correct `rfc2136.record` and `rfc2136.type`.",
            )
        return State(found.value, {"ttl": found.ttl})

    def why_pending(self, state: State, value: str) -> str:
        wanted = self._options.ttl
        return "" if wanted in (None, state.facts["ttl"]) else f"the TTL is {state.facts['ttl']}"

    def write(self, state: State, value: str) -> None:
        name, kind = self._record.name, self._record.kind
        message = dns.update.UpdateMessage(
            self._zone, keyring=self._keyring, keyalgorithm=f"{self._options.key_algorithm}."
        )
        message.present(name, kind, *self._record.texts(state.value))
        message.delete(name, kind)
        ttl = state.facts["ttl"] if self._options.ttl is None else self._options.ttl
        message.add(name, ttl, kind, *self._record.texts(value))
        try:
            answer = dns.query.tcp(message, self._server.address(), timeout=self._timeout, port=self._server.port)
        except dns.tsig.PeerError as error:
            raise self._denied(type(error).__name__) from None
        except (dns.exception.DNSException, OSError) as error:
            self._require_written(value, error)
            return
        rcode = dns.rcode.to_text(answer.rcode())
        if rcode == "NOERROR":
            return
        if rcode in ("NXRRSET", "YXRRSET", "NXDOMAIN"):
            raise changed_meanwhile(self.target)
        if rcode in ("REFUSED", "NOTAUTH"):
            raise self._denied(rcode)
        raise RecoveryError(
            ErrorKind.SERVICE_FAILED,
            f"{self._server} refused the update of {self.target}: {rcode}.",
            applied=Applied.NO,
        )

    def _require_written(self, value: str, error: Exception) -> None:
        """After an update without an answer: read whether it was applied. Raises RecoveryError(unreachable)."""
        if self._record.is_same(self.read().value, value):
            return
        raise RecoveryError(
            ErrorKind.UNREACHABLE,
            f"{self._server} gave no answer to the update of {self.target}: {type(error).__name__}.",
            left="The record had the value before when it was read again.",
            next_step="Check TCP to the server, then run it again.",
            applied=Applied.UNKNOWN,
        ) from None

    def _denied(self, reason: str) -> RecoveryError:
        return RecoveryError(
            ErrorKind.ACCESS_DENIED,
            f"{self._server} does not accept updates of {self._zone} with this key: {reason}.",
            next_step="Check the name, the secret and the algorithm of the key, the clock of this host, and the rule "
            "that allows updates.",
            applied=Applied.NO,
        )

    def look(self, value: str) -> Look:
        return self._record.look([(self._server, False), *self._others], value, self._timeout)

    def _keys(self) -> t.Any:
        if not self._options.key_name:
            return None
        try:
            return dns.tsigkeyring.from_text({self._options.key_name: self._options.key_secret})
        except (dns.exception.DNSException, binascii.Error, ValueError):
            raise RecoveryError(
                ErrorKind.INVALID_OPTIONS,
                "`rfc2136.key_secret` must be in base64, as tsig-keygen prints it.",
            ) from None
