# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Dumps one snapshot of a database: pg_dump, fingerprint, roles and properties, in parallel."""

from __future__ import annotations

import contextlib
import os
import threading
import typing as t
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict

from ...._core.clock import Timings
from ...._core.errors import ErrorKind, RecoveryError
from ...._core.progress import Progress
from ...._core.sizes import first_of
from ...._repository.fingerprint import Fingerprint
from ...._repository.writer import SetWriter
from ..archive.dump import dump_arguments, dump_roles, follow_dump, start_dump
from ..archive.profiles import PROFILES
from ..archive.properties import PROPERTIES_FILE, read_properties
from ..archive.structure import structure_of
from ..archive.toc import Toc, sequence_values
from ..server.client import ClientPrograms
from ..server.connection import ConnectionOptions, connection
from .extension_rows import ExtensionRows, rows_left_out
from .fingerprint import Scope, take_fingerprint
from .snapshot import HeldSnapshot

_ROLES_FILE = "globals.sql"


class SnapshotDump:
    """One dump. toc, fingerprint and coverage are known when run has ended.

    jobs counts the workers of pg_dump, and of the fingerprint; lock_timeout is in seconds.
    """

    def __init__(
        self,
        options: ConnectionOptions,
        held: HeldSnapshot,
        client: ClientPrograms,
        folder: str,
        *,
        profile: str,
        level: str,
        jobs: int,
        lock_timeout: float,
        timings: Timings,
        progress: Progress,
    ) -> None:
        self._options, self._held, self._client, self._folder = options, held, client, folder
        self._profile, self._level = profile, level
        self._jobs, self._lock_timeout = jobs, lock_timeout
        self._timings, self._progress = timings, progress
        self._stop = threading.Event()
        self._toc: t.Optional[Toc] = None
        self._fingerprint: t.Optional[Future[Fingerprint]] = None
        self._left_out: t.Optional[Future[t.List[ExtensionRows]]] = None
        self._roles_refused: t.Optional[str] = None

    def run(self, writer: SetWriter) -> None:
        """Add all files of the dump to the set. Raises RecoveryError."""
        folder = os.path.join(self._folder, "dump")
        arguments = dump_arguments(
            self._client,
            self._held.scope,
            jobs=self._jobs,
            snapshot=self._held.snapshot,
            lock_timeout=self._lock_timeout,
            folder=folder,
            encoding=self._held.facts.encoding,
        )
        self._progress.phase("dumping", total_items=len(self._held.tables))
        with contextlib.ExitStack() as stack:
            side = stack.enter_context(ThreadPoolExecutor(max_workers=3))
            stack.callback(self._stop.set)
            with self._timings.phase("dump"):
                child = stack.enter_context(start_dump(arguments, self._options))
                writer.on_failure = child.kill
                roles = side.submit(self._dump_roles)
                try:
                    for file in follow_dump(child, folder, lambda toc: self._on_toc(toc, side, child.kill)):
                        self._progress.add(int(file.role == "data"), os.path.getsize(os.path.join(folder, file.path)))
                        writer.add(folder, file.path, file.role, file.schema, file.table)
                except RecoveryError:
                    self._raise_first_cause(writer)
                    raise
            self._write_properties()
            writer.add(self._folder, PROPERTIES_FILE, "properties")
            if roles.result():
                writer.add(self._folder, _ROLES_FILE, "globals")
            with self._timings.phase("wait for uploads"):
                writer.finish()
            if self._fingerprint is not None:
                self._fingerprint.result()
            if self._left_out is not None:
                self._left_out.result()

    @property
    def toc(self) -> Toc:
        if self._toc is None:
            raise RecoveryError(ErrorKind.DUMP_FAILED, "pg_dump wrote no table of contents.")
        return self._toc

    @property
    def fingerprint(self) -> t.Optional[Fingerprint]:
        return self._fingerprint.result() if self._fingerprint else None

    @property
    def left_out(self) -> t.List[ExtensionRows]:
        """Rows of extensions that pg_dump leaves out."""
        return self._left_out.result() if self._left_out else []

    def coverage(self) -> t.Dict[str, t.Any]:
        """The kinds of objects in the set, and what the set does not hold."""
        toc = self.toc
        left_out = [str(rows) for rows in self.left_out]
        missing = [*PROFILES[self._profile].not_covered, *left_out]
        without_rows = self._held.scope.missing_rows()
        if without_rows:
            missing.append(f"rows of {first_of([str(name) for name in without_rows], 10)}, which the backup leaves out")
        if self._roles_refused is not None:
            missing.append(f"roles and memberships ({self._roles_refused})")
        return {
            "schemas": sorted({entry.schema for entry in toc.of_kind("TABLE") if entry.schema}),
            "tables": len(toc.of_kind("TABLE DATA")),
            "functions": len(toc.of_kind("FUNCTION", "PROCEDURE")),
            "triggers": len(toc.of_kind("TRIGGER")),
            "policies": len(toc.of_kind("POLICY")),
            "grants": len(toc.of_kind("ACL", "DEFAULT ACL")),
            "extensions": sorted(entry.tag for entry in toc.of_kind("EXTENSION")),
            "roles": self._roles_refused is None,
            "profile": self._profile,
            "excluded": asdict(self._held.scope.selection),
            "missing_partitions": {str(one): str(part) for one, part in self._held.scope.missing_partitions().items()},
            "not_covered": missing,
            "notes": [*self._held.notes, *(f"Not in the set: {rows}." for rows in left_out)],
        }

    def _on_toc(self, toc: Toc, side: ThreadPoolExecutor, kill: t.Callable[[], None]) -> None:
        # pg_dump holds its locks by now.
        self._held.require_visible_rows()
        self._toc = toc
        self._left_out = side.submit(
            rows_left_out, self._options, self._held.snapshot, scope_of(toc), self._lock_timeout
        )
        if self._level == "none":
            return
        self._fingerprint = side.submit(self._take_fingerprint, toc)
        self._fingerprint.add_done_callback(lambda future: kill() if future.exception() else None)

    def _take_fingerprint(self, toc: Toc) -> Fingerprint:
        with self._timings.phase("fingerprint"):
            return take_fingerprint(
                self._options,
                self._level,
                jobs=self._jobs,
                scope=scope_of(toc),
                snapshot=self._held.snapshot,
                sequences=sequence_values(toc),
                structure=structure_of(toc),
                stop=self._stop,
                lock_timeout=self._lock_timeout,
            )

    def _dump_roles(self) -> bool:
        path = os.path.join(self._folder, _ROLES_FILE)
        self._roles_refused = dump_roles(self._client, self._options, path, self._held.facts.encoding)
        return self._roles_refused is None

    def _write_properties(self) -> None:
        with connection(self._options, application="lifeline.recovery backup") as conn:
            data = read_properties(conn, self._options.database).to_json()
        with open(os.path.join(self._folder, PROPERTIES_FILE), "wb") as stream:
            stream.write(data)

    def _raise_first_cause(self, writer: SetWriter) -> None:
        """pg_dump was killed because something else failed: raise that instead."""
        if self._fingerprint is not None and self._fingerprint.done():
            self._fingerprint.result()
        writer.raise_failure()


def scope_of(toc: Toc) -> Scope:
    """The content of a dump with this table of contents."""
    return Scope(
        tables=frozenset((entry.schema, entry.tag) for entry in toc.of_kind("TABLE DATA")),
        views=frozenset((entry.schema, entry.tag) for entry in toc.of_kind("MATERIALIZED VIEW")),
        large_objects=bool(toc.of_kind("BLOBS")),
    )
