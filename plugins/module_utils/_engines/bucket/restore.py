# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Restores files of a bucket: all, those below prefixes, or only those that are missing. Deletes nothing."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import typing as t
from dataclasses import dataclass, field, replace

from ..._core.confirmation import plan_digest
from ..._core.digest import Tally, bare_etag
from ..._core.errors import ErrorKind, RecoveryError
from ..._core.name_index import NameIndex
from ..._core.notices import note
from ..._core.options import FAMILY, INTERNAL, FilePath, option
from ..._core.parallel import for_each
from ..._core.process import scratch_folder
from ..._core.progress import Progress
from ..._core.sizes import readable_size
from ..._repository.catalogue import older_set
from ..._repository.change import Change, ChangePlan, Outcome, Safeguards, Unchanged
from ..._repository.fetch import plain_chunks
from ..._repository.layout import object_key
from ..._repository.manifest import BUCKET_ENGINE, Manifest, ObjectEntry
from ..._repository.packing import IN_MEMORY
from ..._repository.recovery_points import UNDO_TIER
from ..._store.base import ARCHIVE_CLASSES, Headers, ObjectInfo, ObjectStore, put_shown
from .compare import EARLIER_HEADERS, EXCLUDED_FILE, EXCLUDED_FOLDER, differing_headers, excluded_names
from .file_reader import listing_errors
from .inventory import FileEntry, as_headers, mark_of, parse_line, read_line
from .inventory_parts import inventory_lines
from .undo import keep_files

#: So many names are shown in a plan; the counts are exact.
_SHOWN = 100

#: Failures of one file, after which the others are restored, up to so many as are shown.
_OF_ONE_FILE = (
    ErrorKind.NAME_REFUSED,
    ErrorKind.STORE_FAILED,
    ErrorKind.DAMAGED,
    ErrorKind.OBJECT_MISSING,
)

#: So many digits has an ETag that is the MD5 of one file; others may be made of parts, or of size and time.
_MD5 = 32


class ChosenFiles(t.Protocol):
    """Files that code selects by their keys. May be used from several threads."""

    def __contains__(self, key: str) -> bool: ...

    def may_replace(self, key: str) -> bool:
        """Whether a file of the target that differs is replaced."""


@dataclass(frozen=True)
class BucketRestoreRequest:
    """The files to restore. mode: missing leaves every file of the target, all replaces files that differ.

    target_name is what production has to confirm when files are replaced. chosen: the files that are restored, instead
    of prefixes and mode.
    """

    prefixes: t.Tuple[str, ...] = ()
    mode: t.Literal["missing", "all"] = "missing"
    target_name: str = field(default="", metadata=INTERNAL)
    chosen: t.Optional[ChosenFiles] = field(default=None, metadata=INTERNAL)
    undo: bool = True
    parallel: int = field(default=16, metadata=option("parallel_files"))
    spool_dir: t.Optional[FilePath] = None
    progress_file: t.Optional[FilePath] = None
    safeguards: Safeguards = field(default_factory=Safeguards, metadata=FAMILY)


@dataclass
class FileCounts:
    """restored were missing, replaced differed, equal and left were in the target.

    refused could not be written, because the target cannot hold them; refused_files are names of some with the reason.
    header_files are those of differing_files whose content is equal. headers_not_kept are the names of headers that
    the target did not take.
    """

    files: int = 0
    restored: int = 0
    replaced: int = 0
    equal: int = 0
    left: int = 0
    refused: int = 0
    bytes_restored: int = 0
    missing_files: t.List[str] = field(default_factory=list)
    differing_files: t.List[str] = field(default_factory=list)
    header_files: t.List[str] = field(default_factory=list)
    refused_files: t.List[t.Dict[str, str]] = field(default_factory=list)
    headers_not_kept: t.List[str] = field(default_factory=list)

    @property
    def written(self) -> int:
        return self.restored + self.replaced


class BucketRestore(Change[t.Dict[str, t.Any]]):
    """Restores files of a set into a bucket. Files that are replaced are first stored in a set of the tier undo.

    Files that the target cannot hold are named in the result and by a notice; the others are restored.
    Raises RecoveryError: unsupported for a set of another kind, confirmation_required, damaged or object_missing
    for an object that is not as recorded (its file stays unchanged, and the others are restored), name_refused for a
    file that something in the target excludes, archived, no_identity.
    """

    faults_of_set = (ErrorKind.DAMAGED, ErrorKind.OBJECT_MISSING)

    def __init__(
        self, store: ObjectStore, manifest: Manifest, target: ObjectStore, request: BucketRestoreRequest
    ) -> None:
        super().__init__(request.safeguards, store, manifest.source)
        self._store, self._manifest, self._target, self._request = store, manifest, target, request
        self.details = {"set_id": manifest.set_id, "target": target.location}
        if not request.prefixes and request.chosen is None:
            self.restores = manifest
        progress_file = request.progress_file if request.safeguards.acts else None
        self._progress = Progress(progress_file, manifest.source)
        self._kept_headers = manifest.coverage.get("headers") or EARLIER_HEADERS
        self._refuses_extras = False
        # Errors about one file each, after which the others were restored.
        self._failed: t.List[RecoveryError] = []
        # Of all planned files, in whatever order they were judged.
        self._planned_files = 0
        self._begun = False
        self._undo: t.Dict[str, str] = {}
        self._counts = FileCounts()

    def plan(self) -> ChangePlan:
        self._manifest.require_kind(BUCKET_ENGINE)
        folder = self.resources.enter_context(scratch_folder("lifeline-bucket-", self._request.spool_dir))
        self.resources.enter_context(listing_errors())
        # The lines to act on, on disk: 0 for a missing file, 1 for one that differs.
        self._plan = sqlite3.connect(os.path.join(folder, "plan.sqlite"), check_same_thread=False)
        self.resources.enter_context(contextlib.closing(self._plan))
        self._plan.execute("CREATE TABLE plan (id INTEGER PRIMARY KEY, differs INTEGER, line TEXT, seen TEXT)")
        self.resources.callback(self._progress.end)
        with self.timings.phase("plan"):
            self._make_plan()
        self._note_refused()
        counts = self._counts
        return ChangePlan(
            {"set": self._manifest.set_id, "target": self._target.location, "files": f"{self._planned_files:x}"},
            target=self._request.target_name,
            destroys=bool(counts.replaced),
            does=f"replaces {counts.replaced:,} files of" if counts.replaced else "restores files to",
            changes=bool(counts.written),
            undo_set=bool(counts.replaced and self._request.undo),
        )

    def keep_undo(self) -> t.Mapping[str, str]:
        if not (self._counts.replaced and self._request.undo):
            return {}
        with self.timings.phase("undo"):
            self._undo = keep_files(
                self._target,
                self._store,
                self._manifest.source,
                self.replaced_keys(),
                recipients=self._manifest.recipients,
                parallel=self._request.parallel,
                spool_dir=self._request.spool_dir,
            )
        return self._undo

    def replaced_keys(self) -> t.List[str]:
        """The files that the plan replaces."""
        return [parse_line(line).key for _differs, line, _seen in self._planned("WHERE differs")]

    def act(self) -> None:
        with self.timings.phase("files"):
            self._restore_all()

    def verify(self) -> None:
        """A set is proved only if each of its files was read from the store and was stored in the target."""
        self.equal = True if self._counts.written == self._counts.files else None

    def has_changed(self) -> bool:
        return bool(self._counts.written)

    def result(self, outcome: Outcome) -> t.Dict[str, t.Any]:
        counts = self._counts
        if counts.headers_not_kept:
            note(f"{self._target.location} does not keep these headers as the set has them: "
                 f"{', '.join(sorted(counts.headers_not_kept))}.")  # fmt: skip
        counts.missing_files.sort()
        counts.differing_files.sort()
        self.details.update(restored=counts.restored, replaced=counts.replaced)
        manifest = self._manifest
        return {
            **vars(outcome),
            **vars(counts),
            "set_id": manifest.set_id,
            "source": manifest.source,
            "tier": manifest.tier,
            "recovery_point": manifest.recovery_point,
            "requests": self._store.requests + self._target.requests,
            "timings": self.timings.as_dict(),
            "summary": self._summary(outcome),
            "diff": self._difference(),
        }

    def _difference(self) -> t.Dict[str, str]:
        """The first files of each kind, a line each, and how many more there are."""
        counts = self._counts
        shown = [*counts.missing_files, *counts.differing_files]
        more = f"{len(shown)} of {counts.written:,} files are shown\n" if len(shown) < counts.written else ""
        differing = "".join(
            f"{name} (other {'headers' if name in counts.header_files else 'content'})\n"
            for name in counts.differing_files
        )
        return {"before": differing, "after": "".join(f"{name}\n" for name in sorted(shown)) + more}

    def _make_plan(self) -> None:
        result = self._counts
        self._progress.phase("comparing")
        with NameIndex() as sizes, self._excluded() as excluded:
            for prefix in (self._request.prefixes or ("",)) if self._request.chosen is None else ():
                sizes.add_all((item.key, item.size) for item in self._target.list(prefix))
            judged = for_each(
                self._wanted(),
                lambda entry: self._judge(entry, self._size_of(entry, sizes), excluded),
                parallel=self._request.parallel,
            )
            for entry, fate, seen in judged:
                result.files += 1
                self._progress.add(1)
                if fate in ("missing", "differs", "headers"):
                    self._add(entry, fate, seen)
                elif fate == "refused":
                    self._refuse(entry.key, seen)
                elif fate == "equal":
                    result.equal += 1
                else:
                    result.left += 1

    def _wanted(self) -> t.Iterator[FileEntry]:
        return (entry for entry in map(read_line, self._lines()) if self._is_wanted(entry.key))

    def _excluded(self) -> NameIndex:
        """The names that exclude others, where no name can be both a file and a folder."""
        excluded = NameIndex()
        if self._target.paths:
            files = ((entry.key, entry.size) for entry in self._wanted())
            excluded.add_all((name, 0) for name in excluded_names(files, self._target.refuses))
        return excluded

    def _judge(self, entry: FileEntry, size: t.Optional[int], excluded: NameIndex) -> t.Tuple[FileEntry, str, str]:
        """The fate of a file; and the mark of a file that differs, or why the target cannot hold the file."""
        problem = self._target.refuses(entry.key, entry.size)
        if not problem and entry.key in excluded:
            problem = EXCLUDED_FOLDER if entry.key.endswith("/") else EXCLUDED_FILE
        if problem:
            return entry, "refused", problem
        if size is None and not self._is_folder(entry.key):
            return entry, "missing", ""
        if size is not None and not self._may_replace(entry.key):
            return entry, "left", ""
        info = self._target.head(entry.key, size=size)
        if info is None:
            return entry, "missing", ""
        if not self._is_equal(entry, info):
            if info.archived:
                return entry, "refused", "the object there is in an archive storage class, so no undo can hold it"
            return entry, "differs", mark_of(info)
        if differing_headers(entry, info, self._kept_headers, self._target.tags):
            return entry, "headers", mark_of(info)
        return entry, "equal", ""

    def _refuse(self, key: str, reason: str) -> None:
        self._counts.refused += 1
        if len(self._counts.refused_files) < _SHOWN:
            self._counts.refused_files.append({"file": key, "reason": reason})

    def _note_refused(self) -> None:
        if self._counts.refused:
            note(f"{self._target.location} cannot hold {self._refused_text()}. They were not restored.")

    def _refused_text(self) -> str:
        result = self._counts
        named = "; ".join(f"{item['file']!r} ({item['reason']})" for item in result.refused_files[:10])
        more = "; ..." if result.refused > 10 else ""
        return f"{result.refused} {'file' if result.refused == 1 else 'files'} of the set: {named}{more}"

    def _is_equal(self, entry: FileEntry, info: ObjectInfo) -> bool:
        """Whether the file in the bucket has the content; by its ETag where that is one file's own, else by reading."""
        if info.size != entry.size:
            return False
        etag = bare_etag(entry.etag)
        if len(etag) == _MD5 and etag == bare_etag(info.etag):
            return True
        if info.archived:
            return False
        tally = Tally()
        for chunk in self._target.open(entry.key, size=info.size).chunks:
            tally.add(chunk)
        return tally.sha256 == entry.sha256

    def _add(self, entry: FileEntry, fate: str, seen: str) -> None:
        result, differs = self._counts, fate != "missing"
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
            if fate == "headers":
                result.header_files.append(entry.key)

    def _restore_all(self) -> None:
        result = self._counts
        self._progress.phase(
            "restoring", total_items=result.restored + result.replaced, total_bytes=result.bytes_restored
        )
        written = 0
        try:
            for differs, done in for_each(self._planned(), self._restore, parallel=self._request.parallel):
                written += done
                if not done:
                    result.restored -= not differs
                    result.replaced -= differs
        except RecoveryError as error:
            # Other files were being written; how many of them are complete is unknown.
            more = f", and up to {self._request.parallel} more may have been" if self._begun else ""
            left = f"At least {written} files were restored before it{more}.{self._undo_text()}"
            raise error.restated(left=left, details=self._details()) from None
        if self._failed:
            raise self._not_all(written)

    def _not_all(self, written: int) -> RecoveryError:
        first, count = self._failed[0], len(self._failed)
        return first.restated(
            what=first.what if count == 1 else f"{count} files were not restored. The first: {first.what}",
            left=f"{written} other files were restored.{self._undo_text()}",
            details={**self._details(), "changed": written > 0},
        )

    def _undo_text(self) -> str:
        return f" The replaced files are in the set {self._undo['set']} of the tier undo." if self._undo else ""

    def _details(self) -> t.Dict[str, t.Any]:
        failures = [one.what for one in self._failed]
        return {"changed": self._begun, "undo": self._undo, "failures": failures}

    def _restore(self, planned: t.Tuple[bool, str, str]) -> t.Tuple[bool, bool]:
        """Whether the file differs, and was written; not when another client made or changed the file first."""
        differs, line, seen = planned
        entry = parse_line(line)
        info: t.Optional[ObjectInfo] = None
        if differs:
            # A version that was saved after the undo was taken is in no set.
            info = self._target.head(entry.key, size=int(seen.partition(" ")[0]))
            if info is not None and mark_of(info) != seen:
                self._counts.left += 1
                return differs, False
        self._begun = True
        try:
            shown = self._put(entry, info)
        except RecoveryError as error:
            self._judge_failure(entry, error)
            return differs, False
        lost = differing_headers(entry, shown, self._kept_headers, self._target.tags)
        self._counts.headers_not_kept += [name for name in lost if name not in self._counts.headers_not_kept]
        self._progress.add(1, entry.size)
        return differs, True

    def _judge_failure(self, entry: FileEntry, error: RecoveryError) -> None:
        """Raise the error, unless it is about this file alone, so that the others can be restored."""
        if error.kind == ErrorKind.CONFLICT:
            self._counts.left += 1
            return
        if error.kind == ErrorKind.ALREADY_EXISTS:
            if self._target.head(entry.key) is not None:
                self._counts.left += 1
                return
            # SeaweedFS answers so for the name of a folder.
            error = RecoveryError(
                ErrorKind.NAME_REFUSED,
                f"{self._target.location} refused {entry.key} as one that exists, and does not show it.",
                next_step="Remove what is in the way, or use another bucket.",
            )
        if error.kind not in _OF_ONE_FILE or len(self._failed) >= _SHOWN:
            raise error
        self._failed.append(error)

    def _put(self, entry: FileEntry, info: t.Optional[ObjectInfo]) -> ObjectInfo:
        """Write a file with its headers, or without its tags and storage class where the target refuses these.

        info: the object that the file replaces. If it is None, the file must be missing.
        """
        headers = as_headers(entry.headers)
        plain = replace(headers, storage_class=None, tags={})
        if headers.storage_class in ARCHIVE_CLASSES:
            # A file that comes back has to be readable.
            headers = replace(headers, storage_class=None)
        if headers != plain and not self._refuses_extras:
            try:
                return self._put_once(entry, info, headers)
            except RecoveryError as error:
                if error.kind not in (ErrorKind.UNSUPPORTED, ErrorKind.ACCESS_DENIED):
                    raise
        shown = self._put_once(entry, info, plain)
        if headers != plain:
            # Only now is it known that the extras were refused, and not the file.
            self._refuses_extras = True
            lost = [name for name in ("storage_class", "tags") if getattr(headers, name)]
            self._counts.headers_not_kept += [name for name in lost if name not in self._counts.headers_not_kept]
        return shown

    def _put_once(self, entry: FileEntry, info: t.Optional[ObjectInfo], headers: Headers) -> ObjectInfo:
        content = self._content(entry)
        # The folder of a file that is restored in parallel may be made first, and holds nothing that could be replaced.
        if_absent = info is None and not self._is_folder(entry.key)
        return put_shown(
            self._target, entry.key, content, entry.size, if_absent=if_absent, replaces=info, headers=headers
        )

    def _is_folder(self, key: str) -> bool:
        return self._target.paths and key.endswith("/")

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
                left="The file in the bucket is unchanged.",
                next_step="Use another set or another copy; the next backup stores this content again.",
                damaged=[stored.key],
            )

    def _lines(self) -> t.Iterator[bytes]:
        return inventory_lines(self._store, self._manifest)

    def _size_of(self, entry: FileEntry, listed: NameIndex) -> t.Optional[int]:
        """The size of the file in the target; a few chosen files are requested, all others were listed."""
        if self._request.chosen is None:
            return listed.get(entry.key)
        info = self._target.head(entry.key)
        return info.size if info else None

    def _may_replace(self, key: str) -> bool:
        chosen = self._request.chosen
        return self._request.mode == "all" if chosen is None else chosen.may_replace(key)

    def _is_wanted(self, key: str) -> bool:
        if self._request.chosen is not None:
            return key in self._request.chosen
        return not self._request.prefixes or key.startswith(self._request.prefixes)

    def _planned(self, where: str = "") -> t.Iterator[t.Tuple[bool, str, str]]:
        for differs, line, seen in self._plan.execute(f"SELECT differs, line, seen FROM plan {where} ORDER BY id"):
            yield bool(differs), line, seen

    def _summary(self, outcome: Outcome) -> str:
        counts, manifest = self._counts, self._manifest
        would = "Restored" if self.safeguards.acts else "Would restore"
        headers = len(counts.header_files)
        only = f" ({headers if headers < _SHOWN else f'at least {headers}'} in headers only)" if headers else ""
        not_held = (
            f" NOT restored, because the target cannot hold them: {self._refused_text()}." if counts.refused else ""
        )
        if outcome.unchanged is not None:
            done = f"{would} no file from set {manifest.set_id} to {self._target.location}."
            return f"{done} {outcome.unchanged.reason} {outcome.unchanged.next_step}{not_held}"
        return (
            f"{would} {counts.restored} missing and {counts.replaced} differing{only} of {counts.files} files "
            f"({readable_size(counts.bytes_restored)}) from set {manifest.set_id} to {self._target.location}; "
            f"{counts.equal} were equal, {counts.left} were left.{not_held}"
        )

    def why_unchanged(self) -> Unchanged:
        """From what was compared."""
        counts = self._counts
        origin = f"The set {self._manifest.set_id} of {self._manifest.recovery_point}"
        older = older_set(self._store, self._manifest)
        if not counts.files:
            return Unchanged.for_lack_of(older, f"{origin} holds no file that was asked for.", "Check `prefixes`.")
        if counts.refused and not (counts.equal or counts.left):
            return Unchanged("The target cannot hold any file that was asked for.", "Restore to another bucket.")
        if counts.left and self._request.mode == "missing":
            return Unchanged(
                f"{counts.left:,} files are in the target, and their content was not compared.",
                "Set `mode` to all to restore files that differ.",
            )
        if counts.left:
            return Unchanged(f"Other clients changed {counts.left:,} files during the restore.", "Run it again.")
        if self._manifest.tier == UNDO_TIER:
            return Unchanged(
                f"{counts.equal:,} files are equal to the set: "
                "the restore that the set takes back was taken back already.",
                "Nothing is left to do.",
            )
        return Unchanged.for_lack_of(
            older,
            f"{counts.equal:,} files are equal to the set, which was taken at {self._manifest.recovery_point}, "
            "after the damage, or these files are no longer damaged.",
        )
