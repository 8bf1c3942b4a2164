# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this fragment is PRIVATE to the collection and may change without notice.

from __future__ import annotations


class ModuleDocFragment:
    # How to reach a PostgreSQL server; names and meanings are those of community.postgresql.
    DOCUMENTATION = r"""
options:
  dsn:
    description:
      - Connection string of libpq, as a URI or as keywords, instead of O(login_host) and the other connection options.
      - O(login_db) overrides the database of the string.
    type: str
  login_host:
    description:
      - Host of the server. If it is unset, E(PGHOST) is used, then the local socket.
    type: str
  login_port:
    description:
      - Port of the server. If it is unset, E(PGPORT) is used.
      - A transaction pooler, such as port 6543 of Supabase, is refused, because its sessions belong to other clients
        as well. A session pooler is accepted; its sessions are returned unchanged.
    type: int
    default: 5432
  login_user:
    description:
      - Role to log in as. If it is unset, E(PGUSER) is used, then the name of the operating system user.
    type: str
  login_password:
    description:
      - Password of O(login_user). If it is unset, E(PGPASSWORD) is used, then the password file of libpq.
      - It is passed to client programs in their environment, never on their command line.
    type: str
  login_unix_socket:
    description:
      - Folder of a local socket, instead of O(login_host).
    type: str
  login_db:
    description:
      - Database to connect to. If it is unset, E(PGDATABASE) is used, then a database with the name of the role.
    type: str
  ssl_mode:
    description:
      - C(sslmode) of the connection. Only V(verify-full) protects against an attacker between client and server.
    type: str
    choices: [allow, disable, prefer, require, verify-ca, verify-full]
    default: prefer
  ca_cert:
    description:
      - File of certificate authorities that must have signed the certificate of the server.
    type: path
  ssl_cert:
    description:
      - Certificate of the client.
    type: path
  ssl_key:
    description:
      - Key of O(ssl_cert).
    type: path
  connect_timeout:
    description:
      - Seconds to wait until the server answers a new connection.
      - A connect_timeout in O(dsn) overrides it.
    type: int
    default: 10
  stall_timeout:
    description:
      - Seconds that a statement or a client program may wait without any progress. Then the module asks the server over a
        second connection whether it works on the statement. If it does not, the wait ends with the error C(timeout).
      - A long statement that the server works on is never ended. V(0) disables the limit.
      - Raise it for a network with longer pauses, lower it to detect a stalled connection earlier.
    type: int
    default: 300
"""

    # Client programs; alone for modules that log in to no server.
    CLIENT = r"""
options:
  client_bin_dir:
    description:
      - Folder of C(pg_dump), C(pg_restore), C(pg_dumpall) and C(psql).
      - If it is unset, the client of the server's major version is searched in the standard folders, else the newest client.
    type: path
"""

    # A second server of the same cluster.
    PEER = r"""
options:
  peer:
    description:
      - The other server of the pair, the primary or its standby.
      - Options that are unset are those of the first server, except host, port and socket.
    type: dict
    suboptions:
      dsn:
        description:
          - Connection string of libpq, instead of O(peer.login_host) and the other connection options.
        type: str
      login_host:
        description:
          - Host of the server.
        type: str
      login_port:
        description:
          - Port of the server.
        type: int
        default: 5432
      login_unix_socket:
        description:
          - Folder of a local socket, instead of O(peer.login_host).
        type: str
      login_user:
        description:
          - Role to log in as. If it is unset, that of the first server is used; both servers have the same roles.
        type: str
      login_password:
        description:
          - Password of the role. If it is unset, that of the first server is used.
        type: str
      login_db:
        description:
          - Database to connect to. If it is unset, that of the first server is used.
        type: str
      ssl_mode:
        description:
          - C(sslmode) of the connection. If it is unset, that of the first server is used.
        type: str
        choices: [allow, disable, prefer, require, verify-ca, verify-full]
      ca_cert:
        description:
          - File of certificate authorities that must have signed the certificate of the server.
        type: path
      ssl_cert:
        description:
          - Certificate of the client.
        type: path
      ssl_key:
        description:
          - Key of O(peer.ssl_cert).
        type: path
"""

    # The server after its promotion, in modules that log in to no other server.
    PROMOTED = r"""
options:
  peer:
    description:
      - The login to the server that becomes the primary. If it is set, the module proves that a commit on the server returns.
    type: dict
    suboptions:
      dsn:
        description:
          - Connection string of libpq, instead of O(peer.login_host) and the other connection options.
        type: str
      login_host:
        description:
          - Host of the server.
        type: str
      login_port:
        description:
          - Port of the server.
        type: int
        default: 5432
      login_unix_socket:
        description:
          - Folder of a local socket, instead of O(peer.login_host).
        type: str
      login_user:
        description:
          - Role to log in as. If it is unset, the name of the operating system user is used.
        type: str
      login_password:
        description:
          - Password of the role. If it is unset, the password file of libpq is used.
        type: str
      login_db:
        description:
          - Database to connect to. If it is unset, V(postgres) is used.
        type: str
      ssl_mode:
        description:
          - C(sslmode) of the connection. If it is unset, V(prefer) is used.
        type: str
        choices: [allow, disable, prefer, require, verify-ca, verify-full]
      ca_cert:
        description:
          - File of certificate authorities that must have signed the certificate of the server.
        type: path
      ssl_cert:
        description:
          - Certificate of the client.
        type: path
      ssl_key:
        description:
          - Key of O(peer.ssl_cert).
        type: path
  write_seconds:
    description:
      - Timeout in seconds of the commit on O(peer).
    type: float
    default: 15
"""

    # The live database, beside a copy of it.
    ORIGINAL = r"""
options:
  original:
    description:
      - The live database, from which the database of O(login_db) was copied. It is refused as the target.
      - If it is unset, the newest set of the source names the server and the database.
      - Options that are unset are those of the first server, except host, port and socket.
    type: dict
    suboptions:
      dsn:
        description:
          - Connection string of libpq, instead of O(original.login_host) and the other connection options.
        type: str
      login_host:
        description:
          - Host of the server.
        type: str
      login_port:
        description:
          - Port of the server.
        type: int
        default: 5432
      login_unix_socket:
        description:
          - Folder of a local socket, instead of O(original.login_host).
        type: str
      login_user:
        description:
          - Role to log in as. If it is unset, that of the first server is used.
        type: str
      login_password:
        description:
          - Password of the role. If it is unset, that of the first server is used.
        type: str
      login_db:
        description:
          - Database to connect to. If it is unset, that of the first server is used.
        type: str
      ssl_mode:
        description:
          - C(sslmode) of the connection. If it is unset, that of the first server is used.
        type: str
        choices: [allow, disable, prefer, require, verify-ca, verify-full]
      ca_cert:
        description:
          - File of certificate authorities that must have signed the certificate of the server.
        type: path
      ssl_cert:
        description:
          - Certificate of the client.
        type: path
      ssl_key:
        description:
          - Key of O(original.ssl_cert).
        type: path
"""

    # Statements of the operator, in modules that run them in one transaction.
    STATEMENTS = r"""
options:
  statements:
    description:
      - SQL statements to run. Names in them must have schemas, because C(search_path) is C(pg_catalog).
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description:
          - Name of the statement, for results and messages.
        type: str
        required: true
      sql:
        description:
          - The statement.
        type: str
        required: true
      role:
        description:
          - Role whose rights the statement has.
        type: str
        required: true
      only_if:
        description:
          - Query. The statement runs only if the query returns a row, and afterwards the query must return none.
        type: str
  lock_timeout:
    description:
      - Seconds to wait for objects that other sessions have locked.
    type: float
    default: 30
"""
