# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A callback of Ansible that kills the playbook where a task begins, as a lost controller does."""

from __future__ import annotations

import os
import signal
import typing as t

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
    name: killed_at_task
    type: aggregate
    short_description: Kills the playbook where a task begins
    description: The environment variable LIFELINE_TEST_KILLED_AT has the name of the task.
"""


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "killed_at_task"

    def v2_playbook_on_task_start(self, task: t.Any, is_conditional: bool) -> None:
        if task.name == os.environ.get("LIFELINE_TEST_KILLED_AT"):
            os.kill(os.getpid(), signal.SIGKILL)
