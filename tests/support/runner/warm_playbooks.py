# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A process that has loaded ansible-playbook and forks for each run.

Modules of local tasks run in children of tests/support/runner/warm.py; all others are packed and sent as usual.
"""

from __future__ import annotations

import atexit
import importlib
import json
import os
import pkgutil
import shutil
import sys
import tempfile
import typing as t
from pathlib import Path

from ansible import constants, context
from ansible.cli import playbook
from ansible.executor import module_common
from ansible.module_utils.common.json import Direction, get_module_encoder
from ansible.plugins import loader
from ansible.utils.path import cleanup_tmp_file

from tests.support.runner.warm import serve

_ROOT = Path(__file__).resolve().parents[3]
_PLUGINS = ("action", "callback", "connection", "inventory", "lookup", "shell", "strategy")

_RUN_TASK = """
import sys
sys.path.insert(0, {root!r})
from tests.support.runner.run import run_task
run_task(*{arguments!r})
"""
_packed = module_common._find_module_utils


def _load_plugins() -> None:
    """Import what runs load: the plugins of Ansible with their options, and those of the collection.

    Ansible loads all filters of a collection, and what they import, in the process of each task that names one.
    """
    loader.init_plugin_loader()
    # A run has the paths of this process, because its settings are equal.
    loader._configure_collection_loader = lambda *_: None
    for _name, plugins in loader.get_all_plugin_loaders():
        if plugins.type in _PLUGINS:
            for path in plugins.all(path_only=True):
                plugins.get(Path(path).stem, class_only=True)
    for kind in ("module_utils", "plugin_utils", "lookup", "filter"):
        package = importlib.import_module(f"ansible_collections.lifeline.recovery.plugins.{kind}")
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            importlib.import_module(module.name)
    loader.filter_loader.get("lifeline.recovery.outcome")


def _module_to_run(tasks: str) -> t.Callable[..., module_common._BuiltModule]:
    """Replaces the packing of modules."""

    def build(**given: t.Any) -> module_common._BuiltModule:
        connection = given["task_vars"].get("ansible_connection", context.CLIARGS["connection"])
        local = connection == "local" and given["become_plugin"] is None and not given["async_timeout"]
        try:
            name = module_common._get_ansible_module_fqn(given["module_path"])
        except ValueError:
            return _packed(**given)
        if not local or not name.startswith(("ansible.modules.", "ansible_collections.lifeline.recovery.")):
            return _packed(**given)
        metadata = module_common._get_module_metadata(
            module_common._compile_module_ast(given["module_name"], given["b_module_data"])
        )
        interpreter, arguments = module_common._extract_interpreter(given["b_module_data"])
        shebang, _program = module_common._get_shebang(
            interpreter or "/usr/bin/python", given["task_vars"], given["templar"], arguments, remote_is_local=True
        )
        profile = metadata.serialization_profile
        encoder = get_module_encoder(profile, Direction.CONTROLLER_TO_MODULE)
        parameters = json.dumps({"ANSIBLE_MODULE_ARGS": given["module_args"]}, cls=encoder)
        text = _RUN_TASK.format(root=str(_ROOT), arguments=(tasks, name, profile, parameters))
        return module_common._BuiltModule(
            b_module_data=text.encode(), module_style="new", shebang=shebang, serialization_profile=profile
        )

    return build


def _replace_local_folder() -> None:
    """Give the run a folder of its own, as the import of Ansible gave one to this process."""
    atexit.unregister(cleanup_tmp_file)
    parent = Path(constants.DEFAULT_LOCAL_TMP).parent
    parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    constants.DEFAULT_LOCAL_TMP = tempfile.mkdtemp(prefix=f"ansible-local-{os.getpid()}", dir=parent)
    atexit.register(cleanup_tmp_file, constants.DEFAULT_LOCAL_TMP, warn=True)


def _run(run: dict[str, t.Any]) -> None:
    _replace_local_folder()
    # As in ansible.cfg, which the installed collection does not have.
    constants.DEFAULT_INTERNAL_POLL_INTERVAL = 0.01
    module_common._find_module_utils = _module_to_run(run["tasks"])
    sys.argv = run["arguments"]
    playbook.main()


if __name__ == "__main__":
    _load_plugins()
    # Each run makes a folder of its own.
    shutil.rmtree(constants.DEFAULT_LOCAL_TMP)
    serve(_run)
