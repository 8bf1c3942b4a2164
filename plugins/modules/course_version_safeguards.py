#!/usr/bin/python
# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: course_version_safeguards
short_description: Keep a version of each publication, and refuse changes of versions
version_added: 1.0.0
description:
  - With O(state=present), triggers refuse DELETE, UPDATE and TRUNCATE of the table of versions for all roles but O(restore_roles), also with
    C(session_replication_role=replica), and also if the row of a document is deleted with its versions. New versions are accepted, and so is
    the deletion of a document without versions.
  - With O(content_column), each publication of a document keeps a version in the same transaction, unless the application inserts the version
    itself in that transaction. A publication is a change of the column O(metadata.version). A change of the content without a new version is
    refused, because the former content would be lost; this also refuses the second of two publications that compute the same version.
  - With O(require_version), a transaction that publishes a version without its row is refused.
  - Document and version are made unique, because two publications at the same time would otherwise store two versions of one number.
  - The result is proved by changes of one version with the rights of O(roles) and of the owner, which are rolled back.
  - With O(state=absent), triggers, functions, and a unique constraint of this module are removed. Versions stay.
author:
  - lifeline.recovery contributors (@lifeline-recovery)
requirements:
  - psycopg2
extends_documentation_fragment:
  - lifeline.recovery._attributes
  - lifeline.recovery._postgres
  - lifeline.recovery._postgres.client
  - lifeline.recovery._store
  - lifeline.recovery._store.audited
  - lifeline.recovery._documents.tables
attributes:
  check_mode:
    support: full
    details:
      - The statements are listed in RV(statements); nothing is changed.
  diff_mode:
    support: full
    details:
      - The difference is the list of statements.
  idempotent:
    support: full
notes:
  - The role of the connection must own both tables, be a member of their owner, or be a superuser. The owner needs CREATE on the database.
  - A trigger does not hold the owner of the table, its members and superusers, who can remove the trigger. They are listed in RV(removers). Give
    the application a role that does not own the table.
  - M(lifeline.recovery.course_version_restore) only adds versions, so that its role need not be one of O(restore_roles).
options:
  state:
    description:
      - V(present) creates or updates the safeguards, V(absent) removes them.
    type: str
    choices: [present, absent]
    default: present
  restore_roles:
    description:
      - Roles that may change and delete versions, by their login. If it is empty, the role of the connection.
    type: list
    elements: str
    default: []
  roles:
    description:
      - Roles that the application logs in as or acts as, for the proof.
    type: list
    elements: str
    default: []
  content_column:
    description:
      - Column of the table of documents with the published content. If it is unset, publications do not keep a version.
    type: str
  require_version:
    description:
      - Whether a publication without a row in the table of versions is refused at the end of its transaction. Set it only if the application
        inserts the version in the transaction that publishes it.
    type: bool
    default: false
  add_unique:
    description:
      - Whether document and version are made unique if they are not. If V(false), a table without such a constraint is refused.
    type: bool
    default: true
  publisher:
    description:
      - Id of the user who is the publisher of kept versions if the publication has no token of PostgREST. Required if the column must not be
        null.
    type: str
  changelog:
    description:
      - Text that describes kept versions.
    type: str
    default: Kept by lifeline.recovery
  lock_timeout:
    description:
      - Seconds to wait for sessions that publish or read versions.
    type: float
    default: 10
seealso:
  - module: lifeline.recovery.course_version_restore
  - module: lifeline.recovery.course_version_info
  - module: lifeline.recovery.pg_writes
"""

EXAMPLES = r"""
- name: Show the statements that would protect the versions of courses
  lifeline.recovery.course_version_safeguards:
    login_db: learnplay
    login_unix_socket: /run/postgresql
    roles: [learnplay_app]
  check_mode: true
  diff: true

- name: Keep a version of each publication, and refuse changes of versions but by the restore role
  lifeline.recovery.course_version_safeguards:
    login_db: learnplay
    login_unix_socket: /run/postgresql
    roles: [learnplay_app]
    restore_roles: [recovery_restore]
    content_column: content
    publisher: 6f1c2a5e-1f0a-4c2e-9d52-6f6a1f2d3b4c
    source: learnplay
    store:
      bucket: learnplay-backups

- name: Remove the safeguards
  lifeline.recovery.course_version_safeguards:
    state: absent
    login_db: learnplay
    login_unix_socket: /run/postgresql
"""

RETURN = r"""
state:
  description: The state of the safeguards.
  type: str
  returned: success
  sample: present
statements:
  description: The SQL that ran, or that would run.
  type: list
  elements: str
  returned: success
  sample: [CREATE SCHEMA lifeline_safeguards AUTHORIZATION "learnplay_owner"]
probes:
  description: Attempts to change versions with the rights of a role.
  type: list
  elements: dict
  returned: success
  sample: [{role: learnplay_app, statement: DELETE, refused: true, reason: DELETE of public.course_versions is refused}]
removers:
  description: Logins that can remove the safeguards.
  type: list
  elements: str
  returned: success
  sample: [postgres]
not_held:
  description: Roles of O(roles) that can remove the safeguards.
  type: list
  elements: str
  returned: success
  sample: []
undo:
  description: The options that remove the safeguards. Empty if they existed before.
  type: dict
  returned: success
  sample: {state: absent}
plan_digest:
  description: Digest of the statements.
  type: str
  returned: success
  sample: 96348ae91561bf1b
confirmation:
  description: Empty. The change needs no confirmation.
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
  sample: {plan: 0.1, act: 0.1, verify: 0.1, total: 0.3}
summary:
  description: The result in one sentence.
  type: str
  returned: success
  sample: "Protected the versions of course_versions: changes are refused, but for recovery_restore."
error_kind:
  description: Stable name of the error.
  type: str
  returned: failure
  sample: check_failed
"""

from ..module_utils._ansible.ansible_module import create_module, run_module
from ..module_utils._ansible.argument_specs import postgres_spec
from ..module_utils._ansible.options import request_of, spec_of
from ..module_utils._ansible.postgres_requests import connection_options
from ..module_utils._ansible.store_requests import opened_store, store_spec
from ..module_utils._documents.safeguards import SafeguardsRequest, SafeguardsResult, VersionSafeguards
from ..module_utils._operations.change import perform
from ..module_utils._repository.change import Safeguards

SPEC = spec_of(SafeguardsRequest).merge(postgres_spec(), store_spec())


def main() -> None:
    module = create_module(SPEC)
    params = module.params

    def work() -> SafeguardsResult:
        request = request_of(
            SafeguardsRequest,
            params,
            check_mode=module.check_mode,
            connection=connection_options(params),
            safeguards=Safeguards(check_mode=module.check_mode),
        )
        return perform(VersionSafeguards(request, opened_store(params) if params["store"] else None))

    run_module(module, work)


if __name__ == "__main__":
    main()
