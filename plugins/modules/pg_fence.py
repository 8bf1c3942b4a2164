#!/usr/bin/python
# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_fence
short_description: Stop a PostgreSQL primary, keep it from accepting writes again, and prove it
version_added: 1.0.0
description:
  - With O(state=fenced), the server of the data directory is stopped with a fast shutdown, and does not come back as a writer. Starts of O(service)
    are refused, also after a reboot, and C(standby.signal) is created in the stopped data directory.
  - The proof is the control file, and that no process of the server runs, also no child of a postmaster that was killed. It is what
    M(lifeline.recovery.pg_promote) takes as C(stopped_primary).
  - A server that is down already, also after a crash, is fenced without a start. A stop that was not clean is reported in RV(is_clean) and
    RV(reason), and is no error, because the server is down.
  - The module waits up to O(timeout) for a standby that does not confirm WAL and for an archiver that fails, and reports them in RV(findings). A
    server that still runs then is an error; its stop was requested and may complete.
  - With O(state=released), exactly the state before the fence is restored, also by another run after a crash. A server that did not run before is
    not started. The release is refused if the cluster was started after it was fenced. Never release a primary after another server was
    promoted; attach it to the new primary instead.
  - If a base backup of another server replaced the fenced cluster, the release allows its start as a standby and does not start it.
  - A second run with the same state changes nothing.
  - Refuses the data directory of a standby, and a server of Patroni, pg_auto_failover or Stolon.
author:
  - lifeline.recovery contributors (@lifeline-recovery)
requirements:
  - C(pg_ctl) and C(pg_controldata) of the version of the cluster
extends_documentation_fragment:
  - lifeline.recovery._attributes
  - lifeline.recovery._cluster
  - lifeline.recovery._cluster.server
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
      - V(fenced) stops the server and keeps it from accepting writes, V(released) restores the state before.
    type: str
    choices: [fenced, released]
    default: fenced
  timeout:
    description:
      - Timeout in seconds of the stop, and of the start. A standby that does not answer delays a stop by C(wal_sender_timeout), by default 60
        seconds; a failing archive command delays it as well.
    type: float
    default: 120
seealso:
  - module: lifeline.recovery.pg_promote
  - module: lifeline.recovery.pg_control_info
"""

EXAMPLES = r"""
- name: Fence the primary before the standby is promoted
  lifeline.recovery.pg_fence:
    data_dir: /var/lib/postgresql/15/main
    service: postgresql@15-main.service
  become: true
  register: fence

- name: Take the fence back, because the promotion was not begun
  lifeline.recovery.pg_fence:
    data_dir: /var/lib/postgresql/15/main
    service: postgresql@15-main.service
    state: released
  become: true

- name: Fence a server that has no unit of systemd
  lifeline.recovery.pg_fence:
    data_dir: /srv/pgdata
    client_bin_dir: /opt/postgresql/bin
    timeout: 300
  become: true
  become_user: postgres
"""

RETURN = r"""
state:
  description: V(fenced) or V(released), as in O(state).
  type: str
  returned: success
  sample: fenced
control:
  description: The control file of the cluster, which C(stopped_primary) of M(lifeline.recovery.pg_promote) takes.
  type: dict
  returned: success
  contains:
    system_identifier:
      description: System identifier of the cluster.
      type: str
      sample: "7300000000000000001"
    timeline:
      description: Timeline of the newest checkpoint.
      type: int
      sample: 1
    state:
      description: State of the cluster, for example C(shut down) or C(in production).
      type: str
      sample: shut down
    running:
      description: Whether a process of the server runs.
      type: bool
      sample: false
    checkpoint_lsn:
      description: Position of the newest checkpoint.
      type: str
      sample: 0/4012B88
  sample:
    system_identifier: "7300000000000000001"
    timeline: 1
    state: shut down
    running: false
    checkpoint_lsn: 0/4012B88
is_clean:
  description: Whether the server ended with a shutdown checkpoint, so that the end of its WAL is known.
  type: bool
  returned: success
  sample: true
reason:
  description: Why the stop was not clean. Empty if it was.
  type: str
  returned: success
  sample: ""
before:
  description: The state that a release restores.
  type: dict
  returned: success
  contains:
    running:
      description: Whether the server ran.
      type: bool
      sample: true
    arguments:
      description: Arguments of the server that ran.
      type: list
      elements: str
      sample: [-c, config_file=/etc/postgresql/15/main/postgresql.conf]
    units:
      description: The units of systemd, and whether they ran.
      type: dict
      sample: {postgresql@15-main.service: true}
  sample:
    running: true
    arguments: [-c, config_file=/etc/postgresql/15/main/postgresql.conf]
    units: {postgresql@15-main.service: true}
findings:
  description: Sentences about the processes that delayed the stop.
  type: list
  elements: str
  returned: success
  sample: ["The stop waited for the archiver; check archive_command."]
timings:
  description: Seconds per phase, with the total last.
  type: dict
  returned: success
  sample: {plan: 0.1, stop: 0.4, signal: 0.1, verify: 0.1, total: 0.7}
undo:
  description: The options that take the fence back.
  type: dict
  returned: success
  sample: {state: released}
unchanged:
  description: Why nothing was changed, as C(reason) and C(next_step); null if something was.
  type: dict
  returned: success
  sample: null
plan_digest:
  description: The digest of the plan.
  type: str
  returned: success
  sample: 96348ae91561bf1b
confirmation:
  description: Always empty, because a fence can be taken back and needs no confirmation.
  type: str
  returned: success
  sample: ""
summary:
  description: The result in a sentence.
  type: str
  returned: success
  sample: Fenced /var/lib/postgresql/15/main; it stopped cleanly at 0/4012B88.
error_kind:
  description: Stable name of the error.
  type: str
  returned: failure
  sample: timeout
"""

from ..module_utils._ansible.ansible_module import create_module, run_module
from ..module_utils._ansible.failover_requests import fence_states, fence_states_spec
from ..module_utils._ansible.options import request_of, spec_of
from ..module_utils._failover.fence import Fence, FenceRequest, FenceResult
from ..module_utils._operations.change import perform
from ..module_utils._repository.change import Safeguards

SPEC = spec_of(FenceRequest).merge(fence_states_spec())


def main() -> None:
    module = create_module(SPEC)
    params = module.params

    def work() -> FenceResult:
        safeguards = Safeguards(check_mode=module.check_mode)
        request = request_of(FenceRequest, params, check_mode=module.check_mode, safeguards=safeguards)
        return perform(Fence(request, fence_states(params)))

    run_module(module, work)


if __name__ == "__main__":
    main()
