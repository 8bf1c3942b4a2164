#!/usr/bin/python
# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: notify
short_description: Notify channels of events of a source
version_added: 1.0.0
description:
  - Sends one event, or a list of events, to the channels that accept it - Slack, mail, PagerDuty, webhooks and heartbeats.
  - A channel that fails does not fail the task. It is tried three times, then its fallback is notified; the result and a warning list
    the undelivered messages.
  - If O(state_path) is set, an incident is sent to each channel once, again when it gets worse, to channels with C(after_seconds) when it
    lasts, and its end to every channel that received it. Every run evaluates the stored incidents, also without an event about them.
  - URLs, keys and passwords of channels are in no result and no warning.
author:
  - lifeline.recovery contributors (@lifeline-recovery)
extends_documentation_fragment:
  - lifeline.recovery._attributes
attributes:
  check_mode:
    support: full
    details:
      - Returns the messages that would be sent. Sends nothing and stores no state.
  diff_mode:
    support: none
  idempotent:
    support: partial
    details:
      - With O(state_path) an incident that was sent is not sent again. Events that open no incident are sent each time.
options:
  event:
    description:
      - Name of the event, in parts joined with dots. The last part is the outcome, for example C(backup.failed).
      - An event that ends with C(succeeded), C(passed) or C(recovered) resolves the incident of the same key.
      - If O(event) and O(events) are unset, only stored incidents that have lasted for C(after_seconds) are sent.
    type: str
  severity:
    description:
      - Severity of the event.
      - If it is unset, C(failed) is V(critical), C(started) and successes are V(info), and other events are V(warning). A failure that
        lacked only its confirmation is V(warning).
    type: str
    choices: [info, warning, error, critical]
  source:
    description:
      - Name of the source of the event.
    type: str
    default: ''
  text:
    description:
      - Message of one or two sentences. If it is empty, the message names the event and its source, and for C(backup.succeeded) with
        C(set_id) in O(details) the set and its size.
    type: str
    default: ''
  timestamp:
    description:
      - Instant of the event in RFC 3339. If it is unset, the current time is used.
    type: str
  details:
    description:
      - Facts by name, without secrets. C(error_kind) and C(next_step) of a failed module become the next step of the message.
      - The unchanged result of a module is accepted. If O(text) is empty, its C(msg) is the message.
    type: dict
    default: {}
  key:
    description:
      - Key of the incident. Events with the same key belong to one incident, also at PagerDuty.
      - If it is unset, the key is the source and the event without its last part, for example C(school/backup). The source and a slash
        are added to a key without a slash.
    type: str
  resolved:
    description:
      - Whether the incident of this key is over. If it is unset, it is over if the event is a success.
    type: bool
  run_id:
    description:
      - Identifier of the run, so that a heartbeat can distinguish overlapping runs.
    type: str
  events:
    description:
      - Several events. Each is a dictionary with the keys O(event), O(severity), O(source), O(text), O(timestamp), O(details), O(key),
        O(resolved) and O(run_id). A missing key gets the value of the option with the same name.
      - RV(lifeline.recovery.recovery_status#module:breaches) is accepted unchanged; C(message) is another name for C(text) here.
    type: list
    elements: dict
    default: []
  channels:
    description:
      - Channels to notify. An invalid channel is reported like a failed channel and does not disable the others.
      - TLS certificates are verified with the trusted certificates of the host, or with the file in E(SSL_CERT_FILE). Proxies are read from
        the environment.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Unique name, shown in results. Required.
        type: str
      type:
        description: V(slack), V(email), V(pagerduty), V(webhook) or V(heartbeat). Required.
        type: str
      severities:
        description: Severities that the channel accepts. The default is every severity, for PagerDuty V(warning), V(error) and V(critical).
        type: list
        elements: str
      events:
        description: Patterns of event names that the channel accepts, for example C(backup.*).
        type: list
        elements: str
        default: ['*']
      sources:
        description: Patterns of sources that the channel accepts. A heartbeat belongs to one job, so set its source.
        type: list
        elements: str
        default: ['*']
      after_seconds:
        description: Seconds that an incident must last before it is sent to the channel. Needs O(state_path). Use it for escalation.
        type: raw
        default: 0
      fallback:
        description: Name of the channel that is notified if this channel fails.
        type: str
        default: ''
      drills:
        description: V(true) or V(false) - whether the channel gets events of drills, with C([DRILL]) before the text. A heartbeat gets only events C(drill.*).
        type: raw
        default: true
      timeout:
        description: Timeout of each of three attempts in seconds.
        type: raw
        default: 10
      url:
        description:
          - URL of V(slack), V(webhook) and V(heartbeat), which is a secret. For V(pagerduty) it replaces
            U(https://events.pagerduty.com/v2/enqueue).
        type: str
      routing_key:
        description: Integration key of the Events API v2, for V(pagerduty).
        type: str
      method:
        description: V(GET) or V(POST), for V(heartbeat). V(POST) sends the text of the event.
        type: str
        default: POST
      details:
        description:
          - V(true) or V(false), for V(webhook) - whether the payload has C(details) with O(details), severity, key and hint. With V(false), the payload
            is exactly C(event), C(message), C(timestamp) and C(source).
        type: raw
        default: false
      host:
        description: Mail server, for V(email).
        type: str
      port:
        description: Port of the mail server. The default is 587, 465 or 25 if O(channels[].security) is V(starttls), V(tls) or V(none).
        type: raw
      security:
        description: V(starttls), V(tls) or V(none), for V(email). With V(none) a login is refused, except on this host.
        type: str
        default: starttls
      username:
        description: User of the mail server. If it is unset, no login is sent.
        type: str
      password:
        description: Password of O(channels[].username).
        type: str
      sender:
        description: Address of the sender, for V(email).
        type: str
      recipients:
        description: Addresses of the recipients, for V(email).
        type: list
        elements: str
  state_path:
    description:
      - File that stores open incidents with the facts of their events, readable by its owner only. Its folder must exist.
      - If it is unset, every problem is sent each time, escalation does not work, and only PagerDuty gets the end of incidents.
    type: path
  repeat_seconds:
    description:
      - Seconds after which an incident that is reported again is sent again; V(0) never sends it again.
      - The default is less than a day, so that each failure of a daily backup is sent.
    type: int
    default: 79200
  complete:
    description:
      - Whether the events are a complete evaluation. Stored incidents below O(key_prefix) of such runs that the events do not contain are over.
    type: bool
    default: false
  key_prefix:
    description:
      - Prefix of the keys for O(complete), which ends at a separator. If it is unset, it is the source and a slash.
    type: str
  drill:
    description:
      - Whether the events belong to a drill. They are marked with C([DRILL]) and have separate incidents.
    type: bool
    default: false
  every_channel:
    description:
      - Send each event to each channel regardless of its filters, without stored state and fallback. Use it to test channels.
    type: bool
    default: false
  strict:
    description:
      - Fail if a channel failed or cannot be used.
    type: bool
    default: false
seealso:
  - module: lifeline.recovery.recovery_status
"""

EXAMPLES = r"""
- name: Notify channels of a failed backup
  lifeline.recovery.notify:
    event: backup.failed
    source: school
    text: The database cannot be reached.
    details:
      error_kind: unreachable
    channels:
      - name: operations
        type: slack
        url: "{{ vault_slack_url }}"
        severities: [error, critical]
        fallback: mail
      - name: mail
        type: email
        host: mail.example.org
        username: lifeline
        password: "{{ vault_mail_password }}"
        sender: backup@example.org
        recipients: [operations@example.org]
    state_path: /var/lib/lifeline/incidents.json

- name: Notify channels of all breaches and of their end
  lifeline.recovery.notify:
    event: monitoring.breach
    source: school
    complete: true
    events:
      - key: backup_age
        severity: critical
        text: The newest set is 26 h old; the objective is 24 h.
    channels:
      - name: first
        type: pagerduty
        routing_key: "{{ vault_pagerduty_key }}"
      - name: lead
        type: pagerduty
        routing_key: "{{ vault_pagerduty_lead_key }}"
        severities: [critical]
        after_seconds: 900
    state_path: /var/lib/lifeline/incidents.json

- name: Notify the heartbeat of the start of the backup
  lifeline.recovery.notify:
    event: backup.started
    source: school
    channels:
      - name: nightly
        type: heartbeat
        url: "{{ vault_heartbeat_url }}"
        events: [backup.*]
        sources: [school]
"""

RETURN = r"""
sent:
  description: Each message that a channel accepted; in check mode each that would be sent.
  type: list
  elements: dict
  returned: success
  contains:
    channel:
      description: The name of the channel.
      type: str
      sample: operations
    event:
      description: The event.
      type: str
      sample: backup.failed
    key:
      description: Key of the incident.
      type: str
      sample: school/backup
    status:
      description: Answer of the channel.
      type: str
      sample: HTTP 200
  sample:
    - {channel: operations, event: backup.failed, key: school/backup, status: HTTP 200}
undelivered:
  description: Each message that a channel did not accept.
  type: list
  elements: dict
  returned: success
  contains:
    channel:
      description: The name of the channel.
      type: str
      sample: operations
    event:
      description: The event; empty if the channel cannot be used.
      type: str
      sample: backup.failed
    key:
      description: Key of the incident.
      type: str
      sample: school/backup
    reason:
      description: Reason of the failure.
      type: str
      sample: HTTP 503, after 3 tries
    fallback:
      description: The fallback channel that was notified instead, if any.
      type: str
      sample: mail
  sample: []
open:
  description: Keys of the stored incidents.
  type: list
  elements: str
  returned: success
  sample: [school/backup]
problems:
  description: Problems as sentences. They are warnings as well.
  type: list
  elements: str
  returned: success
  sample: []
timings:
  description: Seconds per phase.
  type: dict
  returned: success
  sample: {send: 0.4, total: 0.4}
summary:
  description: The result in one sentence.
  type: str
  returned: success
  sample: Notified operations.
error_kind:
  description: Stable name of the error.
  type: str
  returned: failure
  sample: notification_failed
"""

import typing as t

from ..module_utils._ansible.ansible_module import (
    WARNINGS,
    create_module,
    run_module,
)
from ..module_utils._ansible.options import ArgumentSpec
from ..module_utils._core.clock import utc_now
from ..module_utils._core.severity import SEVERITIES
from ..module_utils._notify.notify import NotifyResult, notify
from ..module_utils._notify.request import request_from

#: Requirements and choices are checked per channel, so that one invalid channel does not disable the others.
CHANNEL: t.Dict[str, t.Any] = {
    "name": {"type": "str"},
    "type": {"type": "str"},
    "severities": {"type": "list", "elements": "str"},
    "events": {"type": "list", "elements": "str", "default": ["*"]},
    "sources": {"type": "list", "elements": "str", "default": ["*"]},
    "after_seconds": {"type": "raw", "default": 0},
    "fallback": {"type": "str", "default": ""},
    "drills": {"type": "raw", "default": True},
    "timeout": {"type": "raw", "default": 10},
    "url": {"type": "str", "no_log": True},
    "routing_key": {"type": "str", "no_log": True},
    "method": {"type": "str", "default": "POST"},
    "details": {"type": "raw", "default": False},
    "host": {"type": "str"},
    "port": {"type": "raw"},
    "security": {"type": "str", "default": "starttls"},
    "username": {"type": "str"},
    "password": {"type": "str", "no_log": True},
    "sender": {"type": "str"},
    "recipients": {"type": "list", "elements": "str"},
}

SPEC = ArgumentSpec(
    {
        "event": {"type": "str"},
        "severity": {"type": "str", "choices": list(SEVERITIES)},
        "source": {"type": "str", "default": ""},
        "text": {"type": "str", "default": ""},
        "timestamp": {"type": "str"},
        "details": {"type": "dict", "default": {}},
        "key": {"type": "str", "no_log": False},
        "resolved": {"type": "bool"},
        "run_id": {"type": "str"},
        "events": {"type": "list", "elements": "dict", "default": []},
        "channels": {"type": "list", "elements": "dict", "required": True, "options": CHANNEL},
        "state_path": {"type": "path"},
        "repeat_seconds": {"type": "int", "default": 79200},
        "complete": {"type": "bool", "default": False},
        "key_prefix": {"type": "str", "no_log": False},
        "drill": {"type": "bool", "default": False},
        "every_channel": {"type": "bool", "default": False},
        "strict": {"type": "bool", "default": False},
    }
)


def main() -> None:
    module = create_module(SPEC)

    def work() -> NotifyResult:
        result = notify(request_from(module.params, utc_now(), check_mode=module.check_mode))
        WARNINGS.extend(result.problems)
        return result

    run_module(module, work)


if __name__ == "__main__":
    main()
