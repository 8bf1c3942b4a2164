# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Publishes a version again through the HTTP service of the application."""

from __future__ import annotations

import json
import time
import typing as t
import urllib.request

from .._core.errors import ErrorKind, RecoveryError, guaranteed
from .._core.http import Answer, NoAnswer, exchange
from .._core.notices import note
from .published import ObjectChanges
from .reader import DocumentState, Layout, Reader, read_stored, reading
from .schema import Validator
from .target import PublishOptions, Restored, Target, conflict_of, read_planned_copy, version_problems

_UNCHANGED = "The document is unchanged."
_LARGEST_ANSWER = 1024 * 1024
#: Seconds between two looks at a document whose request got no answer.
_LOOK = 1.0

#: Statuses of the service to the kind of error, and the next step.
_STATUSES = {
    401: (ErrorKind.ACCESS_DENIED, "Check `token`: the service does not accept it."),
    403: (ErrorKind.ACCESS_DENIED, "Use a token of a user who may restore versions."),
    404: (ErrorKind.OBJECT_MISSING, "Check `url`, the document and the version."),
    409: (ErrorKind.CONFLICT, "Another session publishes the document: run it again."),
}


class ServicePublisher:
    """Requests the restore from the service, and writes the published copy if the service did not."""

    def __init__(self, layout: Layout, options: PublishOptions, validator: Validator) -> None:
        self._layout, self._options, self._validator = layout, options, validator
        self._copies = layout.copies()

    def publish(self, target: Target) -> Restored:
        """Raises RecoveryError: conflict if the document was published since the plan, access_denied, object_missing,
        service_failed, timeout, unreachable, not_equal, and those of the database and of the bucket.
        """
        with reading(self._layout) as reader:
            if reader.tables.newest([target.document]) != [target.state.newest]:
                raise conflict_of(target.document)
        seen = read_planned_copy(self._copies, target, self._validator)
        kept = guaranteed(self._copies).keep(seen) if target.unversioned and seen is not None else None
        problem = self._request(target)
        state, text = self._after_request(target, wait=problem is not None and problem.kind == ErrorKind.TIMEOUT)
        advanced = (state.newest.version or 0) > (target.state.newest.version or 0)
        if problem is not None and not advanced:
            if kept is not None:
                guaranteed(self._copies).store.delete([kept])
            raise problem
        digest = state.verdict.content.digest if state.verdict and state.verdict.content else None
        if not advanced or digest != target.digest:
            raise RecoveryError(
                ErrorKind.NOT_EQUAL,
                f"The service answered, but the newest version of {target.document} does not have the content of "
                f"version {target.version}.",
                left="",
                next_step="List the document with course_version_info, then restore with `via: sql`.",
            )
        if problem is not None:
            note(f"The request for {target.document} failed ({problem.what}), but the version was restored.")
        if self._copies is not None and guaranteed(state.published).digest != target.digest:
            self._write_copy(target, text)
        newest, former = state.newest, target.state.newest.version
        return Restored(target.document, target.version, guaranteed(newest.version), newest.etag, None, kept, former)

    @staticmethod
    def problems(reader: Reader, target: Target, restored: Restored) -> t.List[str]:
        """The differences between the restored document and its version."""
        return version_problems(reader, target, restored)

    def _write_copy(self, target: Target, text: bytes) -> None:
        copies = guaranteed(self._copies)
        changes = ObjectChanges(copies)
        try:
            changes.replace(copies.read_to_replace(target.document, self._validator), text)
        except RecoveryError as error:
            failure = changes.put_back(error)
            raise failure.restated(
                left=f"The service restored {target.document} in the tables. {failure.left}",
                next_step="Run it again with `via: sql`.",
            ) from None

    def _request(self, target: Target) -> t.Optional[RecoveryError]:
        """The error of a request that failed."""
        options = self._options
        body = {"courseId": target.document, "version": target.version, "changelog": options.changelog}
        request = urllib.request.Request(
            guaranteed(options.url),
            json.dumps(body).encode(),
            {"Content-Type": "application/json", "Authorization": f"Bearer {options.token}"},
            method="POST",
        )
        try:
            answer = exchange(request, timeout=options.timeout, largest=_LARGEST_ANSWER)
        except NoAnswer as error:
            return RecoveryError(
                ErrorKind.TIMEOUT if error.begun else ErrorKind.UNREACHABLE,
                f"The service of `url` did not answer the request for {target.document}: {error.reason}.",
                left=f"{_UNCHANGED[:-1]} so far." if error.begun else _UNCHANGED,
                next_step="List the document with course_version_info before the next try.",
            )
        return None if 200 <= answer.status < 300 else self._refused(answer, target)

    def _refused(self, answer: Answer, target: Target) -> RecoveryError:
        kind, next_step = _STATUSES.get(answer.status, (ErrorKind.SERVICE_FAILED, "Read the log of the service."))
        return RecoveryError(
            kind,
            f"The service of `url` refused version {target.version} of {target.document}: {answer.outcome}"
            f"{self._reason(answer)}.",
            left=_UNCHANGED,
            next_step=next_step,
        )

    def _reason(self, answer: Answer) -> str:
        try:
            document = json.loads(answer.body)
        except (ValueError, RecursionError):
            return ""
        reason = document.get("error") or document.get("message") if isinstance(document, dict) else None
        text = " ".join(str(reason).split())[:200] if isinstance(reason, str) else ""
        return f" ({text.replace(str(self._options.token), '********')})" if text else ""

    def _after_request(self, target: Target, *, wait: bool) -> t.Tuple[DocumentState, bytes]:
        """The state after a request; with wait, looked at until the document changed or the timeout is over."""
        until = time.monotonic() + (self._options.timeout if wait else 0)
        while True:
            with reading(self._layout) as reader:
                state = reader.state(target.document)
                if (state.newest.version or 0) > (target.state.newest.version or 0) or time.monotonic() >= until:
                    stored = reader.tables.content(target.document, state.newest.version or 0)
                    return state, read_stored(stored, self._copies, self._validator)[1]
            time.sleep(_LOOK)
