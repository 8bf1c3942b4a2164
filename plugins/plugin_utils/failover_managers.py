# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The assessment of a failover between sites whose servers a manager owns. Pure."""

from __future__ import annotations

import typing as t

Values = t.Mapping[str, t.Any]


def mistakes(site: Values, way: str) -> t.Iterator[str]:
    """A sentence for each mistake in the description of a site of this way."""
    if way == "rds":
        yield from _rds_mistakes(site)
    if way != "patroni":
        return
    patroni = site.get("patroni")
    if not isinstance(site.get("member"), str) or not site["member"]:
        yield f"The site {site.get('name')} must have member, the name of its member of Patroni."
    if not isinstance(patroni, dict) or not isinstance(patroni.get("endpoints"), list) or not patroni["endpoints"]:
        yield f"The site {site.get('name')} must have patroni with endpoints, the URLs of the REST APIs of its members."


def _rds_mistakes(site: Values) -> t.Iterator[str]:
    rds = site.get("rds")
    if not isinstance(rds, dict) or not rds.get("region") or ":rds:" not in str(rds.get("arn")):
        yield f"The site {site.get('name')} must have rds with region and arn, the ARN of its instance or cluster."
    elif ":cluster:" in rds["arn"] and not rds.get("global_cluster"):
        yield f"The site {site.get('name')} must have rds.global_cluster, the identifier of the global database."


def patroni_assessment(
    cluster: Values,
    from_site: Values,
    to_site: Values,
    kind: str,
    replication: Values,
    findings: t.Sequence[str],
    reasons: Values,
) -> dict[str, t.Any]:
    """The facts for the gates and the plan. cluster: patroni_info. replication: pg_replication_info, or empty."""
    leader, candidate = cluster["leader"], to_site["member"]
    member: Values = next((one for one in cluster["members"] if one["name"] == candidate), {})
    # In a failback the former site becomes a standby first, so that its replication is judged after that.
    is_judged = kind != "failback" and leader != candidate
    blockers = []
    if not member and kind != "failover":
        blockers.append(f"The cluster {cluster['scope']} has no member {candidate}.")
    if kind == "failover" and leader != candidate and not reasons.get("data_loss"):
        blockers.append(
            "A failover by Patroni can lose commits, and Patroni does not report how many; set "
            "recovery_allow_data_loss to the reason."
        )
    found = list(findings)
    if leader == candidate:
        found.append(f"Patroni has made {candidate} the leader already.")
    elif leader is not None and leader != from_site["member"]:
        found.append(f"The leader is {leader}, not {from_site['member']} of {from_site['name']}.")
    lag_bytes = replication.get("lag_bytes", member.get("lag_bytes"))
    lag_seconds = replication.get("lag_seconds")
    if lag_seconds is None and lag_bytes == 0:
        lag_seconds = 0.0
    loss = "no commit; Patroni stops the leader before it promotes the standby"
    return {
        "system_identifier": cluster["system_identifier"],
        "leader": leader,
        "server": f"{candidate} of {cluster['scope']}",
        "blockers": blockers,
        "streaming": not is_judged or member.get("state") == "streaming",
        "lag_bytes": lag_bytes if is_judged else 0,
        "lag_seconds": lag_seconds if is_judged else 0.0,
        "replayed_at": str(replication.get("replayed_at") or ""),
        "findings": found,
        "loss": "an unknown number of commits" if kind == "failover" else loss,
    }


def patroni_states(cluster: Values, sites: t.Sequence[Values]) -> list[dict[str, t.Any]]:
    """The state of the member of each site: primary, standby, or the state that Patroni reports."""
    found = []
    endpoints = {one["name"]: one for one in cluster["endpoints"] if one["name"] is not None}
    members = {one["name"]: one for one in cluster["members"]}
    for site in sites:
        name = site["member"]
        member, endpoint = members.get(name), endpoints.get(name)
        if endpoint is None:
            listed = f"; the cluster lists it as {member['state']}" if member else ""
            found.append({"name": site["name"], "state": "no answer", "findings": [f"{name} does not answer{listed}"]})
            continue
        state = "primary" if endpoint["is_primary"] else "standby"
        facts = [f"timeline {endpoint['timeline']}", f"{name} is {member['state'] if member else endpoint['state']}"]
        if cluster["paused"]:
            facts.append("Patroni is paused")
        found.append({"name": site["name"], "state": state, "findings": facts})
    return found
