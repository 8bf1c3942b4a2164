#!/usr/bin/python
# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_writes
short_description: Stop and allow the writes of an application to a PostgreSQL database
version_added: 1.0.0
description:
  - With O(state=stopped), the application cannot write to the database until O(state=allowed). The state before - the right to log in, privileges
    of database, tables and columns, and settings - is stored in O(store) before the first change.
  - With O(state=allowed), exactly that state is restored, also by another run after a crash, and also if a restore has replaced the database.
    Rights that another session took away during the maintenance stay away.
  - A second run with the same state changes nothing, and does not replace the stored state.
  - The result is proved. With O(probe), the module writes with the login of the application; otherwise with its rights, or it reads the catalog.
    A probe writes no row, and its transaction is rolled back.
author:
  - lifeline.recovery contributors (@lifeline-recovery)
requirements:
  - psycopg2
extends_documentation_fragment:
  - lifeline.recovery._attributes
  - lifeline.recovery._postgres
  - lifeline.recovery._postgres.client
  - lifeline.recovery._store
attributes:
  check_mode:
    support: full
    details:
      - The statements are listed in RV(statements); nothing is changed, and no session is ended.
  diff_mode:
    support: full
    details:
      - The difference is the list of statements.
  idempotent:
    support: full
notes:
  - The role of the connection must be allowed to do what the means do. For V(nologin) it must be a superuser, or have CREATEROLE and ADMIN
    OPTION on the roles; for V(connect) and V(read_only), own the database; for V(triggers), be a member of the owners of the tables and have CREATE
    on the database; for V(grants), be a member of the owners. To end sessions, it must be a member of C(pg_signal_backend).
  - Roles that a platform reserves, such as C(anon) and C(authenticator) of a hosted Supabase project, cannot be altered. Use V(grants) and
    V(triggers) for them.
options:
  state:
    description:
      - V(stopped) stops writes, V(allowed) restores the state before.
    type: str
    choices: [stopped, allowed]
    default: stopped
  source:
    description:
      - Name of the source. The stored state and the audit records belong to it.
    type: str
    required: true
  roles:
    description:
      - Roles that the application logs in as or acts as. Required for V(nologin), V(connect) and V(grants) of O(means).
    type: list
    elements: str
    default: []
  means:
    description:
      - V(nologin) keeps O(roles) from logging in to the server. Their sessions in other databases continue.
      - V(connect) removes the right to connect to the database from O(roles), from the roles that they are members of, and from PUBLIC.
      - V(read_only) makes transactions of new sessions read-only by default. This is no barrier, because a session can request another
        transaction.
      - V(grants) removes the rights to insert, update, delete and truncate from O(roles), from the roles that they are members of, and from PUBLIC.
      - V(triggers) refuses inserts, updates, deletes and TRUNCATE of every role but O(except_roles) and the role of the connection, also with
        C(session_replication_role=replica). It does not refuse DDL.
    type: list
    elements: str
    choices: [nologin, connect, read_only, grants, triggers]
    default: [nologin]
  tables:
    description:
      - Tables that V(grants) and V(triggers) of O(means) concern, with their partitions. If it is empty, all tables of O(schemas).
    type: list
    elements: str
    default: []
  schemas:
    description:
      - Schemas whose tables are concerned if O(tables) is empty.
    type: list
    elements: str
    default: [public]
  except_roles:
    description:
      - Roles whose sessions stay, and whose writes V(triggers) accepts.
    type: list
    elements: str
    default: []
  terminate_sessions:
    description:
      - Whether sessions of O(roles), and of roles that can act as them, are ended in this database. Without O(roles), V(read_only) ends the
        sessions of all roles that are not superusers.
    type: bool
    default: true
  lock_timeout:
    description:
      - Seconds to wait for tables that other sessions use.
    type: float
    default: 30
  probe:
    description:
      - A login of the application, for the proof. While writes are allowed, it must be able to write.
    type: dict
    suboptions:
      login_user:
        description:
          - Role of the application.
        type: str
        required: true
      login_password:
        description:
          - Password of the role. If it is unset, the password file of libpq is used.
        type: str
  abandon:
    description:
      - Whether a stored state of another server is given up, because that server no longer exists.
    type: bool
    default: false
seealso:
  - module: lifeline.recovery.maintenance_step
  - module: lifeline.recovery.pg_restore
  - module: lifeline.recovery.pg_restore_table
"""

EXAMPLES = r"""
- name: Keep the application from logging in, and end its sessions
  lifeline.recovery.pg_writes:
    source: learnplay
    login_db: learnplay
    login_unix_socket: /run/postgresql
    roles: [learnplay_app]
    probe:
      login_user: learnplay_app
      login_password: "{{ vault_app_password }}"
    store:
      bucket: learnplay-backups

- name: Stop writes to one table, while the application continues
  lifeline.recovery.pg_writes:
    source: learnplay
    login_db: learnplay
    means: [triggers]
    tables: [public.course_versions]
    store:
      bucket: learnplay-backups

- name: Stop the writes of the API of a hosted Supabase project
  lifeline.recovery.pg_writes:
    source: learnplay
    dsn: "{{ vault_supabase_dsn }}"
    roles: [anon, authenticated, service_role]
    means: [grants, triggers]
    store:
      bucket: learnplay-backups

- name: Allow writes again
  lifeline.recovery.pg_writes:
    state: allowed
    source: learnplay
    login_db: learnplay
    login_unix_socket: /run/postgresql
    store:
      bucket: learnplay-backups
"""

RETURN = r"""
state:
  description: The state of writes.
  type: str
  returned: success
  sample: stopped
statements:
  description: The SQL that ran, or that would run.
  type: list
  elements: str
  returned: success
  sample: ['ALTER ROLE "learnplay_app" NOLOGIN']
sessions_ended:
  description: The number of sessions that were ended.
  type: int
  returned: success
  sample: 12
tables:
  description: The tables whose writes were stopped or allowed.
  type: list
  elements: str
  returned: success
  sample: []
probes:
  description:
    - The proof for each role. C(proof) is C(login) for a login of the application, C(statement) for a statement with its rights, and C(catalog)
      for a fact of the catalog.
  type: list
  elements: dict
  returned: success
  sample: [{role: learnplay_app, proof: login, refused: true, reason: role "learnplay_app" is not permitted to log in}]
not_stopped:
  description: Writers that the means do not stop, and what stops them.
  type: list
  elements: str
  returned: success
  sample: []
differences:
  description: Privileges and settings that are not those of before, because another session changed them. Only if O(state=allowed).
  type: list
  elements: str
  returned: success
  sample: []
undo:
  description: The options that allow writes again. Empty if O(state=allowed).
  type: dict
  returned: success
  sample: {state: allowed}
plan_digest:
  description: Digest of the statements.
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
  sample: {plan: 0.1, stop: 0.2, verify: 0.1, total: 0.4}
summary:
  description: The result in one sentence.
  type: str
  returned: success
  sample: "Stopped writes to the database learnplay by nologin for learnplay_app; 12 sessions ended."
error_kind:
  description: Stable name of the error.
  type: str
  returned: failure
  sample: check_failed
"""

from ..module_utils._ansible.ansible_module import create_module, run_module
from ..module_utils._ansible.argument_specs import postgres_spec
from ..module_utils._ansible.options import ArgumentSpec, request_of, spec_of
from ..module_utils._ansible.postgres_requests import connection_options, login_options
from ..module_utils._ansible.store_requests import opened_store, store_spec
from ..module_utils._engines.postgresql.writes.allow import AllowWrites
from ..module_utils._engines.postgresql.writes.request import WritesRequest, WritesResult
from ..module_utils._engines.postgresql.writes.stop import StopWrites
from ..module_utils._operations.change import perform
from ..module_utils._repository.change import Safeguards

_LOGIN = {"login_user": {"type": "str", "required": True}, "login_password": {"type": "str", "no_log": True}}

SPEC = ArgumentSpec(
    {
        "state": {"type": "str", "default": "stopped", "choices": ["stopped", "allowed"]},
        "probe": {"type": "dict", "options": _LOGIN},
    }
).merge(spec_of(WritesRequest), postgres_spec(), store_spec())


def main() -> None:
    module = create_module(SPEC)
    params = module.params

    def work() -> WritesResult:
        request = request_of(
            WritesRequest,
            params,
            check_mode=module.check_mode,
            connection=connection_options(params),
            probe=login_options(params, params["probe"]) if params["probe"] else None,
            safeguards=Safeguards(check_mode=module.check_mode),
        )
        change = StopWrites if params["state"] == "stopped" else AllowWrites
        return perform(change(request, opened_store(params)))

    run_module(module, work)


if __name__ == "__main__":
    main()
