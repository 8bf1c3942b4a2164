# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Brings the files of a bucket back: all, those below prefixes, or only those that are missing. Deletes nothing."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import typing as t
from dataclasses import dataclass, field

from .._core.clock import Timings
from .._core.confirmation import plan_digest, require_confirmation
from .._core.digest import Tally, bare_etag
from .._core.errors import ErrorKind, RecoveryError
from .._core.name_index import NameIndex
from .._core.process import scratch_folder
from .._core.progress import Progress
from .._core.sizes import readable_size
from .._sets.audit import audited
from .._sets.catalogue import older_set
from .._sets.fetch import plain_chunks
from .._sets.layout import object_key
from .._sets.manifest import BUCKET_ENGINE, Manifest, ObjectEntry
from .._sets.references import for_each
from .._store.base import ObjectInfo, ObjectStore, put_shown, seal_for
from .backup import IN_MEMORY, BucketBackupRequest, back_up_bucket, inventory_lines, listing_errors
from .inventory import FileEntry, as_headers, mark_of, parse_line, read_line

#: So many names are shown in a plan; the counts are exact.
_SHOWN = 100

#: So many digits has an ETag that is the MD5 of one file; others may be made of parts, or of size and time.
_MD5 = 32


@dataclass(frozen=True)
class BucketRestoreRequest:
    """What to bring back. mode: missing leaves every file that is there, all replaces what differs.

    target_name is what production has to confirm when files are replaced.
    """

    prefixes: t.Tuple[str, ...] = ()
    mode: str = "missing"
    target_name: str = ""
    environment: str = "production"
    confirm: t.Optional[str] = None
    undo: bool = True
    parallel: int = 16
    spool_dir: t.Optional[str] = None
    progress_file: t.Optional[str] = None
    check_mode: bool = False


@dataclass
class BucketRestoreResult:
    """restored were missing, replaced differed, equal and left were there; undo holds what was replaced."""

    changed: bool = False
    set_id: str = ""
    source: str = ""
    tier: str = ""
    files: int = 0
    restored: int = 0
    replaced: int = 0
    equal: int = 0
    left: int = 0
    bytes_restored: int = 0
    requests: int = 0
    undo: t.Optional[str] = None
    plan_digest: str = ""
    missing_files: t.List[str] = field(default_factory=list)
    differing_files: t.List[str] = field(default_factory=list)
    timings: t.Mapping[str, float] = field(default_factory=dict)
    summary: str = ""


def restore_bucket(
    store: ObjectStore, manifest: Manifest, target: ObjectStore, request: BucketRestoreRequest
) -> BucketRestoreResult:
    """Bring files of a set back into a bucket. What is replaced is first kept in a set of the tier undo.

    Raises RecoveryError: unsupported for a set of another kind, confirmation_required, damaged or object_missing
    for an object that is not as recorded (its file stays as it was), archived, no_identity.
    """
    manifest.require_kind(BUCKET_ENGINE)
    known = {"set_id": manifest.set_id, "target": target.location}
    with audited(store, manifest.source, "restore", known, check_mode=request.check_mode) as outcome:
        with scratch_folder("lifeline-bucket-", request.spool_dir) as folder, listing_errors():
            result = _Run(store, manifest, target, request, folder).complete()
        if result.changed:
            outcome.update(restored=result.restored, replaced=result.replaced, undo=result.undo)
    return result


def restore_diff(result: BucketRestoreResult) -> t.Dict[str, str]:
    """The first files of each kind, a line each."""
    differing = "".join(f"{name} (other content)\n" for name in result.differing_files)
    return {
        "before": differing,
        "after": "".join(f"{name}\n" for name in sorted([*result.missing_files, *result.differing_files])),
    }


class _Run:
    def __init__(
        self,
        store: ObjectStore,
        manifest: Manifest,
        target: ObjectStore,
        request: BucketRestoreRequest,
        folder: str,
    ) -> None:
        self._store, self._manifest, self._target, self._request = store, manifest, target, request
        self._folder = folder
        self._timings = Timings()
        self._progress = Progress(None if request.check_mode else request.progress_file, manifest.source)
        # Of all planned files, in whatever order they were judged.
        self._planned_files = 0
        self._begun = False
        self._result = BucketRestoreResult(set_id=manifest.set_id, source=manifest.source, tier=manifest.tier)
        # The lines to act on, on disk: 0 for a missing file, 1 for one that differs.
        self._plan = sqlite3.connect(os.path.join(folder, "plan.sqlite"), check_same_thread=False)
        self._plan.execute("CREATE TABLE plan (id INTEGER PRIMARY KEY, differs INTEGER, line TEXT, seen TEXT)")

    def complete(self) -> BucketRestoreResult:
        request, result = self._request, self._result
        with contextlib.closing(self._plan):
            with self._timings.phase("plan"):
                self._make_plan()
            plan = {"set": result.set_id, "target": self._target.location, "files": f"{self._planned_files:x}"}
            result.plan_digest = plan_digest(plan)
            result.changed = bool(result.restored or result.replaced)
            if not request.check_mode:
                if result.replaced or request.confirm is not None:
                    require_confirmation(request.environment, request.confirm, request.target_name, result.plan_digest)
                if result.replaced and request.undo:
                    with self._timings.phase("undo"):
                        self._take_undo()
                with self._timings.phase("files"):
                    self._restore_all()
                result.changed = bool(result.restored or result.replaced)
            self._progress.end()
        result.requests = self._store.requests + self._target.requests
        result.missing_files.sort()
        result.differing_files.sort()
        result.timings = self._timings.as_dict()
        result.summary = self._summary()
        return result

    def _make_plan(self) -> None:
        result = self._result
        self._progress.phase("comparing")
        with NameIndex() as sizes:
            for prefix in self._request.prefixes or ("",):
                sizes.add_all((item.key, item.size) for item in self._target.list(prefix))
            wanted = (entry for entry in map(read_line, self._lines()) if self._is_wanted(entry.key))
            judged = for_each(
                wanted, lambda entry: self._judge(entry, sizes.get(entry.key)), parallel=self._request.parallel
            )
            for entry, fate, seen in judged:
                result.files += 1
                self._progress.add(1)
                if fate in ("missing", "differs"):
                    self._add(entry, fate, seen)
                elif fate == "equal":
                    result.equal += 1
                else:
                    result.left += 1

    def _judge(self, entry: FileEntry, size: t.Optional[int]) -> t.Tuple[FileEntry, str, str]:
        """What is to become of a file, and what was seen of one that differs."""
        if size is None:
            return entry, "missing", ""
        if self._request.mode == "missing":
            return entry, "left", ""
        info = self._target.head(entry.key)
        if info is None:
            return entry, "missing", ""
        return entry, "equal" if self._is_equal(entry, info) else "differs", mark_of(info)

    def _is_equal(self, entry: FileEntry, info: ObjectInfo) -> bool:
        """Whether the file in the bucket has the content; by its ETag where that is one file's own, else by reading."""
        if info.size != entry.size:
            return False
        etag = bare_etag(entry.etag)
        if len(etag) == _MD5 and etag == bare_etag(info.etag):
            return True
        tally = Tally()
        for chunk in self._target.read(entry.key):
            tally.add(chunk)
        return tally.sha256 == entry.sha256

    def _add(self, entry: FileEntry, fate: str, seen: str) -> None:
        result, differs = self._result, fate == "differs"
        self._plan.execute("INSERT INTO plan (differs, line, seen) VALUES (?, ?, ?)", (differs, entry.to_line(), seen))
        self._planned_files ^= int(plan_digest({"key": entry.key, "sha256": entry.sha256, "seen": seen}), 16)
        result.bytes_restored += entry.size
        shown = result.differing_files if differs else result.missing_files
        if differs:
            result.replaced += 1
        else:
            result.restored += 1
        if len(shown) < _SHOWN:
            shown.append(entry.key)

    def _take_undo(self) -> None:
        keys = [parse_line(line).key for _differs, line, _seen in self._planned("WHERE differs")]
        seal_for(self._store, self._manifest.recipients)
        undo = back_up_bucket(
            BucketBackupRequest(
                source=self._manifest.source,
                tier="undo",
                keys=keys,
                parallel=self._request.parallel,
                spool_dir=self._request.spool_dir,
            ),
            self._target,
            self._store,
        )
        self._result.undo = undo.set_id

    def _restore_all(self) -> None:
        result = self._result
        self._progress.phase(
            "restoring", total_items=result.restored + result.replaced, total_bytes=result.bytes_restored
        )
        written = 0
        try:
            for differs, done in for_each(self._planned(), self._restore, parallel=self._request.parallel):
                written += done
                if not done:
                    result.left += 1
                    result.restored -= not differs
                    result.replaced -= differs
        except RecoveryError as error:
            error.left = f"At least {written} files were restored before it"
            # Others were under way, and how far is not known.
            error.left += f", and up to {self._request.parallel} more may have been." if self._begun else "."
            if result.undo:
                error.left += f" What was replaced is in the set {result.undo} of the tier undo."
            error.details.setdefault("changed", self._begun)
            error.details.setdefault("undo", result.undo)
            raise

    def _restore(self, planned: t.Tuple[bool, str, str]) -> t.Tuple[bool, bool]:
        """Whether the file differs, and was written; not when another client made or changed the file first."""
        differs, line, seen = planned
        entry = parse_line(line)
        if differs:
            # What was saved after the undo was taken is in no set.
            info = self._target.head(entry.key)
            if info is not None and mark_of(info) != seen:
                return differs, False
        headers = as_headers(entry.headers)
        self._begun = True
        try:
            put_shown(self._target, entry.key, self._content(entry), entry.size, if_absent=not differs, headers=headers)
        except RecoveryError as error:
            if error.kind != ErrorKind.ALREADY_EXISTS:
                raise
            return differs, False
        self._progress.add(1, entry.size)
        return differs, True

    def _content(self, entry: FileEntry) -> t.Union[t.List[bytes], t.Iterator[bytes]]:
        chunks = self._proved(entry)
        return list(chunks) if entry.size <= IN_MEMORY else chunks

    def _proved(self, entry: FileEntry) -> t.Iterator[bytes]:
        """The bytes of a file. An error at their end aborts the upload, so nothing bad becomes visible."""
        plain, manifest = Tally(), self._manifest
        stored = ObjectEntry(
            path=entry.key,
            role="file",
            key=object_key(manifest.source, manifest.tier, entry.object),
            codec=entry.codec,
            plain_size=entry.size,
            plain_sha256=entry.sha256,
            stored_size=entry.stored_size,
            stored_sha256=entry.stored_sha256,
            encrypted=bool(manifest.recipients),
        )
        small = max(entry.size, entry.stored_size) <= IN_MEMORY
        chunks = self._store.open_small(stored.key).chunks if small else self._store.read(stored.key)
        yield from plain.watch(plain_chunks(chunks, stored, self._store.sealing))
        if plain.sha256 != entry.sha256:
            raise RecoveryError(
                ErrorKind.DAMAGED,
                f"The object {stored.key} ({entry.key}) in {self._store.location} is damaged.",
                left="The file in the bucket is as it was.",
                next_step="Use another set or another copy; the next backup stores this content anew.",
                details={"damaged": [stored.key]},
            )

    def _lines(self) -> t.Iterator[bytes]:
        return inventory_lines(self._store, self._manifest)

    def _is_wanted(self, key: str) -> bool:
        return not self._request.prefixes or key.startswith(self._request.prefixes)

    def _planned(self, where: str = "") -> t.Iterator[t.Tuple[bool, str, str]]:
        for differs, line, seen in self._plan.execute(f"SELECT differs, line, seen FROM plan {where} ORDER BY id"):
            yield bool(differs), line, seen

    def _summary(self) -> str:
        result = self._result
        if not (result.restored or result.replaced):
            return self._unchanged()
        would = "Would restore" if self._request.check_mode else "Restored"
        return (
            f"{would} {result.restored} missing and {result.replaced} differing of {result.files} files "
            f"({readable_size(result.bytes_restored)}) from set {result.set_id} to {self._target.location}; "
            f"{result.equal} were equal, {result.left} were left."
        )

    def _unchanged(self) -> str:
        """Why no file was restored, from what was compared."""
        result, request = self._result, self._request
        done = f"{'Would restore' if request.check_mode else 'Restored'} no file from set {result.set_id} "
        done += f"of {self._manifest.recovery_point} to {self._target.location}: "
        if not result.files:
            return f"{done}the set holds no file that was asked for. Check `prefixes`, or choose another `set`."
        if result.left and request.mode == "missing":
            done += f"{result.left:,} files are there, and their content was not compared."
            return f"{done} Set `mode` to all to restore files that differ."
        if result.left:
            return f"{done}other clients changed {result.left:,} files during the restore. Run the restore again."
        older = older_set(self._store, self._manifest)
        next_older = f"; the next older set is {older.set_id} ({older.tier})" if older else ""
        return (
            f"{done}{result.equal:,} files are equal to the set, which was taken after the damage, or they are not "
            f"damaged any more. Choose an earlier set with `before` or `set`{next_older}."
        )
