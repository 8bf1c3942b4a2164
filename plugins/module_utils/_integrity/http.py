# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A request over HTTP, as a user of the application makes it: status, headers, content and time of the answer."""

from __future__ import annotations

import os
import re
import time
import typing as t
import urllib.parse
import urllib.request
from dataclasses import dataclass

from .._core.http import Answer, NoAnswer, exchange, is_url
from .._core.sizes import readable_seconds
from .check import CannotVerify, Check, Context
from .json_path import JsonPath, MissingValue, find_value
from .options import OptionReader
from .result import Finding
from .shape import parse_json
from .values import plain_value, same_value

METHODS = ("GET", "HEAD", "POST")

#: Bytes of an answer that are read.
_LARGEST = 1024 * 1024
#: Seconds for each wait, also if the run has no time limit.
_LONGEST_WAIT = 30.0
_HEADER = re.compile(r"[A-Za-z0-9-]+")


@dataclass(frozen=True)
class Http(Check):
    """One request and the expected answer. Redirects are answers themselves and are not followed.

    token, secret_headers: names of entries of the option secrets. expects: whether `equals` is set; path alone expects
    that there is a value.
    """

    needs_database = False

    url: str
    method: str
    body: t.Optional[str]
    headers: t.Mapping[str, str]
    token: t.Optional[str]
    secret_headers: t.Mapping[str, str]
    statuses: t.Tuple[int, ...]
    contains: t.Optional[str]
    path: t.Optional[JsonPath]
    expects: bool
    equals: t.Any
    answer_headers: t.Mapping[str, str]
    max_seconds: t.Optional[float]
    ca_bundle: t.Optional[str]

    @classmethod
    def read(cls, options: OptionReader) -> Http:
        limit = options.number("max_seconds")
        check = cls(
            url=options.text("url"),
            method=options.enum("method", METHODS, "GET"),
            body=options.optional_text("body"),
            headers=_headers(options, "headers"),
            token=options.optional_text("token"),
            secret_headers=_headers(options, "secret_headers"),
            statuses=_statuses(options),
            contains=options.optional_text("contains"),
            path=options.path("json"),
            expects=options.has("equals"),
            equals=options.raw("equals"),
            answer_headers=_headers(options, "answer_headers"),
            max_seconds=None if limit is None else float(limit),
            ca_bundle=options.optional_text("ca_bundle"),
        )
        if check.url and not is_url(check.url):
            options.mistake("url must be an address of http or https without spaces")
        elif check.url and "@" in urllib.parse.urlsplit(check.url).netloc:
            options.mistake("url must not contain a user or password; use token or secret_headers")
        if check.body is not None and check.method != "POST":
            options.mistake("body needs the method POST")
        if check.method == "HEAD" and (check.path or check.contains):
            options.mistake("an answer to HEAD has no content for json or contains")
        if check.expects and check.path is None and not options.given("json"):
            options.mistake("equals needs json")
        return check

    @property
    def subject(self) -> str:
        """The address without its query, which may hold a secret."""
        parts = urllib.parse.urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}{parts.path}"

    @property
    def secrets(self) -> t.Sequence[str]:
        return [*([self.token] if self.token else []), *self.secret_headers.values()]

    def run(self, context: Context) -> Finding:
        expected = self._expected()
        wait = min(_LONGEST_WAIT, context.deadline - time.monotonic())
        if wait <= 0:
            context.require_time()
        if self.ca_bundle and not os.access(self.ca_bundle, os.R_OK):
            raise CannotVerify(f"The file {self.ca_bundle} of ca_bundle cannot be read.")
        began = time.monotonic()
        try:
            answer = exchange(self._request(context), timeout=wait, largest=_LARGEST + 1, ca_bundle=self.ca_bundle)
        except NoAnswer as error:
            return Finding(False, expected, None, f"{self.subject} did not answer: {error.reason}.")
        seconds = round(time.monotonic() - began, 3)
        value, problems = self._judge(answer, seconds)
        actual: t.Dict[str, t.Any] = {"status": answer.status, "seconds": seconds}
        if self.path is not None:
            actual["value"] = context.show(value)
        took = f"{self.method} {self.subject} gave {answer.outcome} after {readable_seconds(seconds)}"
        message = f"{took}: {'; '.join(problems)}." if problems else f"{took}, as expected."
        return Finding(not problems, expected, actual, message)

    def _expected(self) -> t.Dict[str, t.Any]:
        found: t.Dict[str, t.Any] = {"status": list(self.statuses)}
        if self.max_seconds is not None:
            found["max_seconds"] = self.max_seconds
        if self.expects:
            found["equals"] = plain_value(self.equals)
        return found

    def _request(self, context: Context) -> urllib.request.Request:
        headers = {**self.headers, **{name: context.secrets[secret] for name, secret in self.secret_headers.items()}}
        if self.token:
            headers["Authorization"] = f"Bearer {context.secrets[self.token]}"
        if any(set(value) & set("\r\n\0") for value in headers.values()):
            raise CannotVerify("A secret that is sent as a header has more than one line.")
        data = self.body.encode() if self.body is not None else b"" if self.method == "POST" else None
        return urllib.request.Request(self.url, data, headers, method=self.method)

    def _judge(self, answer: Answer, seconds: float) -> t.Tuple[t.Any, t.List[str]]:
        """The value of the path, and a clause for each difference."""
        problems = []
        if answer.status not in self.statuses:
            problems.append(f"expected {' or '.join(map(str, self.statuses))}")
        if self.max_seconds is not None and seconds > self.max_seconds:
            problems.append(f"expected at most {readable_seconds(self.max_seconds)}")
        for name, wanted in self.answer_headers.items():
            if answer.headers.get(name.lower()) != wanted:
                there = "another value" if name.lower() in answer.headers else "no value"
                problems.append(f"the header {name} has {there}, expected {wanted!r}")
        if len(answer.body) > _LARGEST and (self.contains is not None or self.path is not None):
            raise CannotVerify(f"The answer is larger than {_LARGEST} bytes, so its content was not judged.")
        if self.contains is not None and self.contains.encode() not in answer.body:
            problems.append("it does not contain the expected text")
        value = None
        if self.path is not None:
            try:
                value = find_value(self.path, parse_json(answer.body.decode("utf-8")))
                if self.expects and not same_value(self.equals, value):
                    problems.append(f"{self.path} has another value than expected")
            except MissingValue:
                problems.append(f"it has no {self.path}")
            except ValueError:
                problems.append("it is not JSON")
        return value, problems


def _headers(options: OptionReader, key: str) -> t.Mapping[str, str]:
    found = options.texts_by_name(key)
    if not all(_HEADER.fullmatch(name) for name in found):
        options.mistake(f"{key} must be a dictionary of names of headers")
    if any(set(value) & set("\r\n") for value in found.values()):
        options.mistake(f"a value of {key} has more than one line")
    return found


def _statuses(options: OptionReader) -> t.Tuple[int, ...]:
    given = options.texts("status") or ("200",)
    if not all(re.fullmatch("[1-5][0-9]{2}", one) for one in given):
        options.mistake("status must be a status of HTTP or a list of them, such as 200")
        return ()
    return tuple(map(int, given))
