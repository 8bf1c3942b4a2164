# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""JSON files of a bucket: each can be read, is JSON, has the expected shape, and holds its own id."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from .._core.errors import ErrorKind, RecoveryError
from .._core.parallel import for_each
from .._core.sizes import counted
from .._store.base import ObjectInfo, ObjectStore
from .._store.plain import plain_content
from .check import CannotVerify, Check, Context
from .json_path import JsonPath, MissingValue, find_value
from .options import OptionReader
from .result import Finding
from .shape import Shape, first_problem, parse_json, read_shape

#: Bytes of one file, and files that are read in parallel.
_LARGEST, _PARALLEL = 64 * 1024 * 1024, 4


@dataclass(frozen=True)
class JsonFiles(Check):
    """Every file below a prefix whose key ends with suffix. id_path: the value that equals the name of the file.

    least: the number of files below which the check fails, because a check of no file proves nothing.
    """

    needs_database = False

    prefix: str
    suffix: str
    shape: Shape
    id_path: t.Optional[JsonPath]
    least: int

    @classmethod
    def read(cls, options: OptionReader) -> JsonFiles:
        prefix, suffix = options.optional_text("prefix") or "", options.optional_text("suffix") or ".json"
        shape, least = options.raw("shape"), options.integer("min_count")
        return cls(
            prefix,
            suffix,
            Shape() if shape is None else read_shape(shape, options.mistakes),
            options.path("id_path"),
            1 if least is None else least,
        )

    @property
    def subject(self) -> str:
        return f"{self.prefix}*{self.suffix}"

    def run(self, context: Context) -> Finding:
        files = context.files
        if files is None:
            raise CannotVerify("The option files does not name a bucket.")
        count = wrong = 0
        sample: t.List[t.Dict[str, t.Any]] = []
        listed = (item for item in files.list(self.prefix) if item.key.endswith(self.suffix))
        for item, problem in for_each(listed, lambda item: (item, self._problem(files, item)), parallel=_PARALLEL):
            context.require_time()
            count += 1
            wrong += problem is not None
            if problem and len(sample) < context.sample:
                sample.append({"key": item.key, "problem": problem})
        sample.sort(key=lambda one: str(one["key"]))
        expected = {"min_count": self.least, "wrong": 0}
        problems = [f"{wrong} of {counted(count, 'file')} are not as expected"] if wrong else []
        if count < self.least:
            problems.append(f"{counted(count, 'file')} found, expected at least {self.least}")
        described = "; ".join(problems) or f"{counted(count, 'file')} as expected"
        message = f"{self.subject}: {described}."
        return Finding(not problems, expected, {"count": count, "wrong": wrong}, message, sample)

    def _problem(self, files: ObjectStore, item: ObjectInfo) -> t.Optional[str]:
        if item.size > _LARGEST:
            return f"it is larger than {_LARGEST} bytes"
        try:
            opened = files.open_small(item.key)
            data = plain_content(opened.info, b"".join(opened.chunks), files.location, limit=_LARGEST)
            document = parse_json(data.decode("utf-8"))
        except UnicodeDecodeError:
            return "it is not UTF-8"
        except ValueError:
            return "it is not JSON"
        except RecoveryError as error:
            if error.kind == ErrorKind.OBJECT_MISSING:
                return "it was deleted during the check"
            if error.kind != ErrorKind.DAMAGED:
                raise
            return error.what.rstrip(".")
        problem = first_problem(self.shape, document)
        return problem or (self._wrong_id(item.key, document) if self.id_path is not None else None)

    def _wrong_id(self, key: str, document: t.Any) -> t.Optional[str]:
        path = t.cast(JsonPath, self.id_path)
        try:
            found = find_value(path, document)
        except MissingValue:
            return f"{path} is missing"
        named = key[len(self.prefix) : len(key) - len(self.suffix)]
        return None if isinstance(found, (str, int)) and str(found) == named else f"{path} is not the name of the file"
