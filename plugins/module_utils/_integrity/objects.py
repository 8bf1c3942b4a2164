# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files of a bucket that rows name: each exists with its size and digest, and no other file exists."""

from __future__ import annotations

import hashlib
import secrets
import threading
import typing as t
from dataclasses import dataclass

from .._core.errors import ErrorKind, RecoveryError
from .._core.name_index import NameIndex
from .._core.parallel import for_each
from .._store.base import ObjectStore
from .check import Answer, CannotVerify, Check, Context
from .options import OptionReader
from .result import Finding

_ALGORITHMS = ("sha256", "sha1", "md5")
_PARALLEL = 4


@dataclass(frozen=True)
class Objects(Check):
    """Every key of a query is an object with the size in its second column and the digest in its third column.

    others: whether files that no row names are allowed below prefix. digest_bytes: about how many bytes are read to
    compare digests, of files that seed chooses; None reads all files. An ETag is never used: of a file that was
    uploaded in parts it is no digest of the content.
    """

    query: str
    schemas: t.Tuple[str, ...]
    prefix: str
    others: bool
    algorithm: str
    digest_bytes: t.Optional[int]
    seed: str

    @classmethod
    def read(cls, options: OptionReader) -> Objects:
        return cls(
            options.text("query"),
            options.texts("search_path") or ("public",),
            options.optional_text("prefix") or "",
            options.boolean("allow_others", False),
            options.enum("algorithm", _ALGORITHMS, _ALGORITHMS[0]),
            options.integer("digest_bytes"),
            options.optional_text("seed") or secrets.token_hex(4),
        )

    @property
    def subject(self) -> str:
        return self.prefix or "the bucket"

    def run(self, context: Context) -> Finding:
        if context.files is None:
            raise CannotVerify("The option files does not name a bucket.")
        rows = context.query(self.query, self.schemas)
        if len(rows.columns) not in (1, 2, 3):
            raise CannotVerify(
                f"The query gives {len(rows.columns)} columns; give the key, and the size and the digest if known."
            )
        found = _Found(context.sample, has_digests=len(rows.columns) == 3)
        with NameIndex() as there, NameIndex() as named:
            there.add_all((item.key, item.size) for item in context.files.list(self.prefix))
            size = sum(length for _key, length in there.items()) if self.digest_bytes is not None else 0
            wanted = self._wanted(context, rows, there, named, found, size)
            digests = for_each(wanted, lambda one: self._compared(context.files, *one), parallel=_PARALLEL)
            for key, length, problem in digests:
                context.require_time()
                found.read(key, length, problem)
            if not self.others:
                for key, _size in there.items():
                    if key not in named:
                        found.note("others", key, "no row names it")
        none = dict.fromkeys(found.counts, 0)
        actual = {"rows": found.rows, **found.counts, **found.reading(self.seed, self.digest_bytes)}
        return Finding(found.counts == none, none, actual, found.message(), found.sample)

    def _wanted(
        self, context: Context, rows: Answer, there: NameIndex, named: NameIndex, found: _Found, size: int
    ) -> t.Iterator[t.Tuple[str, str]]:
        """Judge the rows; the keys and digests of the files that are to be read."""
        files = t.cast(ObjectStore, context.files)
        for row in rows:
            if row[0] is None:
                continue
            key = str(row[0])
            found.rows += 1
            named.add(key)
            exists = self._judge(files, there, found, key, row[1] if len(row) > 1 else None)
            if len(row) == 3 and row[2] is not None and exists and self._is_chosen(key, size):
                yield key, row[2].hex() if isinstance(row[2], bytes) else str(row[2])

    def _judge(self, files: ObjectStore, there: NameIndex, found: _Found, key: str, size: t.Any) -> bool:
        seen = there.get(key)
        if seen is None:
            # It may be outside the prefix, and a listing may be older than the file.
            info = files.head(key)
            seen = info.size if info else None
        if seen is None:
            found.note("missing", key, "there is no such object")
        elif size is not None and int(size) != seen:
            found.note("other_size", key, f"it has {seen} bytes, the row has {size}")
        else:
            return True
        return False

    def _is_chosen(self, key: str, size: int) -> bool:
        """Whether a file is in the sample: each has the same chance, and the same seed chooses the same files."""
        if self.digest_bytes is None or size <= self.digest_bytes:
            return True
        drawn = hashlib.sha256(f"{self.seed}\0{key}".encode("utf-8", "surrogatepass")).digest()[:8]
        return int.from_bytes(drawn, "big") * size < self.digest_bytes << 64

    def _compared(self, files: t.Optional[ObjectStore], key: str, wanted: str) -> t.Tuple[str, int, t.Optional[str]]:
        """The key, the number of bytes that were read, and the problem."""
        digest, length = hashlib.new(self.algorithm), 0
        try:
            for chunk in t.cast(ObjectStore, files).read(key):
                digest.update(chunk)
                length += len(chunk)
        except RecoveryError as error:
            if error.kind != ErrorKind.OBJECT_MISSING:
                raise
            return key, length, "it was deleted during the check"
        same = digest.hexdigest() == wanted.strip().lower().removeprefix("\\x")
        return key, length, None if same else f"its {self.algorithm} is not the one of the row"


class _Found:
    """The result so far. Rows are judged in another thread than the digests."""

    def __init__(self, most: int, *, has_digests: bool) -> None:
        self._most, self._has_digests = most, has_digests
        self.rows = self._files = self._bytes = 0
        self.counts = {"missing": 0, "other_size": 0, **({"other_digest": 0} if has_digests else {}), "others": 0}
        self.sample: t.List[t.Dict[str, t.Any]] = []
        self._lock = threading.Lock()

    def note(self, kind: str, key: str, problem: str) -> None:
        with self._lock:
            self.counts[kind] += 1
            if len(self.sample) < self._most:
                self.sample.append({"key": key, "problem": problem})

    def read(self, key: str, length: int, problem: t.Optional[str]) -> None:
        self._files += 1
        self._bytes += length
        if problem:
            self.note("other_digest", key, problem)

    def reading(self, seed: str, limit: t.Optional[int]) -> t.Dict[str, t.Any]:
        """The extent of the comparison of digests."""
        if not self._has_digests:
            return {}
        return {"read": self._files, "read_bytes": self._bytes, **({"seed": seed} if limit is not None else {})}

    def message(self) -> str:
        other = self.counts.get("other_digest", 0)
        digests = f", {other} of {self._files} files that were read have another digest"
        return (
            f"Of {self.rows} files that rows name, {self.counts['missing']} are missing and "
            f"{self.counts['other_size']} have another size{digests if self._has_digests else ''}; "
            f"{self.counts['others']} files are named by no row."
        )
