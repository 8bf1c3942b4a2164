# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Objects of a database that act outside it, with the statements that disable and enable each of them."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from ..server.confined import Confined, drop_role, writing_role
from ..server.connection import Connection, fetch_all, fetch_value, quote_identifier, quote_literal
from ..server.names import QualifiedName
from .functions import Outbound

CRON_JOB, TRIGGER, RULE, EVENT_TRIGGER, SUBSCRIPTION, USER_MAPPING = KINDS = (
    "cron_job",
    "trigger",
    "rule",
    "event_trigger",
    "subscription",
    "user_mapping",
)

State = t.Mapping[str, t.Any]

#: pg_trigger.tgenabled, pg_rewrite.ev_enabled and pg_event_trigger.evtenabled.
_ENABLED = {"O": "origin", "R": "replica", "A": "always", "D": "disabled"}
_VERBS = {"origin": "ENABLE", "replica": "ENABLE REPLICA", "always": "ENABLE ALWAYS", "disabled": "DISABLE"}


@dataclass(frozen=True)
class Actor:
    """An object that can act outside the database. key: identifies it among those of its kind.

    acts: whether it is active. off: the statements that disable it, run in order. restorable: whether the state can
    be restored. way: by which rights the statements run, C(session), C(cron) for the table of pg_cron, C(function) for
    its function, or C(owner) for another table of that name.
    """

    kind: str
    key: t.Tuple[str, ...]
    name: str
    state: State
    acts: bool
    off: t.Tuple[str, ...]
    reason: str = ""
    restorable: bool = True
    way: str = "session"
    table: t.Optional[int] = field(default=None, repr=False)

    def on(self, before: State) -> t.Tuple[str, ...]:
        """The statements that restore a state before."""
        return _ON[self.kind](self, before)


@dataclass(frozen=True)
class Listed:
    """An object that stays, because it does nothing by itself or PostgreSQL cannot disable it."""

    kind: str
    name: str
    reason: str


_TRIGGERS = """
    SELECT n.nspname::text, c.relname::text, g.tgname::text, g.tgenabled::text, c.relkind::text, g.tgfoid
    FROM pg_trigger g JOIN pg_class c ON c.oid = g.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE g.tgfoid = ANY (%s) ORDER BY 1, 2, 3
"""

_RULES = """
    SELECT n.nspname::text, c.relname::text, r.rulename::text, r.ev_enabled::text, c.relkind::text, min(d.refobjid)
    FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid AND d.refclassid = 'pg_proc'::regclass
    WHERE d.refobjid = ANY (%s) AND r.rulename <> '_RETURN'
    GROUP BY r.oid, 1, 2, 3, 4, 5 ORDER BY 1, 2, 3
"""

_EVENT_TRIGGERS = """
    SELECT evtname::text, evtenabled::text, evtfoid FROM pg_event_trigger WHERE evtfoid = ANY (%s) ORDER BY 1
"""

_SUBSCRIPTIONS = """
    SELECT s.subname::text, s.subenabled, s.subslotname::text
    FROM pg_subscription s JOIN pg_database d ON d.oid = s.subdbid WHERE d.datname = current_database() ORDER BY 1
"""

_MAPPINGS = """
    SELECT srvname::text, usename::text, umuser = 0, ARRAY(
      SELECT split_part(o, '=', 1) FROM unnest(umoptions) o WHERE split_part(o, '=', 1) ~* 'pass|secret|token'
      ORDER BY 1)
    FROM pg_user_mappings ORDER BY 1, 2
"""

_CRON_TABLE = "SELECT c.oid FROM pg_class c WHERE c.oid = to_regclass('cron.job') AND c.relkind = 'r'"
_OF_EXTENSION = """
    SELECT EXISTS (
      SELECT FROM pg_depend d JOIN pg_extension e ON d.refclassid = 'pg_extension'::regclass AND e.oid = d.refobjid
      WHERE d.classid = 'pg_class'::regclass AND d.objid = %s AND d.deptype = 'e' AND e.extname = 'pg_cron')
"""
_MAY_UPDATE = "SELECT has_table_privilege(%s::oid, 'UPDATE')"
_MAY_SEE = "SELECT has_schema_privilege('cron', 'USAGE') AND has_table_privilege(%s::oid, 'SELECT')"
_JOBS = """
    SELECT j.jobid::text, j.jobname::text, j.active::text, j.schedule::text FROM ONLY cron.job j ORDER BY 1
"""
_ROWS_HIDDEN = "SELECT row_security_active(%s::oid)"


def read_actors(
    conn: Connection, functions: t.Mapping[int, Outbound], *, drop_passwords: bool
) -> t.Tuple[t.List[Actor], t.List[Listed]]:
    """The objects that can act, active or not; and those that are only listed. Needs an open transaction."""
    oids = list(functions)
    triggers, of_views = _triggers(conn, functions, oids)
    actors = [*read_jobs(conn), *triggers, *_event_triggers(conn, functions, oids), *_subscriptions(conn)]
    mappings = [_mapping(*row) for row in fetch_all(conn, _MAPPINGS)] if drop_passwords else []
    return [*actors, *mappings], of_views


def _triggers(
    conn: Connection, functions: t.Mapping[int, Outbound], oids: t.List[int]
) -> t.Tuple[t.List[Actor], t.List[Listed]]:
    actors, listed = [], []
    for kind, sql in ((TRIGGER, _TRIGGERS), (RULE, _RULES)):
        for schema, table, name, enabled, relation, function in fetch_all(conn, sql, (oids,)):
            shown = f"{quote_identifier(name) if not name.isidentifier() else name} on {QualifiedName(schema, table)}"
            reason = _reason(functions[int(function)])
            if relation == "v":
                listed.append(Listed(kind, shown, f"{reason}; PostgreSQL cannot disable a {kind} of a view"))
                continue
            key = (schema, table, name)
            state = {"enabled": _ENABLED[enabled]}
            off = (_switch(kind, key, "disabled"),)
            actors.append(Actor(kind, key, shown, state, enabled != "D", off, reason))
    return actors, listed


def _reason(function: Outbound) -> str:
    return f"{function.signature} {function.reason}"


def _switch(kind: str, key: t.Sequence[str], enabled: str) -> str:
    schema, table, name = key
    # Each partition has its own trigger, so that the statement must not reach those of others.
    only = "ONLY " if kind == TRIGGER else ""
    return (
        f"ALTER TABLE {only}{quote_identifier(schema, table)} {_VERBS[enabled]} {kind.upper()} {quote_identifier(name)}"
    )


def _event_triggers(conn: Connection, functions: t.Mapping[int, Outbound], oids: t.List[int]) -> t.Iterator[Actor]:
    for name, enabled, function in fetch_all(conn, _EVENT_TRIGGERS, (oids,)):
        off = (f"ALTER EVENT TRIGGER {quote_identifier(name)} DISABLE",)
        state = {"enabled": _ENABLED[enabled]}
        yield Actor(EVENT_TRIGGER, (name,), name, state, enabled != "D", off, _reason(functions[int(function)]))


def _subscriptions(conn: Connection) -> t.Iterator[Actor]:
    for name, is_enabled, slot in fetch_all(conn, _SUBSCRIPTIONS):
        quoted = f"ALTER SUBSCRIPTION {quote_identifier(name)}"
        off = (f"{quoted} DISABLE", f"{quoted} SET (slot_name = NONE)")
        state = {"enabled": bool(is_enabled), "slot_name": slot}
        reason = "replicates from another server, and its DROP would remove the slot there"
        yield Actor(SUBSCRIPTION, (name,), name, state, bool(is_enabled or slot), off, reason)


def _mapping(server: str, role: str, is_public: bool, secrets: t.List[str]) -> Actor:
    who = "PUBLIC" if is_public else quote_identifier(role)
    dropped = ", ".join(f"DROP {quote_identifier(name)}" for name in secrets)
    off = (f"ALTER USER MAPPING FOR {who} SERVER {quote_identifier(server)} OPTIONS ({dropped})",)
    name, reason = f"{role} on {server}", "logs in to another server"
    return Actor(USER_MAPPING, (server, role), name, {"secrets": secrets}, bool(secrets), off, reason, restorable=False)


def read_jobs(conn: Connection) -> t.Iterator[Actor]:
    """The jobs of pg_cron, of its extension or of a table of that name. Needs an open transaction."""
    table = fetch_value(conn, _CRON_TABLE)
    if table is None or not fetch_value(conn, _MAY_SEE, (table,)):
        return
    is_extension = bool(fetch_value(conn, _OF_EXTENSION, (table,)))
    may_update = bool(fetch_value(conn, _MAY_UPDATE, (table,)))
    way = "owner" if not is_extension else "cron" if may_update else "function"
    # The owner of another table of this name may have casts and indexes with code of its own.
    role = None if is_extension else writing_role(conn, [int(table)])
    rows = fetch_all(conn, _JOBS) if role is None else Confined(conn, role).fetch(_JOBS)[1]
    drop_role(conn, role)
    for jobid, name, is_active, schedule in rows:
        active = is_active == "true"
        key = (jobid, name or "")
        shown = name or f"job {jobid}"
        off = (_switched_job(jobid, name, active=False, by_function=way == "function"),)
        reason = f"runs on the schedule {schedule}"
        yield Actor(CRON_JOB, key, shown, {"active": active}, active, off, reason, way=way, table=int(table))


def hidden_jobs(conn: Connection) -> t.Iterator[Listed]:
    """Why jobs of pg_cron may be active that the role does not see."""
    table = fetch_value(conn, _CRON_TABLE)
    if table is None:
        return
    if not fetch_value(conn, _MAY_SEE, (table,)):
        yield Listed(CRON_JOB, "cron.job", "the role of the connection may not read the table")
    elif fetch_value(conn, _ROWS_HIDDEN, (table,)):
        yield Listed(CRON_JOB, "cron.job", "row security hides the jobs of other roles from the role of the connection")


def _switched_job(jobid: str, name: t.Optional[str], *, active: bool, by_function: bool) -> str:
    value = "true" if active else "false"
    if by_function:
        return f"SELECT cron.alter_job({int(jobid)}, active := {value})"
    named = f" AND jobname OPERATOR(pg_catalog.=) {quote_literal(name)}" if name else ""
    return f"UPDATE ONLY cron.job SET active = {value} WHERE jobid OPERATOR(pg_catalog.=) {int(jobid)}{named}"


def _job_on(actor: Actor, before: State) -> t.Tuple[str, ...]:
    jobid, name = actor.key
    by_function = actor.way == "function"
    return (_switched_job(jobid, name or None, active=bool(before["active"]), by_function=by_function),)


def _trigger_on(actor: Actor, before: State) -> t.Tuple[str, ...]:
    return (_switch(actor.kind, actor.key, str(before["enabled"])),)


def _event_trigger_on(actor: Actor, before: State) -> t.Tuple[str, ...]:
    return (f"ALTER EVENT TRIGGER {quote_identifier(actor.key[0])} {_VERBS[str(before['enabled'])]}",)


def _subscription_on(actor: Actor, before: State) -> t.Tuple[str, ...]:
    quoted, slot = f"ALTER SUBSCRIPTION {quote_identifier(actor.key[0])}", before["slot_name"]
    statements = [f"{quoted} SET (slot_name = {quote_literal(slot).strip()})"] if slot else []
    return (*statements, f"{quoted} ENABLE") if before["enabled"] else tuple(statements)


def _nothing_on(_actor: Actor, _before: State) -> t.Tuple[str, ...]:
    return ()


_ON: t.Mapping[str, t.Callable[[Actor, State], t.Tuple[str, ...]]] = {
    CRON_JOB: _job_on,
    TRIGGER: _trigger_on,
    RULE: _trigger_on,
    EVENT_TRIGGER: _event_trigger_on,
    SUBSCRIPTION: _subscription_on,
    USER_MAPPING: _nothing_on,
}
