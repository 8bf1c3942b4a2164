# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Statements and psql commands that leave the database of a restore, with a word of the refusal."""

from __future__ import annotations

#: {marker} is a file that must not appear, {database} a database that must stay.
HOSTILE = [
    ("\\! touch {marker}\n", "\\!"),
    ("\\set x `touch {marker}`\n", "\\set"),
    ("\\copy a to program 'touch {marker}'\n", "\\copy"),
    ("\\o |touch {marker}\nSELECT 1;\n", "\\o"),
    ("\\i {marker}\n", "\\i"),
    ("\\connect postgres\n", "\\connect"),
    ("\\c - - - 1\n", "\\c"),
    ("\\set ON_ERROR_STOP 0\n", "\\set"),
    ("\\q\n", "\\q"),
    ("SELECT 1 \\! touch {marker}\n;\n", "\\!"),
    ("SELECT 1; \\! touch {marker}\n", "\\!"),
    ("SELECT 'x' \\g |touch {marker}\n", "\\g"),
    ("SELECT 'DROP DATABASE x' \\gexec\n", "\\gexec"),
    ("SELECT 1 \\; DROP DATABASE postgres;\n", "\\;"),
    ("SELECT :'DBNAME';\n", "colon"),
    ("DROP /* x */ DATABASE -- y\n {database};\n", "DROP DATABASE"),
    ("drop\n\tdatabase if exists {database};\n", "DROP DATABASE"),
    ("-- a comment that ends here\rDROP DATABASE {database};\n", "DROP DATABASE"),
    ("/* /* */ */ ALTER ROLE postgres NOSUPERUSER;\n", "ALTER ROLE"),
    ("SELECT E'\\'' -- ;\n '\\''; CREATE ROLE intruder SUPERUSER;\n", "CREATE ROLE"),
    ("SET standard_conforming_strings = off; SELECT 'a\\'' ; CREATE USER intruder; --';\n", "CREATE USER"),
    ("SET client_encoding = 'SJIS';\n", "SJIS"),
    ("SELECT pg_catalog.set_config('client_encoding', 'GBK', false);\n", "GBK"),
    ("COPY a FROM PROGRAM 'touch {marker}';\n", "program"),
    ("COPY (SELECT ') FROM stdin') TO PROGRAM 'touch {marker}';\n", "program"),
    ("COPY a TO '{marker}';\n", "file"),
    ("DO $$BEGIN COPY (SELECT 1) TO PROGRAM 'touch {marker}'; END$$;\n", "DO"),
    ("ALTER SYSTEM SET work_mem = 1;\n", "ALTER SYSTEM"),
    ("LOAD '/tmp/evil.so';\n", "LOAD"),
    ("CREATE FUNCTION e() RETURNS int LANGUAGE C AS '/tmp/evil.so', 'e';\n", "library"),
    ("SELECT pg_read_file('/etc/passwd');\n", "pg_read_file"),
    ("SELECT \"lo_export\" (7001, '{marker}');\n", "lo_export"),
    ("UPDATE pg_database SET datname = 'x';\n", "catalog"),
    ("COPY pg_catalog.pg_authid (rolname) FROM stdin;\nx\n\\.\n", "catalog"),
    ("CREATE SCHEMA s GRANT CREATE ON DATABASE {database} TO PUBLIC;\n", "CREATE SCHEMA"),
    ("GRANT postgres TO PUBLIC;\n", "GRANT"),
    ("COMMENT ON ROLE postgres IS 'x';\n", "ROLE"),
    ("PREPARE TRANSACTION 'left';\n", "PREPARE"),
    (
        "CREATE FUNCTION b() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT 1 case; END; CREATE ROLE intruder; END;\n",
        "body of a function",
    ),
    ("CREATE FUNCTION begin() RETURNS int LANGUAGE sql AS 'SELECT 1'; CREATE ROLE intruder; END;\n", "CREATE ROLE"),
    ('SELECT U&"pg\\005fread_file"(1);\n', "Unicode"),
    ("COPY a FROM stdin; CREATE ROLE intruder;\n\\.\n", "COPY"),
]
