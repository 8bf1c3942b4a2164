#!/usr/bin/python
# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: redirect
short_description: Lead clients to another database server, if they are led to the expected one now
version_added: 1.0.0
description:
  - Exchanges the value that leads clients to the writer - a record of DNS, the server of a pooler, a variable in a file, or a value that programs set.
  - If the value is neither O(expected) nor O(value), nothing is changed, and the error has the kind C(conflict).
  - The result is proved as clients see it. The page C(docs/redirecting.md) lists the proof of each way.
  - A second run changes nothing, and proves the result again. To go back, exchange O(expected) and O(value).
author:
  - lifeline.recovery contributors (@lifeline-recovery)
requirements:
  - psycopg2 (for O(pgbouncer))
  - dnspython (for O(rfc2136), O(route53) and O(cloudflare))
  - boto3 (for O(route53) and O(ssm))
extends_documentation_fragment:
  - lifeline.recovery._attributes
attributes:
  check_mode:
    support: full
    details:
      - The value is read and compared, and the answers that clients get now are returned.
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  expected:
    description:
      - The value before the change. For O(pgbouncer), a connection string with the same keywords as O(value).
    type: str
    required: true
  value:
    description:
      - The new value. For O(pgbouncer), the keywords of the line to set, for example V(host=10.2.0.10 port=5432). Other keywords stay.
    type: str
    required: true
  verify_seconds:
    description:
      - Seconds until every answer must be the new value.
    type: float
    default: 60
  timeout:
    description:
      - Seconds of each request and program.
    type: float
    default: 30
  rfc2136:
    description:
      - A record of DNS that a server changes by a signed update. The expected values and the change are one message, so that a change of another
        client is never overwritten. For V(A) and V(AAAA), O(expected) and O(value) are addresses, separated by blanks.
    type: dict
    suboptions:
      server:
        description:
          - Name or address of the primary server of the zone.
        type: str
        required: true
      port:
        description:
          - Port of O(rfc2136.server).
        type: int
        default: 53
      zone:
        description:
          - Name of the zone.
        type: str
        required: true
      record:
        description:
          - Complete name of the record. The record must exist.
        type: str
        required: true
      type:
        description:
          - Type of the record.
        type: str
        choices: [A, AAAA, CNAME, SRV]
        default: CNAME
      ttl:
        description:
          - Time to live in seconds. If it is unset, that of the record is kept. If the record has the value already, only its TTL is changed.
        type: int
      key_name:
        description:
          - Name of the TSIG key that signs the update.
        type: str
      key_secret:
        description:
          - Secret of the TSIG key in base64.
        type: str
      key_algorithm:
        description:
          - Algorithm of the TSIG key.
        type: str
        choices: [hmac-sha224, hmac-sha256, hmac-sha384, hmac-sha512]
        default: hmac-sha256
      authoritative:
        description:
          - Further servers of the zone, as addresses with or without a port. Each must answer the new value.
        type: list
        elements: str
        default: []
      resolvers:
        description:
          - Resolvers of the clients, as addresses with or without a port. Each must answer the new value, which takes up to the TTL before.
        type: list
        elements: str
        default: []
  route53:
    description:
      - A simple record of Amazon Route 53. One change batch deletes exactly the record that was read and creates the new one, so that a change of
        another client is never overwritten. An alias and a weighted or routed set are refused.
    type: dict
    suboptions:
      zone_id:
        description:
          - Id of the hosted zone.
        type: str
        required: true
      record:
        description:
          - Complete name of the record. The record must exist.
        type: str
        required: true
      type:
        description:
          - Type of the record.
        type: str
        choices: [A, AAAA, CNAME, SRV]
        default: CNAME
      ttl:
        description:
          - Time to live in seconds. If it is unset, that of the record is kept. If the record has the value already, only its TTL is changed.
        type: int
      authoritative:
        description:
          - Servers of the zone, as addresses with or without a port. Each must answer the new value.
        type: list
        elements: str
        default: []
      resolvers:
        description:
          - Resolvers of the clients, as addresses with or without a port. Each must answer the new value, which takes up to the TTL before.
        type: list
        elements: str
        default: []
      region:
        description:
          - Region of AWS. If it is unset, boto3 finds it.
        type: str
      access_key:
        description:
          - Access key. If it is unset, boto3 finds the keys in the environment, the profile or the role of the instance.
        type: str
      secret_key:
        description:
          - Secret key.
        type: str
      session_token:
        description:
          - Token of a temporary session.
        type: str
      endpoint_url:
        description:
          - Address of the service, if it is not that of AWS.
        type: str
      ca_bundle:
        description:
          - File of certificate authorities, if the address is not that of AWS.
        type: path
  cloudflare:
    description:
      - A record of a zone of Cloudflare. Its API cannot compare and set, so that the record is read again before and after the write.
    type: dict
    suboptions:
      zone_id:
        description:
          - Id of the zone.
        type: str
        required: true
      record:
        description:
          - Complete name of the record. The zone must have one record of this name and type.
        type: str
        required: true
      type:
        description:
          - Type of the record.
        type: str
        choices: [A, AAAA, CNAME]
        default: CNAME
      ttl:
        description:
          - Time to live in seconds, or 1 for automatic. If it is unset, that of the record is kept. If the record has the value already, only its
            TTL is changed.
        type: int
      api_token:
        description:
          - Token with the right to edit DNS of the zone. If it is unset, E(CLOUDFLARE_API_TOKEN) is used.
        type: str
      api_url:
        description:
          - Address of the API of Cloudflare.
        type: str
        default: https://api.cloudflare.com/client/v4
      authoritative:
        description:
          - Servers of the zone, as addresses with or without a port. Each must answer the new value.
        type: list
        elements: str
        default: []
      resolvers:
        description:
          - Resolvers of the clients, as addresses with or without a port. Each must answer the new value, which takes up to the TTL before.
        type: list
        elements: str
        default: []
  ssm:
    description:
      - A parameter of AWS Systems Manager. Its type, its key and its tier stay. The value of a C(SecureString) is never shown. Systems Manager
        cannot compare and set; a version that another client wrote during the run is reported as C(conflict) after the write.
    type: dict
    suboptions:
      name:
        description:
          - Name of the parameter.
        type: str
        required: true
      region:
        description:
          - Region of AWS. If it is unset, boto3 finds it.
        type: str
      access_key:
        description:
          - Access key. If it is unset, boto3 finds the keys in the environment, the profile or the role of the instance.
        type: str
      secret_key:
        description:
          - Secret key.
        type: str
      session_token:
        description:
          - Token of a temporary session.
        type: str
      endpoint_url:
        description:
          - Address of the service, if it is not that of AWS.
        type: str
      ca_bundle:
        description:
          - File of certificate authorities, if the address is not that of AWS.
        type: path
  kubernetes_secret:
    description:
      - A key of a Kubernetes secret. The API server refuses the change after that of another client. Values are never shown. Environment variables
        of running pods do not change, so that they must be restarted.
    type: dict
    suboptions:
      api_url:
        description:
          - Address of the API server, with C(https://).
        type: str
        required: true
      token:
        description:
          - Bearer token with the rights to get and patch the secret.
        type: str
        required: true
      ca_file:
        description:
          - File of the certificate authority of the API server. If it is unset, the authorities of the host are used.
        type: path
      namespace:
        description:
          - Namespace of the secret.
        type: str
        default: default
      name:
        description:
          - Name of the secret.
        type: str
        required: true
      key:
        description:
          - Key of the value in the secret.
        type: str
        required: true
  pgbouncer:
    description:
      - A database in the section C([databases]) of pgbouncer. The rest of the file stays the same bytes. RELOAD leads new connections to the new
        server. Without M(lifeline.recovery.pgbouncer_pause) and a fence, clients write to the old server until they end their transactions.
    type: dict
    suboptions:
      ini:
        description:
          - Absolute path of the file with the line of the database, on the host of the pooler.
        type: path
        required: true
      database:
        description:
          - Name of the database, as clients use it. V(*) is refused.
        type: str
        required: true
      admin:
        description:
          - Login to the admin console.
        type: dict
        required: true
        suboptions: &login
          host:
            description:
              - Name, address, or folder of the socket of the pooler.
            type: str
            default: 127.0.0.1
          port:
            description:
              - Port of the pooler.
            type: int
            default: 6432
          user:
            description:
              - Role of the login. For the console, one of C(admin_users).
            type: str
            default: postgres
          password:
            description:
              - Password of the role.
            type: str
          sslmode:
            description:
              - Whether the connection is encrypted, as libpq defines it.
            type: str
            default: prefer
      client:
        description:
          - Login of a client to the database. If it is set and the database is not paused, the server that new clients reach must be a primary.
            If it is unset, the proof is what the console shows.
        type: dict
        suboptions: *login
      kill_seconds:
        description:
          - Seconds after which connections that still lead to the server before are dropped, with every other connection of the database. Set it in
            an unplanned failover, where transactions hang on a server that is lost. If it is unset, they are never dropped, and the proof fails while
            they last.
        type: float
  env_file:
    description:
      - A variable in a file of C(KEY=value) lines. The quotes of the value and the rest of the file stay. A value that programs would read in
        different ways is refused. Restart the application afterwards.
    type: dict
    suboptions:
      path:
        description:
          - Absolute path of the file.
        type: path
        required: true
      key:
        description:
          - Name of the variable. The file must have one line for it.
        type: str
        required: true
      hidden:
        description:
          - Whether results show no values, because they may hold a password.
        type: bool
        default: true
  command:
    description:
      - Programs that read and set the value. No shell is used.
    type: dict
    suboptions:
      read:
        description:
          - Program that prints the value, with its arguments.
        type: list
        elements: str
        required: true
      write:
        description:
          - Program that sets the value, with its arguments. It gets the new value in E(LIFELINE_VALUE) and the value before in
            E(LIFELINE_EXPECTED).
        type: list
        elements: str
        required: true
      hidden:
        description:
          - Whether results show no values, because they may hold a password.
        type: bool
        default: true
seealso:
  - module: lifeline.recovery.pgbouncer_pause
  - module: lifeline.recovery.pg_promote
"""

EXAMPLES = r"""
- name: Redirect the name of the writer to the west
  lifeline.recovery.redirect:
    expected: east.example.test.
    value: west.example.test.
    rfc2136:
      server: 10.1.0.53
      zone: example.test
      record: db.example.test
      ttl: 30
      key_name: failover
      key_secret: "{{ vault_dns_key }}"
      authoritative: [10.2.0.53]
      resolvers: [10.3.0.53]
  delegate_to: localhost

- name: Redirect the name of the writer in Route 53, and ask the resolver of the clients
  lifeline.recovery.redirect:
    expected: db-east.example.com.
    value: db-west.example.com.
    verify_seconds: 120
    route53:
      zone_id: Z0123456789ABCDEFGHIJ
      record: db.example.com
      resolvers: [10.2.0.2]
  delegate_to: localhost

- name: Set the connection string in a parameter of Systems Manager
  lifeline.recovery.redirect:
    expected: "{{ vault_database_url_east }}"
    value: "{{ vault_database_url_west }}"
    ssm:
      name: /learnplay/database_url
      region: eu-west-1
  delegate_to: localhost

- name: Redirect new connections of pgbouncer to the server in the west
  lifeline.recovery.redirect:
    expected: host=10.1.0.10 port=5432
    value: host=10.2.0.10 port=5432
    pgbouncer:
      ini: /etc/pgbouncer/pgbouncer.ini
      database: app
      admin:
        user: pgbouncer
        password: "{{ vault_pgbouncer_password }}"
  become: true

- name: Show the change of a variable that the application reads when it starts
  lifeline.recovery.redirect:
    expected: 10.1.0.10
    value: 10.2.0.10
    env_file:
      path: /etc/learnplay/environment
      key: DB_HOST
      hidden: false
  become: true
  check_mode: true
  diff: true

- name: Set the server of HAProxy by programs of the operator
  lifeline.recovery.redirect:
    expected: east
    value: west
    command:
      read: [/usr/local/bin/writer, get]
      write: [/usr/local/bin/writer, set]
      hidden: false
"""

RETURN = r"""
target:
  description: The changed database, variable or value.
  type: str
  returned: success
  sample: the database app in /etc/pgbouncer/pgbouncer.ini
before:
  description: The value before, and facts that a restore needs. Secrets are removed.
  type: dict
  returned: success
  sample: {value: host=10.1.0.10 port=5432}
current:
  description: The value now. Secrets are removed.
  type: str
  returned: success
  sample: host=10.2.0.10 port=5432
answers:
  description: The answers that clients get. Empty if none was asked for.
  type: list
  elements: dict
  returned: success
  contains:
    server:
      description: The server, file or program that was asked.
      type: str
    value:
      description: The answer. Empty if there was none.
      type: str
  sample: [{server: "127.0.0.1:6432", value: host=10.2.0.10 port=5432}]
silent:
  description: Servers of DNS that gave no answer. They lead no client to the value before, and fail the proof only if every server is silent.
  type: list
  elements: str
  returned: success
  sample: ["10.1.0.53:53"]
undo:
  description: Always empty, because the same module with O(expected) and O(value) exchanged goes back.
  type: dict
  returned: success
  sample: {}
plan_digest:
  description: Digest of the change.
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
  sample: {read: 0.1, write: 0.1, verify: 0.2, total: 0.4}
summary:
  description: The result in one sentence.
  type: str
  returned: success
  sample: Changed the database app in /etc/pgbouncer/pgbouncer.ini from host=10.1.0.10 port=5432 to host=10.2.0.10 port=5432.
error_kind:
  description: Stable name of the error.
  type: str
  returned: failure
  sample: conflict
"""

from ..module_utils._ansible.ansible_module import create_module, run_module
from ..module_utils._ansible.options import request_of, spec_of
from ..module_utils._ansible.redirect_requests import redirect_way, show_values, ways_spec
from ..module_utils._operations.change import perform
from ..module_utils._redirect.change import Redirect, RedirectRequest, RedirectResult
from ..module_utils._repository.change import Safeguards

SPEC = spec_of(RedirectRequest).merge(ways_spec())


def main() -> None:
    module = create_module(SPEC)
    params = module.params

    def work() -> RedirectResult:
        safeguards = Safeguards(check_mode=module.check_mode)
        request = request_of(RedirectRequest, params, check_mode=module.check_mode, safeguards=safeguards)
        change = Redirect(request, redirect_way(params))
        try:
            return perform(change)
        finally:
            show_values(module, change.way)

    run_module(module, work)


if __name__ == "__main__":
    main()
