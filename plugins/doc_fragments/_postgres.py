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
      - A connection string of libpq, as a URI or as keywords, instead of O(login_host) and its like.
      - O(login_db) wins over the database that it names.
    type: str
  login_host:
    description:
      - The host of the server. Without it, E(PGHOST), then the local socket.
    type: str
  login_port:
    description:
      - The port of the server. Without it, E(PGPORT).
      - A transaction pooler, such as port 6543 of Supabase, is refused, because its sessions belong to other clients
        as well. A session pooler is accepted; its sessions are given back unchanged.
    type: int
    default: 5432
  login_user:
    description:
      - The role to log in as. Without it, E(PGUSER), then the name of the system's user.
    type: str
  login_password:
    description:
      - The password of O(login_user). Without it, E(PGPASSWORD), then the password file of libpq.
      - It is handed to client programs in their environment, never on their command line.
    type: str
  login_unix_socket:
    description:
      - The folder of a local socket, instead of O(login_host).
    type: str
  login_db:
    description:
      - The database to connect to. Without it, E(PGDATABASE), then a database named as the role.
    type: str
  ssl_mode:
    description:
      - How the connection is secured. V(verify-full) is the only mode that cannot be listened to by a stranger in between.
    type: str
    choices: [allow, disable, prefer, require, verify-ca, verify-full]
    default: prefer
  ca_cert:
    description:
      - A file of certificate authorities that the server's certificate must come from.
    type: path
  ssl_cert:
    description:
      - The client's certificate.
    type: path
  ssl_key:
    description:
      - The key of O(ssl_cert).
    type: path
  connect_timeout:
    description:
      - Seconds to wait for the server to answer a new connection.
      - A connection that O(dsn) gives a connect_timeout of its own keeps that.
    type: int
    default: 10
  stall_timeout:
    description:
      - Seconds that a statement or a client program may wait without any progress. Then the server is asked over a
        second connection whether it works on it, and the wait ends with the error C(timeout) when it does not.
      - A long statement that the server works on is never ended. V(0) waits without a limit.
      - Raise it for a network that pauses longer, lower it to notice a stalled connection earlier.
    type: int
    default: 300
  client_bin_dir:
    description:
      - The folder of C(pg_dump), C(pg_restore), C(pg_dumpall) and C(psql).
      - Without it, the client of the server's major version is looked for in the usual places, else the newest.
    type: path
"""

    # For modules that run client programs and log in to no server.
    CLIENT = r"""
options:
  client_bin_dir:
    description:
      - The folder of C(pg_dump), C(pg_restore), C(pg_dumpall) and C(psql).
      - Without it, the client of the server's major version is looked for in the usual places, else the newest.
    type: path
"""
