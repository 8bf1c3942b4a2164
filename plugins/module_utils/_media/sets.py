# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Finds, for each missing or damaged file, the newest backup set that has it as its row states."""

from __future__ import annotations

import typing as t
from datetime import timedelta

from .._core.clock import parse_instant
from .._core.digest import bare_etag
from .._core.errors import ErrorKind, RecoveryError
from .._core.notices import note
from .._engines.bucket.inventory import FileEntry, read_line
from .._engines.bucket.inventory_parts import lines_of
from .._repository.catalogue import find_set, list_sets, try_set
from .._repository.clocks import latest_plausible
from .._repository.layout import SetName
from .._repository.manifest import BUCKET_ENGINE, Manifest
from .._repository.recovery_points import Selection, is_implausible, is_safety_copy
from .._store.base import ObjectStore
from .ledger import DAMAGED, Finding, Ledger
from .scan import parse_digest, same_type

_DAMAGED_SET = (ErrorKind.DAMAGED, ErrorKind.OBJECT_MISSING, ErrorKind.UNSUPPORTED_MANIFEST)


def label(manifest: Manifest) -> str:
    """The name of a set in results: several tiers may have one id."""
    return f"{manifest.tier}/{manifest.set_id}"


def choose_sets(ledger: Ledger, store: ObjectStore, source: str, selection: Selection) -> t.Dict[str, Manifest]:
    """Choose the set of each finding; the chosen sets by their label. Sets that cannot be read are left out.

    A missing file that no set has as its row states is restored from the newest set that has it in any state.
    Raises RecoveryError: unknown_source or no_backup_set for a selection without sets.
    """
    sets: t.Dict[str, Manifest] = {}
    read: t.Set[str] = set()
    for manifest in _candidates(store, source, selection):
        if not ledger.count(lost=True):
            break
        sets[label(manifest)] = manifest
        try:
            _search(ledger, store, manifest, read)
        except RecoveryError as error:
            if error.kind not in _DAMAGED_SET:
                raise
            note(f"The inventory of the set {manifest.set_id} of {source} ({manifest.tier}) was left out: {error.what}")
    others = ledger.take_second_choices()
    if others:
        note(f"{others} missing files are restored in another state than their row states: no set has that state.")
    return {name: sets[name] for name in ledger.chosen()}


def _candidates(store: ObjectStore, source: str, selection: Selection) -> t.Iterator[Manifest]:
    """The sets to search, newest first: all that the selection allows, or the one that it names."""
    newest = find_set(store, source, selection)
    newest.require_kind(BUCKET_ENGINE)
    yield newest
    if selection.which != "latest":
        return
    latest = latest_plausible(store)
    names = [name for name in list_sets(store, source, selection.tier) if _is_allowed(name, selection)]
    for name in reversed(names):
        if (name.set_id, name.tier) == (newest.set_id, newest.tier) or is_implausible(name.set_id, latest):
            continue
        manifest = try_set(store, name)
        if isinstance(manifest, Manifest) and manifest.engine == BUCKET_ENGINE:
            yield manifest


def _is_allowed(name: SetName, selection: Selection) -> bool:
    if selection.tier is None and is_safety_copy(name.tier):
        return False
    return selection.before is None or parse_instant(name.set_id) <= selection.before - timedelta(seconds=1)


def _search(ledger: Ledger, store: ObjectStore, manifest: Manifest, read: t.Set[str]) -> None:
    """Choose the set for the findings whose files it has. read: parts of inventories that were searched before."""
    for part in manifest.objects:
        # A part that a newer set of the tier shares has the same files.
        if part.role != "inventory" or part.key in read:
            continue
        read.add(part.key)
        for line in lines_of(store, part):
            entry = read_line(line)
            finding = ledger.finding(entry.key)
            if finding is None or finding.chosen is not None:
                continue
            fits = _fits(entry, finding)
            if fits or finding.kind != DAMAGED:
                ledger.choose(entry.key, label(manifest), fits=fits)


def _fits(entry: FileEntry, finding: Finding) -> bool:
    """Whether the file of a set is as the row states."""
    if finding.size is not None and finding.size != entry.size:
        return False
    kind = entry.headers.get("content_type")
    if finding.type is not None and kind and not same_type(finding.type, str(kind)):
        return False
    name, digest = parse_digest(finding.digest or "")
    if name == "sha256":
        return digest == entry.sha256
    etag = bare_etag(entry.etag)
    return not (name == "md5" and len(etag) == len(digest)) or etag == digest
