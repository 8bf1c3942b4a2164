# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: sources
short_description: The selected sources with all their options
version_added: 1.0.0
author:
  - lifeline.recovery contributors (@lifeline-recovery)
description:
  - Returns the sources that a run works on, each with its name, its kind and every option that is set.
  - An option comes from the command line (C(-e recovery_store=...)), otherwise from the source in C(recovery_sources),
    otherwise from the variable C(recovery_<option>) of the inventory.
  - If C(recovery_sources) is unset, the variables of the inventory describe one source, whose name is
    C(recovery_source).
options:
  _terms:
    description:
      - The names of the sources. If empty, the names in C(recovery_source), otherwise all sources.
    type: list
    elements: str
  sources:
    description: The sources. If unset, C(recovery_sources) is used.
    type: list
    elements: dict
  kinds:
    description: If no source is selected, only sources of these kinds are returned. If empty, every kind.
    type: list
    elements: str
    default: []
  with_option:
    description: If no source is selected, only sources for which this option is set and not empty are returned.
    type: str
    default: ""
  names_only:
    description: Return only O(_terms) or the names of the selected sources, and read no option.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Print the names of all sources
  ansible.builtin.debug:
    msg: "{{ query('lifeline.recovery.sources') | map(attribute='name') }}"
"""

RETURN = r"""
_list:
  description: The sources.
  type: list
  elements: dict
"""

import typing as t

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase
from ansible.utils.vars import load_extra_vars

from ..plugin_utils.sources import (
    Values,
    complete,
    faults,
    kind_of,
    listed,
    meant,
    of_the_inventory,
    outlines,
    selected_names,
    single_source,
    value_of,
)


class LookupModule(LookupBase):
    """Only options of the selected sources are templated: those of others may refer to secrets that are not loaded."""

    def run(
        self, terms: t.Sequence[str], variables: t.Mapping[str, t.Any] | None = None, **kwargs: t.Any
    ) -> list[dict[str, t.Any]]:
        variables = variables or {}
        self.set_options(var_options=variables, direct=kwargs)
        selected = selected_names(list(terms) or self._templar.template(variables.get("recovery_source", "")))
        given = self.get_option("sources")
        given = self._list(variables.get("recovery_sources") if given is None else given)
        inventory = Values(of_the_inventory(variables), self._templar.template)
        command_line = Values(load_extra_vars(self._loader), self._templar.template)
        if not given:
            names = selected[:1]
            sources = {name: single_source(name, inventory) for name in names}
        else:
            sources = {source["name"]: source for source in given}
        unknown = [name for name in selected if name not in sources]
        if unknown:
            raise AnsibleLookupError(
                f"recovery_source must be one of recovery_sources, got {unknown[0]}.{meant(unknown[0], sources)}"
            )
        kinds, required = self.get_option("kinds"), self.get_option("with_option")
        names = selected or [
            name
            for name, source in sources.items()
            if (not kinds or kind_of(source) in kinds)
            and (not required or value_of(required, source, inventory, command_line))
        ]
        if self.get_option("names_only"):
            return names
        return [complete(sources[name], inventory, command_line) for name in names]

    def _list(self, given: t.Any) -> list[Values]:
        try:
            sources = listed(given, self._templar.template)
        except TypeError:
            raise AnsibleLookupError(
                "recovery_sources must be a list of sources, each a dictionary with a name."
            ) from None
        wrong = faults(outlines(sources, self._templar.template))
        if wrong:
            raise AnsibleLookupError(" ".join(wrong))
        return [Values(one, self._templar.template) for one in sources]
