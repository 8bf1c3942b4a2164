# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The verification that the sets of every kind share; an engine adds what it knows of the content of its sets."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from .._core.clock import Timings
from .._core.options import INTERNAL, FilePath, option
from .._store.base import ObjectStore
from .fetch import fetch_objects
from .manifest import Manifest
from .references import check_presence


@dataclass(frozen=True)
class VerifyRequest:
    """depth: presence requests the size of each object; digests reads each object; decode also decodes the content.

    spool_dir: for what is decoded. client_bin_dir: of the PostgreSQL client programs. record: write the result to the
    store. complete: False if the manifest was narrowed to one table, which is no archive that can be restored.
    """

    depth: str = field(default="decode", metadata=option(choices=("presence", "digests", "decode")))
    spool_dir: t.Optional[FilePath] = None
    client_bin_dir: t.Optional[FilePath] = None
    parallel: int = field(default=4, metadata=INTERNAL)
    record: bool = field(default=True, metadata=INTERNAL)
    complete: bool = field(default=True, metadata=INTERNAL)


@dataclass(frozen=True)
class Verified:
    """The extent of a verification. bytes_read counts stored bytes; rows is None if no rows were counted."""

    objects: int
    bytes_read: int = 0
    rows: t.Optional[int] = None


@dataclass(frozen=True)
class VerifyRun:
    """One verification: the set, where the set is stored, and how the set is verified."""

    store: ObjectStore
    manifest: Manifest
    request: VerifyRequest
    timings: Timings = field(default_factory=Timings)

    @property
    def is_sealed(self) -> bool:
        """Whether the set is encrypted and no identity is at hand, so that only stored digests can be compared."""
        return bool(self.manifest.recipients) and not self.store.sealing.can_read


class SetVerifier:
    """Verifies sets of one kind: presence first, then digests or decode if the request has that depth.

    An engine overrides the steps that compare more than the objects of the manifest.
    Every step raises RecoveryError: damaged or object_missing if the set differs from its manifest.
    """

    def presence(self, run: VerifyRun) -> Verified:
        """Request the size of every object."""
        with run.timings.phase("presence"):
            for entry in {entry.key: entry for entry in run.manifest.objects}.values():
                check_presence(run.store, entry)
        return Verified(len(run.manifest.objects))

    def digests(self, run: VerifyRun) -> Verified:
        """Read every object and compare it with its entry in the manifest."""
        with run.timings.phase("digests"):
            fetch_objects(run.store, run.manifest.objects, None, parallel=run.request.parallel)
        return Verified(len(run.manifest.objects), run.manifest.stored_bytes)

    def decode(self, run: VerifyRun) -> Verified:
        """Decode the content as a restore does, and compare it with what the backup recorded of it."""
        return self.digests(run)
