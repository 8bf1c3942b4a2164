# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Notify channels of events: route, send, store the state. A failed channel is reported and does not fail the run."""

from __future__ import annotations

import typing as t
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime

from .._core.clock import Timings
from .._core.errors import ErrorKind, RecoveryError
from .._core.parallel import in_order
from .channel import Channel
from .event import Event, is_worse
from .routing import Delivery, Memory, Rules, plan, remember
from .state import load_memory, locked, save_memory
from .transport import Patience, Undelivered, bring

_AT_ONCE = 8


@dataclass(frozen=True)
class NotifyRequest:
    """Events and channels. unusable: name and reason of channels that cannot be used.

    every_channel: a test that skips routing, state and fallback. strict: fail if a channel fails.
    """

    events: t.Sequence[Event]
    channels: t.Sequence[Channel]
    now: datetime
    unusable: t.Sequence[t.Tuple[str, str]] = ()
    state_path: str = ""
    repeat_seconds: float = 0
    complete: t.Optional[str] = None
    every_channel: bool = False
    strict: bool = False
    check_mode: bool = False
    patience: Patience = field(default_factory=Patience)
    lock_seconds: float = 60


@dataclass(frozen=True)
class NotifyResult:
    """sent, undelivered: each message; open: keys of the stored incidents; problems: as sentences."""

    changed: bool
    sent: t.Sequence[t.Mapping[str, str]]
    undelivered: t.Sequence[t.Mapping[str, str]]
    open: t.Sequence[str]
    problems: t.Sequence[str]
    timings: t.Mapping[str, float]
    summary: str


@dataclass
class _Outcome:
    """taken: each delivery with the name of the channel that accepted it."""

    taken: t.List[t.Tuple[Delivery, str]] = field(default_factory=list)
    sent: t.List[t.Dict[str, str]] = field(default_factory=list)
    undelivered: t.List[t.Dict[str, str]] = field(default_factory=list)
    failed: t.List[t.Tuple[Delivery, str]] = field(default_factory=list)


def notify(request: NotifyRequest) -> NotifyResult:
    """Send all events. Raises RecoveryError(notification_failed) if the request is strict and a channel failed."""
    timings, problems = Timings(), _without_memory(request)
    with ExitStack() as stack:
        memory = _memory(request, stack, problems)
        deliveries, incidents = _decide(request, memory)
        with timings.phase("send"):
            outcome = _pretend(deliveries) if request.check_mode else _bring_all(request, deliveries, memory or {})
        after = remember(incidents, outcome.taken, request.now)
        if memory is not None and not request.check_mode and after != memory:
            try:
                save_memory(request.state_path, after)
            except RecoveryError as error:
                problems.append(str(error))
    outcome.undelivered += [{"channel": name, "event": "", "reason": why} for name, why in request.unusable]
    result = NotifyResult(
        changed=bool(outcome.sent),
        sent=outcome.sent,
        undelivered=outcome.undelivered,
        open=sorted(after) if memory is not None else [],
        problems=problems + [_sentence(one) for one in outcome.undelivered],
        timings=timings.as_dict(),
        summary=_summary(outcome, check_mode=request.check_mode),
    )
    if request.strict and outcome.undelivered:
        raise RecoveryError(
            ErrorKind.NOTIFICATION_FAILED,
            " ".join(_sentence(one) for one in outcome.undelivered),
            left=f"Sent before: {len(outcome.sent)}.",
            next_step="Correct the channels, and run notify_test.yml.",
            details={"sent": outcome.sent, "undelivered": outcome.undelivered, "changed": result.changed},
        )
    return result


def _without_memory(request: NotifyRequest) -> t.List[str]:
    waiting = [one.name for one in request.channels if one.after_seconds]
    if request.state_path or request.every_channel or not waiting:
        return []
    return [f"Escalation to {', '.join(waiting)} needs state_path; these channels were not notified."]


def _memory(request: NotifyRequest, stack: ExitStack, problems: t.List[str]) -> t.Optional[Memory]:
    """The stored incidents, locked until the stack ends; None without a file. Duplicates are better than losses."""
    if not request.state_path or request.every_channel:
        return None
    try:
        if not request.check_mode:
            stack.enter_context(locked(request.state_path, patience=request.lock_seconds))
        memory, problem = load_memory(request.state_path, put_aside=not request.check_mode)
    except RecoveryError as error:
        problems.append(f"{error.what} {error.next_step}")
        return None
    problems += [problem] if problem else []
    return memory


def _decide(request: NotifyRequest, memory: t.Optional[Memory]) -> t.Tuple[t.List[Delivery], Memory]:
    if request.every_channel:
        return [Delivery(channel, event) for event in request.events for channel in request.channels], {}
    rules = Rules(request.now, request.repeat_seconds, request.complete)
    return plan(request.events, request.channels, memory, rules)


def _pretend(deliveries: t.Sequence[Delivery]) -> _Outcome:
    outcome = _Outcome()
    for one in deliveries:
        _note(outcome, one, one.channel, "would be sent")
    return outcome


def _bring_all(request: NotifyRequest, deliveries: t.Sequence[Delivery], memory: Memory) -> _Outcome:
    """Channels in parallel, the events of each in order; then the fallbacks of failed channels."""
    outcome = _Outcome()
    queues: t.Dict[str, t.List[Delivery]] = {}
    for one in deliveries:
        queues.setdefault(one.channel.name, []).append(one)
    for answers in in_order(
        list(queues.values()), lambda queue: _bring_queue(queue, request.patience), parallel=_AT_ONCE
    ):
        for one, said, reason in answers:
            if reason:
                outcome.failed.append((one, reason))
            else:
                _note(outcome, one, one.channel, said)
    for one, reason in outcome.failed:
        entry = {"channel": one.channel.name, "event": one.event.event, "key": one.event.key, "reason": reason}
        name = "" if request.every_channel else _fall_back(request, one, memory, outcome)
        outcome.undelivered.append({**entry, "fallback": name} if name else entry)
    return outcome


def _bring_queue(queue: t.Sequence[Delivery], patience: Patience) -> t.List[t.Tuple[Delivery, str, str]]:
    """Each delivery with the answer, or with the reason of the failure."""
    answers: t.List[t.Tuple[Delivery, str, str]] = []
    dead = ""
    for one in queue:
        try:
            if dead:
                raise Undelivered(dead, passing=True)
            answers.append((one, bring(one.channel, one.event, patience), ""))
        except Undelivered as problem:
            # A channel that did not answer for one event is not tried for the next.
            dead = problem.reason if problem.passing else ""
            answers.append((one, "", problem.reason))
        except (ValueError, TypeError, LookupError) as problem:
            # One message that cannot be encoded must not stop the others.
            answers.append((one, "", f"the message cannot be encoded ({type(problem).__name__})"))
    return answers


def _fall_back(request: NotifyRequest, failed: Delivery, memory: Memory, outcome: _Outcome) -> str:
    """The name of the fallback channel of a failed channel; empty if it has none."""
    by_name = {one.name: one for one in request.channels}
    if failed.event.resolved and failed.channel.type == "pagerduty":
        # No other channel can close the incident that is open in this one; the next run tries again.
        return ""
    tried = {failed.channel.name}
    channel = by_name.get(failed.channel.fallback)
    while channel is not None and channel.name not in tried:
        tried.add(channel.name)
        if _knows(channel, failed.event, memory, outcome):
            return channel.name
        try:
            said = bring(channel, failed.event, request.patience)
        except Undelivered as problem:
            outcome.undelivered.append(
                {
                    "channel": channel.name,
                    "event": failed.event.event,
                    "key": failed.event.key,
                    "reason": problem.reason,
                }
            )
            channel = by_name.get(channel.fallback)
            continue
        _note(outcome, failed, channel, f"{said}, in place of {failed.channel.name}")
        return channel.name
    return ""


def _knows(channel: Channel, event: Event, memory: Memory, outcome: _Outcome) -> bool:
    """Whether the channel got it already, in this run or before."""
    for delivery, name in outcome.taken:
        if name == channel.name and (delivery.event.key, delivery.event.event, delivery.event.resolved) == (
            event.key,
            event.event,
            event.resolved,
        ):
            return True
    incident = memory.get(event.key)
    sent = incident.sent.get(channel.name) if incident and not incident.event.resolved else None
    return bool(sent and event.is_problem and not is_worse(event.severity, sent.severity))


def _note(outcome: _Outcome, delivery: Delivery, channel: Channel, status: str) -> None:
    event = delivery.event
    outcome.taken.append((delivery, channel.name))
    outcome.sent.append({"channel": channel.name, "event": event.event, "key": event.key, "status": status})


def _sentence(undelivered: t.Mapping[str, str]) -> str:
    name, what = undelivered["channel"], undelivered["event"]
    if not what:
        return f"Channel {name} cannot be used: {undelivered['reason']}"
    instead = f"; {undelivered['fallback']} was notified instead" if undelivered.get("fallback") else ""
    return f"Channel {name} was not notified of {what}: {undelivered['reason']}{instead}."


def _summary(outcome: _Outcome, *, check_mode: bool) -> str:
    names = sorted({one["channel"] for one in outcome.sent})
    verb = "Would notify" if check_mode else "Notified"
    said = f"{verb} {', '.join(names)}." if names else "No channel had to be notified."
    lost = sorted({one["channel"] for one in outcome.undelivered})
    if lost and not names:
        return f"No channel was notified; {', '.join(lost)} failed."
    return f"{said} {', '.join(lost)} failed." if lost else said
