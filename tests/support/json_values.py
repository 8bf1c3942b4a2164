# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An engine that exists only in tests: a JSON file of keys and values. It shows what a new kind of source needs."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import typing as t
from pathlib import Path

from ansible_collections.lifeline.recovery.plugins.module_utils._repository.catalogue import load_set
from ansible_collections.lifeline.recovery.plugins.module_utils._repository.commit import SetFacts
from ansible_collections.lifeline.recovery.plugins.module_utils._repository.engine import (
    BackupEngine,
    BackupRequest,
    BackupResult,
    BackupRun,
    take_undo_set,
)
from ansible_collections.lifeline.recovery.plugins.module_utils._repository.fetch import read_object
from ansible_collections.lifeline.recovery.plugins.module_utils._repository.layout import SetName
from ansible_collections.lifeline.recovery.plugins.module_utils._repository.manifest import Manifest
from ansible_collections.lifeline.recovery.plugins.module_utils._repository.manifest_shape import EngineKind
from ansible_collections.lifeline.recovery.plugins.module_utils._repository.verifier import (
    SetVerifier,
    Verified,
    VerifyRun,
)
from ansible_collections.lifeline.recovery.plugins.module_utils._repository.writer import SetWriter
from ansible_collections.lifeline.recovery.plugins.module_utils._store.directory import DirectoryStore
from tests.support.sources import LARGE, Options, Source

KIND = "json-values"
REGISTERED = EngineKind("the values of a JSON file", "no module")


class ValuesBackup:
    """Stores each value as a file of the set."""

    kind = KIND

    def __init__(self, path: Path, request: BackupRequest) -> None:
        self.request = request
        self._path = path

    @contextlib.contextmanager
    def prepared(self, run: BackupRun) -> t.Iterator[None]:
        run.require_source(None)
        yield

    def predicted(self, run: BackupRun) -> BackupResult:
        size = self._path.stat().st_size
        return BackupResult(**run.predicted(size), summary=f"Would back up {size} bytes.")

    def dump(self, run: BackupRun, writer: SetWriter) -> SetFacts:
        with run.timings.phase("read"):
            values = json.loads(self._path.read_text())
            for key, value in values.items():
                Path(run.folder, key).write_text(value)
                writer.add(run.folder, key, "content")
        return SetFacts(KIND, run.began, run.began, server={}, coverage={})

    def result(self, run: BackupRun, manifest: Manifest) -> BackupResult:
        return BackupResult(**run.committed(manifest), summary=f"Set {manifest.set_id}.")


class ValuesVerifier(SetVerifier):
    """Decodes each value as a restore does."""

    def decode(self, run: VerifyRun) -> Verified:
        if run.is_sealed:
            return self.digests(run)
        for entry in run.manifest.objects:
            read_object(run.store, entry).decode()
        return Verified(len(run.manifest.objects), run.manifest.stored_bytes)


class ValuesSource:
    """A JSON file with a large and a small value."""

    has_identity = False

    def __init__(self, folder: Path) -> None:
        self._folder, self._path = folder, folder / f"{secrets.token_hex(4)}.json"
        self._write({"large": secrets.token_hex(LARGE), "small": "first"})

    def engine(self, **request: t.Any) -> BackupEngine[BackupResult]:
        return ValuesBackup(self._path, BackupRequest(**request))

    def content(self) -> dict[str, str]:
        return t.cast("dict[str, str]", json.loads(self._path.read_text()))

    def change(self) -> None:
        self._write({**self.content(), secrets.token_hex(4): "more"})

    def lose(self) -> None:
        self._write({"small": "lost"})

    def restore(self, store: Options, set_id: str, tier: str = "daily") -> Options:
        opened = DirectoryStore(store["path"])
        entries = load_set(opened, SetName("app", tier, set_id)).objects
        values = {entry.path: read_object(opened, entry).decode() for entry in entries}
        undo = take_undo_set(self.engine(source="app", tier="undo"), opened)
        self._write(values)
        return {"undo": undo.set_id}

    def undo(self, store: Options, restored: Options) -> None:
        self.restore(store, restored["undo"], "undo")

    def another(self) -> Source:
        return ValuesSource(self._folder)

    def _write(self, values: dict[str, str]) -> None:
        new = self._path.with_suffix(".new")
        new.write_text(json.dumps(values))
        os.replace(new, self._path)
