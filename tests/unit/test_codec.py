# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Compressed content is restored, and damaged content is detected."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.lifeline.recovery.plugins.module_utils._core.codec import compress, decompress
from ansible_collections.lifeline.recovery.plugins.module_utils._core.confirmation import (
    plan_digest,
    require_confirmation,
)
from ansible_collections.lifeline.recovery.plugins.module_utils._core.errors import ErrorKind, RecoveryError
from ansible_collections.lifeline.recovery.plugins.module_utils._core.process import Child, scratch_folder

CODECS = st.sampled_from(["zstd", "gzip", "none"])


@given(st.lists(st.binary(max_size=3000), max_size=8), CODECS, st.integers(1, 50))
def test_a_round_trip_in_any_chunks(chunks: list[bytes], codec: str, size: int) -> None:
    packed = b"".join(compress(chunks, codec))
    pieces = [packed[start : start + size] for start in range(0, len(packed), size)]
    assert b"".join(decompress(pieces, codec)) == b"".join(chunks)


@pytest.mark.parametrize("codec", ["zstd", "gzip"])
def test_several_frames_are_one_stream(codec: str) -> None:
    two = b"".join(compress([b"one "], codec)) + b"".join(compress([b"two"], codec))
    assert b"".join(decompress([two], codec)) == b"one two"


@pytest.mark.parametrize("codec", ["zstd", "gzip"])
@given(data=st.binary(min_size=200, max_size=400), cut=st.integers(1, 100))
def test_truncated_content_is_damaged(codec: str, data: bytes, cut: int) -> None:
    packed = b"".join(compress([data], codec))
    with pytest.raises(RecoveryError) as caught:
        list(decompress([packed[:-cut]], codec))
    assert caught.value.kind == ErrorKind.DAMAGED


@pytest.mark.parametrize("codec", ["zstd", "gzip"])
@given(data=st.binary(min_size=100, max_size=400), place=st.floats(0, 1), bit=st.integers(0, 7))
def test_a_flipped_bit_never_gives_other_bytes(codec: str, data: bytes, place: float, bit: int) -> None:
    packed = bytearray(b"".join(compress([data], codec)))
    packed[int(place * (len(packed) - 1))] ^= 1 << bit
    try:
        plain = b"".join(decompress([bytes(packed)], codec))
    except RecoveryError:
        return
    assert plain == data


def test_a_confirmation_names_the_target_or_the_plan() -> None:
    digest = plan_digest({"target": "school"})
    for confirm in ("school", digest):
        require_confirmation("production", confirm, "school", digest)
    require_confirmation("sandbox", None, "school", digest)
    for environment, confirm in (
        ("production", None),
        ("production", "other"),
        ("sandbox", "other"),
        ("production", ""),
    ):
        with pytest.raises(RecoveryError):
            require_confirmation(environment, confirm, "school", digest)


def test_a_child_and_its_children_die_with_their_parent(tmp_path: Path) -> None:
    script = f"""
import os, sys
sys.path[:0] = {sys.path!r}
from ansible_collections.lifeline.recovery.plugins.module_utils._core.process import Child, scratch_folder
with scratch_folder("scratch-", {str(tmp_path)!r}) as folder:
    child = Child(["sh", "-c", "sleep 600 & echo $! > {tmp_path}/pid; wait"], os.environ)
    while not os.path.exists("{tmp_path}/pid") or not open("{tmp_path}/pid").read().strip():
        pass
    os.kill(os.getpid(), 9)
"""
    subprocess.run([sys.executable, "-c", script], check=False)
    grandchild = int((tmp_path / "pid").read_text())
    deadline = 200
    while deadline and (list(tmp_path.glob("scratch-*")) or _lives(grandchild)):
        deadline -= 1
        subprocess.run(["sleep", "0.05"], check=True)
    assert list(tmp_path.glob("scratch-*")) == []
    assert not _lives(grandchild)


@pytest.mark.parametrize("codec", ["zstd", "gzip", "none"])
def test_data_that_compresses_a_thousandfold_comes_in_small_blocks(codec: str) -> None:
    packed = b"".join(compress([bytes(1 << 20)] * 64, codec))
    blocks = [len(block) for block in decompress([packed], codec)]
    assert sum(blocks) == 64 << 20
    if codec != "none":
        assert max(blocks) < 8 << 20


def test_a_child_that_ends_well_and_its_folder_leave_nothing(tmp_path: Path) -> None:
    with scratch_folder("scratch-", str(tmp_path)) as folder, Child(["true"], {"PATH": "/usr/bin:/bin"}) as child:
        assert list(child.lines()) == []
        assert child.wait() == 0
        assert Path(folder).stat().st_mode & 0o077 == 0
    assert list(tmp_path.iterdir()) == []


def _lives(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    try:
        return stat.read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
