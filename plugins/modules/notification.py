#!/usr/bin/python
# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: notification
short_description: Tell channels what happened to a source
version_added: 1.0.0
description:
  - Sends one event, or a list of them, to the channels that wait for it - Slack, mail, PagerDuty, a webhook, a heartbeat.
  - A channel that fails does not fail the task. It is tried three times, its fallback is told instead, and the result, with a warning,
    says what was not delivered.
  - With O(state_path) an incident is told once to each channel, again when it gets worse, to the next level when it lasts, and its end
    to all who were told. Incidents that are remembered are looked at in every run, also when no event is about them.
  - URLs, keys and passwords of channels are in no result and no warning.
author:
  - lifeline.recovery contributors (@lifeline-recovery)
extends_documentation_fragment:
  - lifeline.recovery._attributes
  - lifeline.recovery._postgres
  - lifeline.recovery._store
attributes:
  check_mode:
    support: full
    details:
      - Tells what would be sent, and sends and remembers nothing.
  diff_mode:
    support: none
  idempotent:
    support: partial
    details:
      - With O(state_path) an incident that was told is not told again. Events that are no problems are told each time.
options:
  event:
    description:
      - What happened, in words with dots between them, the last of which says how it went, as C(backup.failed).
      - What ends in C(succeeded), C(passed) or C(recovered) ends the incident of the same key.
      - Leave it out, with no O(events), to tell only of incidents that are remembered and have lasted long enough.
    type: str
  severity:
    description:
      - How bad it is.
      - Without it, C(failed) is V(critical), C(started) and what went well is V(info), all else is V(warning); so is what only lacked its
        confirmation.
    type: str
    choices: [info, warning, error, critical]
  source:
    description:
      - The source it happened to.
    type: str
    default: ''
  text:
    description:
      - One or two sentences for people. Without it the event and its source are named; of C(backup.succeeded) with C(set_id) in
        O(details), the set and its size.
    type: str
    default: ''
  timestamp:
    description:
      - When it happened, in RFC 3339. Now, without it.
    type: str
  details:
    description:
      - Facts by name, never secrets. C(error_kind) and C(next_step) of a module that failed become a sentence on what to do.
      - The result of a module may be given as it is. Its C(msg) is the message where there is none.
    type: dict
    default: {}
  key:
    description:
      - What the event is about. Events of one key are one incident, also at PagerDuty.
      - Without it, the source and the event without its last word, as C(school/backup). One without a slash gets the source before it.
    type: str
  resolved:
    description:
      - The incident of this key is over. Without it, it is over when the event went well.
    type: bool
  run_id:
    description:
      - The run that the event belongs to, so that a heartbeat can tell runs apart that overlap.
    type: str
  events:
    description:
      - Several events. Each is a dictionary with names of the options O(event), O(severity), O(source), O(text), O(timestamp), O(details),
        O(key), O(resolved) and O(run_id); what it does not say is taken from the options beside.
      - RV(lifeline.recovery.recovery_status#module:breaches) may be given as it is; C(message) is another name for C(text) here.
    type: list
    elements: dict
    default: []
  channels:
    description:
      - Where to tell it. A channel that is described wrongly is reported like one that fails, and does not silence the others.
      - TLS certificates are checked against those that the host trusts, or against the file in E(SSL_CERT_FILE). Proxies are taken from the
        environment.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: A name of its own, shown in results. Each channel needs one.
        type: str
      type:
        description: V(slack), V(email), V(pagerduty), V(webhook) or V(heartbeat). Each channel needs one.
        type: str
      severities:
        description: Only events of these severities. All, without it; for PagerDuty V(warning), V(error) and V(critical).
        type: list
        elements: str
      events:
        description: Only events whose names match one of these patterns, as C(backup.*).
        type: list
        elements: str
        default: ['*']
      sources:
        description: Only events of sources that match one of these patterns. A heartbeat is for one job, so name its source.
        type: list
        elements: str
        default: ['*']
      after_seconds:
        description: Tell it only when the incident has lasted so many seconds, a number. Needs O(state_path).
        type: raw
        default: 0
      fallback:
        description: The name of the channel that is told when this one cannot be.
        type: str
        default: ''
      drills:
        description: V(true) or V(false) - tell it of drills as well, with C([DRILL]) before the text. A heartbeat hears of no drill but by events C(drill.*).
        type: raw
        default: true
      timeout:
        description: Seconds to wait for an answer, in each of three tries, a number.
        type: raw
        default: 10
      url:
        description:
          - Of V(slack), V(webhook) and V(heartbeat), the URL to call, which is a secret; of V(pagerduty) only where it is another than
            U(https://events.pagerduty.com/v2/enqueue).
        type: str
      routing_key:
        description: Of V(pagerduty), the key of an integration of the Events API v2.
        type: str
      method:
        description: Of V(heartbeat), V(GET) or V(POST). V(POST) carries the text of the event.
        type: str
        default: POST
      details:
        description:
          - V(true) or V(false) - of V(webhook), add O(details), severity, key and hint as C(details). Without it the payload is exactly C(event), C(message),
            C(timestamp) and C(source).
        type: raw
        default: false
      host:
        description: Of V(email), the mail server.
        type: str
      port:
        description: Of V(email), a number. Without it 587, 465 or 25, as O(channels[].security) is V(starttls), V(tls) or V(none).
        type: raw
      security:
        description: Of V(email), V(starttls), V(tls) or V(none). With V(none) a login is refused, except on this host.
        type: str
        default: starttls
      username:
        description: Of V(email), the user to log in as. No login without it.
        type: str
      password:
        description: Of V(email), the password of O(channels[].username).
        type: str
      sender:
        description: Of V(email), the address that letters come from.
        type: str
      recipients:
        description: Of V(email), the addresses that they go to.
        type: list
        elements: str
  state_path:
    description:
      - The file in which incidents are remembered, with facts of their events; made for its owner alone. Its folder must be there.
      - Without it every problem is told every time, escalation does not work, and only PagerDuty is told of ends.
    type: path
  repeat_seconds:
    description:
      - A channel is told again of an incident that is reported again so many seconds after it was told last; V(0) for never.
      - The default is a little less than a day, so that a daily backup that fails again is told again.
    type: int
    default: 79200
  complete:
    description:
      - The events name all that is wrong now. Incidents below O(key_prefix) that were told in such a run and are not named are over.
    type: bool
    default: false
  key_prefix:
    description:
      - For O(complete), the beginning of the keys, in whole words. The source and a slash, without it.
    type: str
  drill:
    description:
      - The events belong to a drill. They are marked with C([DRILL]), and are incidents of their own.
    type: bool
    default: false
  every_channel:
    description:
      - Send each event to each channel, whatever it waits for, without memory and fallback, to test them.
    type: bool
    default: false
  strict:
    description:
      - Fail when a channel could not be told or cannot be used.
    type: bool
    default: false
seealso:
  - module: lifeline.recovery.recovery_status
"""

EXAMPLES = r"""
- name: Tell that a backup failed
  lifeline.recovery.notification:
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

- name: Tell what is wrong now, and what no longer is
  lifeline.recovery.notification:
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

- name: Tell the dead man's switch that the backup began
  lifeline.recovery.notification:
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
  description: Each message that a channel took; in check mode each that would be sent.
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
      description: Its key.
      type: str
      sample: school/backup
    status:
      description: What the channel answered.
      type: str
      sample: HTTP 200
  sample:
    - {channel: operations, event: backup.failed, key: school/backup, status: HTTP 200}
undelivered:
  description: Each message that a channel did not take.
  type: list
  elements: dict
  returned: success
  contains:
    channel:
      description: The name of the channel.
      type: str
      sample: operations
    event:
      description: The event; empty where the channel cannot be used at all.
      type: str
      sample: backup.failed
    key:
      description: Its key.
      type: str
      sample: school/backup
    reason:
      description: Why.
      type: str
      sample: HTTP 503, after 3 tries
    fallback:
      description: The channel that was told instead, if any.
      type: str
      sample: mail
  sample: []
open:
  description: Keys of the incidents that are remembered.
  type: list
  elements: str
  returned: success
  sample: [school/backup]
problems:
  description: What went wrong, in sentences, which are shown as warnings as well.
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
  sample: Told operations.
error_kind:
  description: A stable name of what went wrong.
  type: str
  returned: failure
  sample: notification_failed
"""

import typing as t

from ansible_collections.lifeline.recovery.plugins.module_utils._ansible.ansible_module import (
    WARNINGS,
    create_module,
    run_module,
)
from ansible_collections.lifeline.recovery.plugins.module_utils._ansible.argument_specs import (
    ArgumentSpec,
    postgres_spec,
    store_spec,
)
from ansible_collections.lifeline.recovery.plugins.module_utils._core.clock import utc_now
from ansible_collections.lifeline.recovery.plugins.module_utils._notify.event import SEVERITIES
from ansible_collections.lifeline.recovery.plugins.module_utils._notify.notify import NotifyResult, notify
from ansible_collections.lifeline.recovery.plugins.module_utils._notify.request import request_from

#: What is required and what may be chosen is checked for each channel alone, so that one does not silence the others.
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
    module = create_module(SPEC.merge(store_spec()).merge(postgres_spec()))

    def work() -> NotifyResult:
        result = notify(request_from(module.params, utc_now(), check_mode=module.check_mode))
        WARNINGS.extend(result.problems)
        return result

    run_module(module, work)


if __name__ == "__main__":
    main()
