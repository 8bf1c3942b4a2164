#!/usr/bin/python
# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_execute
short_description: Run SQL statements of an operator in one transaction, each with the rights of a role
version_added: 1.0.0
description:
  - Runs statements, for example to reset the passwords of users after an attack. Either all statements have their effect, or none.
  - A statement runs with the rights of its role, and the code of triggers that it fires cannot leave that role.
  - For a superuser, ordinary triggers do not fire.
author:
  - lifeline.recovery contributors (@lifeline-recovery)
requirements:
  - psycopg2
extends_documentation_fragment:
  - lifeline.recovery._attributes
  - lifeline.recovery._confirmation
  - lifeline.recovery._postgres
  - lifeline.recovery._postgres.client
  - lifeline.recovery._postgres.statements
  - lifeline.recovery._store
  - lifeline.recovery._store.audited
attributes:
  check_mode:
    support: full
    details:
      - The queries O(statements[].only_if) run in a transaction that is rolled back. No statement runs.
  diff_mode:
    support: none
  idempotent:
    support: partial
    details:
      - A statement without O(statements[].only_if) runs each time.
seealso:
  - module: lifeline.recovery.pg_neutralize
"""

EXAMPLES = r"""
- name: Reset the passwords and end the sessions of all users of Supabase
  lifeline.recovery.pg_execute:
    source: learnplay
    login_db: learnplay
    statements:
      - name: passwords
        role: supabase_auth_admin
        sql: UPDATE auth.users SET encrypted_password = NULL
        only_if: SELECT 1 FROM auth.users WHERE encrypted_password IS NOT NULL
      - name: sessions
        role: supabase_auth_admin
        sql: DELETE FROM auth.sessions
        only_if: SELECT 1 FROM auth.sessions
    recovery_confirm: learnplay

- name: Mark all invitations as expired
  lifeline.recovery.pg_execute:
    login_db: school
    statements:
      - name: invitations
        role: school_owner
        sql: UPDATE public.invitations SET expires_at = now()
        only_if: SELECT 1 FROM public.invitations WHERE expires_at > now()
    recovery_confirm: school

- name: List the statements that would run
  lifeline.recovery.pg_execute:
    login_db: school
    statements:
      - {name: tokens, role: school_owner, sql: DELETE FROM public.tokens, only_if: SELECT 1 FROM public.tokens}
  check_mode: true
"""

RETURN = r"""
database:
  description: The database.
  type: str
  returned: success
  sample: learnplay
statements:
  description: The names of the statements that ran, in check mode of those that would run.
  type: list
  elements: str
  returned: success
  sample: [passwords, sessions]
undo:
  description: Empty, because only a restore takes the statements back.
  type: dict
  returned: success
  sample: {}
plan_digest:
  description: Digest of the statements.
  type: str
  returned: success
  sample: 96348ae91561bf1b
confirmation:
  description: The value that O(recovery_confirm) must have for a run with these options; empty if it needs no other.
  type: str
  returned: success
  sample: learnplay
unchanged:
  description: Why nothing was changed, as C(reason) and C(next_step); null if something was.
  type: dict
  returned: success
  sample: null
timings:
  description: Seconds per phase.
  type: dict
  returned: success
  sample: {plan: 0.1, execute: 0.2, total: 0.3}
summary:
  description: The result in one sentence.
  type: str
  returned: success
  sample: "Ran 2 statements in the database learnplay: passwords, sessions."
error_kind:
  description: Stable name of the error.
  type: str
  returned: failure
  sample: query_failed
"""

from ..module_utils._ansible.ansible_module import create_module, run_module
from ..module_utils._ansible.argument_specs import postgres_spec
from ..module_utils._ansible.options import request_of, spec_of
from ..module_utils._ansible.postgres_requests import connection_options
from ..module_utils._ansible.store_requests import opened_store, store_spec
from ..module_utils._engines.postgresql.neutral.execute import Execute, ExecuteRequest, ExecuteResult
from ..module_utils._operations.change import perform

SPEC = spec_of(ExecuteRequest).merge(postgres_spec(), store_spec())


def main() -> None:
    module = create_module(SPEC)
    params = module.params

    def work() -> ExecuteResult:
        request = request_of(
            ExecuteRequest, params, check_mode=module.check_mode, connection=connection_options(params)
        )
        return perform(Execute(request, opened_store(params) if params["store"] else None))

    run_module(module, work)


if __name__ == "__main__":
    main()
