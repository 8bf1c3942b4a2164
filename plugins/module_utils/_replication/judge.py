# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Findings about a standby, as sentences. Pure."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from .._core.sizes import readable_seconds, readable_size
from .facts import STANDBY_SETTINGS, Attached, Server, Slot
from .lag import Lag


@dataclass(frozen=True)
class Finding:
    """One sentence; blocks: the standby must not be promoted in this state."""

    sentence: str
    blocks: bool = False


@dataclass(frozen=True)
class Limits:
    """The highest lag that is no finding; None disables the limit."""

    max_lag_bytes: t.Optional[int] = None
    max_lag_seconds: t.Optional[float] = None


@dataclass(frozen=True)
class LowSetting:
    """A setting that is lower on the standby than on the primary."""

    name: str
    primary: int
    standby: int


def same_cluster(standby: Server, primary: Server) -> bool:
    """Whether one can be the standby of the other; true if an identifier is not readable."""
    known = {standby.system_identifier, primary.system_identifier} - {None}
    return len(known) < 2


def low_settings(standby: Server, primary: Server) -> t.List[LowSetting]:
    wanted = ((name, primary.settings.get(name), standby.settings.get(name)) for name in STANDBY_SETTINGS)
    return [LowSetting(name, most, own) for name, most, own in wanted if most and own is not None and own < most]


def judge_standby(standby: Server, lag: Lag, primary: t.Optional[Server]) -> t.Iterator[Finding]:
    """Findings about a standby, alone and compared with its primary."""
    if standby.paused:
        yield Finding("Replay is paused; pg_wal_replay_resume() continues it.", blocks=True)
    if standby.streaming is None:
        yield Finding("The role may not see whether the standby streams; grant it pg_monitor.", blocks=True)
    elif not standby.streaming:
        yield _not_streaming(standby, lag, primary)
    if standby.apply_delay_ms:
        yield Finding(f"Replay is delayed on purpose by {readable_seconds(standby.apply_delay_ms / 1000)}.")
    if standby.base_backups:
        yield Finding("A base backup of the standby is running; a promotion would make it fail.", blocks=True)
    yield from _judge_extensions(standby, primary)
    if primary is not None:
        yield from _judge_pair(standby, primary)


def judge_slots(primary: Server, used: t.Optional[str]) -> t.Iterator[Finding]:
    """Slots of a primary; used is the slot of the standby, None if it is unknown or the standby has none."""
    for slot in primary.slots:
        if slot.invalidated:
            yield Finding(
                f"The slot {slot.name!r} is lost: the primary removed WAL that it needs. Build its standby again."
            )
        elif not slot.active:
            yield Finding(f"The slot {slot.name!r} is inactive and retains {_held(slot)} of WAL.")
        elif slot.wal_status == "unreserved":
            yield Finding(f"The slot {slot.name!r} is about to be lost; it retains {_held(slot)} of WAL.")
    if used and used not in {slot.name for slot in primary.slots}:
        yield Finding(f"The slot {used!r} that the standby uses does not exist on the primary.")


def judge_lag(lag: Lag, limits: Limits) -> t.Iterator[Finding]:
    """Lag compared with the limits; an unknown lag is within no limit."""
    if limits.max_lag_bytes is not None:
        if lag.bytes is None:
            yield Finding(
                f"The lag in bytes is unknown, so the limit of {readable_size(limits.max_lag_bytes)} is not met."
            )
        elif lag.bytes > limits.max_lag_bytes:
            yield Finding(f"The lag of {readable_size(lag.bytes)} is above {readable_size(limits.max_lag_bytes)}.")
    if limits.max_lag_seconds is not None:
        if lag.seconds is None:
            yield Finding(
                f"The lag in time is unknown, so the limit of {readable_seconds(limits.max_lag_seconds)} is not met."
            )
        elif lag.seconds > limits.max_lag_seconds:
            yield Finding(
                f"The lag of {readable_seconds(lag.seconds)} is above {readable_seconds(limits.max_lag_seconds)}."
            )


def judge_attached(attached: t.Optional[t.Sequence[Attached]]) -> t.Iterator[Finding]:
    """Findings of a primary about its standbys if no standby was read."""
    yield Finding("No standby was read, so it is unknown whether one can be promoted.", blocks=True)
    if attached is None:
        yield Finding("The role may not see which standbys are attached; grant it pg_monitor.")
    elif not attached:
        yield Finding("No standby is attached to the primary.")
    for one in attached or ():
        if one.state != "streaming":
            yield Finding(f"The standby {one.name!r} is attached and does not stream: its state is {one.state}.")


def _not_streaming(standby: Server, lag: Lag, primary: t.Optional[Server]) -> Finding:
    if primary is not None and lag.bytes is not None:
        behind = "as far as the primary" if lag.bytes == 0 else f"{readable_size(lag.bytes)} behind"
        return Finding(f"The standby does not stream, and is {behind}.", blocks=lag.bytes != 0)
    if standby.backlog == 0:
        return Finding("The standby does not stream; it has replayed all that it received.")
    left = (
        "the received position is unknown" if standby.backlog is None else f"{readable_size(standby.backlog)} are left"
    )
    return Finding(f"The standby does not stream, and has not replayed all that it received: {left}.", blocks=True)


def _judge_pair(standby: Server, primary: Server) -> t.Iterator[Finding]:
    if not same_cluster(standby, primary):
        yield Finding(
            f"The standby is of another cluster: its system identifier is {standby.system_identifier}, "
            f"the primary's {primary.system_identifier}.",
            blocks=True,
        )
        return
    if None not in (standby.timeline, primary.timeline) and standby.timeline != primary.timeline:
        yield Finding(f"The standby is on timeline {standby.timeline}, the primary on {primary.timeline}.", blocks=True)
    for low in low_settings(standby, primary):
        yield Finding(
            f"{low.name} is {low.standby} on the standby and {low.primary} on the primary; it must not be lower.",
            blocks=True,
        )
    if standby.server_version != primary.server_version:
        yield Finding(
            f"The standby runs PostgreSQL {standby.server_version}, the primary {primary.server_version}.",
            blocks=standby.major != primary.major,
        )


def _judge_extensions(standby: Server, primary: t.Optional[Server]) -> t.Iterator[Finding]:
    for name, mine in standby.extensions.items():
        if mine.default is None:
            yield Finding(
                f"The extension {name} {mine.version} is in the database, and the standby's host has no files of it.",
                blocks=True,
            )
        elif not mine.usable:
            yield Finding(
                f"The extension {name} is in the database as {mine.version}, and the standby's host has {mine.default}."
            )
        theirs = primary.extensions.get(name) if primary else None
        if theirs and mine.default and theirs.default and mine.default != theirs.default and mine.usable:
            yield Finding(
                f"The standby's host has the extension {name} in {mine.default}, the primary's in {theirs.default}."
            )


def _held(slot: Slot) -> str:
    return "an unknown amount" if slot.retained_bytes is None else readable_size(slot.retained_bytes)
