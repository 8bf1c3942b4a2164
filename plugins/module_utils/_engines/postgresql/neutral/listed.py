# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Objects that a copy keeps: they act outside only if something uses them, or other servers connect to them."""

from __future__ import annotations

import typing as t

from ..server.connection import Connection, fetch_all
from .actors import Listed
from .functions import Outbound

_PUBLICATIONS = "SELECT pubname::text FROM pg_publication ORDER BY 1"
#: Options that name a place. Others may hold a password, in a URL too.
_SERVERS = """
    SELECT s.srvname::text, w.fdwname::text, coalesce((
      SELECT string_agg(o, ', ' ORDER BY o) FROM unnest(s.srvoptions) o
      WHERE split_part(o, '=', 1) IN ('host', 'hostaddr', 'port', 'dbname')), '')
    FROM pg_foreign_server s JOIN pg_foreign_data_wrapper w ON w.oid = s.srvfdw ORDER BY 1
"""
_MAPPINGS = "SELECT srvname::text, usename::text FROM pg_user_mappings ORDER BY 1, 2"
#: Expressions that call a function: views, defaults, constraints, policies, indexes. Triggers and rules act themselves.
_USERS = """
    SELECT DISTINCT pg_describe_object(d.classid, d.objid, d.objsubid), d.refobjid
    FROM pg_depend d LEFT JOIN pg_rewrite r ON d.classid = 'pg_rewrite'::regclass AND r.oid = d.objid
    WHERE d.refclassid = 'pg_proc'::regclass AND d.refobjid = ANY (%s)
      AND d.classid NOT IN ('pg_trigger'::regclass, 'pg_event_trigger'::regclass, 'pg_proc'::regclass)
      AND (r.oid IS NULL OR r.rulename = '_RETURN')
    ORDER BY 1
"""
#: pg_cron reads its table in one database of the server, and a job names the database that it runs in.
CRON_DATABASE = "SELECT current_setting('cron.database_name', true)"


def read_listed(conn: Connection, functions: t.Mapping[int, Outbound]) -> t.List[Listed]:
    """Publications, foreign servers, user mappings, and functions and expressions that leave the server if used."""
    found = [Listed("publication", name, "another server can subscribe") for (name,) in fetch_all(conn, _PUBLICATIONS)]
    for name, wrapper, place in fetch_all(conn, _SERVERS):
        found.append(Listed("foreign_server", name, f"{wrapper}{': ' if place else ''}{place}"))
    for server, role in fetch_all(conn, _MAPPINGS):
        found.append(Listed("user_mapping", f"{role} on {server}", "logs in to another server if a query uses it"))
    for one in functions.values():
        if not one.of_extension:
            found.append(Listed("function", one.signature, f"{one.reason}, if something calls it"))
    for described, function in fetch_all(conn, _USERS, (list(functions),)):
        found.append(Listed("expression", described, f"calls {functions[int(function)].signature}"))
    return found
