# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Dumps and restores databases by plain pg_dump and pg_restore, and compares them as the collection does."""

from __future__ import annotations

import subprocess
import typing as t
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.lifeline.recovery.plugins.module_utils._engines.postgresql.archive.selection import Selection
from ansible_collections.lifeline.recovery.plugins.module_utils._engines.postgresql.archive.structure import (
    structure_of,
)
from ansible_collections.lifeline.recovery.plugins.module_utils._engines.postgresql.archive.toc import (
    parse_toc,
    sequence_values,
)
from ansible_collections.lifeline.recovery.plugins.module_utils._engines.postgresql.backup.fingerprint import (
    take_fingerprint,
)
from ansible_collections.lifeline.recovery.plugins.module_utils._engines.postgresql.backup.snapshot_dump import scope_of
from ansible_collections.lifeline.recovery.plugins.module_utils._engines.postgresql.restore.proof import (
    Rules,
    compare_database,
)
from ansible_collections.lifeline.recovery.plugins.module_utils._repository.fingerprint import Comparison, Fingerprint
from tests.support.servers.postgres import PostgresServer


@dataclass(frozen=True)
class Recorded:
    """The facts of a set about a database: fingerprint and table of contents; folder holds the complete dump."""

    fingerprint: Fingerprint
    folder: Path

    def differences(self, server: PostgresServer, database: str, **rules: t.Any) -> list[str]:
        """The differences of the comparison of a database with this state."""
        return [item.what for item in self.compare(server, database, **rules).differences]

    def compare(self, server: PostgresServer, database: str, **rules: t.Any) -> Comparison:
        toc = (self.folder / "toc.dat").read_bytes()
        return compare_database(
            server.options(database), self.fingerprint, toc, Selection(), Rules(**rules), jobs=1
        )  # fmt: skip


def record(server: PostgresServer, database: str, folder: Path) -> Recorded:
    """Dump a database into a new folder and take its fingerprint."""
    subprocess.run(
        [str(server.bin_dir / "pg_dump"), "--format=directory", "--no-sync", f"--file={folder}"],
        env=server.options(database).environment(), check=True,
    )  # fmt: skip
    toc = parse_toc((folder / "toc.dat").read_bytes())
    fingerprint = take_fingerprint(
        server.options(database), "full", scope=scope_of(toc), sequences=sequence_values(toc),
        structure=structure_of(toc),
    )  # fmt: skip
    return Recorded(fingerprint, folder)


def plain_restore(server: PostgresServer, recorded: Recorded, database: str, *options: str) -> None:
    """Load the dump into an empty database with the pg_restore of the server."""
    subprocess.run(
        [str(server.bin_dir / "pg_restore"), "--exit-on-error", f"--dbname={database}", *options, str(recorded.folder)],
        env=server.options(database).environment(), check=True,
    )  # fmt: skip
