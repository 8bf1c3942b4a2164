#!/usr/bin/python
# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: drill_self_test
short_description: Prove that verification catches a damaged backup set
version_added: 1.0.0
description:
  - A verification that cannot fail proves nothing. The module verifies damaged views of a set - a flipped byte, a truncated object, a
    missing object, an object that is valid but empty, and an object that lost a row - and returns which damage was detected.
  - The store is not changed; the damage is between the store and the verification. For the last two kinds the manifest
    is adapted to the damaged bytes, so that only the content shows the damage.
  - With O(restored_db) or O(restored_path), copies of a database that was restored from the set are damaged too, and the comparison
    that restores rely on must name each damage - a row dropped or added, a value changed, values exchanged between rows, a sequence set
    back, a policy or grant removed, a trigger disabled. The copies are dropped again; the restored database itself is only read.
  - With O(stanza), the module damages copies of a repository of pgBackRest in a local folder - a segment of the write-ahead log that is
    missing, flipped or truncated, and a file of the newest backup that is missing or flipped.
author:
  - lifeline.recovery contributors (@lifeline-recovery)
requirements:
  - boto3 (for S3 stores)
  - zstandard
extends_documentation_fragment:
  - lifeline.recovery._attributes
  - lifeline.recovery._attributes.info_module
  - lifeline.recovery._postgres
  - lifeline.recovery._postgres.client
  - lifeline.recovery._store
  - lifeline.recovery._selection
options:
  stanza:
    description:
      - A stanza of pgBackRest to test, instead of a set.
    type: str
  config:
    description:
      - The configuration file of pgBackRest.
    type: path
  repository_path:
    description:
      - With O(stanza), the folder of its repository. Copies of it are damaged, so free space for one copy is required.
    type: path
  environment:
    description:
      - Variables for pgBackRest, such as C(PGBACKREST_REPO1_CIPHER_PASS).
    type: dict
    default: {}
  os_user:
    description:
      - The user that pgBackRest runs as if the module runs as root. If unset, the owner of O(repository_path).
    type: str
  restored_db:
    description:
      - A database of a sandbox that was restored from the set. Copies of it are created on the same server, which needs free space for one copy.
      - If O(restored_db) and O(restored_path) are unset, only views of the stored set are damaged.
      - No other session may be connected to it, because PostgreSQL copies only databases without sessions.
    type: str
  system_identifier:
    description:
      - The identity of the sandbox's server, as M(lifeline.recovery.sandbox) returns it. Another server is refused.
    type: str
  restored_path:
    description:
      - A SQLite file that was restored from the set. Copies of it are damaged in a temporary folder.
      - If unset for a set of D1 or SQLite, a file that the set is loaded into is damaged and compared.
    type: path
  recovery_environment:
    description:
      - With O(restored_db), must be V(sandbox); in any other environment no copy is created.
    type: str
    default: production
    choices: [production, staging, sandbox]
seealso:
  - module: lifeline.recovery.backup_verify
"""

EXAMPLES = r"""
- name: Test that damage to the newest set is detected
  lifeline.recovery.drill_self_test:
    source: school
    store:
      bucket: school-backups
  register: self_test
  failed_when: not self_test.all_caught

- name: Test that damage to the restored database of a sandbox is detected
  lifeline.recovery.drill_self_test:
    source: school
    restored_db: school
    system_identifier: "{{ sandbox.system_identifier }}"
    recovery_environment: sandbox
    login_host: "{{ sandbox.login_host }}"
    login_port: "{{ sandbox.login_port }}"
    store:
      bucket: school-backups

- name: Test that damage to a random daily set is detected
  lifeline.recovery.drill_self_test:
    source: school
    tier: daily
    set: random
    seed: 12
    store:
      bucket: school-backups

- name: Test that damage to a repository of pgBackRest is detected
  lifeline.recovery.drill_self_test:
    stanza: main
    repository_path: /var/lib/pgbackrest

- name: Test that damage to a set in a local folder is detected
  lifeline.recovery.drill_self_test:
    source: school
    set: 20260301T020005Z
    store:
      provider: directory
      path: /var/backups/lifeline
"""

RETURN = r"""
set_id:
  description: The set that was used, or the label of the backup.
  type: str
  returned: success
  sample: 20260301T020005Z
table:
  description: The table whose object was damaged; empty with O(stanza).
  type: str
  returned: success
  sample: public.lessons
self_tests:
  description: One entry per damage - damage, caught, and how it was detected.
  type: list
  elements: dict
  returned: success
  sample: [{damage: missing, caught: true, how: "The object school/daily/objects/ab/ab12 in s3://school-backups is missing."}]
not_tried:
  description:
    - Kinds of damage for which the restored database has no object, such as a policy. They are not in RV(self_tests).
  type: list
  elements: str
  returned: success
  sample: [policy_removed_from_copy]
all_caught:
  description: Whether every damage that was tried was caught.
  type: bool
  returned: success
  sample: true
error_kind:
  description: A stable name of what went wrong.
  type: str
  returned: failure
  sample: unsupported
"""

import typing as t

from ..module_utils._ansible.ansible_module import create_module, run_module
from ..module_utils._ansible.argument_specs import postgres_spec, selection_spec
from ..module_utils._ansible.options import ArgumentSpec
from ..module_utils._ansible.pitr_requests import tested_stanza
from ..module_utils._ansible.postgres_requests import maintenance_options
from ..module_utils._ansible.requests import required_source
from ..module_utils._ansible.store_requests import readable_store, set_selection, store_spec
from ..module_utils._core.confirmation import ENVIRONMENTS
from ..module_utils._drill.copies import CopyTests, with_copy_tests
from ..module_utils._drill.postgres_copy import (
    PostgresCopyRequest,
    run_postgres_copy_tests,
)
from ..module_utils._drill.repository_test import run_repository_tests
from ..module_utils._drill.self_test import SelfTestResult, run_self_tests
from ..module_utils._drill.sqlite_copy import run_sqlite_copy_tests
from ..module_utils._repository.catalogue import find_set
from ..module_utils._repository.manifest import SQLITE_ENGINE, Manifest
from ..module_utils._store.base import ObjectStore

SPEC = ArgumentSpec(
    {
        "stanza": {"type": "str"},
        "config": {"type": "path"},
        "repository_path": {"type": "path"},
        "environment": {"type": "dict", "default": {}, "no_log": True},
        "os_user": {"type": "str"},
        "restored_db": {"type": "str"},
        "system_identifier": {"type": "str"},
        "restored_path": {"type": "path"},
        "recovery_environment": {"type": "str", "default": "production", "choices": list(ENVIRONMENTS)},
    },
    required_together=[["stanza", "repository_path"], ["restored_db", "system_identifier"]],
    mutually_exclusive=[["stanza", "source"], ["stanza", "restored_db", "restored_path"]],
).merge(selection_spec(), postgres_spec(), store_spec())


def _copy_tests(store: ObjectStore, manifest: Manifest, params: t.Mapping[str, t.Any]) -> t.Optional[CopyTests]:
    if manifest.engine == SQLITE_ENGINE:
        return run_sqlite_copy_tests(store, manifest, params["restored_path"])
    if not params["restored_db"]:
        return None
    request = PostgresCopyRequest(
        maintenance_options(params),
        params["restored_db"],
        params["recovery_environment"],
        params["system_identifier"],
    )
    return run_postgres_copy_tests(store, manifest, request)


def main() -> None:
    module = create_module(SPEC)
    params = module.params

    def work() -> SelfTestResult:
        if params["stanza"]:
            return run_repository_tests(
                tested_stanza(params), params["repository_path"], params["client_bin_dir"], None
            )
        store = readable_store(params, params["source"])
        manifest = find_set(store, required_source(params), set_selection(params))
        return with_copy_tests(run_self_tests(store, manifest), _copy_tests(store, manifest, params))

    run_module(module, work)


if __name__ == "__main__":
    main()
