# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The verification of the files of a bucket."""

from __future__ import annotations

from ..._core.parallel import for_each
from ..._repository.references import check_stored, distinct_objects, require_present
from ..._repository.verifier import SetVerifier, Verified, VerifyRun


class BucketVerifier(SetVerifier):
    """A bucket may have millions of files, so their presence is read from a listing and nothing is held in memory."""

    def presence(self, run: VerifyRun) -> Verified:
        with run.timings.phase("presence"):
            return Verified(require_present(run.store, run.manifest))

    def digests(self, run: VerifyRun) -> Verified:
        store, objects, size = run.store, 0, 0
        with run.timings.phase("digests"):
            entries = distinct_objects(store, run.manifest, plain=store.sealing.can_read)
            for read in for_each(entries, lambda entry: check_stored(store, entry), parallel=run.request.parallel):
                objects, size = objects + 1, size + read
        return Verified(objects, size)
