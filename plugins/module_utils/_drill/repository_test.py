# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Proves that verification of a pgBackRest repository can fail: damaged copies of it must be caught."""

from __future__ import annotations

import os
import shutil
import typing as t
from dataclasses import replace
from pathlib import Path

from .._core.errors import ErrorKind, RecoveryError
from .._core.process import give_to, scratch_folder
from .._pitr.program import PgBackRest, Place
from .._pitr.verify import verify_repository
from .self_test import DamageResult, SelfTestResult

DAMAGES = ("missing_segment", "flipped_segment", "truncated_segment", "missing_file", "flipped_file")


def run_repository_tests(
    place: Place, repository: str, bin_dir: t.Optional[str], parent: t.Optional[str]
) -> SelfTestResult:
    """Try every damage on a copy of the repository folder, which needs as much room again.

    Raises RecoveryError: damaged when the repository itself does not pass, and whatever stops the verification.
    """
    stanza = PgBackRest(place).info()
    newest = stanza.backups[-1] if stanza.backups else None
    if newest is None or not os.path.isdir(repository):
        raise RecoveryError(
            ErrorKind.UNSUPPORTED,
            f"{repository} is no folder with a backup of {place.stanza!r} to copy and damage.",
            next_step="Give the folder of a local repository that has a backup.",
        )
    results = []
    with scratch_folder("lifeline-damage-", parent) as scratch:
        os.chmod(scratch, 0o755)
        copy = Path(scratch) / "repository"
        wal = Path(scratch) / "wal"
        wal.mkdir(mode=0o700)
        found = _verify(place, repository, copy, bin_dir, str(wal), None, newest.label)
        if found:
            raise RecoveryError(ErrorKind.DAMAGED, f"The repository itself does not pass: {found[0]}")
        for damage in DAMAGES:
            problems = _verify(place, repository, copy, bin_dir, str(wal), damage, newest.label)
            how = problems[0] if problems else "the damaged repository passed verification"
            results.append(DamageResult(damage, bool(problems), how))
    return SelfTestResult(
        changed=False,
        set_id=newest.label,
        table="",
        self_tests=results,
        all_caught=all(result.caught for result in results),
    )


def _verify(
    place: Place, repository: str, copy: Path, bin_dir: t.Optional[str], wal: str, damage: t.Optional[str], label: str
) -> t.Sequence[str]:
    shutil.copytree(repository, copy, symlinks=True)
    try:
        if damage is not None:
            _damage(copy, place.stanza, damage, label)
        _own(copy, place.user)
        # A variable wins over the configuration file.
        environment = {**place.environment, f"PGBACKREST_REPO{place.repository}_PATH": str(copy)}
        return verify_repository(replace(place, environment=environment), bin_dir, None, wal).problems
    except RecoveryError as error:
        if error.kind != ErrorKind.DAMAGED:
            raise
        return [error.what]
    finally:
        shutil.rmtree(copy)
        for name in os.listdir(wal):
            os.unlink(os.path.join(wal, name))


def _damage(copy: Path, stanza: str, damage: str, label: str) -> None:
    """Hit what a recovery from the newest backup reads: its last but one segment, or its largest file."""
    if damage.endswith("_segment"):
        segments = (path for path in (copy / "archive" / stanza).glob("*/*/*-*") if path.is_file())
        # The last but one, so that one is missing in between and not at the end.
        chosen = sorted(segments, key=lambda path: path.name)[-2]
    else:
        files = (path for path in (copy / "backup" / stanza / label).rglob("*") if path.is_file())
        chosen = max((path for path in files if "manifest" not in path.name), key=lambda path: path.stat().st_size)
    if damage.startswith("missing"):
        chosen.unlink()
        return
    data = bytearray(chosen.read_bytes())
    if damage.startswith("truncated"):
        del data[len(data) // 2 :]
    else:
        data[len(data) // 2] ^= 1
    chosen.write_bytes(data)


def _own(copy: Path, user: t.Optional[str]) -> None:
    for folder, _names, files in os.walk(copy):
        give_to(user, folder, *(os.path.join(folder, name) for name in files))
