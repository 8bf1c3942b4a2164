# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An ordinary user who installed the built collection and has an inventory of their own."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import subprocess
import sys
import tarfile
import tempfile
import typing as t
from dataclasses import dataclass, replace
from pathlib import Path

import yaml

from tests.support.playbooks import run_playbook
from tests.support.runner.server import ROOT, Interpreter

_USER = "nobody"


@dataclass(frozen=True)
class Operator:
    """Runs playbooks of the installed collection in a clean environment.

    home is writable by the user and is the working directory; the collection is not writable.
    Playbooks run in a process of the user that has loaded Ansible and the installed collection. Each playbook has one
    run by cold in the tests.
    """

    home: Path
    collections: Path
    python: Path
    identity: t.Mapping[str, t.Any]
    runner: Path
    warm: bool = True

    @property
    def cold(self) -> Operator:
        """The operator whose playbooks are run by the command itself, in a new process each."""
        return replace(self, warm=False)

    def play(
        self,
        name: str,
        *arguments: str,
        inventory: t.Mapping[str, t.Any],
        environment: t.Mapping[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run a playbook of the collection, or a file, with variables of all hosts in an inventory folder."""
        folder = Path(tempfile.mkdtemp(prefix="inventory-", dir=self.home))
        (folder / "group_vars").mkdir()
        hosts = {
            "all": {
                "hosts": {"localhost": {"ansible_connection": "local", "ansible_python_interpreter": str(self.python)}}
            }
        }
        (folder / "hosts.yml").write_text(yaml.safe_dump(hosts))
        (folder / "group_vars/all.yml").write_text(yaml.safe_dump(dict(inventory)))
        self._own(folder)
        playbook = name if "/" in name else f"lifeline.recovery.{name}"
        given = {
            "HOME": str(self.home), "USER": _USER, "LOGNAME": _USER, "LANG": "C.UTF-8", "ANSIBLE_NOCOLOR": "1",
            "PATH": f"{self.python.parent}:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
            "ANSIBLE_COLLECTIONS_PATH": str(self.collections),
            "ANSIBLE_REMOTE_TEMP": str(self.home / ".ansible/tmp"),
            **(environment or {}),
        }  # fmt: skip
        options = ["-i", str(folder), playbook, *arguments]
        if self.warm:
            by = Interpreter(self.python, self.runner, self.identity.get("user"), self.identity.get("group"))
            return run_playbook(options, self.home, given, by)
        return subprocess.run(
            [str(self.python), str(self.python.parent / "ansible-playbook"), *options],
            capture_output=True, text=True, check=False, cwd=self.home, env=given, **self.identity,
        )  # fmt: skip

    def write(self, name: str, content: t.Any) -> Path:
        """A file of variables in the home of the operator, for `-e @file`."""
        file = self.home / name
        file.write_text(yaml.safe_dump(content))
        self._own(file)
        return file

    def _own(self, path: Path) -> None:
        if self.identity:
            for one in (path, *path.rglob("*")):
                os.chown(one, self.identity["user"], self.identity["group"])


@contextlib.contextmanager
def installed_operator() -> t.Iterator[Operator]:
    """The user `nobody` where tests run as root, otherwise the user who runs them. Built and installed once."""
    # Below /tmp, because folders of pytest are closed to other users.
    root = Path(tempfile.mkdtemp(prefix="lifeline-operator-", dir="/tmp"))
    try:
        root.chmod(0o755)
        identity: dict[str, t.Any] = {}
        if os.geteuid() == 0:
            entry = pwd.getpwnam(_USER)
            identity = {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
        python = _reachable_python(root, identity)
        operator = Operator(root / "home", _installed(root), python, identity, _copied_runner(root))
        operator.home.mkdir(mode=0o700)
        operator._own(operator.home)
        yield operator
    finally:
        shutil.rmtree(root, ignore_errors=True)


def _installed(root: Path) -> Path:
    """The collection as a release has it, without what the archive leaves out."""
    galaxy = [sys.executable, str(Path(sys.executable).parent / "ansible-galaxy")]
    # The archive name contains the version; the folder holds that archive only.
    subprocess.run([*galaxy, "collection", "build", str(ROOT), "--output-path", str(root / "archive")],
                   check=True, capture_output=True, env={**os.environ, "HOME": str(root)})  # fmt: skip
    place = root / "collections/ansible_collections/lifeline/recovery"
    place.mkdir(parents=True)
    (archive,) = (root / "archive").iterdir()
    with tarfile.open(archive) as packed:
        packed.extractall(place)
    return root / "collections"


def _copied_runner(root: Path) -> Path:
    """Copy the warm process to a folder that the user can read."""
    shutil.copytree(ROOT / "tests/support/runner", root / "runner/tests/support/runner")
    return root / "runner"


def _reachable_python(root: Path, identity: dict[str, t.Any]) -> Path:
    """The interpreter of the tests, or that of the system with the same packages if the user cannot reach it."""
    python = Path(sys.executable)
    if not identity or _runs([str(python), "-c", ""], identity):
        return python
    program = f"/usr/bin/python{sys.version_info.major}.{sys.version_info.minor}"
    environment = root / "environment"
    (environment / "bin").mkdir(parents=True)
    (environment / "pyvenv.cfg").write_text("home = /usr/bin\ninclude-system-site-packages = false\n")
    for entry in python.parent.iterdir():
        (environment / "bin" / entry.name).symlink_to(program if entry.name.startswith("python") else entry)
    library = python.parent.parent / "lib"
    if _runs(["/usr/bin/test", "-r", str(library)], identity):
        (environment / "lib").symlink_to(library)
    else:
        shutil.copytree(library, environment / "lib", symlinks=True)
    return environment / "bin" / "python3"


def _runs(command: list[str], identity: t.Mapping[str, t.Any]) -> bool:
    try:
        return subprocess.run(command, check=False, capture_output=True, cwd="/", **identity).returncode == 0
    except PermissionError:
        return False
