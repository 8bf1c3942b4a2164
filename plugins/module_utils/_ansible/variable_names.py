# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Messages name options as the operator set them: a playbook has a variable for each option of a module."""

from __future__ import annotations

import os
import re
import typing as t

#: Roles set it for their modules to the beginning of the names of variables.
ENVIRONMENT = "LIFELINE_OPTION_PREFIX"

_OTHER_NAMES = {"login_db": "database", "target_db": "target", "parallel_files": "parallel"}
#: The playbooks that run the modules which messages advise.
_PLAYBOOKS = {
    "backup_compare": "sets",
    "backup_info": "sets",
    "backup_prune": "prune",
    "backup_thaw": "sets",
    "backup_verify": "verify",
    "bucket_backup": "backup",
    "bucket_restore": "restore",
    "course_version_restore": "recover_courses",
    "course_version_safeguards": "protect_course_versions",
    "d1_backup": "backup",
    "d1_restore": "restore",
    "d1_restore_rows": "restore_rows",
    "d1_time_travel": "restore",
    "frontend_deployment": "roll_back",
    "git_revert": "roll_back",
    "integrity_check": "check",
    "media_reconcile": "recover_media",
    "pg_array_references": "recover_tags",
    "pg_backup": "backup",
    "pg_migrate": "migrate",
    "pg_required_rows": "recover_organization",
    "pg_restore": "restore",
    "pg_restore_table": "restore_rows",
    "supabase_function": "roll_back",
}
#: Parts of the connection and the store, which are one variable each.
_WITHIN = re.compile(r"login_|ssl_|ca_cert$|dsn$|connect_timeout$|stall_timeout$|client_bin_dir$")


def in_variables(text: str, options: t.Iterable[str]) -> str:
    """The text with the variable of the playbook instead of each option, if the module was run by a role."""
    prefix = os.environ.get(ENVIRONMENT, "")
    if not prefix:
        return text
    names = {
        option: prefix + _OTHER_NAMES.get(option, option)
        for option in options
        if not option.startswith(prefix) and (option in _OTHER_NAMES or not _WITHIN.match(option))
    }
    # A single word is an option only where it is marked as one; two words joined are nothing else.
    joined = [re.escape(name) for name in names if "_" in name]
    single = [re.escape(name) for name in names]
    text = re.sub(
        r"lifeline\.recovery\.(\w+)", lambda found: f"lifeline.recovery.{_PLAYBOOKS.get(found[1], found[1])}", text
    )
    for pattern in (
        rf"(?<=`)({'|'.join(single)})(?=`)",
        rf"(?<![\w.`'\"/-])({'|'.join(joined) or '(?!)'})(?![\w`/-])",
        rf"(?<=[Ss]et )({'|'.join(single)})(?= to )",
        rf"(?<=value of )({'|'.join(single)})(?= must )",
        rf"^({'|'.join(single)})(?= is \w+ but )",
        rf"(?<![\w.`'\"/-])({'|'.join(single)})(?==\w)",
        r"(?<![\w`])(mode)(?= (?:new|swap|in_place|undo|missing|merge|exact|all)\b)",
    ):
        text = re.sub(pattern, lambda found: names.get(found[1], found[1]), text)
    return text
