# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The decisions of a failover: its sites, its gates, its plan, its record. Pure."""

from __future__ import annotations

import re
import typing as t
from datetime import datetime, timezone

from ..module_utils._core.clock import parse_instant
from ..module_utils._core.confirmation import plan_digest
from ..module_utils._core.nearest import nearest
from ..module_utils._core.sizes import counted, first_of, readable_seconds, readable_size
from . import failover_managers
from .commands import command, same_command
from .maintenance import hosts_of
from .reports import line

Values = t.Mapping[str, t.Any]

KINDS = ("failover", "switchover", "failback")
WAYS = ("postgresql", "patroni", "rds", "backup", "supabase", "d1")
REDIRECT_WAYS = (
    "rfc2136", "route53", "cloudflare", "pgbouncer", "ssm", "env_file", "kubernetes_secret", "command",
)  # fmt: skip

#: The option of the role that overrides a gate, by the name of the gate in the record.
OVERRIDES = {
    "split_brain": "accept_split_brain",
    "data_loss": "allow_data_loss",
    "answering": "accept_answering",
    "window": "override_window",
    "cooldown": "override_cooldown",
    "collation": "accept_collation_change",
}
_SHOWN = 5


def mistakes(sites: t.Any, redirects: t.Any, poolers: t.Any, way: str) -> list[str]:
    """A sentence for each mistake in the description of the sites and of the means."""
    found = list(_site_mistakes(sites, way))
    names = [site.get("name") for site in sites or () if isinstance(site, dict)]
    means = [("recovery_redirects", redirects), ("recovery_poolers", poolers)]
    means += [
        (f"fences of the site {one.get('name')}", one.get("fences")) for one in sites or () if isinstance(one, dict)
    ]
    for label, given in means:
        if not isinstance(given or [], list) or not all(isinstance(one, dict) for one in given or []):
            found.append(f"{label} must be a list of dictionaries.")
            continue
        own = [one.get("name") for one in given or []]
        found += [f"Each element of {label} must have a name."] * any(not name for name in own)
        found += [
            f"{label} has two elements named {name}." for name in sorted({n for n in own if n and own.count(n) > 1})
        ]
        if label.startswith("fences "):
            # The state of a fence is stored under its name.
            wrong = [name for name in own if name and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,50}", str(name))]
            found += [f"{label} must have names of letters, digits, dots and hyphens, got {name!r}." for name in wrong]
        if label == "recovery_redirects":
            found += [sentence for one in given or [] for sentence in _redirect_mistakes(one, names)]
    return found


def _site_mistakes(sites: t.Any, way: str) -> t.Iterator[str]:
    if way not in WAYS:
        yield f"recovery_failover_way must be one of {', '.join(WAYS)}, got {way!r}.{_meant(way, WAYS)}"
    if not isinstance(sites, list) or len(sites) < 2 or not all(isinstance(site, dict) for site in sites):
        yield "recovery_sites must be a list of at least two sites."
        return
    names = [site.get("name") for site in sites]
    if any(not isinstance(name, str) or not name for name in names):
        yield "Each element of recovery_sites must have a name."
    for name in sorted({str(name) for name in names if name and names.count(name) > 1}):
        yield f"recovery_sites has two sites named {name}."
    for site in sites if way == "postgresql" else ():
        if not isinstance(site.get("connection"), dict) or not site["connection"]:
            yield f"The site {site.get('name')} must have connection, the direct address of its server."
        if site.get("data_dir") and not site.get("host"):
            yield f"The site {site.get('name')} must have host, the inventory host of its data_dir."
    for site in sites:
        yield from failover_managers.mistakes(site, way)


def _redirect_mistakes(redirect: Values, sites: t.Sequence[t.Any]) -> t.Iterator[str]:
    name, values = redirect.get("name"), redirect.get("values")
    if len([way for way in REDIRECT_WAYS if way in redirect]) != 1:
        yield f"The redirect {name} must have one of {', '.join(REDIRECT_WAYS)}."
    if not isinstance(values, dict) or set(values) != set(sites):
        yield f"The redirect {name} must have values for each site: {', '.join(map(str, sites))}."


def _meant(name: str, known: t.Sequence[str]) -> str:
    found = nearest(name, known)
    return f" Is {found} meant?" if found else ""


def direction(
    sites: t.Sequence[Values], kind: str, run: Values | None, from_site: str = "", to_site: str = ""
) -> dict[str, t.Any]:
    """The names of the site that is the writer and of the one that becomes it, or mistake, a sentence.

    run: the last one in the journal. An open run decides; after a run that was completed, its target is the writer.
    """
    names = [site["name"] for site in sites]
    for label, given in (("recovery_from_site", from_site), ("recovery_to_site", to_site)):
        if given and given not in names:
            return {"mistake": f"{label} must be one of {', '.join(names)}, got {given!r}.{_meant(given, names)}"}
    last = run or {}
    if last.get("state") == "open" and last.get("kind") == kind:
        source, target = last["from_site"], last["to_site"]
        if from_site not in ("", source) or to_site not in ("", target):
            return {"mistake": f"The {kind} from {source} to {target} is not complete; complete or abort it first."}
    else:
        writer = last["to_site"] if last.get("state") == "done" else last.get("from_site") or names[0]
        source = from_site or (writer if writer in names else names[0])
        others = [name for name in names if name != source]
        target = to_site or (others[0] if len(others) == 1 else "")
        if kind == "failback" and not to_site:
            target = last["from_site"] if last.get("state") == "done" else ""
            if not target:
                return {"mistake": "recovery_to_site is required, because the journal has no run to go back from."}
    if not target:
        return {"mistake": f"recovery_to_site is required, because {source} has more than one other site."}
    if source == target:
        return {"mistake": f"recovery_to_site must be another site than {source}, which is the writer."}
    if {source, target} - set(names):
        return {"mistake": f"The journal names the sites {source} and {target}, recovery_sites has {', '.join(names)}."}
    return {"mistake": "", "from": source, "to": target}


def targets(means: t.Sequence[Values], groups: t.Mapping[str, t.Sequence[str]]) -> list[dict[str, t.Any]]:
    """Each element for each of its hosts: name, label, host, and index of the element.

    Ansible prints the item of a loop when its task fails, so that an item must hold no option and no value.
    """
    found = []
    for index, one in enumerate(means):
        for host in hosts_of(one, groups):
            label = f"{one['name']} on {host}" if host else str(one["name"])
            found.append({"name": one["name"], "label": label, "host": host, "index": index})
    return found


def options(means: t.Sequence[Values], index: int) -> dict[str, t.Any]:
    """The options of the module that an element has."""
    return {key: value for key, value in means[index].items() if key not in ("name", "hosts", "values")}


def votes(results: t.Sequence[Values]) -> dict[str, list[str]]:
    """The vantage points by what they see of the writer: accepts, refused, silent; lost, if they are unreachable."""
    found: dict[str, list[str]] = {"accepts": [], "refused": [], "silent": [], "lost": []}
    for result in results:
        host = str(result.get("item") or "the controller")
        states = {login.get("state") for login in result.get("logins") or ()}
        if result.get("unreachable") or not states:
            found["lost"].append(host)
        else:
            found[next(state for state in ("accepts", "refused", "silent") if state in states)].append(host)
    return found


def refusals(kind: str, assessment: Values, seen: Values, limits: Values, reasons: Values, now: str = "") -> list[str]:
    """A sentence for each gate that prevents the run before anything is changed.

    assessment: blockers, streaming, lag_bytes, lag_seconds, target_state. seen: the votes of the vantage points.
    limits: quorum, max_lag_bytes, max_lag_seconds, window. now: the instant that the window is judged at.
    """
    return [
        *assessment.get("blockers", ()),
        *(_outage(seen, limits, reasons) if kind == "failover" else _lag(assessment, limits)),
        *([] if kind == "failover" else _window(limits.get("window") or {}, reasons, now)),
    ]


def _outage(seen: Values, limits: Values, reasons: Values) -> t.Iterator[str]:
    if seen["accepts"] and not reasons.get("answering"):
        yield (
            f"The writer accepts commits, as {first_of(seen['accepts'], _SHOWN)} proved; use switchover.yml, which "
            f"loses none, or set recovery_accept_answering to the reason."
        )
    down, voters = len(seen["silent"]) + len(seen["refused"]), sum(len(hosts) for hosts in seen.values())
    quorum = int(limits.get("quorum") or voters // 2 + 1)
    # Without a vantage point, the writer is no server that can be probed.
    if voters and down < quorum and not seen["accepts"]:
        yield (
            f"{counted(down, 'vantage point')} of {voters} report that the writer is down, recovery_quorum requires "
            f"{quorum}; {first_of(seen['lost'], _SHOWN) or 'none'} could not be asked."
        )


def _lag(assessment: Values, limits: Values) -> t.Iterator[str]:
    if not assessment.get("streaming", True):
        yield "The standby does not stream, so that a switchover would lose commits."
        return
    for name, value, readable in (
        ("max_lag_bytes", assessment.get("lag_bytes"), readable_size),
        ("max_lag_seconds", assessment.get("lag_seconds"), readable_seconds),
    ):
        limit = limits.get(name)
        if limit in (None, "") or (value is not None and value <= float(limit)):
            continue
        lag = "of unknown length" if value is None else f"of {readable(value)}"
        yield f"The standby has a lag {lag}, recovery_{name} allows {readable(float(limit))}."


def _window(window: Values, reasons: Values, now: str) -> t.Iterator[str]:
    if not window or reasons.get("window"):
        return
    # Ansible imports this file for every task that names a filter of the collection.
    from ..module_utils._plan.schedule import is_open

    instant = parse_instant(now) if now else datetime.now(timezone.utc)
    if not is_open(str(window["schedule"]), float(window["length_seconds"]), instant):
        yield (
            f"The window {window['schedule']} of {readable_seconds(float(window['length_seconds']))} is closed; wait "
            f"for it, or set recovery_override_window to the reason."
        )


def plan(
    kind: str, source: str, way: str, between: Values, assessment: Values, means: Values, reasons: Values
) -> dict[str, t.Any]:
    """facts and digest of a run, and the steps. Lag and time are no part of it, because they change while it is read.

    The digest is of the values of redirects, and the facts hide values that can hold a secret.

    between: from and to. means: poolers, redirects and limits.
    """
    source_site, target_site = between["from"]["name"], between["to"]["name"]
    redirects = means.get("redirects") or ()
    facts: dict[str, t.Any] = {
        "kind": kind,
        "source": source,
        "way": way,
        "from_site": source_site,
        "to_site": target_site,
        "system_identifier": assessment.get("system_identifier"),
        "server": assessment.get("server"),
        "fences": [one["name"] for one in between["from"].get("fences") or ()],
        "poolers": [one["name"] for one in means.get("poolers") or ()],
        "redirects": [
            {"name": one["name"], "before": one["values"][source_site], "after": one["values"][target_site]}
            for one in redirects
        ],
        "limits": dict(means.get("limits") or {}),
        "reasons": dict(reasons),
    }
    shown = [
        {"name": one["name"], "before": _shown(one, source_site), "after": _shown(one, target_site)}
        for one in redirects
    ]
    return {"facts": {**facts, "redirects": shown}, "digest": plan_digest(facts)}


def _shown(redirect: Values, site: str) -> str:
    """The value of a redirect for a site, as the module redirect shows it."""
    value = str(redirect["values"][site])
    way = next(way for way in REDIRECT_WAYS if way in redirect)
    if way == "pgbouncer":
        return re.sub(r"(password\s*=\s*)('(?:[^']|'')*'|\S*)", r"\1(hidden)", value)
    is_shown = way in ("rfc2136", "route53", "cloudflare") or redirect[way].get("hidden") is False
    return value if is_shown else "(hidden)"


def record(run: Values, budgets: Values, client_seconds: t.Any = None) -> dict[str, t.Any]:
    """The recovery record of a run: who, when, the phases with their budgets, what was lost, the outage in seconds."""
    phases = []
    for step in run["steps"]:
        seconds = None
        if step["ended_at"]:
            seconds = round((parse_instant(step["ended_at"]) - parse_instant(step["started_at"])).total_seconds(), 3)
        budget = budgets.get(step["name"])
        over = bool(budget is not None and seconds is not None and seconds > float(budget))
        phases.append(
            {"name": step["name"], "status": step["status"], "seconds": seconds, "budget": budget, "over_budget": over}
        )
    facts = {step["name"]: step["facts"] for step in run["steps"]}
    promote = facts.get("promote", {})
    return {
        "run": run["id"],
        "kind": run["kind"],
        "from_site": run["from_site"],
        "to_site": run["to_site"],
        "owner": run["owner"],
        "plan_digest": run["plan_digest"],
        "started_at": run["started_at"],
        "phases": phases,
        "outage_seconds": _outage_seconds(run, facts) if client_seconds is None else client_seconds,
        "loss": promote.get("loss", ""),
        "loss_is_proven": promote.get("loss_is_proven"),
        "fenced_by": facts.get("fence", {}).get("fenced_by", ""),
        "reasons": run["reasons"],
        "redirects": facts.get("redirect", {}).get("redirects", []),
    }


def _outage_seconds(run: Values, facts: Values) -> float | None:
    """From the loss of the writer, or its fence, to the first commit through the way of clients or on the server."""
    down = facts.get("fence", {}).get("down_since")
    ends = [step["ended_at"] for step in run["steps"] if step["name"] in ("writable", "clients") and step["ended_at"]]
    if not down or not ends:
        return None
    back = facts.get("clients", {}).get("accepted_at") or ends[-1]
    return round(max(0.0, (parse_instant(back) - parse_instant(down)).total_seconds()), 3)


def failure(lines: t.Sequence[str], run: Values | None, step: str, aborted: str, source: str) -> list[str]:
    """The lines of a failed run: the error, what is in effect now, and the next step.

    aborted: the sentence about the abort, empty if there was none.
    """
    kind = (run or {}).get("kind", "failover")
    found = [*lines, line("Step", f"{step or 'begin'} of the {kind} failed")]
    if aborted:
        return [*found, line("State", aborted), line("Then", "correct the cause, then run the same command")]
    if (run or {}).get("beyond_return"):
        state = "the point of no return was passed; only completing the run leads to one writer"
    else:
        state = "the run is open before the point of no return"
    after = f"correct the cause, then run the same command; {command('failover_status', recovery_source=source)}"
    return [*found, line("State", state), line("Then", after)]


def outcome_lines(result: Values, check_mode: bool, source: str, confirm: str) -> list[str]:
    """result: kind, from_site, to_site, changed, plan, digest, confirmation, findings, loss, record, notes, aborted."""
    kind, between = result["kind"], f"from {result['from_site']} to {result['to_site']}"
    if result.get("aborted"):
        return [
            line("Done", f"aborted the {kind} {between}"),
            line("Proof", result["aborted"]),
            line("Back", "the state before the run is restored"),
            line("Next", "find out why the run did not succeed, then start it again"),
        ]
    if not result["changed"] and not check_mode:
        return [line("Done", result["summary"]), line("Next", "no action is needed")]
    findings = [line("Find", sentence) for sentence in result["findings"]]
    if check_mode:
        facts = result["plan"]
        redirects = [f"{one['name']}: {one['before']} -> {one['after']}" for one in facts["redirects"]]
        return [
            line("Done", f"would run the {kind} of {source} {between}"),
            *findings,
            line("Proof", f"nothing was changed; plan digest: {result['digest']}"),
            line("Lost", result["loss"]),
            *(line("Turns", one) for one in redirects),
            line("Back", "until the promotion an abort restores the state before; after it only failback.yml"),
            line("Next", same_command(result["confirmation"], confirm)),
        ]
    made = result["record"]
    outage = "unknown" if made["outage_seconds"] is None else readable_seconds(made["outage_seconds"])
    phases = ", ".join(
        f"{one['name']} {readable_seconds(one['seconds'])}{' (over budget)' if one['over_budget'] else ''}"
        for one in made["phases"]
        if one["seconds"] is not None
    )
    notes = [line("Open", note) for note in result["notes"]]
    back = command("failback" if kind != "failback" else "switchover", recovery_source=source)
    return [
        line("Done", f"{kind} of {source} {between}; {result['to_site']} is the writer"),
        *findings,
        line("Proof", f"{made['fenced_by']} {result['proof']}"),
        line("Lost", result["loss"]),
        line("Time", f"outage {outage}; {phases}"),
        line("Back", back),
        *(notes or [line("Next", "check the application")]),
    ]


def states(results: t.Sequence[Values]) -> list[dict[str, t.Any]]:
    """The state of each site: primary, standby, or the reason why it does not answer. results: pg_replication_info."""
    found = []
    for result in results:
        name = result["item"]["name"]
        if result.get("failed") or "role" not in result:
            found.append(
                {"name": name, "state": "no answer", "findings": [str(result.get("what") or result.get("msg"))]}
            )
            continue
        facts = [f"timeline {result['timeline']}"]
        if result["role"] == "standby":
            facts += ["streams" if result["streaming"] else "does not stream", *result["findings"]]
        else:
            facts.append(counted(len(result["standbys"] or ()), "standby"))
        found.append({"name": name, "state": result["role"], "findings": facts})
    return found


def leads_to(results: t.Sequence[Values]) -> list[dict[str, str]]:
    """The site that each redirect leads to. results: of a loop over the redirects and the names of sites."""
    found: dict[str, str] = {}
    for result in results:
        target, site = result["item"]
        found.setdefault(target["label"], "no site")
        if "summary" in result:
            found[target["label"]] = site
    return [{"name": name, "site": site} for name, site in found.items()]


def proofs(tried: t.Mapping[str, t.Any]) -> list[dict[str, t.Any]]:
    """Each part of a failover with ok and message. tried: results of tasks by the name of the part."""
    found = []
    for name, result in tried.items():
        for one in result.get("results", [result]) if isinstance(result, t.Mapping) else []:
            if one.get("skipped"):
                continue
            label = one.get("item")
            if isinstance(label, t.Mapping):
                label = label.get("label") or label.get("name")
            # The tasks do not fail, so that every part is tried; only a module that succeeds returns a summary.
            message = str(one.get("summary") or one.get("msg") or "no answer")
            found.append({"name": f"{name} {label}" if label else name, "ok": "summary" in one, "message": message})
    return found


def readiness(result: Values, check_mode: bool, source: str) -> list[str]:
    """result: proofs, findings, loss, from_site and to_site of the entry point prepare."""
    failed = [one for one in result["proofs"] if not one["ok"]]
    return [
        line(
            "Done",
            f"tried the failover of {source} from {result['from_site']} to {result['to_site']}; nothing was moved",
        ),
        *(line("Proof", f"{one['name']}: {one['message']}") for one in result["proofs"] if one["ok"]),
        *(line("Find", sentence) for sentence in result["findings"]),
        *(line("Fail", f"{one['name']}: {one['message']}") for one in failed),
        line(
            "Next",
            f"mend {counted(len(failed), 'part')}"
            if failed
            else command("switchover", recovery_source=source) + " --check",
        ),
    ]


def status_table(sites: t.Sequence[Values], run: Values | None, redirects: t.Sequence[Values] = ()) -> list[str]:
    """A line for each site and each redirect, and two for the last run. sites: name, state, findings."""
    lines = [
        line("Site", f"{site['name']}: {site['state']}" + "".join(f"; {one}" for one in site.get("findings") or ()))
        for site in sites
    ]
    writers = [site["name"] for site in sites if site["state"] == "primary"]
    probed = [site for site in sites if site["state"] != "not probed"]
    if probed and len(writers) != 1:
        lines.append(line("Alarm", f"{counted(len(writers), 'site')} accept writes, expected 1"))
    lines += [line("Leads", f"{one['name']} to {one['site']}") for one in redirects]
    lines += [
        line("Alarm", f"{one['name']} leads to {one['site']}, the writer is {writers[0]}")
        for one in redirects
        if len(writers) == 1 and one["site"] != writers[0]
    ]
    if run:
        done = [step["name"] for step in run["steps"] if step["status"] == "done"]
        lines.append(
            line("Run", f"{run['kind']} from {run['from_site']} to {run['to_site']} is {run['state']}; {run['owner']}")
        )
        lines.append(line("Steps", ", ".join(done) or "none is done"))
    return lines
