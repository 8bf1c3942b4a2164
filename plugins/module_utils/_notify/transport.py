# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Sending one message to one channel: with retries if they can help, and without secrets in errors."""

from __future__ import annotations

import email.message
import email.utils
import smtplib
import ssl
import time
import typing as t
import urllib.request
from dataclasses import dataclass
from datetime import datetime

from .._core.clock import utc_now
from .._core.http import Answer, NoAnswer, exchange
from .channel import Channel, Mail
from .event import Event
from .payloads import Parcel, mail_for, parcel_for

_LARGEST_ANSWER = 64 * 1024


@dataclass(frozen=True)
class Patience:
    """Number of attempts, and seconds between them: pause, then twice as long, up to longest."""

    tries: int = 3
    pause: float = 0.5
    longest: float = 10


class Undelivered(Exception):
    """reason: without secrets. passing: the network or the service failed, not the message."""

    def __init__(self, reason: str, *, passing: bool, wait: float = 0) -> None:
        super().__init__(reason)
        self.reason = reason
        self.passing = passing
        self.wait = wait


def bring(channel: Channel, event: Event, patience: Patience) -> str:
    """The answer of a channel that accepted the event. Raises Undelivered."""
    if channel.mail is not None:
        mail, letter = channel.mail, mail_for(channel.mail, event)
        return _patiently(lambda: _send_mail(mail, letter, channel.timeout), patience)
    parcel = parcel_for(channel, event)
    return _patiently(lambda: _send_parcel(channel, parcel), patience)


def _patiently(attempt: t.Callable[[], str], patience: Patience) -> str:
    for number in range(1, patience.tries + 1):
        try:
            return attempt()
        except Undelivered as problem:
            wait = problem.wait or min(patience.pause * 2 ** (number - 1), patience.longest)
            if not problem.passing:
                raise
            if number == patience.tries or wait > patience.longest:
                tried = f"{number} tries" if number > 1 else "1 try"
                raise Undelivered(f"{problem.reason}, after {tried}", passing=True) from None
            time.sleep(wait)
    raise Undelivered("it was not tried", passing=True)


def _send_parcel(channel: Channel, parcel: Parcel) -> str:
    request = urllib.request.Request(
        parcel.url,
        data=parcel.body if parcel.method == "POST" else None,
        method=parcel.method,
        headers={"Content-Type": parcel.content_type},
    )
    try:
        answer = exchange(request, timeout=channel.timeout, largest=_LARGEST_ANSWER)
    except NoAnswer as problem:
        raise Undelivered(f"no answer ({problem.reason})", passing=True) from None
    said = answer.outcome
    if answer.status == 429 or answer.status >= 500:
        raise Undelivered(said, passing=True, wait=_wait(answer))
    if not 200 <= answer.status < 300:
        raise Undelivered(said, passing=False)
    # An unknown heartbeat is answered with 200 as well: OK (not found), OK (rate limited).
    if channel.type == "heartbeat" and answer.body.startswith(b"OK ("):
        raise Undelivered("the service does not know the heartbeat, or limits its rate", passing=False)
    return said


def _wait(answer: Answer) -> float:
    """Seconds that the service requests, as a number or a date."""
    asked = answer.headers.get("retry-after", "").strip()
    if asked.isdigit():
        return float(asked)
    try:
        until: datetime = email.utils.parsedate_to_datetime(asked)
        return max(0.0, (until - utc_now()).total_seconds())
    except (TypeError, ValueError, IndexError):
        return 0.0


def _send_mail(mail: Mail, letter: email.message.EmailMessage, timeout: float) -> str:
    try:
        with _connected(mail, timeout) as server:
            if mail.username:
                server.login(mail.username, mail.password)
            refused = server.send_message(letter, mail.sender, list(mail.recipients))
    except smtplib.SMTPRecipientsRefused:
        raise Undelivered("the server refuses all recipients", passing=False) from None
    except smtplib.SMTPResponseException as problem:
        raise Undelivered(f"SMTP {problem.smtp_code}", passing=400 <= problem.smtp_code < 500) from None
    except smtplib.SMTPNotSupportedError:
        raise Undelivered("the server has no STARTTLS or no login", passing=False) from None
    except ssl.SSLCertVerificationError:
        raise Undelivered("the certificate of the server is not trusted", passing=False) from None
    except (OSError, smtplib.SMTPException, ValueError) as problem:
        raise Undelivered(f"no answer ({type(problem).__name__})", passing=True) from None
    return f"SMTP 250, refused for {', '.join(sorted(refused))}" if refused else "SMTP 250"


def _connected(mail: Mail, timeout: float) -> smtplib.SMTP:
    if mail.security == "tls":
        return smtplib.SMTP_SSL(mail.host, mail.port, timeout=timeout, context=ssl.create_default_context())
    server = smtplib.SMTP(mail.host, mail.port, timeout=timeout)
    try:
        if mail.security == "starttls":
            server.starttls(context=ssl.create_default_context())
    except BaseException:
        server.close()
        raise
    return server
