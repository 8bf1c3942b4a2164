# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A database of SQLite with everything that dumps of D1 were seen to break at."""

from __future__ import annotations

import typing as t

#: A statement and its parameters each, as d1_execute takes them.
TORTURE: list[tuple[str, list[t.Any]]] = [
    (
        """
        CREATE TABLE child (
          id INTEGER PRIMARY KEY AUTOINCREMENT, parent REFERENCES parent(id), v, boss REFERENCES child
        );
        CREATE TABLE parent (
          id TEXT PRIMARY KEY, n INTEGER, r REAL, b BLOB, t TEXT,
          twice GENERATED ALWAYS AS (n * 2) VIRTUAL, stored TEXT AS (t || 'x') STORED, first REFERENCES child(id)
        );
        CREATE TABLE pairs (a TEXT COLLATE NOCASE, b INTEGER, c, PRIMARY KEY (b, a)) WITHOUT ROWID;
        CREATE TABLE strictly (a INTEGER, b ANY) STRICT;
        CREATE TABLE plain (x, y);
        CREATE TABLE described (d INTEGER PRIMARY KEY DESC, e);
        CREATE TABLE empty (a NOT NULL DEFAULT ';');
        CREATE TABLE "od""d na;me" ("ro wid", rowid, "a'b" DEFAULT 'x;--');
        CREATE TABLE d1_migrations (id INTEGER PRIMARY KEY, name TEXT UNIQUE);
        CREATE VIRTUAL TABLE own USING fts5(title, body);
        CREATE VIRTUAL TABLE external USING fts5(t, content='parent', content_rowid='rowid');
        CREATE VIRTUAL TABLE bare USING fts5(t, content='');
        CREATE INDEX partial ON child(v) WHERE v > 1;
        CREATE UNIQUE INDEX lowered ON parent(lower(id));
        CREATE VIEW shown AS SELECT c.id, p.t FROM child c JOIN parent p ON p.id = c.parent;
        CREATE TRIGGER noted AFTER INSERT ON child WHEN new.v = 42 BEGIN
          INSERT INTO plain VALUES (new.id, CASE WHEN new.v THEN 'a;b' ELSE 'END' END);
        END
        """,
        [],
    ),
    ("INSERT INTO parent(id, n, r, b, t) VALUES ('p1', ?, 1.0, x'00ff', '')", [2**53 + 1]),
    (
        "INSERT INTO parent(id, n, r, b, t)"
        " VALUES ('p2', -9223372036854775808, 9e999, zeroblob(60000), 'a' || char(0) || 'b')",
        [],
    ),
    ("INSERT INTO parent(id, n, r, b, t) VALUES ('p3', 9223372036854775807, -9e999, x'', CAST(x'ff41c3' AS TEXT))", []),
    (
        "INSERT INTO parent(id, n, r, b, t) VALUES ('p4', 5, 0.1, randomblob(1900000), ?)",
        ["it''s \ufffd \u00fc \U0001f600\r\n;--x"],
    ),
    ("INSERT INTO parent(id, r, t) VALUES ('p5', 5e-324, ?)", ["'" * 300_000 + "\u00fc" * 300_000]),
    ("INSERT INTO child(parent, v) SELECT 'p1', value FROM json_each('[1, 2, 3, 1.5, \"x\", null, 42]')", []),
    ("INSERT INTO child(id, parent, v, boss) VALUES (?, 'p2', 1e300, 1)", [2**53 + 3]),
    ("DELETE FROM child WHERE v = 1e300", []),
    ("UPDATE child SET boss = 7 WHERE id = 2; UPDATE parent SET first = 3 WHERE id = 'p1'", []),
    (
        "INSERT INTO pairs VALUES ('A', 1, 1.0), ('b', 1, 2), ('a', 2, 'x'), ('', -1, NULL);"
        "INSERT INTO strictly VALUES (1, 1.0), (2, 'x'), (NULL, x'01');"
        "INSERT INTO plain(rowid, x, y) VALUES (77, 1.0, 1), (-5, '1', x'31'), (4000000000000000000, NULL, NULL);"
        "INSERT INTO described VALUES (5, 'five'), (-1, 'minus');"
        "INSERT INTO \"od\"\"d na;me\" VALUES (1, 2, 3), (1, 2, 3);"
        "INSERT INTO d1_migrations VALUES (1, '0001_init.sql');"
        "INSERT INTO own VALUES ('hello', 'big world');"
        "INSERT INTO own(rowid, title, body) VALUES (50, 'second', 'text');"
        "INSERT INTO external(external) VALUES ('rebuild')",
        [],
    ),
    (
        "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 3000)"
        " INSERT INTO plain SELECT n, 'row ' || n FROM c",
        [],
    ),
]  # fmt: skip

#: A table that is wider than one statement of D1 can give with types.
WIDE = (
    f"CREATE TABLE wide ({', '.join(f'c{number}' for number in range(99))});"
    f"INSERT INTO wide VALUES ({', '.join(str(number) for number in range(99))})"
)
