#!/usr/bin/python
# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: git_revert
short_description: Take commits of a remote branch back by new commits
version_added: 1.0.0
description:
  - Clones the branch into a temporary folder, takes the commits back there, and pushes the new commits. No working tree, index or configuration of
    the user is read or changed.
  - All commits are taken back in the clone before anything is pushed. A conflict leaves the remote unchanged and is reported with the files.
  - If the newest commits are taken back, the files must afterwards be those of the commit before them, or nothing is pushed.
  - The push never replaces a commit. If another client pushed in between, the commits are taken back again on the new tip, once.
  - Nothing of the repository is run - no hooks, filters, merge drivers, submodules or configuration. The hooks of the remote run on its side.
author:
  - lifeline.recovery contributors (@lifeline-recovery)
requirements:
  - git 2.25
extends_documentation_fragment:
  - lifeline.recovery._attributes
  - lifeline.recovery._confirmation
  - lifeline.recovery._git
  - lifeline.recovery._store
attributes:
  check_mode:
    support: full
    details:
      - Takes the commits back in the temporary clone, and pushes nothing.
  diff_mode:
    support: full
    details:
      - Shows the first 400 lines of the difference of the files.
  idempotent:
    support: full
    details:
      - Commits whose changes are undone already stay as they are. V(HEAD) that is a revert is not taken back.
options:
  remote:
    description:
      - Address of the repository - V(https://), V(ssh://), V(user@host:path) - or the absolute path of a repository of this host.
    type: str
    required: true
  branch:
    description:
      - Branch whose commits are taken back. If it is unset, it is the default branch of the remote.
    type: str
  commits:
    description:
      - Commits by their ids, C(HEAD) for the newest one, and ranges C(OLDER..NEWER), of which OLDER stays.
      - The first commit of a branch is refused, because its revert deletes every file.
    type: list
    elements: str
    required: true
  mainline:
    description:
      - Number of the parent that a merge goes back to, usually 1. Required for merges. A range then follows the first parents only.
      - To merge the same branch again later, its revert has to be taken back first.
    type: int
  reason:
    description:
      - Text that is added to the message of the commits.
    type: str
  on_protected:
    description:
      - Treatment of a remote that refuses the commits on O(branch). V(fail) leaves the remote unchanged, V(branch) pushes them to the branch
        C(revert/ID), which has to be merged.
    type: str
    choices: [fail, branch]
    default: fail
  max_commits:
    description:
      - The most commits that one run takes back.
    type: int
    default: 20
  author_name:
    description:
      - Name of the author of the commits.
    type: str
    default: lifeline.recovery
  author_email:
    description:
      - Mail address of the author of the commits.
    type: str
    default: lifeline.recovery@localhost
  source:
    description:
      - Name of the source whose audit log gets a record of the run, which needs O(store).
    type: str
seealso:
  - module: lifeline.recovery.pg_migrate
"""

EXAMPLES = r"""
- name: Take the last release of the frontend back
  lifeline.recovery.git_revert:
    remote: git@github.com:example/learnplay.git
    ssh_key_file: /etc/lifeline/deploy_key
    branch: main
    commits: [HEAD]
    reason: The release broke the login.

- name: Take a merge back, on a branch of its own if main is protected
  lifeline.recovery.git_revert:
    remote: https://github.com/example/learnplay.git
    password: "{{ vault_github_token }}"
    commits: [4f2a9c1b7d3e5f60718293a4b5c6d7e8f9012345]
    mainline: 1
    on_protected: branch

- name: Show the difference of taking three commits back
  lifeline.recovery.git_revert:
    remote: /srv/git/learnplay.git
    commits: [0b5d7e24683f1c9a..4f2a9c1b7d3e5f60]
  check_mode: true
  diff: true
"""

RETURN = r"""
branch:
  description: The branch.
  type: str
  returned: success
  sample: main
tip:
  description: The commit that the branch had before the run.
  type: str
  returned: success
  sample: 4f2a9c1b7d3e5f60718293a4b5c6d7e8f9012345
commit:
  description: The last new commit; null if no change was left to undo.
  type: str
  returned: success
  sample: 9012345f60718293a4b5c6d7e8f94f2a9c1b7d3e
reverted:
  description: The commits that are taken back, and the commit that does so for each, which is empty if its change was undone already.
  type: list
  elements: dict
  returned: success
  sample: [{reverts: 4f2a9c1b7d3e5f60718293a4b5c6d7e8f9012345, subject: Rewrite the login, commit: 9012345f60718293a4b5c6d7e8f94f2a9c1b7d3e}]
pushed_to:
  description: The branch of the remote that has the new commits; null if nothing was pushed.
  type: str
  returned: success
  sample: main
protected:
  description: Why the remote refused the commits on RV(branch); null if it did not.
  type: str
  returned: success
  sample: null
equal_to:
  description: The commit whose files the branch has again; null if newer commits stay.
  type: str
  returned: success
  sample: 0b5d7e24683f1c9a4f2a9c1b7d3e5f6071829012
files:
  description: The first 50 changed files.
  type: list
  elements: str
  returned: success
  sample: [src/login.ts]
file_count:
  description: The number of changed files.
  type: int
  returned: success
  sample: 1
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
  description: The options that take the revert back - C(commits) and C(branch).
  type: dict
  returned: success
  sample: {commits: [9012345f60718293a4b5c6d7e8f94f2a9c1b7d3e], branch: main}
unchanged:
  description: Why nothing was changed, as C(reason) and C(next_step); null if something was.
  type: dict
  returned: success
  sample: null
timings:
  description: Seconds per phase.
  type: dict
  returned: success
  sample: {clone: 2.1, revert: 0.2, push: 0.9, verify: 0.3, total: 3.5}
summary:
  description: The result in one sentence.
  type: str
  returned: success
  sample: "Took back 1 commit of main; the files are those of 0b5d7e24683f again."
error_kind:
  description: Stable name of the error.
  type: str
  returned: failure
  sample: conflict
"""

from ..module_utils._ansible.ansible_module import create_module, run_module
from ..module_utils._ansible.options import request_of, spec_of
from ..module_utils._ansible.store_requests import audit_store, store_spec
from ..module_utils._git.revert import Revert, RevertResult
from ..module_utils._git.workbench import RevertRequest
from ..module_utils._operations.change import perform

SPEC = spec_of(RevertRequest).merge(store_spec())


def main() -> None:
    module = create_module(SPEC)

    def work() -> RevertResult:
        request = request_of(RevertRequest, module.params, check_mode=module.check_mode, diff_mode=module._diff)
        return perform(Revert(request, audit_store(module.params)))

    run_module(module, work)


if __name__ == "__main__":
    main()
