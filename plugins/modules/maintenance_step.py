#!/usr/bin/python
# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: maintenance_step
short_description: Show a maintenance page, or stop an application, and restore the state before
version_added: 1.0.0
description:
  - With O(state=begun), the means of the step is used - a maintenance page, or the stop of an application. The state before is stored on the host
    before the first change.
  - With O(state=ended), exactly that state is restored, also by another run after a crash. An application that did not run before is not started.
  - A second run with the same state changes nothing, and does not replace the stored state. A page that another program shows stays.
  - The result is proved by a request to the page or the service, or by the state of the processes.
author:
  - lifeline.recovery contributors (@lifeline-recovery)
extends_documentation_fragment:
  - lifeline.recovery._attributes
  - lifeline.recovery._store
attributes:
  check_mode:
    support: full
    details:
      - The state is read, also by requests to O(http.read_url) and O(flag_file.url).
  diff_mode:
    support: none
  idempotent:
    support: full
options:
  state:
    description:
      - V(begun) uses the means, V(ended) restores the state before.
    type: str
    choices: [begun, ended]
    default: begun
  source:
    description:
      - Name of the source that the maintenance belongs to.
    type: str
    required: true
  name:
    description:
      - Name of the step. It must be unique among the steps of a source on this host.
    type: str
    required: true
  state_dir:
    description:
      - Folder on the host for the state before. If it is unset, it is C(/var/lib/lifeline-maintenance) for root, and
        C(~/.local/state/lifeline-maintenance) for another user.
    type: path
  timeout:
    description:
      - Seconds until the means must be in effect, and of each program and request.
    type: float
    default: 60
  flag_file:
    description:
      - A file whose existence makes the web server answer with a maintenance page. The page C(docs/maintenance.md) has the configuration of nginx.
    type: dict
    suboptions:
      path:
        description:
          - Absolute path of the file.
        type: path
        required: true
      content:
        description:
          - Content of the file, which can be the page itself. If it is unset, it is a short page in English.
        type: str
      mode:
        description:
          - Permissions of the file as an octal number.
        type: str
        default: '0644'
      url:
        description:
          - A page that shows whether the maintenance is in effect. If it is unset, only the existence of the file is proved.
        type: str
      begun_status:
        description:
          - Status of the answer during the maintenance.
        type: int
        default: 503
      headers:
        description:
          - Headers of the request.
        type: dict
        default: {}
  http:
    description:
      - A service that switches the maintenance.
    type: dict
    suboptions:
      url:
        description:
          - Address of the request that begins the maintenance.
        type: str
        required: true
      method:
        description:
          - Method of the request.
        type: str
        default: POST
      begin_body:
        description:
          - Body of the request that begins the maintenance. A dictionary or a list is sent as JSON.
        type: raw
      end_url:
        description:
          - Address of the request that ends the maintenance. If it is unset, it is O(http.url).
        type: str
      end_method:
        description:
          - Method of the request that ends the maintenance. If it is unset, it is O(http.method).
        type: str
      end_body:
        description:
          - Body of the request that ends the maintenance.
        type: raw
      read_url:
        description:
          - Address that shows the state. If it is unset, it is O(http.url).
        type: str
      begun_status:
        description:
          - Status of its answer during the maintenance. O(http.begun_status) or O(http.begun_body) is required.
        type: int
      begun_body:
        description:
          - Part of its answer during the maintenance, as a text, or as fields of a JSON object.
        type: raw
      token:
        description:
          - Bearer token.
        type: str
      headers:
        description:
          - Further headers.
        type: dict
        default: {}
  systemd:
    description:
      - Units that are stopped. Sockets, timers and paths that run and would start them again are stopped as well.
    type: dict
    suboptions:
      units:
        description:
          - Names of the units. A name without a type is a service.
        type: list
        elements: str
        required: true
      refuse_starts:
        description:
          - Whether starts of the units fail until the step ends, or until the host restarts. This has the effect of C(systemctl mask --runtime),
            also for units in C(/etc/systemd/system), which a runtime mask does not concern.
        type: bool
        default: false
  pm2:
    description:
      - Applications of pm2 that are stopped.
    type: dict
    suboptions:
      apps:
        description:
          - Names of the applications.
        type: list
        elements: str
        required: true
      user:
        description:
          - User that runs the applications. If it is unset, it is the user of this task.
        type: str
      home:
        description:
          - Folder of pm2. If it is unset, pm2 uses E(PM2_HOME), then C(~/.pm2) of the user.
        type: path
      program:
        description:
          - Path of pm2.
        type: str
        default: pm2
      save:
        description:
          - Whether the list of processes is saved, so that a restart of the host does not start the stopped applications.
        type: bool
        default: false
  command:
    description:
      - Programs that stop and start the application. No shell is used.
    type: dict
    suboptions:
      stop:
        description:
          - Program that stops the application, with its arguments.
        type: list
        elements: str
        required: true
      start:
        description:
          - Program that starts the application, with its arguments.
        type: list
        elements: str
        required: true
      status:
        description:
          - Program that ends with 0 while the application runs, with its arguments.
        type: list
        elements: str
        required: true
seealso:
  - module: lifeline.recovery.pg_writes
"""

EXAMPLES = r"""
- name: Show the maintenance page of nginx
  lifeline.recovery.maintenance_step:
    source: learnplay
    name: page
    flag_file:
      path: /srv/www/maintenance.html
      content: "{{ lookup('ansible.builtin.file', 'maintenance.html') }}"
      url: https://learnplay.example.org/

- name: Stop the application and its timer, and refuse starts
  lifeline.recovery.maintenance_step:
    source: learnplay
    name: application
    systemd:
      units: [learnplay.service, learnplay-mail.timer]
      refuse_starts: true
  become: true

- name: Switch the maintenance of a service on
  lifeline.recovery.maintenance_step:
    source: learnplay
    name: service
    http:
      url: https://learnplay.example.org/api/maintenance
      method: PUT
      begin_body: {enabled: true}
      end_body: {enabled: false}
      begun_body: {enabled: true}
      token: "{{ vault_service_token }}"

- name: Start the applications of pm2 again that ran before
  lifeline.recovery.maintenance_step:
    state: ended
    source: learnplay
    name: workers
    pm2:
      apps: [api, worker]
      user: learnplay
  become: true
"""

RETURN = r"""
state:
  description: The state of the step.
  type: str
  returned: success
  sample: begun
before:
  description: The state before the step; null if the step was not begun.
  type: dict
  returned: success
  sample: {units: {learnplay.service: true, learnplay-mail.timer: true}}
undo:
  description: The options that end the step. Empty if O(state=ended).
  type: dict
  returned: success
  sample: {state: ended}
plan_digest:
  description: Digest of the step and of the state before.
  type: str
  returned: success
  sample: 96348ae91561bf1b
unchanged:
  description: Why nothing was changed, as C(reason) and C(next_step); null if something was.
  type: dict
  returned: success
  sample: null
timings:
  description: Seconds per phase.
  type: dict
  returned: success
  sample: {plan: 0.1, begin: 0.2, verify: 0.1, total: 0.4}
summary:
  description: The result in one sentence.
  type: str
  returned: success
  sample: Began the step application.
error_kind:
  description: Stable name of the error.
  type: str
  returned: failure
  sample: check_failed
"""

from ..module_utils._ansible.ansible_module import create_module, run_module
from ..module_utils._ansible.maintenance_requests import maintenance_means, maintenance_states, means_spec
from ..module_utils._ansible.options import request_of, spec_of
from ..module_utils._ansible.store_requests import opened_store, store_spec
from ..module_utils._maintenance.step import Step, StepRequest, StepResult
from ..module_utils._operations.change import perform
from ..module_utils._repository.change import Safeguards

SPEC = spec_of(StepRequest).merge(means_spec(), store_spec())


def main() -> None:
    module = create_module(SPEC)
    params = module.params

    def work() -> StepResult:
        safeguards = Safeguards(check_mode=module.check_mode)
        request = request_of(StepRequest, params, check_mode=module.check_mode, safeguards=safeguards)
        audit = opened_store(params) if params["store"] else None
        return perform(Step(request, maintenance_means(params), maintenance_states(params), audit))

    run_module(module, work)


if __name__ == "__main__":
    main()
