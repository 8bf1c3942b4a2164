#!/usr/bin/python
# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_control_info
short_description: Read the control file of a PostgreSQL cluster on this host
version_added: 1.0.0
description:
  - Reads the control file with C(pg_controldata), and whether a server runs on the data directory. Neither needs a login.
  - After a clean stop of a primary, the result is the proof that M(lifeline.recovery.pg_promote) requires to promote a standby without
    the loss of a commit.
  - The module runs the program as the owner of the data directory if it runs as root.
author:
  - lifeline.recovery contributors (@lifeline-recovery)
requirements:
  - C(pg_controldata) of the version of the cluster
extends_documentation_fragment:
  - lifeline.recovery._attributes
  - lifeline.recovery._attributes.info_module
  - lifeline.recovery._cluster
seealso:
  - module: lifeline.recovery.pg_promote
"""

EXAMPLES = r"""
- name: Read the control file of the stopped primary
  lifeline.recovery.pg_control_info:
    data_dir: /var/lib/postgresql/15/main
  become: true
  register: stopped

- name: Fail unless the primary was stopped cleanly
  lifeline.recovery.pg_control_info:
    data_dir: /var/lib/postgresql/15/main
  register: stopped
  failed_when: stopped is failed or not stopped.is_clean

- name: Read the control file of a cluster that was compiled on this host
  lifeline.recovery.pg_control_info:
    data_dir: /srv/pgdata
    client_bin_dir: /opt/postgresql/bin
"""

RETURN = r"""
control:
  description: The facts that C(stopped_primary) of M(lifeline.recovery.pg_promote) takes.
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
      description: Whether a server runs on the data directory.
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
  description: Whether a primary was stopped cleanly, and no server runs.
  type: bool
  returned: success
  sample: true
limits:
  description: Settings that a standby of this cluster needs at least.
  type: dict
  returned: success
  sample:
    max_connections: 100
    max_worker_processes: 8
    max_wal_senders: 10
    max_prepared_transactions: 0
    max_locks_per_transaction: 64
server_version:
  description: Major version of the cluster.
  type: str
  returned: success
  sample: "15"
error_kind:
  description: Stable name of the error.
  type: str
  returned: failure
  sample: target_missing
"""

from ..module_utils._ansible.ansible_module import create_module, run_module
from ..module_utils._ansible.options import request_of, spec_of
from ..module_utils._failover.control import ControlRequest, ControlResult, read_control

SPEC = spec_of(ControlRequest)


def main() -> None:
    module = create_module(SPEC)
    params = module.params

    def work() -> ControlResult:
        return read_control(request_of(ControlRequest, params, check_mode=module.check_mode))

    run_module(module, work)


if __name__ == "__main__":
    main()
