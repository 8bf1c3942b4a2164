#!/usr/bin/python
# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_write_probe
short_description: Test from this host whether a PostgreSQL server accepts commits of its clients
version_added: 1.0.0
description:
  - Logs in as one role or several and commits a transaction with an own temporary table, which leaves no data. The transaction is declared
    READ WRITE, so that C(default_transaction_read_only) does not count as a fence.
  - Distinguishes a server that refuses the commit from a server that does not answer. A server that is frozen, stopped or unreachable does not
    answer, and may accept writes of other clients; the proof of a stopped server is M(lifeline.recovery.pg_control_info) on its host.
  - A commit that waits for a synchronous standby counts as no answer.
  - Run it on each host from which clients connect.
author:
  - lifeline.recovery contributors (@lifeline-recovery)
requirements:
  - psycopg2
extends_documentation_fragment:
  - lifeline.recovery._attributes
  - lifeline.recovery._postgres
  - lifeline.recovery._postgres.client
attributes:
  check_mode:
    support: full
    details:
      - The commits are tried in check mode as well, because they leave no data.
  diff_mode:
    support: N/A
    details:
      - This action does not modify state.
  idempotent:
    support: full
options:
  logins:
    description:
      - Roles of clients, for example an application, the owner of its tables and a superuser. If it is empty, O(login_user) is tried.
    type: list
    elements: dict
    default: []
    suboptions:
      login_user:
        description:
          - Role that commits.
        type: str
        required: true
      login_password:
        description:
          - Password of the role. If it is unset, the password file of libpq is used.
        type: str
  expect:
    description:
      - With V(refused), the module fails unless the server answers each login and refuses its commit. A wrong password is no such refusal.
      - With V(accepted), the module fails unless each commit returns.
      - If it is unset, the module reports the answers and does not fail.
    type: str
    choices: [refused, accepted]
  timeout:
    description:
      - Timeout in seconds of the login and the commit of a role. The roles are tried in parallel.
    type: float
    default: 10
seealso:
  - module: lifeline.recovery.pg_fence
  - module: lifeline.recovery.pg_promote
"""

EXAMPLES = r"""
- name: Test whether the old primary still accepts commits
  lifeline.recovery.pg_write_probe:
    login_host: db1.example.com
    login_db: school
    logins:
      - login_user: school_app
        login_password: "{{ vault_app_password }}"
      - login_user: postgres
        login_password: "{{ vault_postgres_password }}"
  register: old_primary

- name: Fail unless the old primary refuses commits
  lifeline.recovery.pg_write_probe:
    login_host: db1.example.com
    login_user: school_app
    login_password: "{{ vault_app_password }}"
    login_db: school
    expect: refused

- name: Fail unless the new primary accepts commits
  lifeline.recovery.pg_write_probe:
    login_host: db2.example.com
    login_user: school_app
    login_password: "{{ vault_app_password }}"
    login_db: school
    expect: accepted
    timeout: 5
"""

RETURN = r"""
server:
  description: Host and port of the server.
  type: str
  returned: success
  sample: db1.example.com:5432
logins:
  description: The attempts.
  type: list
  elements: dict
  returned: success, and if O(expect) does not hold
  contains:
    role:
      description: Role that was tried.
      type: str
      sample: school_app
    state:
      description: V(accepts) if the commit returned, V(refused) if the server answered and refused it, V(silent) if it did not answer.
      type: str
      sample: refused
    is_proof:
      description: Whether the answer shows the state of the server. A refusal because of a wrong password does not.
      type: bool
      sample: true
    reason:
      description: Message of the server or of the network.
      type: str
      sample: "PostgreSQL refused the commit: cannot execute CREATE TABLE in a read-only transaction."
    seconds:
      description: Seconds of the attempt.
      type: float
      sample: 0.021
  sample:
    - role: school_app
      state: refused
      is_proof: true
      reason: "PostgreSQL refused the commit: cannot execute CREATE TABLE in a read-only transaction."
      seconds: 0.021
accepts:
  description: Roles whose commit returned.
  type: list
  elements: str
  returned: success
  sample: []
refused:
  description: Roles whose commit the server refused.
  type: list
  elements: str
  returned: success
  sample: [school_app]
silent:
  description: Roles without an answer.
  type: list
  elements: str
  returned: success
  sample: []
summary:
  description: The result in a sentence.
  type: str
  returned: success
  sample: "Commits at db1.example.com:5432 by login: refused 1."
error_kind:
  description: Stable name of the error.
  type: str
  returned: failure
  sample: check_failed
"""

from ..module_utils._ansible.ansible_module import create_module, run_module
from ..module_utils._ansible.argument_specs import postgres_spec
from ..module_utils._ansible.failover_requests import logins_spec, probe_logins
from ..module_utils._ansible.options import request_of, spec_of
from ..module_utils._failover.write_probe import WriteProbeRequest, WriteProbeResult, probe_writes

SPEC = spec_of(WriteProbeRequest).merge(logins_spec(), postgres_spec())


def main() -> None:
    module = create_module(SPEC)
    params = module.params

    def work() -> WriteProbeResult:
        logins = probe_logins(params)
        return probe_writes(request_of(WriteProbeRequest, params, check_mode=module.check_mode, logins=logins))

    run_module(module, work)


if __name__ == "__main__":
    main()
