# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Commands that an operator pastes into a shell."""

from __future__ import annotations

import json
import re
import shlex
import typing as t


def command(playbook: str, **variables: t.Any) -> str:
    """A command to paste. Ansible prints it within a JSON string, where double quotes would be escaped."""
    given = "".join(_variable(name, value) for name, value in variables.items() if value not in ("", None))
    return f"ansible-playbook lifeline.recovery.{playbook}{given}"


def same_command(confirms: str = "", given: str = "") -> str:
    """The step after a dry run. confirms: the recovery_confirm that the run needs; given: that of the dry run."""
    if not confirms or confirms == given:
        return "run the same command without --check"
    instead = f" in place of {given}" if given else ""
    return f"run the same command without --check and with -e recovery_confirm={confirms}{instead}"


def _variable(name: str, given: t.Any) -> str:
    value = str(given)
    if isinstance(given, list):
        return f" -e {shlex.quote(json.dumps({name: given}))}"
    if re.fullmatch(r"[\w./:@+-]+", value):
        return f" -e {name}={value}"
    # Ansible splits name=value at blanks; a plain scalar of YAML may have them.
    if re.fullmatch(r"[A-Za-z_][\w./@+ -]*[\w]", value):
        return f" -e '{{{name}: {value}}}'"
    return f" -e {shlex.quote(json.dumps({name: value}))}"
