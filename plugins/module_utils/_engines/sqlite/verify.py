# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The verification of a set of SQLite or D1: loaded into a file and compared with its content."""

from __future__ import annotations

from ..._core.process import scratch_folder
from ..._repository.verifier import SetVerifier, Verified, VerifyRun
from .opened import open_set


class SqliteVerifier(SetVerifier):
    def decode(self, run: VerifyRun) -> Verified:
        if run.is_sealed:
            return self.digests(run)
        manifest = run.manifest
        with run.timings.phase("decode"), scratch_folder("lifeline-verify-", run.request.spool_dir) as folder:
            rows = open_set(run.store, manifest, folder, parallel=run.request.parallel).rows
        return Verified(len(manifest.objects), manifest.stored_bytes, rows)
