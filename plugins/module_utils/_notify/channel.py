# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Channels: their options, the events that each accepts, and the connection of each type."""

from __future__ import annotations

import contextlib
import fnmatch
import math
import typing as t
from dataclasses import dataclass, field

from .._core.errors import ErrorKind, RecoveryError
from .._core.http import is_url
from .._core.severity import SEVERITIES
from .event import Event

TYPES = ("slack", "email", "pagerduty", "webhook", "heartbeat")
PAGERDUTY = "https://events.pagerduty.com/v2/enqueue"

_PORTS = {"starttls": 587, "tls": 465, "none": 25}
#: Text that YAML and templates produce for a boolean.
_BOOLEANS: t.Mapping[str, bool] = {
    **dict.fromkeys(("true", "yes", "on", "1"), True),
    **dict.fromkeys(("false", "no", "off", "0"), False),
}
_LOCAL = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True)
class Mail:
    """The mail server. security: starttls, tls or none."""

    host: str
    port: int
    sender: str
    recipients: t.Sequence[str]
    security: str = "starttls"
    username: str = ""
    password: str = field(default="", repr=False)


@dataclass(frozen=True)
class Channel:
    """One channel. events: patterns as C(backup.*); sources: patterns of names.

    after_seconds: an incident is sent to the channel after it lasted this long.
    fallback: the name of the channel that gets an event when this channel fails. timeout: seconds per request.
    details: a webhook sends all facts instead of the four of its payload. url and routing_key are secrets.
    """

    name: str
    type: str
    severities: t.Sequence[str] = SEVERITIES
    events: t.Sequence[str] = ("*",)
    sources: t.Sequence[str] = ("*",)
    after_seconds: float = 0
    fallback: str = ""
    drills: bool = True
    timeout: float = 10
    url: str = field(default="", repr=False)
    routing_key: str = field(default="", repr=False)
    method: str = "POST"
    details: bool = False
    mail: t.Optional[Mail] = None

    @property
    def remembers(self) -> bool:
        """Whether an incident is sent to it once; a heartbeat gets every run."""
        return self.type != "heartbeat"

    def wants(self, event: Event) -> bool:
        """Whether the channel accepts severity, name and kind of an event; the age of the event is not considered."""
        if event.drill and not (self.drills and (self.remembers or event.event.startswith("drill."))):
            return False
        named = any(fnmatch.fnmatchcase(event.event, one) for one in self.events)
        concerned = any(fnmatch.fnmatchcase(event.source, one) for one in self.sources)
        return event.severity in self.severities and named and concerned


def parse_channels(
    given: t.Sequence[t.Mapping[str, t.Any]],
) -> t.Tuple[t.List[Channel], t.List[t.Tuple[str, str]]]:
    """The usable channels, and name and reason of the others: one invalid channel must not disable the others."""
    channels: t.List[Channel] = []
    wrong: t.List[t.Tuple[str, str]] = []
    names = [str(one.get("name") or "") for one in given]
    for number, one in enumerate(given):
        try:
            channels.append(_parse(one, names, number))
        except RecoveryError as error:
            wrong.append((names[number] or f"channel {number + 1}", f"{error.what} {error.next_step}"))
    return channels, wrong


def _parse(given: t.Mapping[str, t.Any], names: t.Sequence[str], number: int) -> Channel:
    name, kind = names[number], str(given.get("type") or "")
    if not name or names.index(name) != number:
        raise _invalid("`name` of a channel is required and must be unique.", "Set it.")
    if kind not in TYPES:
        raise _invalid(f"The type of channel {name} is unknown.", f"Set it to one of {', '.join(TYPES)}.")
    severities = tuple(given.get("severities") or _usual_severities(kind))
    unknown = [one for one in severities if one not in SEVERITIES]
    if unknown:
        raise _invalid(
            f"`severities` of channel {name} contains {unknown[0]!r}, which is not a severity.",
            f"Use {', '.join(SEVERITIES)}.",
        )
    fallback = str(given.get("fallback") or "")
    if fallback and (fallback not in names or fallback == name):
        raise _invalid(f"The fallback {fallback!r} of channel {name} is not another channel.", "Correct the name.")
    channel = Channel(
        name=name,
        type=kind,
        severities=severities,
        events=tuple(given.get("events") or ("*",)),
        sources=tuple(given.get("sources") or ("*",)),
        after_seconds=_number(given, name, "after_seconds", 0),
        fallback=fallback,
        drills=_flag(given, name, "drills", True),
        timeout=_number(given, name, "timeout", 10),
        url=str(given.get("url") or (PAGERDUTY if kind == "pagerduty" else "")),
        routing_key=str(given.get("routing_key") or ""),
        method=str(given.get("method") or "POST").upper(),
        details=_flag(given, name, "details", False),
        mail=_mail(name, given) if kind == "email" else None,
    )
    _check(channel)
    return channel


def _usual_severities(kind: str) -> t.Sequence[str]:
    """Successes, which must not alert a person."""
    return SEVERITIES[1:] if kind == "pagerduty" else SEVERITIES


def _check(channel: Channel) -> None:
    if channel.type != "email" and not is_url(channel.url):
        raise _invalid(f"`url` of channel {channel.name} must be an https:// URL with a host.", "Correct it.")
    if channel.type == "pagerduty" and not channel.routing_key:
        raise _invalid(
            f"`routing_key` of channel {channel.name} is required.", "Set the key of an Events API v2 integration."
        )
    if channel.method not in ("GET", "POST"):
        raise _invalid(f"The method of channel {channel.name} is unknown.", "Set it to GET or POST.")
    if channel.timeout <= 0 or channel.after_seconds < 0:
        raise _invalid(f"A number of seconds of channel {channel.name} must be at least 0.", "Correct it.")
    if channel.type == "heartbeat" and channel.after_seconds:
        raise _invalid(
            f"Channel {channel.name} is a heartbeat, which cannot have after_seconds.", "Remove after_seconds."
        )


def _mail(name: str, given: t.Mapping[str, t.Any]) -> Mail:
    security = str(given.get("security") or "starttls")
    if security not in _PORTS:
        raise _invalid(f"The security of channel {name} is unknown.", f"Set it to one of {', '.join(_PORTS)}.")
    mail = Mail(
        host=str(given.get("host") or ""),
        port=_port(given, name, _PORTS[security]),
        sender=str(given.get("sender") or ""),
        recipients=tuple(str(one) for one in given.get("recipients") or ()),
        security=security,
        username=str(given.get("username") or ""),
        password=str(given.get("password") or ""),
    )
    if not (mail.host and mail.sender and mail.recipients):
        raise _invalid(f"Channel {name} needs host, sender and recipients.", "Set these options.")
    if not all(_is_address(one) for one in (mail.sender, *mail.recipients)):
        raise _invalid(f"Channel {name} has an invalid mail address.", "Write addresses as ops@example.org.")
    if mail.username and security == "none" and mail.host not in _LOCAL:
        raise _invalid(
            f"Channel {name} would send its password without encryption.", "Set security to starttls or tls."
        )
    return mail


def _number(given: t.Mapping[str, t.Any], name: str, option: str, usual: float) -> float:
    value = given.get(option)
    if not value:
        return usual
    number = math.nan
    if not isinstance(value, bool):
        with contextlib.suppress(TypeError, ValueError):
            number = float(value)
    if not math.isfinite(number):
        raise _invalid(f"{option} of channel {name} must be a number.", "Write it as 900.")
    return number


def _port(given: t.Mapping[str, t.Any], name: str, usual: int) -> int:
    port = _number(given, name, "port", usual)
    if port != int(port) or not 0 < port < 65536:
        raise _invalid(f"The port of channel {name} must be from 1 to 65535.", "Correct it.")
    return int(port)


def _flag(given: t.Mapping[str, t.Any], name: str, option: str, usual: bool) -> bool:
    value = given.get(option)
    if value is None or value == "":
        return usual
    word = _BOOLEANS.get(str(value).lower())
    if word is None:
        raise _invalid(f"{option} of channel {name} must be true or false.", "Correct it.")
    return word


def _is_address(text: str) -> bool:
    before, _at, after = text.partition("@")
    return bool(before and after) and text.isascii() and not any(one in text for one in " \t\r\n<>,;")


def _invalid(what: str, next_step: str) -> RecoveryError:
    return RecoveryError(ErrorKind.INVALID_OPTIONS, what, left="No channel was notified.", next_step=next_step)
