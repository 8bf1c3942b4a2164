# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A failover that requires an approval runs only with the signature of another person of exactly its plan."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.support.playbooks import play
from tests.support.runner.server import ROOT

DIGEST = "96348ae91561bf1b"

pytestmark = pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="ssh-keygen is not installed")


def keygen(*arguments: str, text: str = "") -> str:
    done = subprocess.run(["ssh-keygen", *arguments], input=text, capture_output=True, text=True, check=True)
    return done.stdout


def approve(folder: Path, key: str, digest: str) -> str:
    signature = folder / f"{key}-{digest}.sig"
    signature.write_text(keygen("-Y", "sign", "-n", "lifeline-failover", "-f", str(folder / key), text=digest))
    return str(signature)


def test_only_the_signature_of_another_person_approves_a_plan(tmp_path: Path) -> None:
    for key in ("lead", "other"):
        keygen("-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / key))
    signers = tmp_path / "signers"
    signers.write_text(f"lead {(tmp_path / 'lead.pub').read_text()}")
    tasks = str(ROOT / "roles/failover/tasks/approval.yml")
    playbook = tmp_path / "approval.yml"
    steps = [{"name": "Verify the approval", "ansible.builtin.include_tasks": tasks}]
    plays = [{"name": "Verify an approval", "hosts": "localhost", "gather_facts": False, "tasks": steps}]
    playbook.write_text(yaml.safe_dump(plays))

    def judged(signature: str, approver: str = "lead", operator: str = "on-call") -> tuple[int, str]:
        approval = {"approver": approver, "signers": str(signers), "signature": signature}
        given = {"_approval": approval, "_failover_plan": {"digest": DIGEST}, "failover_operator": operator}
        done = play(str(playbook), given, tmp_path)
        return done.returncode, done.stdout

    assert judged(approve(tmp_path, "lead", DIGEST))[0] == 0
    no_approval = "is no approval of the plan 96348ae91561bf1b by lead"
    for signature in (
        approve(tmp_path, "lead", "0000000000000000"),
        approve(tmp_path, "other", DIGEST),
        str(tmp_path / "missing.sig"),
    ):
        code, printed = judged(signature)
        assert (code, no_approval in printed) == (2, True)
    code, printed = judged(approve(tmp_path, "lead", DIGEST), operator="lead")
    assert (code, "started this run and cannot approve it" in printed) == (2, True)
