# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Databases of D1 through Cloudflare's API: made, found, asked, and sent back in time."""

from __future__ import annotations

import os
import re
import time
import typing as t
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote

from ..._core.clock import format_instant
from ..._core.cloudflare import Account, call, call_envelope, upload_file
from ..._core.deadline import transfer_limit
from ..._core.errors import Applied, ErrorKind, RecoveryError
from ..._core.http import is_url
from ..._core.json_api import understood

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)
_PAGE = 100
#: An account has at most 50,000 databases; https://developers.cloudflare.com/d1/platform/limits/
_MOST_PAGES = 500
_POLL_SECONDS = 0.5


@dataclass(frozen=True)
class D1Facts:
    """A database as the service describes it. size is in bytes."""

    uuid: str
    name: str
    version: str
    created_at: str
    size: t.Optional[int] = None


@dataclass(frozen=True)
class Restored:
    """bookmark is the state of now, previous_bookmark what it was before: the way back."""

    bookmark: str
    previous_bookmark: str
    message: str


class D1Api:
    """The databases of one account."""

    def __init__(self, account: Account) -> None:
        self._account = account

    def list(self, name: str = "") -> t.Iterator[D1Facts]:
        """All databases, or those whose names hold the text, page by page."""
        page, seen = 1, 0
        while True:
            query = {"page": page, "per_page": _PAGE, **({"name": name} if name else {})}
            answer = call_envelope(self._account, "GET", "d1/database", query=query, what="the databases")
            with understood("the databases"):
                found = [_facts(item) for item in answer.get("result") or []]
                total = int((answer.get("result_info") or {}).get("total_count") or 0)
            yield from found
            seen += len(found)
            if not found or seen >= total or page >= _MOST_PAGES:
                return
            page += 1

    def find(self, database: str) -> t.Optional[D1Facts]:
        """A database by its id or its exact name."""
        if _UUID.fullmatch(database):
            try:
                what = f"the database {database}"
                answer = call(self._account, "GET", self._path(database), what=what)
                with understood(what):
                    return _facts(answer)
            except RecoveryError as error:
                if error.kind != ErrorKind.TARGET_MISSING:
                    raise
                return None
        # The service searches for parts of names.
        return next((item for item in self.list(database) if item.name == database), None)

    def require(self, database: str) -> D1Facts:
        """As find. Raises RecoveryError(target_missing) that names the databases there are."""
        found = self.find(database)
        if found is None:
            names = sorted(item.name for item in self.list())
            known = f"There are {', '.join(names[:20])}." if names else "There is none."
            raise RecoveryError(
                ErrorKind.TARGET_MISSING, f"The account has no D1 database {database!r}.", next_step=known
            )
        return found

    def create(self, name: str, *, location: t.Optional[str] = None, jurisdiction: t.Optional[str] = None) -> D1Facts:
        """Raises RecoveryError(already_exists)."""
        body: t.Dict[str, t.Any] = {"name": name}
        if location:
            body["primary_location_hint"] = location
        if jurisdiction:
            body["jurisdiction"] = jurisdiction
        answer = call(self._account, "POST", "d1/database", body=body, what=f"the database {name}", repeatable=False)
        with understood(f"the database {name}"):
            return _facts(answer)

    def delete(self, uuid: str) -> None:
        """Its time travel goes with it."""
        call(self._account, "DELETE", self._path(uuid), what=f"the database {uuid}", repeatable=False)

    def raw(
        self, uuid: str, batch: t.Sequence[t.Mapping[str, t.Any]], *, repeatable: bool
    ) -> t.List[t.Dict[str, t.Any]]:
        """One result for each statement, with columns and rows. All are applied, or none."""
        path, what = f"{self._path(uuid)}/raw", "the database"
        result = call(self._account, "POST", path, body={"batch": list(batch)}, what=what, repeatable=repeatable)
        with understood("the statements"):
            results = [dict(item) for item in result]
            if len(results) != len(batch):
                raise ValueError
            return results

    def bookmark(self, uuid: str, at: t.Optional[datetime] = None) -> str:
        """The bookmark of now, or of an instant: the last state at or before it."""
        query = {"timestamp": format_instant(at)} if at else None
        path = f"{self._path(uuid)}/time_travel/bookmark"
        answer = call(self._account, "GET", path, query=query, what="the bookmark")
        with understood("the bookmark"):
            return _bookmark(answer["bookmark"])

    def restore(self, uuid: str, bookmark: str) -> Restored:
        """Send a database back, in place; queries that run are ended."""
        path = f"{self._path(uuid)}/time_travel/restore"
        result = call(self._account, "POST", path, query={"bookmark": bookmark}, what="the bookmark", repeatable=False)
        with understood("the bookmark"):
            before, after = _bookmark(result["previous_bookmark"]), _bookmark(result["bookmark"])
            return Restored(after, before, str(result.get("message", "")))

    def import_file(self, uuid: str, path: str, md5: str) -> None:
        """Have a file of statements run. It is applied as a whole; the database answers no other request until it ends.

        Raises RecoveryError(query_failed) with the message of the service, or another with applied set to unknown.
        """
        limit = transfer_limit(self._account.timeout, os.path.getsize(path))
        end = time.monotonic() + limit
        begun = self._import(uuid, {"action": "init", "etag": md5})
        try:
            if begun.get("upload_url"):
                if not is_url(str(begun["upload_url"])):
                    raise RecoveryError(ErrorKind.SERVICE_FAILED, "D1 gives no URL to upload the import to.")
                upload_file(begun["upload_url"], path, md5, timeout=self._account.timeout)
                begun = self._import(uuid, {"action": "ingest", "etag": md5, "filename": begun["filename"]})
            while True:
                if begun.get("status") == "error" or begun.get("success") is False:
                    why = begun.get("error") or "; ".join(map(str, begun.get("errors") or ())) or "no reason is given"
                    raise RecoveryError(
                        ErrorKind.QUERY_FAILED,
                        f"D1 refused the import: {why}.",
                        left="",
                        applied=Applied.NO,
                    )
                if begun.get("status") == "complete":
                    return
                if time.monotonic() > end:
                    raise RecoveryError(
                        ErrorKind.TIMEOUT,
                        f"D1 did not finish the import within {limit:.0f} seconds.",
                        next_step="Check the status page of Cloudflare.",
                    )
                time.sleep(_POLL_SECONDS)
                begun = self._import(uuid, {"action": "poll", "current_bookmark": begun.get("at_bookmark")})
        except RecoveryError as error:
            # An import continues after a failed request for its state.
            raise error.restated(applied=error.applied or Applied.UNKNOWN) from None

    def _import(self, uuid: str, body: t.Mapping[str, t.Any]) -> t.Dict[str, t.Any]:
        # To announce, to ingest under a digest, and to ask again does no harm when it is done twice.
        answer = call(self._account, "POST", f"{self._path(uuid)}/import", body=body, what="the import")
        with understood("the import"):
            return dict(answer or {})

    @staticmethod
    def _path(uuid: str) -> str:
        return f"d1/database/{quote(uuid, safe='')}"


def _bookmark(value: t.Any) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError
    return value


def _facts(item: t.Mapping[str, t.Any]) -> D1Facts:
    size = item.get("file_size")
    return D1Facts(
        uuid=str(item["uuid"]),
        name=str(item["name"]),
        version=str(item.get("version", "")),
        created_at=str(item.get("created_at", "")),
        size=int(size) if size is not None else None,
    )
