# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The parts of an inventory in a store: written by a backup, read by the next backup and by a restore."""

from __future__ import annotations

import contextlib
import hashlib
import os
import typing as t

from ..._core.digest import file_chunks, file_tally
from ..._core.errors import ErrorKind, RecoveryError
from ..._repository.fetch import read_object
from ..._repository.manifest import Manifest, ObjectEntry
from ..._repository.writer import SetWriter
from ..._store.base import ObjectStore
from .inventory import parse_line, parts_of


def inventory_lines(store: ObjectStore, manifest: Manifest, state_dir: t.Optional[str] = None) -> t.Iterator[bytes]:
    """The lines of a set's inventory, by key, as they are stored. Raises RecoveryError as read_object."""
    return part_lines(store, manifest, "inventory", state_dir)


def part_lines(
    store: ObjectStore, manifest: Manifest, role: str, state_dir: t.Optional[str] = None
) -> t.Iterator[bytes]:
    """The lines of all parts of a role."""
    for part in manifest.objects:
        if part.role == role:
            yield from lines_of(store, part, state_dir)


def lines_of(store: ObjectStore, part: ObjectEntry, state_dir: t.Optional[str] = None) -> t.Iterator[bytes]:
    """The lines of one part."""
    # Not splitlines, which also ends a line at a carriage return within one.
    return filter(None, _part(store, part, state_dir).split(b"\n"))


def add_inventory(
    writer: SetWriter,
    store: ObjectStore,
    source: str,
    lines: t.Iterable[str],
    folder: str,
    state_dir: t.Optional[str],
) -> None:
    """Add the lines of an inventory to a set, in parts. Raises RecoveryError for a state_dir that is not writable."""
    for number, part in enumerate(parts_of(lines)):
        name = f"inventory-{number:06}.jsonl"
        path = os.path.join(folder, name)
        _write_lines(path, part)
        if store.sealing.encrypts:
            # Pruning, verification and copying without a key need to know which objects a set has.
            references = f"references-{number:06}.jsonl"
            _write_lines(os.path.join(folder, references), [parse_line(line).to_reference() for line in part])
            writer.add(folder, references, "references", encrypt=False)
            if state_dir and not store.sealing.can_read:
                _keep(path, store.sealing.name_of(source, file_tally(path).sha256), state_dir)
        writer.add(folder, name, "inventory")


def _part(store: ObjectStore, part: ObjectEntry, state_dir: t.Optional[str]) -> bytes:
    name = part.key.rpartition("/")[2]
    if part.encrypted and not store.sealing.can_read and state_dir:
        with contextlib.suppress(OSError), open(os.path.join(state_dir, name), "rb") as stream:
            data = stream.read()
            # The name is the keyed digest of the content.
            if store.sealing.name_of(part.key.partition("/")[0], hashlib.sha256(data).hexdigest()) == name:
                return data
    return read_object(store, part)


def _keep(path: str, name: str, state_dir: str) -> None:
    """Keep a part on this host under the name that it gets in the store."""
    try:
        os.makedirs(state_dir, mode=0o700, exist_ok=True)
        kept = os.path.join(state_dir, name)
        with open(os.open(f"{kept}.new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as stream:
            for chunk in file_chunks(path):
                stream.write(chunk)
        os.replace(f"{kept}.new", kept)
    except OSError as error:
        raise RecoveryError(
            ErrorKind.INVALID_OPTIONS,
            f"The folder {state_dir} cannot be written: {error.strerror}.",
            left="No backup set was written; earlier sets are unchanged.",
            next_step="Set state_dir to a folder that this user may write, with free space.",
        ) from None


def _write_lines(path: str, lines: t.Iterable[str]) -> None:
    with open(path, "w", encoding="utf-8") as stream:
        stream.writelines(f"{line}\n" for line in lines)
