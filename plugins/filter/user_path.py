# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import typing as t


def user_path(path: str, local: bool = True) -> str:
    """Where a path that the operator names leads: relative paths start where the operator started Ansible.

    Modules of a local connection run in the folder of the playbook, which is the installed collection. On another
    host a relative path starts at the home of the user there.
    """
    if not local:
        return path if path.startswith(("/", "~")) else f"~/{path}"
    given = os.path.expanduser(path)
    if os.path.isabs(given):
        return os.path.normpath(given)
    start = os.getcwd()
    # An installed collection is replaced by the next installation, with all that lies in it.
    return os.path.normpath(
        os.path.join(_data_folder() if "ansible_collections" in start.split(os.sep) else start, given)
    )


def _data_folder() -> str:
    """https://specifications.freedesktop.org/basedir-spec/latest/"""
    named = os.environ.get("XDG_DATA_HOME", "")
    return os.path.join(named if os.path.isabs(named) else os.path.expanduser("~/.local/share"), "lifeline")


class FilterModule:
    """Paths as the operator means them."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"user_path": user_path}
