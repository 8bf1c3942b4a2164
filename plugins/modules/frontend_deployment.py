#!/usr/bin/python
# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: frontend_deployment
short_description: Switch a frontend to an earlier deployment of Vercel or Netlify, or call a deploy hook
version_added: 1.0.0
description:
  - On Vercel and Netlify, production is switched to a deployment that exists already, without a build. The run ends when the provider reports that
    production serves the deployment, and O(health_url) answers as expected.
  - A deploy hook builds the head of a branch. Take the bad commits back with M(lifeline.recovery.git_revert) first, or the hook deploys them again.
  - The request of a switch is sent once. If its answer is lost, the state of the provider or O(health_url) shows whether it was done.
  - Follows the documentation of the providers and was tested against doubles of their APIs, not against the services.
author:
  - lifeline.recovery contributors (@lifeline-recovery)
extends_documentation_fragment:
  - lifeline.recovery._attributes
  - lifeline.recovery._confirmation
  - lifeline.recovery._health
  - lifeline.recovery._store
  - lifeline.recovery._store.audited
attributes:
  check_mode:
    support: full
    details:
      - The deployments are read and the target is chosen; nothing is switched and no hook is called.
  diff_mode:
    support: none
  idempotent:
    support: full
    details:
      - A deploy hook is not called if O(health_url) answers as expected already.
options:
  vercel:
    description:
      - A project of Vercel. After a rollback, Vercel assigns no new deployment to production until a deployment is promoted. Environment variables
        are those of the former build.
    type: dict
    suboptions:
      project:
        description:
          - Id of the project.
        type: str
        required: true
      token:
        description:
          - Access token.
        type: str
        required: true
      deployment:
        description:
          - Id of the deployment. If it is unset, the deployment of production before the current one is used. The hobby plan allows no other one.
        type: str
      team:
        description:
          - Id of the team that owns the project.
        type: str
      action:
        description:
          - V(rollback) goes back to a deployment that served production. V(promote) ends the state of a rollback, and requires
            O(vercel.deployment).
        type: str
        choices: [rollback, promote]
        default: rollback
      api_url:
        description:
          - URL of the API of Vercel.
        type: str
        default: https://api.vercel.com
  netlify:
    description:
      - A site of Netlify.
    type: dict
    suboptions:
      site:
        description:
          - Id of the site.
        type: str
        required: true
      token:
        description:
          - Access token.
        type: str
        required: true
      deployment:
        description:
          - Id of the deploy. If it is unset, the deploy of production that was published before the current one is used.
        type: str
      lock:
        description:
          - Whether the deploy is locked, so that a push does not publish another one. V(false) unlocks it.
        type: bool
        default: true
      api_url:
        description:
          - URL of the API of Netlify.
        type: str
        default: https://api.netlify.com
  hook:
    description:
      - A deploy hook of any provider. O(health_url) and O(health_body) are required, because a hook reports no result.
    type: dict
    suboptions:
      url:
        description:
          - Address of the hook. The address is a secret and is in no log, result or error.
        type: str
        required: true
      method:
        description:
          - Method of the request.
        type: str
        choices: [POST, GET]
        default: POST
  api_timeout:
    description:
      - Seconds to wait for an answer of the provider or the hook.
    type: int
    default: 60
  deploy_timeout:
    description:
      - Seconds until the provider must report that production serves the deployment. With O(hook), seconds until O(health_url) must answer as
        expected.
    type: float
    default: 600
  poll_seconds:
    description:
      - Seconds between two requests of the state, or to O(health_url).
    type: float
    default: 5
seealso:
  - module: lifeline.recovery.git_revert
  - module: lifeline.recovery.supabase_function
"""

EXAMPLES = r"""
- name: Roll production of Vercel back to the deployment before the current one
  lifeline.recovery.frontend_deployment:
    vercel:
      project: prj_QmV4example
      token: "{{ vault_vercel_token }}"
    health_url: https://learnplay.example.org/build.json
    health_body: {build: v1.4.0}

- name: Publish an earlier deploy of Netlify again, and lock it
  lifeline.recovery.frontend_deployment:
    netlify:
      site: 3970e0fe-8564-4903-9a55-c5f8de49fb8b
      token: "{{ vault_netlify_token }}"
      deployment: 5f6d8a3b2c1e4d0007a1b2c3
    health_url: https://learnplay.example.org/
    health_body: v1.4.0

- name: Build the branch again after its bad commits were taken back
  lifeline.recovery.frontend_deployment:
    hook:
      url: "{{ vault_deploy_hook }}"
    health_url: https://learnplay.example.org/build.json
    health_body: {build: v1.4.0}
    deploy_timeout: 900
"""

RETURN = r"""
provider:
  description: The used option - V(vercel), V(netlify) or V(hook).
  type: str
  returned: success
  sample: vercel
former:
  description: Id of the deployment that production served before; null with O(hook).
  type: str
  returned: success
  sample: dpl_bad
deployment:
  description: Id of the deployment that production serves; null with O(hook).
  type: str
  returned: success
  sample: dpl_good
commit:
  description: Commit of the deployment; null if the provider returns none.
  type: str
  returned: success
  sample: 4f2a9c1b7d3e5f60718293a4b5c6d7e8f9012345
proved:
  description: Whether O(health_url) answered as expected after the switch.
  type: bool
  returned: success
  sample: true
answer_lost:
  description: Whether the answer to the request was lost, and the state afterwards showed that it was done.
  type: bool
  returned: success
  sample: false
plan:
  description: The plan that check mode shows and a confirmation refers to.
  type: dict
  returned: success
  sample: {provider: vercel, former: dpl_bad, deployment: dpl_good, commit: 4f2a9c1b7d3e5f60718293a4b5c6d7e8f9012345}
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
  description: The suboptions that go back to the former deployment, without the token. Empty with O(hook).
  type: dict
  returned: success, and failure after the switch was requested
  sample: {vercel: {action: promote, deployment: dpl_bad}}
unchanged:
  description: Why nothing was changed, as C(reason) and C(next_step); null if something was.
  type: dict
  returned: success
  sample: null
timings:
  description: Seconds per phase.
  type: dict
  returned: success
  sample: {plan: 0.6, switch: 0.4, verify: 5.3, prove: 0.1, total: 6.4}
summary:
  description: The result in one sentence.
  type: str
  returned: success
  sample: "Switched production of Vercel to dpl_good (commit 4f2a9c1b7d3e), from dpl_bad; the health route answers as expected."
error_kind:
  description: Stable name of the error.
  type: str
  returned: failure
  sample: check_failed
"""

from ..module_utils._ansible.ansible_module import create_module, run_module
from ..module_utils._ansible.frontend_requests import hosting, hosting_spec
from ..module_utils._ansible.options import request_of, spec_of
from ..module_utils._ansible.store_requests import audit_store, store_spec
from ..module_utils._operations.change import perform
from ..module_utils._release.frontend import FrontendRequest, FrontendResult, FrontendSwitch

SPEC = spec_of(FrontendRequest).merge(hosting_spec(), store_spec())


def main() -> None:
    module = create_module(SPEC)
    params = module.params

    def work() -> FrontendResult:
        request = request_of(FrontendRequest, params, check_mode=module.check_mode)
        return perform(FrontendSwitch(request, hosting(params), audit_store(params)))

    run_module(module, work)


if __name__ == "__main__":
    main()
