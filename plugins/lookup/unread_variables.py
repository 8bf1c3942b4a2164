# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: unread_variables
short_description: Variables that the collection would ignore
version_added: 1.0.0
author:
  - lifeline.recovery contributors (@lifeline-recovery)
description:
  - Finds variables whose names begin with C(recovery_), or with the name of the role that runs, and that nothing in the
    collection reads. Each is named with the nearest variable that exists.
  - With O(playbook), also finds variables of the command line that this playbook does not read although they select
    what a run works on, misspelt variables of the command line, faults of C(recovery_sources), and a
    C(recovery_source) that is not one of them or is of another kind. Variables that a controller passes from step to
    step of a workflow are accepted.
options:
  playbook:
    description: The playbook of the collection that runs, without C(.yml).
    type: str
    default: ""
  kinds:
    description:
      - The kinds of sources that the playbook works on. Each name in C(recovery_source) must be a source of one of
        these kinds. If empty, C(recovery_source) is not read.
    type: list
    elements: str
    default: []
  every_source:
    description: Whether the playbook works on all sources if C(recovery_source) is unset.
    type: bool
    default: false
  with_option:
    description: An option of a source that the playbook requires, for example C(stanza).
    type: str
    default: ""
  role:
    description: Without O(playbook), the role whose variables are judged. If unset, the role that runs.
    type: str
"""

EXAMPLES = r"""
- name: Refuse variables that the role does not read
  ansible.builtin.assert:
    that: recovery_unread | length == 0
    fail_msg: "{{ recovery_unread | join(' ') }} Nothing was done."
  vars:
    recovery_unread: "{{ lookup('lifeline.recovery.unread_variables', wantlist=true) }}"
"""

RETURN = r"""
_list:
  description: A sentence for each fault.
  type: list
  elements: str
"""

import typing as t
from pathlib import Path

from ansible import context
from ansible.plugins.lookup import LookupBase
from ansible.utils.vars import load_extra_vars

from ..plugin_utils.sources import (
    Source,
    Values,
    listed,
    of_the_inventory,
    outlines,
    selected_names,
    selection_faults,
    value_of,
)
from ..plugin_utils.sources import faults as source_faults
from ..plugin_utils.variables import Files, ignored_requests, misspelt_extra, requests_of_one_source, unknown_names

# Results of a step of a workflow are extra variables of the next step.
_CONTROLLER = ("awx_job_id", "tower_job_id")


class LookupModule(LookupBase):
    """Reads names of variables; values only of recovery_sources, recovery_source and the required option."""

    def run(self, terms: t.Sequence[str], variables: t.Mapping[str, t.Any] | None = None, **kwargs: t.Any) -> list[str]:
        variables = variables or {}
        self.set_options(var_options=variables, direct=kwargs)
        files = Files(Path(__file__).resolve().parents[2])
        playbook = self.get_option("playbook")
        if not playbook:
            role = self.get_option("role") or str(variables.get("ansible_role_name", ""))
            role = role.rpartition(".")[2]
            return unknown_names(variables, files, [role])
        found = unknown_names(variables, files, files.roles_of(playbook)) + self._of_playbook(
            playbook, variables, files
        )
        return list(dict.fromkeys(found))

    def _of_playbook(self, playbook: str, variables: t.Mapping[str, t.Any], files: Files) -> list[str]:
        faults: list[str] = []
        given: dict[str, t.Any] = {}
        # A playbook of the user that imports several hands the same command line to each.
        if _is_started(playbook) and not any(name in variables for name in _CONTROLLER):
            given = load_extra_vars(self._loader)
            faults += misspelt_extra(given, files) + ignored_requests(given, playbook, files)
        template = self._templar.template
        try:
            values = listed(variables.get("recovery_sources"), template)
            sources = outlines(values, template)
        except (AttributeError, TypeError):
            return [*faults, "recovery_sources must be a list of sources, each a dictionary with at least a name."]
        faults += source_faults(sources)
        kinds = self.get_option("kinds")
        if kinds:
            selected = self._selected(variables)
            every, required = self.get_option("every_source"), self.get_option("with_option")
            lacking = self._without(required, sources, values, variables) if required else ()
            faults += selection_faults(
                sources, selected, kinds, every=every, playbook=playbook, lacking=lacking, option=required
            )
            chosen = [one for one in sources if (one.get("name") in selected if selected else every)]
            faults += requests_of_one_source(given, chosen)
        return faults

    def _without(
        self,
        option: str,
        sources: t.Iterable[Source],
        values: t.Iterable[Source],
        variables: t.Mapping[str, t.Any],
    ) -> set[str]:
        """The names of the sources whose value of the option is unset or empty. No other option is read."""
        template = self._templar.template
        inventory = Values(of_the_inventory(variables), template)
        command_line = Values(load_extra_vars(self._loader), template)
        return {
            str(source.get("name"))
            for source, own in zip(sources, values)
            if not value_of(option, Values(own, template), inventory, command_line)
        }

    def _selected(self, variables: t.Mapping[str, t.Any]) -> list[str]:
        return selected_names(self._templar.template(variables.get("recovery_source", "")))


def _is_started(playbook: str) -> bool:
    """Whether the command line names only this playbook of the collection; users have playbooks of the same name."""
    arguments = [str(argument) for argument in context.CLIARGS.get("args") or ()]
    if arguments == [f"lifeline.recovery.{playbook}"]:
        return True
    ours = Path(__file__).resolve().parents[2] / "playbooks" / f"{playbook}.yml"
    return len(arguments) == 1 and Path(arguments[0]).resolve() == ours
