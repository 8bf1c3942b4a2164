# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The parts of a backup that all kinds of source share: request, result, refusals, writer and commit."""

from __future__ import annotations

import contextlib
import typing as t
from dataclasses import dataclass, field
from datetime import datetime

from .._core.clock import PhaseListener, Timings, compact_instant, format_instant, utc_now
from .._core.codec import CODECS, require_codec
from .._core.options import INTERNAL, FilePath, option
from .._core.parallel import require_at_least_one
from .._core.process import scratch_folder
from .._core.progress import Progress
from .._store.base import ObjectStore
from .commit import SetFacts
from .identity import Identity, require_identity, require_source_kind
from .layout import TIERS, check_source
from .manifest import Manifest
from .recovery_points import UNDO_TIER
from .writer import SetWriter


@dataclass(frozen=True)
class BackupRequest:
    """A backup. parallel counts objects that are stored at the same time.

    level: of the codec, None for its default. accept_identity: the identity of the database that continues the sets of
    another database, as the error identity_changed prints it. listener is called at the start and end of each phase;
    progress_file is a file with one line about the progress.
    """

    #: The option that parallel is set by, for errors.
    parallel_option: t.ClassVar[str] = "parallel"

    source: str
    tier: str = field(default="daily", metadata=option(choices=[tier for tier in TIERS if tier != UNDO_TIER]))
    codec: str = field(default="zstd", metadata=option("compression", choices=CODECS))
    level: t.Optional[int] = field(default=None, metadata=INTERNAL)
    parallel: int = field(default=4, metadata=INTERNAL)
    spool_dir: t.Optional[FilePath] = None
    accept_identity: t.Optional[str] = field(default=None, metadata=INTERNAL)
    progress_file: t.Optional[FilePath] = None
    listener: t.Optional[PhaseListener] = field(default=None, metadata=option("journal"))
    check_mode: bool = False

    def require_valid(self, store: ObjectStore) -> None:
        """Refuse values that are wrong for every source, before anything is recorded.

        Raises RecoveryError(invalid_options).
        """
        check_source(self.source)
        require_at_least_one(self.parallel, self.parallel_option)


@dataclass(frozen=True)
class BackupResult:
    """A committed set, or in check mode the set that would be written. Sizes are in bytes."""

    changed: bool
    set_id: str
    source: str
    tier: str
    recovery_point: str
    bytes_plain: int
    bytes_uploaded: int
    timings: t.Mapping[str, float]
    summary: str

    def audit_details(self) -> t.Dict[str, t.Any]:
        """The details of the audit record of the backup."""
        return {"set_id": self.set_id, "bytes": self.bytes_uploaded, "seconds": self.timings["total"]}


class BackupRun:
    """The state of one backup, for its engine. folder is private to the run and is removed at its end."""

    def __init__(self, store: ObjectStore, request: BackupRequest, kind: str, folder: str) -> None:
        self.store, self.folder = store, folder
        self.timings = Timings(request.listener)
        self.progress = Progress(None if request.check_mode else request.progress_file, request.source)
        self.began = utc_now()
        #: The identity of the source before a change that the operator accepted, and the current one.
        self.former: t.Optional[Identity] = None
        self.current: t.Optional[Identity] = None
        self.source_is_checked = False
        self._request, self._kind = request, kind

    def require_source(self, current: t.Optional[Identity]) -> None:
        """Refuse to add a set to a source that has sets of another kind or of another database.

        An engine calls this once, before it waits or reads; current is None for what has no identity. An undo set is
        of whatever is replaced, so that any content is accepted.
        Raises RecoveryError: invalid_options, identity_changed.
        """
        self.source_is_checked = True
        if self._request.tier == "undo":
            return
        known = require_source_kind(self.store, self._request.source, self._kind)
        self.current = current
        if current is not None:
            self.former = require_identity(self._request.source, known, current, self._request.accept_identity)

    def committed(self, manifest: Manifest) -> t.Dict[str, t.Any]:
        """The facts of a set in the results of all kinds, except the summary."""
        return {
            "changed": True,
            "set_id": manifest.set_id,
            "source": manifest.source,
            "tier": manifest.tier,
            "recovery_point": manifest.recovery_point,
            "bytes_plain": manifest.sizes["plain"],
            "bytes_uploaded": manifest.sizes["uploaded"],
            "timings": self.timings.as_dict(),
        }

    def predicted(self, size: int, at: t.Optional[datetime] = None) -> t.Dict[str, t.Any]:
        """As committed, for the set that check mode predicts; size is that of the content."""
        at = at or self.began
        return {
            "changed": True,
            "set_id": compact_instant(at),
            "source": self._request.source,
            "tier": self._request.tier,
            "recovery_point": format_instant(at),
            "bytes_plain": size,
            "bytes_uploaded": 0,
            "timings": self.timings.as_dict(),
        }


_Result_co = t.TypeVar("_Result_co", bound=BackupResult, covariant=True)


class BackupEngine(t.Protocol[_Result_co]):
    """One kind of source. The methods are called in this order, once each; check mode ends with predicted.

    Every method raises RecoveryError.
    """

    #: The engine that the manifest names.
    kind: str

    @property
    def request(self) -> BackupRequest: ...

    def prepared(self, run: BackupRun) -> t.ContextManager[None]:
        """Refuse what would give a bad backup, call run.require_source, and hold what the dump needs."""

    def predicted(self, run: BackupRun) -> _Result_co:
        """The result in check mode."""

    def dump(self, run: BackupRun, writer: SetWriter) -> SetFacts:
        """Read the source and add its files to the set. An error leaves no set."""

    def result(self, run: BackupRun, manifest: Manifest) -> _Result_co:
        """The result of a committed set."""


@contextlib.contextmanager
def prepared(engine: BackupEngine[BackupResult], store: ObjectStore) -> t.Iterator[BackupRun]:
    """Test all that can be tested before the dump, and hold what the dump needs. Raises RecoveryError."""
    request = engine.request
    require_codec(request.codec)
    with scratch_folder("lifeline-spool-", request.spool_dir) as folder, contextlib.ExitStack() as stack:
        run = BackupRun(store, request, engine.kind, folder)
        with run.timings.phase("preflight"):
            store.require_writable(f"{request.source}/{request.tier}/")
            stack.enter_context(engine.prepared(run))
        if not run.source_is_checked:
            raise AssertionError(f"the engine {engine.kind} has not checked its source")
        yield run


def take_set(engine: BackupEngine[BackupResult], run: BackupRun) -> Manifest:
    """Dump, store and commit. Raises RecoveryError; then no set was written, unless its kind is copy_failed."""
    request = engine.request
    with SetWriter(
        run.store,
        request.source,
        request.tier,
        codec=request.codec,
        level=request.level,
        parallel=request.parallel,
    ) as writer:
        facts = engine.dump(run, writer)
        # Ask for the objects first, so that the timings in the manifest have all phases but the commit.
        writer.finish()
        with run.timings.phase("commit"):
            manifest = writer.commit(facts, run.timings.as_dict())
    run.progress.end()
    return manifest


def take_undo_set(engine: BackupEngine[BackupResult], store: ObjectStore) -> Manifest:
    """Keep what an operation is about to change. The audit record of that operation names the set."""
    with prepared(engine, store) as run:
        return take_set(engine, run)
