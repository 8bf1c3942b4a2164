# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Finds calls in the source of a function that leave the server.

The source is searched as text, because PostgreSQL records no dependencies of it, and a statement that EXECUTE runs is a
constant in it. Comments count as well: a trigger that is disabled without need is listed, and a missed one sends data.
"""

from __future__ import annotations

import re
import typing as t

#: A schema, or an empty text for a name without one; and the name of a function.
Name = t.Tuple[str, str]

#: Functions of pg_net, and of the webhooks of Supabase, which use them.
KNOWN: t.FrozenSet[Name] = frozenset(
    [
        ("net", "http_get"),
        ("net", "http_post"),
        ("net", "http_put"),
        ("net", "http_patch"),
        ("net", "http_delete"),
        ("supabase_functions", "http_request"),
    ]
)

#: Functions of extensions that open connections or send requests, by the name of the extension.
#: https://github.com/pramsey/pgsql-http, https://github.com/supabase/pg_net,
#: https://www.postgresql.org/docs/current/dblink.html,
#: https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/PostgreSQL-Lambda.html and PostgreSQL.S3Import.html,
#: https://github.com/omniti-labs/pg_amqp
OF_EXTENSIONS: t.Mapping[str, t.Pattern[str]] = {
    "http": re.compile(r"http|http_(get|post|put|patch|delete|head)"),
    "pg_net": re.compile(r"http_(get|post|put|patch|delete)"),
    "dblink": re.compile(r"dblink|dblink_(connect|connect_u|exec|open|send_query)"),
    "aws_lambda": re.compile(r"invoke"),
    "aws_s3": re.compile(r"query_export_to_s3|table_import_from_s3"),
    "pg_amqp": re.compile(r"(autonomous_)?publish"),
    "amqp": re.compile(r"(autonomous_)?publish"),
}

#: Libraries of functions in C that belong to no extension, such as those of a database that was upgraded.
OF_LIBRARIES = re.compile(r"(^|/)(http|pg_net|dblink|plsh)(\.so)?$")

_IDENTIFIER = r'"(?:[^"]|"")+"|[A-Za-z_\u0080-\U0010ffff][\w$]*'
_CALL = re.compile(rf"(?:({_IDENTIFIER})\s*\.\s*)?({_IDENTIFIER})\s*\(")
_PROGRAM = re.compile(r"\bcopy\b[^;]*\b(?:to|from)\s+program\b", re.IGNORECASE)
#: The name of a function in GRANT, REVOKE and ALTER is no call, as in the event triggers of Supabase.
_NO_CALL = re.compile(r"\b(?:function|procedure|routine)\s+$", re.IGNORECASE)


def calls_in(source: str) -> t.FrozenSet[Name]:
    """The names of the functions that a source calls, folded as PostgreSQL folds them."""
    found = set()
    for match in _CALL.finditer(source):
        if not _NO_CALL.search(source, max(0, match.start() - 40), match.start()):
            found.add((_folded(match[1] or ""), _folded(match[2])))
    return frozenset(found)


def runs_program(source: str) -> bool:
    """Whether a source has COPY with a program of the server."""
    return bool(_PROGRAM.search(source))


def _folded(name: str) -> str:
    return name[1:-1].replace('""', '"') if name.startswith('"') else name.lower()
