# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError

from ansible_collections.lifeline.recovery.plugins.module_utils._core.nearest import suggestion

_Source = t.Mapping[str, t.Any]


def selected_sources(sources: t.Sequence[_Source], name: str = "") -> list[_Source]:
    """The sources that a run is about: the named source, or every source if no name is given."""
    if not name:
        return list(sources)
    if not sources:
        return [{"name": name}]
    found = [source for source in sources if source.get("name") == name]
    if not found:
        names = [str(source.get("name")) for source in sources]
        raise AnsibleFilterError(
            f"recovery_source is {name!r}, which is none of recovery_sources ({suggestion(name, names)})."
            " Nothing was done. Set recovery_source to the name of a source in recovery_sources."
        )
    return found


class FilterModule:
    """The sources that a playbook works on."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"selected_sources": selected_sources}
