# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A record of Cloudflare. Its API documents no condition on the content, so that the record is read again before the
write, and after it: https://developers.cloudflare.com/api/resources/dns/subresources/records/.
"""

from __future__ import annotations

import typing as t
import urllib.parse
from dataclasses import dataclass, field

from .._core.cloudflare import API, Account, call_path
from .._core.errors import Applied, ErrorKind, RecoveryError, guaranteed
from .._core.json_api import understood
from .._core.options import Secret, option
from .dns_record import Record, endpoint
from .rfc2136 import require_ttl
from .way import Answer, Look, State, Way, changed_meanwhile


@dataclass(frozen=True)
class CloudflareOptions:
    """zone_id, record, type: the record. authoritative, resolvers: servers that must answer the value."""

    zone_id: str
    record: str
    type: t.Literal["A", "AAAA", "CNAME"] = "CNAME"
    ttl: t.Optional[int] = None
    api_token: t.Optional[Secret] = field(default=None, metadata=option(environment=["CLOUDFLARE_API_TOKEN"]))
    api_url: str = API
    authoritative: t.Tuple[str, ...] = ()
    resolvers: t.Tuple[str, ...] = ()

    def require_valid(self) -> None:
        """Raise RecoveryError(invalid_options)."""
        require_ttl(self.ttl, "cloudflare.ttl", least=1)
        if not self.api_token:
            raise RecoveryError(ErrorKind.INVALID_OPTIONS, "`cloudflare.api_token` is required.")


class Cloudflare(Way):
    kind = "cloudflare"

    def __init__(self, options: CloudflareOptions, timeout: float) -> None:
        options.require_valid()
        self._options, self._timeout = options, timeout
        self._record = Record(options.record, options.type, "cloudflare.record")
        self._servers = [
            *((endpoint(one, "cloudflare.authoritative"), False) for one in options.authoritative),
            *((endpoint(one, "cloudflare.resolvers"), True) for one in options.resolvers),
        ]
        self._account = Account("", guaranteed(options.api_token), options.api_url, timeout)
        self._id = ""

    @property
    def target(self) -> str:
        return f"the record {self._record} of Cloudflare"

    def require_valid(self, expected: str, value: str) -> None:
        super().require_valid(expected, value)
        for name, given in (("expected", expected), ("value", value)):
            if len(self._record.texts(given, name)) != 1:
                raise RecoveryError(
                    ErrorKind.INVALID_OPTIONS, f"`{name}` must be one value for a record of Cloudflare, got {given!r}."
                )

    def is_same(self, one: str, other: str) -> bool:
        return self._record.is_same(one, other)

    def read(self) -> State:
        found = self._found()
        with understood(self.target):
            self._id = str(found["id"])
            proxied = bool(found.get("proxied"))
            state = self._state(found)
        if proxied and self._servers:
            raise RecoveryError(
                ErrorKind.UNSUPPORTED,
                f"{self.target[0].upper()}{self.target[1:]} is proxied: servers of DNS answer addresses of Cloudflare.",
                next_step="Remove `cloudflare.resolvers` and `cloudflare.authoritative`.",
            )
        return state

    def why_pending(self, state: State, value: str) -> str:
        wanted = self._options.ttl
        return "" if wanted in (None, state.facts["ttl"]) else f"the TTL is {state.facts['ttl']}"

    def write(self, state: State, value: str) -> None:
        with understood(self.target):
            if self._state(self._call("GET", self._path)) != state:
                raise changed_meanwhile(self.target)
        # Cloudflare stores names without the last dot.
        body: t.Dict[str, t.Any] = {"content": self._record.texts(value)[0].rstrip(".")}
        if self._options.ttl is not None:
            body["ttl"] = self._options.ttl
        try:
            self._call("PATCH", self._path, body=body, repeatable=False)
        except RecoveryError as error:
            if error.applied != Applied.UNKNOWN:
                raise
            if not self.is_same(self.read().value, value):
                raise error.restated(left="The record had another value when it was read again.") from None

    def look(self, value: str) -> Look:
        found = self._found()
        with understood(self.target):
            given, is_same_record = self._state(found).value, not self._id or found["id"] == self._id
        answers = (Answer("Cloudflare", given),)
        if not self.is_same(given, value):
            return Look(answers, f"Cloudflare has the value {given}")
        if not is_same_record:
            return Look(answers, "another client replaced the record")
        asked = self._record.look(self._servers, value, self._timeout)
        return Look((*answers, *asked.answers), asked.reason, asked.silent)

    @property
    def _path(self) -> str:
        return f"{self._records}/{urllib.parse.quote(self._id, safe='')}"

    @property
    def _records(self) -> str:
        return f"zones/{urllib.parse.quote(self._options.zone_id, safe='')}/dns_records"

    def _state(self, found: t.Mapping[str, t.Any]) -> State:
        facts = {"id": found["id"], "ttl": found["ttl"], "modified_on": found["modified_on"]}
        return State(self._record.texts(found["content"])[0], facts)

    def _found(self) -> t.Mapping[str, t.Any]:
        """The only record of the name and type. Raises RecoveryError: object_missing, unsupported."""
        name = str(self._record.name).rstrip(".")
        records = self._call("GET", self._records, query={"name": name, "type": self._record.kind, "per_page": 100})
        with understood(self.target):
            same = [one for one in records if (one["type"], one["name"].lower()) == (self._record.kind, name.lower())]
        if not same:
            raise RecoveryError(
                ErrorKind.OBJECT_MISSING,
                f"The zone {self._options.zone_id} of Cloudflare has no record {self._record}.",
                next_step="Create the record with the expected value, or correct `cloudflare.record` and `type`.",
            )
        if len(same) > 1:
            raise RecoveryError(
                ErrorKind.UNSUPPORTED,
                f"Cloudflare has {len(same)} records {self._record}, which no request exchanges as a whole.",
                next_step="Keep one record for the writer.",
            )
        return t.cast(t.Mapping[str, t.Any], same[0])

    def _call(self, method: str, path: str, **options: t.Any) -> t.Any:
        try:
            return call_path(self._account, method, path, what=self.target, **options).get("result")
        except RecoveryError as error:
            if error.kind in (ErrorKind.ACCESS_DENIED, ErrorKind.TARGET_MISSING):
                raise error.restated(
                    next_step="Check `cloudflare.zone_id`, and give a token with the right to edit DNS of the zone."
                ) from None
            raise
