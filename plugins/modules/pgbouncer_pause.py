#!/usr/bin/python
# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: pgbouncer_pause
short_description: Pause or resume the clients of a database of pgbouncer
version_added: 1.0.0
description:
  - With O(state=paused), pgbouncer waits for the transactions that run, closes the connections to the server, and lets clients wait. With
    O(state=resumed), the clients continue without an error.
  - A pause that takes longer than O(wait_seconds) is taken back before the module fails, because pgbouncer keeps it after its console was left,
    and every new client would hang.
  - In session mode, a pause waits until each client has disconnected.
  - pgbouncer ends clients that wait longer than its C(query_wait_timeout), by default 120 seconds.
author:
  - lifeline.recovery contributors (@lifeline-recovery)
requirements:
  - psycopg2
extends_documentation_fragment:
  - lifeline.recovery._attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  idempotent:
    support: full
options:
  state:
    description:
      - V(paused) lets clients wait, V(resumed) lets them continue.
    type: str
    choices: [paused, resumed]
    default: paused
  database:
    description:
      - Name of the database, as clients use it.
    type: str
    required: true
  admin:
    description:
      - Login to the admin console.
    type: dict
    required: true
    suboptions:
      host:
        description:
          - Name, address, or folder of the socket of the pooler.
        type: str
        default: 127.0.0.1
      port:
        description:
          - Port of the pooler.
        type: int
        default: 6432
      user:
        description:
          - One of C(admin_users) of pgbouncer.
        type: str
        default: postgres
      password:
        description:
          - Password of the user.
        type: str
      sslmode:
        description:
          - Whether the connection is encrypted, as libpq defines it.
        type: str
        default: prefer
  wait_seconds:
    description:
      - Seconds to wait for transactions that run.
    type: float
    default: 10
  on_timeout:
    description:
      - V(resume) takes the pause back and fails. V(kill) drops the connections of clients and servers, and the database stays paused. Use V(kill)
        if the server is lost.
    type: str
    choices: [resume, kill]
    default: resume
  timeout:
    description:
      - Seconds of each other command of the console.
    type: float
    default: 30
seealso:
  - module: lifeline.recovery.redirect
"""

EXAMPLES = r"""
- name: Pause the clients of pgbouncer during a switchover
  lifeline.recovery.pgbouncer_pause:
    database: app
    admin: &admin
      user: pgbouncer
      password: "{{ vault_pgbouncer_password }}"
    wait_seconds: 5

- name: Pause the clients although transactions hang on a server that is lost
  lifeline.recovery.pgbouncer_pause:
    database: app
    admin: *admin
    on_timeout: kill

- name: Resume the clients
  lifeline.recovery.pgbouncer_pause:
    state: resumed
    database: app
    admin: *admin
"""

RETURN = r"""
state:
  description: The state of the database now, V(paused) or V(resumed).
  type: str
  returned: success
  sample: paused
before:
  description: The state of the database before.
  type: str
  returned: success
  sample: resumed
waiting:
  description: The number of clients that wait for a connection.
  type: int
  returned: success
  sample: 12
killed:
  description: Whether connections were dropped.
  type: bool
  returned: success
  sample: false
undo:
  description: Always empty, because the module with the other O(state) goes back.
  type: dict
  returned: success
  sample: {}
plan_digest:
  description: Digest of the change.
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
  sample: {read: 0.1, paused: 0.4, verify: 0.1, total: 0.6}
summary:
  description: The result in one sentence.
  type: str
  returned: success
  sample: Paused the database app of pgbouncer.
error_kind:
  description: Stable name of the error.
  type: str
  returned: failure
  sample: timeout
"""

from ..module_utils._ansible.ansible_module import create_module, run_module
from ..module_utils._ansible.options import request_of, spec_of
from ..module_utils._operations.change import perform
from ..module_utils._redirect.pause import Pause, PauseRequest, PauseResult
from ..module_utils._repository.change import Safeguards

SPEC = spec_of(PauseRequest)


def main() -> None:
    module = create_module(SPEC)

    def work() -> PauseResult:
        safeguards = Safeguards(check_mode=module.check_mode)
        return perform(
            Pause(request_of(PauseRequest, module.params, check_mode=module.check_mode, safeguards=safeguards))
        )

    run_module(module, work)


if __name__ == "__main__":
    main()
