#!/usr/bin/python
# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_neutralize
short_description: Disable everything in a copied PostgreSQL database that acts outside it
version_added: 1.0.0
description:
  - Disables jobs of pg_cron, triggers, rules and event triggers that send requests, and subscriptions in a copy of a database, so that the
    copy sends no requests or mails, and does not use the replication slots of production.
  - A function leaves the server if it calls C(net.http_*), C(supabase_functions.http_request), the extensions C(http), C(pg_net), C(dblink),
    C(aws_lambda), C(aws_s3) or C(pg_amqp), runs a program with C(COPY), is written in an untrusted language, or calls such a function. The
    source of functions is searched, also comments and constants. A name that a function assembles from parts is not found.
  - Subscriptions are disabled and lose the name of their slot, so that a DROP of the copy does not remove the slot of production.
  - Publications, foreign servers, user mappings, functions and expressions are listed, and stay.
  - C(NOTIFY) does not leave the server, and is not considered.
  - The state before is stored in O(store) before the first change. With O(state=restored), exactly that state is restored.
  - The live database is refused. It is the database of O(original), or the one of the newest set of O(source).
  - All changes are one transaction. If something still acts, the transaction is rolled back.
author:
  - lifeline.recovery contributors (@lifeline-recovery)
requirements:
  - psycopg2
extends_documentation_fragment:
  - lifeline.recovery._attributes
  - lifeline.recovery._confirmation
  - lifeline.recovery._postgres
  - lifeline.recovery._postgres.client
  - lifeline.recovery._postgres.original
  - lifeline.recovery._postgres.statements
  - lifeline.recovery._store
attributes:
  check_mode:
    support: full
    details:
      - The objects are listed in RV(neutralized); nothing is changed. The queries O(statements[].only_if) run in a transaction that is rolled
        back.
  diff_mode:
    support: none
  idempotent:
    support: partial
    details:
      - A statement without O(statements[].only_if) runs each time.
notes:
  - The role of the connection must be the owner of the tables, and a superuser for event triggers and subscriptions. For jobs of other roles it
    must be a superuser.
  - The scheduler of pg_cron reads its jobs in one database of the server, C(cron.database_name). It starts active jobs as soon as a database of
    this name exists. Neutralize a copy before it gets this name, as M(lifeline.recovery.pg_restore) does.
  - Jobs that are running, and requests in the queue of pg_net, are not stopped.
options:
  state:
    description:
      - V(neutralized) disables, V(restored) restores the state before.
    type: str
    choices: [neutralized, restored]
    default: neutralized
  source:
    description:
      - Name of the source that the database is a copy of. The stored states and the audit records belong to it.
    type: str
    required: true
  settings:
    description:
      - Rows of tables of settings to change, for example the address of a mail server. Rows that have the values are left.
      - The values before are not stored. They come from the backup set again.
    type: list
    elements: dict
    default: []
    suboptions:
      table:
        description:
          - Table, as C(schema.table).
        type: str
        required: true
      where:
        description:
          - Values of columns that select the rows. If it is empty, all rows.
        type: dict
        default: {}
      set:
        description:
          - Values of columns to set.
        type: dict
        required: true
  drop_passwords:
    description:
      - Whether passwords are removed from user mappings of foreign servers. They are not stored, and must be set again.
    type: bool
    default: false
seealso:
  - module: lifeline.recovery.pg_restore
  - module: lifeline.recovery.pg_pitr
"""

EXAMPLES = r"""
- name: List the objects that act outside the copy
  lifeline.recovery.pg_neutralize:
    source: learnplay
    login_db: learnplay_copy
    login_unix_socket: /run/postgresql
    store:
      bucket: learnplay-backups
  check_mode: true

- name: Disable jobs and webhooks of the copy, and its mail server
  lifeline.recovery.pg_neutralize:
    source: learnplay
    login_db: learnplay_copy
    login_unix_socket: /run/postgresql
    settings:
      - table: public.settings
        where: {name: smtp_host}
        set: {value: localhost}
    recovery_confirm: learnplay_copy
    store:
      bucket: learnplay-backups

- name: Disable the jobs of a physical copy, which has the system identifier of the live server
  lifeline.recovery.pg_neutralize:
    source: learnplay
    login_host: 10.1.0.30
    login_db: learnplay
    original:
      login_host: 10.1.0.10
    store:
      bucket: learnplay-backups

- name: Restore the state before, because the copy becomes the live database
  lifeline.recovery.pg_neutralize:
    state: restored
    source: learnplay
    login_db: learnplay_copy
    login_unix_socket: /run/postgresql
    store:
      bucket: learnplay-backups
"""

RETURN = r"""
state:
  description: The state of the database.
  type: str
  returned: success
  sample: neutralized
database:
  description: The database.
  type: str
  returned: success
  sample: learnplay_copy
neutralized:
  description:
    - The objects that were disabled, in check mode those that would be, with their state before.
    - The C(kind) is C(cron_job), C(trigger), C(rule), C(event_trigger), C(subscription), C(user_mapping), C(setting) or C(statement).
  type: list
  elements: dict
  returned: success
  sample: [{kind: trigger, name: hook on public.orders, before: {enabled: origin}, reason: hook() calls net.http_post}]
restored:
  description: The names of the objects whose state was restored. Only if O(state=restored).
  type: list
  elements: str
  returned: success
  sample: []
listed:
  description: Objects that stay, with the reason.
  type: list
  elements: dict
  returned: success
  sample: [{kind: publication, name: all_tables, reason: another server can subscribe}]
differences:
  description: Objects whose state was not restored, as sentences. Only if O(state=restored).
  type: list
  elements: str
  returned: success
  sample: []
undo:
  description: The options that restore the state before. Empty if O(state=restored).
  type: dict
  returned: success
  sample: {state: restored}
plan_digest:
  description: Digest of the statements.
  type: str
  returned: success
  sample: 96348ae91561bf1b
confirmation:
  description: The value that O(recovery_confirm) must have for a run with these options; empty if it needs no other.
  type: str
  returned: success
  sample: ""
unchanged:
  description: Why nothing was changed, as C(reason) and C(next_step); null if something was.
  type: dict
  returned: success
  sample: null
timings:
  description: Seconds per phase.
  type: dict
  returned: success
  sample: {plan: 0.1, neutralize: 0.2, total: 0.3}
summary:
  description: The result in one sentence.
  type: str
  returned: success
  sample: "Neutralized the database learnplay_copy, 2 objects: cron job nightly, trigger hook on public.orders."
error_kind:
  description: Stable name of the error.
  type: str
  returned: failure
  sample: conflict
"""

from ..module_utils._ansible.ansible_module import create_module, run_module
from ..module_utils._ansible.argument_specs import peer_spec, postgres_spec
from ..module_utils._ansible.options import ArgumentSpec, request_of, spec_of
from ..module_utils._ansible.postgres_requests import connection_options, peer_options
from ..module_utils._ansible.store_requests import opened_store, store_spec
from ..module_utils._engines.postgresql.neutral.neutralize import Neutralize, RestoreActors
from ..module_utils._engines.postgresql.neutral.request import NeutralizeRequest, NeutralizeResult
from ..module_utils._operations.change import perform

SPEC = ArgumentSpec(
    {"state": {"type": "str", "default": "neutralized", "choices": ["neutralized", "restored"]}},
).merge(spec_of(NeutralizeRequest), peer_spec("original"), postgres_spec(), store_spec())


def main() -> None:
    module = create_module(SPEC)
    params = module.params

    def work() -> NeutralizeResult:
        request = request_of(
            NeutralizeRequest,
            params,
            check_mode=module.check_mode,
            connection=connection_options(params),
            original=peer_options(params, "original"),
        )
        change = Neutralize if params["state"] == "neutralized" else RestoreActors
        return perform(change(request, opened_store(params)))

    run_module(module, work)


if __name__ == "__main__":
    main()
