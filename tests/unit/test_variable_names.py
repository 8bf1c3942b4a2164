# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Messages of modules that a role runs name variables of the playbook."""

from __future__ import annotations

import pytest

from ansible_collections.lifeline.recovery.plugins.module_utils._ansible.variable_names import ENVIRONMENT, in_variables

OPTIONS = [
    "set",
    "mode",
    "source",
    "terminate_sessions",
    "target_db",
    "login_db",
    "login_password",
    "recovery_confirm",
    "undo_db",
]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("Set terminate_sessions to true.", "Set recovery_terminate_sessions to true."),
        ("`mode` must be new, got x.", "`recovery_mode` must be new, got x."),
        ("Use mode new to create it.", "Use recovery_mode new to create it."),
        ("value of mode must be one of: new, got: x", "value of recovery_mode must be one of: new, got: x"),
        ("mode is undo but all are missing: undo_db", "recovery_mode is undo but all are missing: recovery_undo_db"),
        ("List them with lifeline.recovery.backup_info.", "List them with lifeline.recovery.sets."),
        ("Choose another target_db.", "Choose another recovery_target."),
        ("`login_db` is required; set source to x.", "`recovery_database` is required; set recovery_source to x."),
        # Words and names that are no options stay, and so do parts of the connection and of other words.
        ("Use another set of the source.", "Use another set of the source."),
        ("login_password is wrong for my_undo_db.", "login_password is wrong for my_undo_db."),
        ("Set recovery_confirm to x.", "Set recovery_confirm to x."),
        ("The file /srv/target_db/undo_db.sql", "The file /srv/target_db/undo_db.sql"),
        ("-e recovery_mode=undo -e mode=undo", "-e recovery_mode=undo -e recovery_mode=undo"),
    ],
)  # fmt: skip
def test_an_option_is_named_as_the_variable_of_the_playbook(
    given: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert in_variables(given, OPTIONS) == given
    monkeypatch.setenv(ENVIRONMENT, "recovery_")
    assert in_variables(given, OPTIONS) == expected
