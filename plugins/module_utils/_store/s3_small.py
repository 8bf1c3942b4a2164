# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Small objects without the S3 client, whose overhead per object exceeds the time of the network.

Requests are signed by botocore and sent by urllib3. Every answer except a plain success returns None; the client then
tries again and reports the error.
"""

from __future__ import annotations

import email.utils
import typing as t
import urllib.parse
from datetime import timezone
from types import MappingProxyType

from .._core.deadline import transfer_limit, within
from .._core.digest import bare_etag

try:
    import botocore.auth
    import botocore.awsrequest
    import botocore.exceptions
    import botocore.httpsession
    import botocore.utils
    import urllib3
except ImportError:
    urllib3 = None  # type: ignore[assignment]

_Result = t.TypeVar("_Result")

#: Up to this many bytes are read here; the client reads larger objects in parts that resume.
LARGEST = 4 * 1024 * 1024

_METADATA = "x-amz-meta-"
_HEADERS = {
    "Content-Type": "ContentType",
    "Cache-Control": "CacheControl",
    "Content-Disposition": "ContentDisposition",
    "Content-Encoding": "ContentEncoding",
    "Content-Language": "ContentLanguage",
    "Expires": "Expires",
    "x-amz-website-redirect-location": "WebsiteRedirectLocation",
    "x-amz-storage-class": "StorageClass",
}
_ANSWERED = {**_HEADERS, "ETag": "ETag", "x-amz-tagging-count": "TagCount"}
_SENT = {**{argument: header for header, argument in _HEADERS.items()}, "Tagging": "x-amz-tagging"}


class SmallRequests:
    """Single requests for the objects of one bucket. May be used from several threads."""

    def __init__(self, client: t.Any, bucket: str, *, verify: t.Optional[str], timeout: int, connections: int) -> None:
        # The client knows the addressing style of its provider; a signed URL shows it.
        shown = client.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "x"})
        self._base = shown.partition("?")[0][:-1]
        self._timeout = timeout
        self._credentials = client._request_signer._credentials
        self._region = client.meta.region_name
        # With a proxy, the client's own transport is used.
        self._direct = not botocore.utils.get_environ_proxies(self._base)
        self._pool = urllib3.PoolManager(
            maxsize=connections,
            timeout=urllib3.Timeout(connect=min(timeout, 10), read=timeout),
            retries=False,
            cert_reqs="CERT_REQUIRED",
            ca_certs=verify or botocore.httpsession.get_cert_path(True),
        )

    def get(
        self, name: str, accepted: str = "", size: t.Optional[int] = None
    ) -> t.Optional[t.Tuple[t.Dict[str, t.Any], bytes]]:
        """The answer of get_object of the client without its Body, and the bytes. Raises RecoveryError(timeout).

        accepted is sent as Accept-Encoding. None also for an object of another size.
        """
        found = self._within(LARGEST, lambda: self._get(name, accepted))
        return found if found is None or size in (None, len(found[1])) else None

    def _get(self, name: str, accepted: str) -> t.Optional[t.Tuple[t.Dict[str, t.Any], bytes]]:
        answer = self._send("GET", name, b"", {}, {"Accept-Encoding": accepted} if accepted else {})
        if answer is None:
            return None
        try:
            facts = _facts(answer.headers)
        except (KeyError, ValueError, TypeError):
            answer.drain_conn()
            return None
        try:
            data = answer.read(decode_content=False) if facts["ContentLength"] <= LARGEST else b""
        except (urllib3.exceptions.HTTPError, OSError):
            return None
        finally:
            # A connection with unread data cannot be reused.
            answer.release_conn() if facts["ContentLength"] <= LARGEST else answer.close()
        return (facts, data) if facts["ContentLength"] == len(data) else None

    def put(self, name: str, data: bytes, arguments: t.Mapping[str, t.Any]) -> t.Optional[str]:
        """The ETag, empty if the store returns none; arguments as those of put_object.

        None also for arguments that only the client can send.
        """
        headers = {}
        for argument, value in arguments.items():
            pairs = (
                [(_METADATA + key, text) for key, text in value.items()]
                if argument == "Metadata"
                else [(_SENT.get(argument), value)]
            )
            for header, text in pairs:
                if header is None or not isinstance(text, str) or not text.isascii() or text != text.strip():
                    return None
                headers[header] = text
        return self._within(len(data), lambda: self._put(name, data, headers))

    def _put(self, name: str, data: bytes, headers: t.Dict[str, str]) -> t.Optional[str]:
        answer = self._send("PUT", name, data, headers)
        if answer is None:
            return None
        answer.drain_conn()
        etag = str(answer.headers.get("ETag", ""))
        return etag if bare_etag(etag) else ""

    def close(self) -> None:
        self._pool.clear()

    def _within(self, size: int, work: t.Callable[[], _Result]) -> _Result:
        return within(transfer_limit(self._timeout, size), self._base, work)

    def _send(
        self,
        method: str,
        name: str,
        data: bytes,
        headers: t.Dict[str, str],
        unsigned: t.Mapping[str, str] = MappingProxyType({}),
    ) -> t.Optional[t.Any]:
        # urllib3 resolves dots in a path and would request another object.
        if not self._direct or self._credentials is None or not {".", ".."}.isdisjoint(name.split("/")):
            return None
        url = self._base + urllib.parse.quote(name, safe="/~")
        request = botocore.awsrequest.AWSRequest(method=method, url=url, data=data, headers=headers)
        try:
            frozen = self._credentials.get_frozen_credentials()
            botocore.auth.S3SigV4Auth(frozen, "s3", self._region).add_auth(request)
            answer = self._pool.request(
                method,
                url,
                body=data or None,
                headers={**dict(request.headers.items()), **unsigned},
                redirect=False,
                preload_content=False,
            )
        except (botocore.exceptions.BotoCoreError, urllib3.exceptions.HTTPError, OSError):
            return None
        if answer.status == 200:
            return answer
        answer.drain_conn()
        return None


def _facts(headers: t.Mapping[str, str]) -> t.Dict[str, t.Any]:
    """Raises KeyError, ValueError or TypeError for an invalid answer."""
    modified = email.utils.parsedate_to_datetime(headers["Last-Modified"])
    facts: t.Dict[str, t.Any] = {
        argument: headers[header] for header, argument in _ANSWERED.items() if headers.get(header)
    }
    facts["ContentLength"] = int(headers["Content-Length"])
    facts["LastModified"] = modified if modified.tzinfo else modified.replace(tzinfo=timezone.utc)
    facts["Metadata"] = {
        name[len(_METADATA) :].lower(): value for name, value in headers.items() if name.lower().startswith(_METADATA)
    }
    return facts
