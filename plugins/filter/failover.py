# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ..plugin_utils import failover, failover_managers


class FilterModule:
    """The decisions of a failover, for the role failover."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {
            "failover_direction": failover.direction,
            "failover_failure": failover.failure,
            "failover_leads_to": failover.leads_to,
            "failover_mistakes": failover.mistakes,
            "failover_options": failover.options,
            "failover_patroni": failover_managers.patroni_assessment,
            "failover_patroni_states": failover_managers.patroni_states,
            "failover_plan": failover.plan,
            "failover_proofs": failover.proofs,
            "failover_record": failover.record,
            "failover_refusals": failover.refusals,
            "failover_states": failover.states,
            "failover_status": failover.status_table,
            "failover_targets": failover.targets,
            "failover_votes": failover.votes,
        }
