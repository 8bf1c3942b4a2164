# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Restores missing and damaged files of a table of media from backup sets, and lists those that no set has."""

from __future__ import annotations

import contextlib
import itertools
import json
import typing as t
from dataclasses import dataclass, field

from .._core.errors import ErrorKind, RecoveryError, guaranteed
from .._core.files import replace_file
from .._core.notices import note
from .._core.options import FAMILY, INTERNAL, FilePath
from .._core.parallel import for_each
from .._core.process import scratch_folder
from .._core.sizes import counted
from .._engines.bucket.restore import BucketRestore, BucketRestoreRequest
from .._engines.bucket.undo import keep_files
from .._repository.change import Change, ChangePlan, Outcome, Safeguards, Unchanged
from .._repository.manifest import Manifest
from .._repository.recovery_points import Selection
from .._store.base import ObjectStore
from .._store.s3 import S3Store
from .ledger import DAMAGED, MISNAMED, MISSING, Finding, Ledger
from .scan import MediaRequest, Scan
from .sets import choose_sets

#: So many names of each class are listed in a result, and so many in a sentence; counts are exact.
_LISTED, _NAMED = 100, 10


@dataclass(frozen=True)
class MediaRestoreRequest:
    """reports: nothing is restored. target_name: of the bucket, for the confirmation.

    create_bucket: create a missing bucket with the settings of its newest set. public: requests without credentials may
    read its objects.
    regenerate_file: file for the lines of JSON that describe the lost files.
    """

    media: MediaRequest
    selection: Selection
    safeguards: Safeguards = field(metadata=FAMILY)
    source: t.Optional[str] = None
    create_bucket: bool = True
    public: bool = False
    undo: bool = True
    regenerate_file: t.Optional[FilePath] = None
    reports: bool = field(default=False, metadata=INTERNAL)
    target_name: str = field(default="", metadata=INTERNAL)


class _Chosen:
    """The files that one set restores. Only files that the comparison found damaged are replaced."""

    def __init__(self, ledger: Ledger, name: str) -> None:
        self._ledger, self._name = ledger, name

    def __contains__(self, key: str) -> bool:
        finding = self._ledger.finding(key)
        return finding is not None and finding.chosen == self._name

    def may_replace(self, key: str) -> bool:
        return guaranteed(self._ledger.finding(key)).kind == DAMAGED


class MediaRestore(Change[t.Dict[str, t.Any]]):
    """Restores files by the restore of buckets, one set after the other. Sound files are not touched.

    Raises RecoveryError: those of L(Scan), L(choose_sets) and L(BucketRestore); unsupported for a missing bucket that
    may not be created; not_equal if a restored file is not as its row states.
    """

    operation = "restore_media"

    def __init__(self, request: MediaRestoreRequest, store: t.Optional[ObjectStore]) -> None:
        super().__init__(request.safeguards, store, request.source)
        self._request, self._files = request, request.media.files
        self.records_unchanged = False
        self._restores: t.List[BucketRestore] = []
        self._sets: t.Dict[str, Manifest] = {}
        self._orphaned = self._young = 0
        self._orphans: t.List[str] = []
        self._created = False
        self.details = {"target": self._files.location, "table": request.media.media.table}

    @property
    def acts(self) -> bool:
        return self.safeguards.acts and not self._request.reports

    def plan(self) -> ChangePlan:
        request = self._request
        folder = self.resources.enter_context(scratch_folder("lifeline-media-", request.media.spool_dir))
        ledger = self._ledger = self.resources.enter_context(contextlib.closing(Ledger(folder)))
        self._scan = Scan(request.media, ledger)
        with self.timings.phase("compare"):
            self._scan.run()
            self._count_orphans()
        with self.timings.phase("search sets"):
            if self.store is not None and self.source and ledger.count():
                self._sets = choose_sets(ledger, self.store, self.source, request.selection)
        self._require_bucket()
        with self.timings.phase("plan"):
            plans = [self._plan_of(name, manifest) for name, manifest in self._sets.items()]
        replaced = sum(plan.destroys for plan in plans)
        self._report = self._reported()
        self.details.update(sets=self._report["sets"], lost=self._report["counts"]["lost"])
        self._write_lost()
        count = sum(self._report["sets"].values())
        return ChangePlan(
            {
                "target": self._files.location,
                "creates_bucket": self._creates,
                "sets": [dict(plan.facts) for plan in plans],
            },
            target=request.target_name,
            destroys=bool(replaced),
            does=f"restores {counted(count, 'file')} to",
            changes=not request.reports and (self._creates or any(plan.changes for plan in plans)),
            undo_set=bool(replaced and request.undo),
        )

    def _plan_of(self, name: str, manifest: Manifest) -> ChangePlan:
        media = self._request.media
        restore = BucketRestore(
            guaranteed(self.store),
            manifest,
            self._files,
            BucketRestoreRequest(
                chosen=_Chosen(self._ledger, name),
                target_name=self._request.target_name,
                undo=False,
                parallel=media.parallel,
                spool_dir=media.spool_dir,
                safeguards=self.safeguards,
            ),
        )
        self.resources.enter_context(restore.resources)
        self._restores.append(restore)
        return restore.plan()

    @property
    def _creates(self) -> bool:
        return self._scan.bucket_missing and self._request.create_bucket

    def _require_bucket(self) -> None:
        if self._scan.bucket_missing and not self._request.create_bucket and not self._request.reports:
            raise RecoveryError(
                ErrorKind.UNSUPPORTED,
                f"The bucket {self._files.location} does not exist, and `create_bucket` is false.",
                next_step="Create the bucket, or set `create_bucket` to true.",
            )

    def _count_orphans(self) -> None:
        for key, _size, _etag in self._scan.orphans():
            self._orphaned += 1
            if len(self._orphans) < _LISTED:
                self._orphans.append(key)
        self._young = sum(1 for _object in self._ledger.unclaimed()) - self._orphaned

    def keep_undo(self) -> t.Mapping[str, t.Any]:
        keys = [key for restore in self._restores for key in restore.replaced_keys()]
        if not keys or not self._request.undo:
            return {}
        with self.timings.phase("undo set"):
            return keep_files(
                self._files,
                guaranteed(self.store),
                guaranteed(self.source),
                keys,
                recipients=dict.fromkeys(one for manifest in self._sets.values() for one in manifest.recipients),
                parallel=self._request.media.parallel,
                spool_dir=self._request.media.spool_dir,
            )

    def act(self) -> None:
        if self._creates and isinstance(self._files, S3Store):
            newest = next(iter(self._sets.values()), None)
            settings = dict(newest.coverage.get("bucket") or {}) if newest else {}
            refused = self._files.bucket.create(settings, public=self._request.public)
            self._created = True
            if refused:
                note(f"{self._files.location} was created without these settings: {', '.join(refused)}.")
        with self.timings.phase("files"):
            for restore in self._restores:
                try:
                    restore.act()
                except RecoveryError as error:
                    # A former set may have restored files, or the bucket was created.
                    raise error.restated(details={"changed": True} if self.has_changed() else {}) from None

    def verify(self) -> None:
        """Request every restored file again, and compare it with its row."""
        wrong: t.List[str] = []
        count = 0
        with self.timings.phase("verify"):
            restored = (finding for finding in self._ledger.findings() if finding.chosen is not None)
            judged = for_each(restored, self._judged, parallel=self._request.media.parallel)
            for finding, kind, reason in judged:
                count += bool(kind)
                if kind and len(wrong) < _NAMED:
                    wrong.append(f"{finding.key} ({reason or kind})")
        if wrong:
            raise RecoveryError(
                ErrorKind.NOT_EQUAL,
                f"{counted(count, 'file')} of {self._files.location} differ from their rows after the restore: "
                f"{', '.join(sorted(wrong))}.",
                left="The other files were restored.",
                next_step="Find out which program writes to the bucket, then run it again.",
                details={"changed": True},
            )

    def _judged(self, finding: Finding) -> t.Tuple[Finding, str, str]:
        return (finding, *self._scan.judge(finding.stated))

    def has_changed(self) -> bool:
        return self._created or any(restore.has_changed() for restore in self._restores)

    def why_unchanged(self) -> Unchanged:
        if self._request.reports:
            return Unchanged("The files were only reported.", "Set `state` to restored.")
        lost = self._report["counts"]["lost"]
        if lost:
            return Unchanged(
                f"No backup set has {counted(lost, 'missing or damaged file')}.",
                "Upload or generate them again; `regenerate_file` lists them.",
            )
        return Unchanged("Each row has its file.", "Nothing is left to do.")

    def result(self, outcome: Outcome) -> t.Dict[str, t.Any]:
        results = [restore.result(outcome) for restore in self._restores]
        written = {
            name: sum(result[name] for result in results)
            for name in ("restored", "replaced", "bytes_restored", "refused")
        }
        return {
            **vars(outcome),
            **self._report,
            **written,
            "bucket_created": self._created,
            "requests": self._files.requests + (self.store.requests if self.store else 0),
            "timings": self.timings.as_dict(),
            "summary": self._summary(outcome, written),
        }

    def _reported(self) -> t.Dict[str, t.Any]:
        """The facts of the plan for the result. The ledger ends with the change."""
        ledger = self._ledger
        rows, objects = ledger.totals()
        return {
            "bucket": self._files.location,
            "bucket_missing": self._scan.bucket_missing,
            "rows": rows,
            "objects": objects,
            "counts": {
                **{kind: ledger.count(kind) for kind in (MISSING, DAMAGED, MISNAMED)},
                "orphaned": self._orphaned,
                "young": self._young,
                "lost": ledger.count(lost=True),
                "unknown_digests": self._scan.unknown_digests,
            },
            **{kind: self._listed(kind) for kind in (MISSING, DAMAGED, MISNAMED)},
            "orphaned": self._orphans,
            "lost": self._listed(lost=True),
            "sets": ledger.chosen(),
            "diff": self._difference(),
        }

    def _listed(self, kind: t.Optional[str] = None, *, lost: bool = False) -> t.List[t.Dict[str, t.Any]]:
        found = itertools.islice(self._ledger.findings(kind, lost=lost), _LISTED)
        return [{"key": finding.key, "reason": finding.reason or finding.kind} for finding in found]

    def _summary(self, outcome: Outcome, written: t.Mapping[str, int]) -> str:
        report, where = self._report, self._files.location
        counts = report["counts"]
        found = ", ".join(f"{counts[kind]:,} {kind}" for kind in (MISSING, DAMAGED, MISNAMED))
        rest = f"{counted(counts['lost'], 'file')} must be uploaded or generated again; " if counts["lost"] else ""
        more = f"{rest}{counted(self._orphaned, 'object')} without a row."
        if outcome.unchanged is not None:
            return f"{report['rows']:,} rows compared with {where}: {found}; {more}"
        does = "Restored" if self.acts else "Would restore"
        created = f" after creating the bucket {where}" if self._creates else f" of {where}"
        number = counted(written["restored"] + written["replaced"], "file")
        return f"{does} {number}{created} ({found}) from {counted(len(self._sets), 'backup set')}; {more}"

    def _difference(self) -> t.Dict[str, str]:
        findings = itertools.islice(self._ledger.findings(), _LISTED)
        chosen = [finding for finding in findings if finding.chosen is not None]
        before = "".join(f"{one.key}: {one.reason}\n" for one in chosen if one.kind == DAMAGED)
        return {"before": before, "after": "".join(f"{one.key}: from the set {one.chosen}\n" for one in chosen)}

    def _write_lost(self) -> None:
        """Write the list of files that no set has, also if it is empty: an earlier list must not be read again."""
        path = self._request.regenerate_file
        if not path or self.safeguards.check_mode:
            return
        media = self._request.media
        lines = (
            json.dumps(
                {
                    "bucket": media.bucket,
                    "path": f"{media.media.path_prefix}{finding.key}",
                    "class": finding.kind,
                    "reason": finding.reason or finding.kind,
                    "size": finding.size,
                    "type": finding.type,
                    "digest": finding.digest,
                },
                ensure_ascii=False,
            )
            + "\n"
            for finding in self._ledger.findings(lost=True)
        )
        try:
            replace_file(path, lines, 0o640)
        except OSError as error:
            raise RecoveryError(
                ErrorKind.ACCESS_DENIED,
                f"`regenerate_file` must be a file that can be written, got {path}: {error.strerror}.",
                next_step="Correct the path.",
            ) from None
