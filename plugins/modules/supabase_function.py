#!/usr/bin/python
# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: supabase_function
short_description: Roll edge functions of Supabase back to a commit
version_added: 1.0.0
description:
  - Reads the sources of the functions at a commit from a temporary clone, and deploys them through the Management API. No working tree of the user
    is read or changed, and neither Docker nor the client of Supabase is needed.
  - The service bundles every function before any is replaced. A commit that does not build leaves all functions unchanged, and a function that
    has the same bundle and the same C(verify_jwt) already is not deployed.
  - The current bundles are kept on the host, then all functions are replaced in one request. The run ends when each new version is active, has
    the digest of the planned bundle, and O(health_url) answers as expected.
  - C(verify_jwt) of the current function is sent back. The client of Supabase sets it to true instead, which makes webhooks fail with HTTP 401.
  - Files are found as the client finds them - the entrypoint, C(deno.json) or another import map, relative imports, and C(static_files) of
    C(supabase/config.toml).
  - Follows the OpenAPI document of the API and the requests of the client, and was tested against a double of the API, not against the service.
author:
  - lifeline.recovery contributors (@lifeline-recovery)
requirements:
  - git 2.25
extends_documentation_fragment:
  - lifeline.recovery._attributes
  - lifeline.recovery._confirmation
  - lifeline.recovery._git
  - lifeline.recovery._health
  - lifeline.recovery._store
  - lifeline.recovery._store.audited
  - lifeline.recovery._supabase
attributes:
  check_mode:
    support: full
    details:
      - If O(state=deployed), the service bundles the functions as in a real run, and no function is replaced. So check mode detects a commit that
        does not build.
  diff_mode:
    support: none
  idempotent:
    support: full
options:
  state:
    description:
      - V(deployed) deploys O(functions) from the commit O(ref).
      - V(absent) deletes O(functions). Their bundles are kept first, and O(replacement) and O(health_url) must be as expected first.
      - V(restored) sends the bundles of the folder O(kept) back, which undoes a former run.
    type: str
    choices: [deployed, absent, restored]
    default: deployed
  functions:
    description:
      - Slugs of the functions. If O(state=restored), the default is all functions of O(kept).
    type: list
    elements: str
    default: []
  ref:
    description:
      - Commit, tag or branch to read the sources from, for example V(v1.4.0) or V(main~1).
    type: str
  remote:
    description:
      - Address of the repository - V(https://), V(ssh://), V(user@host:path) - or the absolute path of a repository of this host. Required if
        O(state=deployed).
    type: str
  workdir:
    description:
      - Folder of the repository that has the folder C(supabase).
    type: str
    default: ""
  verify_jwt:
    description:
      - Whether the gateway checks the token of requests before the functions run. If it is unset, the value of the current function is used,
        for a function that the project does not have the value of C(supabase/config.toml), otherwise V(true).
    type: bool
  replacement:
    description:
      - Function that must be active before O(functions) are deleted.
    type: str
  kept:
    description:
      - Folder that a former run returned as C(kept).
    type: path
  keep_dir:
    description:
      - Folder on the host in which the current bundles are kept. If it is unset, it is C(/var/lib/lifeline-functions) for root, and
        C(~/.local/state/lifeline-functions) for another user.
    type: path
  deploy_timeout:
    description:
      - Seconds until the new versions must be active.
    type: float
    default: 300
  poll_seconds:
    description:
      - Seconds between two requests of the state of a function, or to O(health_url). The service allows 120 requests per minute.
    type: float
    default: 2
seealso:
  - module: lifeline.recovery.git_revert
  - module: lifeline.recovery.pg_migrate
"""

EXAMPLES = r"""
- name: Roll two functions back to the former release
  lifeline.recovery.supabase_function:
    project_ref: abcdefghijklmnopqrst
    functions: [publish-course, org-config]
    remote: git@github.com:example/learnplay.git
    ssh_key_file: /etc/lifeline/deploy_key
    ref: v1.4.0
    health_url: https://abcdefghijklmnopqrst.supabase.co/functions/v1/org-config
    health_headers:
      apikey: "{{ vault_publishable_key }}"
    health_body: {build: v1.4.0}
  register: rollback

- name: Delete a function of the bad release, after its replacement was proved
  lifeline.recovery.supabase_function:
    project_ref: abcdefghijklmnopqrst
    state: absent
    functions: [publish-course-v2]
    replacement: publish-course
    health_url: https://abcdefghijklmnopqrst.supabase.co/functions/v1/publish-course
    recovery_confirm: publish-course-v2

- name: Undo the rollback with the bundles that were kept
  lifeline.recovery.supabase_function:
    project_ref: abcdefghijklmnopqrst
    state: restored
    kept: "{{ rollback.undo.kept }}"
"""

RETURN = r"""
project:
  description: Ref of the project.
  type: str
  returned: success
  sample: abcdefghijklmnopqrst
commit:
  description: The commit of the sources; null if O(state) is not V(deployed).
  type: str
  returned: success
  sample: 4f2a9c1b7d3e5f60718293a4b5c6d7e8f9012345
functions:
  description: For each function its former and its current version, the digest of the planned bundle, and whether the current bundle has that
    digest, which is null if the service returned no digest.
  type: list
  elements: dict
  returned: success
  sample:
    - slug: org-config
      from_version: 12
      version: 13
      verify_jwt: false
      ezbr_sha256: 44c691990518d25498f0fd80cf6631ecf2b58eb9c5eb2a087dd1688f2904dac7
      equal: true
      changes: true
      files: 4
proved:
  description: Whether O(health_url) answered as expected. If O(state=absent), before the deletion.
  type: bool
  returned: success
  sample: true
answer_lost:
  description: Whether the answer to the request was lost, and the state of the functions showed that it was done.
  type: bool
  returned: success
  sample: false
plan:
  description: The plan that check mode shows and a confirmation refers to.
  type: dict
  returned: success
  sample:
    project: abcdefghijklmnopqrst
    commit: 4f2a9c1b7d3e5f60718293a4b5c6d7e8f9012345
    subject: Release 1.4.0
    functions:
      - slug: org-config
        from_version: 12
        verify_jwt: false
        ezbr_sha256: 44c691990518d25498f0fd80cf6631ecf2b58eb9c5eb2a087dd1688f2904dac7
        files: [supabase/functions/org-config/index.ts]
        changes: true
plan_digest:
  description: Digest of the plan.
  type: str
  returned: success
  sample: 3f1c9a0b5d7e2468
confirmation:
  description: The value that O(recovery_confirm) must have in a run with the same options; empty if the run needs no other value.
  type: str
  returned: success
  sample: ""
undo:
  description: The options of this module that undo the run.
  type: dict
  returned: success, and failure after a function was replaced
  sample: {state: restored, kept: /var/lib/lifeline-functions/abcdefghijklmnopqrst/20260301T124512Z-3f1c9a}
unchanged:
  description: Why nothing was changed, as C(reason) and C(next_step); null if something was.
  type: dict
  returned: success
  sample: null
timings:
  description: Seconds per phase.
  type: dict
  returned: success
  sample: {read: 2.1, bundle: 4.0, undo: 0.3, deploy: 0.9, verify: 2.2, prove: 0.1, total: 9.6}
summary:
  description: The result in one sentence.
  type: str
  returned: success
  sample: "Deployed 1 function of 4f2a9c1b7d3e: org-config; the health route answers as expected."
error_kind:
  description: Stable name of the error.
  type: str
  returned: failure
  sample: check_failed
"""

from ..module_utils._ansible.ansible_module import create_module, run_module
from ..module_utils._ansible.argument_specs import supabase_spec
from ..module_utils._ansible.function_requests import functions_change, functions_spec
from ..module_utils._ansible.store_requests import audit_store, store_spec
from ..module_utils._operations.change import perform
from ..module_utils._supabase.functions.change import FunctionsResult

SPEC = functions_spec().merge(supabase_spec(), store_spec())


def main() -> None:
    module = create_module(SPEC)

    def work() -> FunctionsResult:
        return perform(functions_change(module.params, audit_store(module.params), check_mode=module.check_mode))

    run_module(module, work)


if __name__ == "__main__":
    main()
