# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The objects that a set needs, streamed, because a set of a bucket may need millions."""

from __future__ import annotations

import random
import typing as t

from .._core.codec import CODECS
from .._core.documents import parse_json
from .._core.errors import ErrorKind, RecoveryError
from .._core.name_index import NameIndex
from .._core.parallel import for_each
from .._core.shapes import either, instant, integer, mapping_of, one_of, record, text
from .._store.base import ObjectStore
from .fetch import fetch_object, read_object
from .layout import object_key, objects_prefix
from .manifest import BUCKET_ENGINE, Manifest, ObjectEntry

#: So many objects that a listing showed are asked for themselves.
SAMPLE = 500

_Item = t.TypeVar("_Item")


def referenced_objects(store: ObjectStore, manifest: Manifest, *, plain: bool = False) -> t.Iterator[ObjectEntry]:
    """Every object of a set; an object with several references may be yielded several times.

    Needs no identity: an encrypted set of a bucket lists its objects a second time, under opaque names.
    With plain, the entries also have the facts of plain bytes, which needs an identity.
    """
    yield from manifest.objects
    if manifest.engine != BUCKET_ENGINE:
        return
    parts = [] if plain else [entry for entry in manifest.objects if entry.role == "references"]
    for part in parts or [entry for entry in manifest.objects if entry.role == "inventory"]:
        for line in read_object(store, part).split(b"\n"):
            if line:
                yield _entry(manifest, reference_in(line, part.key))


def distinct_objects(store: ObjectStore, manifest: Manifest, *, plain: bool = False) -> t.Iterator[ObjectEntry]:
    """As referenced_objects, each key once, in memory that does not grow with their number."""
    with NameIndex() as seen:
        for entry in referenced_objects(store, manifest, plain=plain):
            if entry.key not in seen:
                seen.add(entry.key)
                yield entry


def require_present(store: ObjectStore, manifest: Manifest) -> int:
    """How many objects the set has, all of them in the listing of the store, or at least there when asked for.

    Raises RecoveryError as check_presence.
    """
    count = 0

    def listed() -> t.Iterator[ObjectEntry]:
        nonlocal count
        for entry in distinct_objects(store, manifest):
            count += 1
            if there.get(entry.key) == entry.stored_size:
                yield entry
            else:
                # A listing may be older than the object.
                check_presence(store, entry)

    with NameIndex() as there:
        there.add_all((item.key, item.size) for item in store.list(objects_prefix(manifest.source, manifest.tier)))
        for _done in for_each(sample(listed()), lambda entry: check_presence(store, entry), parallel=8):
            pass
    return count


def sample(items: t.Iterable[_Item]) -> t.List[_Item]:
    """A random sample of the items, or all if they are few, to check each with HEAD, because a listing may be stale."""
    chosen: t.List[_Item] = []
    for number, item in enumerate(items):
        if number < SAMPLE:
            chosen.append(item)
        else:
            place = random.randrange(number + 1)
            if place < SAMPLE:
                chosen[place] = item
    return chosen


def check_presence(store: ObjectStore, entry: ObjectEntry) -> None:
    """Ask the store for an object and its size. Raises RecoveryError(object_missing or damaged)."""
    info = store.head(entry.key)
    if info is None or info.size != entry.stored_size:
        seen = "missing" if info is None else f"{info.size} bytes long instead of {entry.stored_size}"
        raise RecoveryError(
            ErrorKind.OBJECT_MISSING if info is None else ErrorKind.DAMAGED,
            f"The object {entry.key} in {store.location} is {seen}.",
            next_step="Use another set or another copy; the next backup stores this content again.",
            damaged=[entry.key],
        )


def check_stored(store: ObjectStore, entry: ObjectEntry) -> int:
    """Read an object and compare it with its entry; the bytes read. Raises as fetch_object."""
    fetch_object(store, entry, None)
    return entry.stored_size


def reference_in(line: t.Union[str, bytes], part: str) -> t.Dict[str, t.Any]:
    """The content of a line of an inventory, or of the references of an encrypted set; part is for messages.

    Raises RecoveryError(damaged) for a line that no backup writes.
    """
    try:
        document = parse_json(line)
        _LINE(document, "")
    except ValueError as error:
        raise RecoveryError(
            ErrorKind.DAMAGED,
            f"A line of {part} is damaged: {error}.",
            next_step="Use another set or another copy, and run backup_verify on this source.",
        ) from None
    return t.cast(t.Dict[str, t.Any], document)


def _entry(manifest: Manifest, line: t.Mapping[str, t.Any]) -> ObjectEntry:
    return ObjectEntry(
        path=line.get("key", ""),
        role="file",
        key=object_key(manifest.source, manifest.tier, line["object"]),
        codec=line["codec"],
        plain_size=line.get("size", 0),
        plain_sha256=line.get("sha256", ""),
        stored_size=line["stored_size"],
        stored_sha256=line["stored_sha256"],
        encrypted=bool(manifest.recipients),
    )


_DIGEST = text("[0-9a-f]{64}")

#: Keys of objects have at most 1024 bytes in S3. https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html
_LINE = record(
    {
        "object": _DIGEST,
        "codec": one_of(*CODECS),
        "stored_size": integer(),
        "stored_sha256": _DIGEST,
        "key": text(r"(?s).+", longest=4096),
        "size": integer(),
        "etag": text(longest=200),
        "modified": instant,
        "sha256": _DIGEST,
        "headers": mapping_of(either(text(longest=100_000), mapping_of(text(longest=100_000)))),
    },
    may_lack=("key", "size", "etag", "modified", "sha256", "headers"),
)
