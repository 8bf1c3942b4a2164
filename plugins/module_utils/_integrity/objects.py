# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files of a bucket that rows name: each exists with its size, and no other file exists."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from .._core.name_index import NameIndex
from .._store.base import ObjectStore
from .check import CannotVerify, Check, Context
from .options import OptionReader
from .result import Finding


@dataclass(frozen=True)
class Objects(Check):
    """Every key of a query is an object with the size in its second column; below prefix there are no others."""

    query: str
    schemas: t.Tuple[str, ...]
    prefix: str
    others: bool

    @classmethod
    def read(cls, options: OptionReader) -> Objects:
        return cls(
            options.text("query"),
            options.texts("search_path") or ("public",),
            options.optional_text("prefix") or "",
            options.boolean("allow_others", False),
        )

    @property
    def subject(self) -> str:
        return self.prefix or "the bucket"

    def run(self, context: Context) -> Finding:
        if context.files is None:
            raise CannotVerify("The option files does not name a bucket.")
        rows = context.query(self.query, self.schemas)
        if len(rows.columns) not in (1, 2):
            raise CannotVerify(
                f"The query gives {len(rows.columns)} columns; give the key, and the size if it is known."
            )
        found = _Found(context.sample)
        with NameIndex() as there, NameIndex() as named:
            there.add_all((item.key, item.size) for item in context.files.list(self.prefix))
            for row in rows:
                if row[0] is not None:
                    found.rows += 1
                    named.add(str(row[0]))
                    self._judge(context.files, there, found, str(row[0]), row[1] if len(row) == 2 else None)
            if not self.others:
                for key, _size in there.items():
                    if key not in named:
                        found.note("others", key, "no row names it")
        wanted = dict.fromkeys(found.counts, 0)
        return Finding(
            found.counts == wanted, wanted, {"rows": found.rows, **found.counts}, found.message(), found.sample
        )

    def _judge(self, files: ObjectStore, there: NameIndex, found: _Found, key: str, size: t.Any) -> None:
        seen = there.get(key)
        if seen is None:
            # It may be outside the prefix, and a listing may be older than the file.
            info = files.head(key)
            seen = info.size if info else None
        if seen is None:
            found.note("missing", key, "there is no such object")
        elif size is not None and int(size) != seen:
            found.note("other_size", key, f"it has {seen} bytes, the row has {size}")


class _Found:
    def __init__(self, most: int) -> None:
        self._most = most
        self.rows = 0
        self.counts = {"missing": 0, "other_size": 0, "others": 0}
        self.sample: t.List[t.Dict[str, t.Any]] = []

    def note(self, kind: str, key: str, problem: str) -> None:
        self.counts[kind] += 1
        if len(self.sample) < self._most:
            self.sample.append({"key": key, "problem": problem})

    def message(self) -> str:
        return (
            f"Of {self.rows} files that rows name, {self.counts['missing']} are missing and "
            f"{self.counts['other_size']} have another size; {self.counts['others']} files are named by no row."
        )
