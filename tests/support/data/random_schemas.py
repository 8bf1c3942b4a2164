# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Random tables, values and objects for property tests of the fingerprint."""

from __future__ import annotations

import random
import re
import typing as t

#: Types that every database of these tests has: an enum, a domain, a composite and a range of users.
PREPARED_TYPES = """
    CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
    CREATE DOMAIN price AS numeric(12, 3) CHECK (VALUE >= 0);
    CREATE DOMAIN label AS varchar(20);
    CREATE TYPE pair AS (a integer, b text);
    CREATE TYPE floatrange AS RANGE (subtype = float8, subtype_diff = float8mi);
    CREATE DOMAIN moods AS mood[];
    CREATE DOMAIN ints AS integer[];
    CREATE DOMAIN spanned AS int4range;
    CREATE DOMAIN wide AS label;
"""


def _number(rng: random.Random, bits: int) -> int:
    limit = 2 ** (bits - 1)
    return rng.choice((0, 1, -1, limit - 1, -limit, rng.randrange(-limit, limit), rng.randrange(-9, 9)))


def _text(rng: random.Random) -> str:
    letters = "ab ,\"{}()\\'\n\u00e4\u4f60\U0001f600A"
    return "".join(rng.choice(letters) for _letter in range(rng.choice((0, 1, 1, 2, 5))))


def _float(rng: random.Random) -> str:
    return rng.choice(("0", "-0", "NaN", "Infinity", "-Infinity", "1", repr(rng.uniform(-1e9, 1e9)), "1e-300"))


def _moment(rng: random.Random) -> str:
    micros = rng.choice((0, 1, 4294967296, 4294967297, rng.randrange(86_400_000_000)))
    return f"{micros // 3_600_000_000:02d}:{micros // 60_000_000 % 60:02d}:{micros % 60_000_000 / 1e6:09.6f}"


def _json(rng: random.Random) -> str:
    return rng.choice(("null", "1", "1.0", '"1"', "[]", "{}", '{"a": 1}', '{"a": 1.0}', '{"a": [1, 2]}', "[2, 1]"))


def _array(values: list[str]) -> str:
    quoted = ['"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"' for value in values]
    return "{" + ",".join(quoted) + "}"


#: Type to a function that gives the text of a random value.
TYPES: dict[str, t.Callable[[random.Random], str]] = {
    "boolean": lambda rng: rng.choice(("t", "f")),
    "smallint": lambda rng: str(_number(rng, 16)),
    "integer": lambda rng: str(_number(rng, 32)),
    "bigint": lambda rng: str(rng.choice((_number(rng, 64), 1, 4294967296, 4294967297))),
    "oid": lambda rng: str(rng.randrange(2**32)),
    "numeric": lambda rng: rng.choice(("0", "1", "1.0", "1.00", "NaN", "-1", "1e30", str(rng.randrange(10**9)))),
    "numeric(20,4)": lambda rng: str(rng.randrange(10**9)),
    "real": lambda rng: rng.choice(("0", "-0", "NaN", "1", "1.5", str(rng.randrange(99)))),
    "double precision": _float,
    "money": lambda rng: str(rng.randrange(10**9)),
    "text": _text,
    "varchar(30)": _text,
    "char(5)": lambda rng: rng.choice(("", "a", "b ", "abc")),
    '"char"': lambda rng: rng.choice(("", "a", "b")),
    "name": _text,
    "bytea": lambda rng: "\\x" + rng.randbytes(rng.randrange(4)).hex(),
    "date": lambda rng: rng.choice(("infinity", "2024-02-29", "4713-01-01 BC", f"2020-01-{rng.randrange(1, 29):02d}")),
    "time": _moment,
    "timetz": lambda rng: _moment(rng) + rng.choice(("+00", "+02", "-08:30")),
    "timestamp": lambda rng: f"2000-01-01 {_moment(rng)}",
    "timestamptz": lambda rng: rng.choice(("infinity", f"2000-01-01 {_moment(rng)}+00")),
    "interval": lambda rng: rng.choice(("1 mon", "30 days", "720:00:00", "1 day", "24:00:00", _moment(rng))),
    "uuid": lambda rng: rng.randbytes(16).hex(),
    "inet": lambda rng: rng.choice(("10.0.0.1", "10.0.0.1/8", "::1", "10.0.0.2")),
    "cidr": lambda rng: rng.choice(("10.0.0.0/8", "10.0.0.0/16", "::/0")),
    "macaddr": lambda rng: rng.randbytes(6).hex(),
    "json": _json,
    "jsonb": _json,
    "jsonpath": lambda rng: rng.choice(("$", "$.a", "$.b")),
    "bit(4)": lambda rng: f"{rng.randrange(16):04b}",
    "varbit": lambda rng: "01" * rng.randrange(4),
    "point": lambda rng: f"({rng.randrange(3)},{rng.choice(('0', '-0', '1'))})",
    "box": lambda rng: f"(({rng.randrange(3)},1),(0,0))",
    "circle": lambda rng: f"<({rng.randrange(3)},0),{rng.randrange(1, 3)}>",
    "polygon": lambda rng: f"((0,0),(1,{rng.randrange(3)}),(1,0))",
    "tsvector": lambda rng: rng.choice(("a", "a:1", "a:1A b:2", "b")),
    "tsquery": lambda rng: rng.choice(("a", "a & b", "a | b", "!a")),
    "pg_lsn": lambda rng: rng.choice(("0/1", "1/0", "0/FFFFFFFF", "1/1")),
    "int4range": lambda rng: rng.choice(("empty", "[1,2)", "[1,3)", "(,5)", "(,)")),
    "int8range": lambda rng: rng.choice(("empty", "[1,4294967297)", "[0,4294967296)")),
    "numrange": lambda rng: rng.choice(("[1,2)", "[1.0,2)", "[1,2]")),
    "tstzrange": lambda rng: f"[2000-01-01 {_moment(rng)}+00,)",
    "int4multirange": lambda rng: rng.choice(("{}", "{[1,2)}", "{[1,2),[4,5)}")),
    "regclass": lambda rng: rng.choice(("pg_class", "pg_type")),
    "regtype": lambda rng: rng.choice(("integer", "text", "mood")),
    "mood": lambda rng: rng.choice(("sad", "ok", "happy")),
    "price": lambda rng: str(rng.randrange(10**6)),
    "label": lambda rng: _text(rng)[:20],
    "pair": lambda rng: f"({_number(rng, 32)},{rng.choice(('', 'x', 'y'))})",
    "floatrange": lambda rng: rng.choice(("empty", "[1,2)", "[1,2]", "(,1)")),
    "moods": lambda rng: rng.choice(("{}", "{sad}", "{sad,ok}", "{ok,sad}")),
    "ints": lambda rng: rng.choice(("{1}", "{1,2}", "{2,1}")),
    "spanned": lambda rng: rng.choice(("[1,2)", "[1,3)", "empty")),
    "wide": lambda rng: _text(rng)[:20],
    "ints[]": lambda rng: rng.choice(('{"{1}"}', '{"{2}"}')),
    "integer[]": lambda rng: rng.choice(("{}", "{1}", "{1,2}", "{2,1}", "{NULL}", "[0:1]={1,2}", "{{1,2},{3,4}}")),
    "bigint[]": lambda rng: rng.choice(("{1}", "{4294967296}", "{1,4294967297}")),
    "text[]": lambda rng: _array([_text(rng) for _value in range(rng.randrange(3))]),
    "numeric[]": lambda rng: rng.choice(("{1}", "{1.0}", "{1,1.0}")),
    "mood[]": lambda rng: rng.choice(("{sad}", "{ok}", "{sad,ok}")),
    "pair[]": lambda rng: rng.choice(('{"(1,x)"}', '{"(1,y)"}', "{}")),
    "price[]": lambda rng: rng.choice(("{1}", "{2}", "{1,2}")),
}

#: Conditions over the columns of table_of_conditions that PostgreSQL prints in other names than they were written.
CONDITIONS = (
    "status IN ('RUNNING', 'COMPLETED', 'UNKNOWN')", "status NOT IN ('a', 'b')", "status = ANY (ARRAY['x', 'y'])",
    "c5 IN ('a', 'b')", "n IN (1, 2, 3)", "m IN (1, 2.5)", "m BETWEEN 0 AND 1000", "d > '2000-01-01'",
    "ts > d", "tz > '2000-01-01 00:00+00'", "tz AT TIME ZONE 'UTC' > ts", "extract(year FROM d) > 1990",
    "i < '1 day'", "t LIKE 'a%'", "t ILIKE '%b'", "t ~ '^a'", "t SIMILAR TO '(a|b)%'", "length(t) < 100",
    "t COLLATE \"C\" < 'b'", "status || t <> ''", "coalesce(t, status) IS NOT NULL", "(n, m) > (1, 2)",
    "n IS DISTINCT FROM 5", "NOT b", "b IS NOT TRUE", "CASE WHEN b THEN n > 0 ELSE m > 0 END",
    "CASE status WHEN 'a' THEN true ELSE false END", "a[1] = 5", "5 = ANY (a)", "a && ARRAY[1, 2]", "a @> '{1}'",
    "j ->> 'k' = 'v'", "(j -> 'k')::text <> ''", "j ? 'k'", "j @> '{\"a\": 1}'",
    "u <> '00000000-0000-0000-0000-000000000000'",
    "mo = 'ok'", "mo IN ('sad', 'ok')", "mo > 'sad'", "pr < 10", "lb IN ('x', 'y')", "r @> 5", "NOT isempty(r)",
    "ip << '10.0.0.0/8'", "(p).a > 0", "nullif(n, 0) > 1", "greatest(n, 5) > least(n, 3)", "n::bigint * 2 > 4",
    "n % 2 = 0", "- n < 0", "m ^ 2 < 100", "f IN (1, 2)", "s2 IN (1, 2)", "big IN (1, 4294967296)", "x'0F'::int > n",
    "substring(t FROM 1 FOR 2) <> ''", "position('a' IN t) > 0", "trim(both ' ' from t) <> ''",
    "overlay(t placing 'x' from 1) <> ''",
    "(ts, i) OVERLAPS (d::timestamp, interval '1 day')", "pg_typeof(n) = 'integer'::regtype", "t IS NORMALIZED",
    "n BETWEEN SYMMETRIC 5 AND 1", "status::text = 'q'::varchar(2)", "d = DATE '2000-01-01' + 1", "bi = B'1010'",
)  # fmt: skip

_COLUMNS = """
    id integer PRIMARY KEY, status varchar(25), c5 char(5), t text, n integer, s2 smallint, big bigint,
    m numeric(10, 2), f double precision, b boolean, d date, ts timestamp, tz timestamptz, i interval, a integer[],
    j jsonb, u uuid, mo mood, pr price, lb label, r int4range, ip inet, p pair, bi bit(4)
"""
#: Volatile or user functions; conditions of generated columns and indexes must be immutable.
_NOT_IMMUTABLE = ("tz", "pg_typeof", "::text = 'q'", "OVERLAPS", "extract(year FROM d)", "ts > d", "'2000-01-01'", "(j")


def table_of_conditions(rng: random.Random, name: str) -> str:
    """SQL of one table with checks, defaults, generated columns, indexes, policies, triggers, a view and grants."""
    pick = rng.choice
    immutable = [text for text in CONDITIONS if not any(part in text for part in _NOT_IMMUTABLE)]
    statements = [f"CREATE TABLE {name} ({_COLUMNS}, CONSTRAINT {name}_c0 CHECK ({pick(CONDITIONS)}))"]
    statements.append(f"ALTER TABLE {name} ADD CHECK ({pick(CONDITIONS)} OR {pick(CONDITIONS)}) NOT VALID")
    statements.append(f"ALTER TABLE {name} ADD g boolean GENERATED ALWAYS AS ({pick(immutable)}) STORED")
    statements.append(f"ALTER TABLE {name} ALTER t SET DEFAULT {_default(rng)}")
    statements.append(f"CREATE INDEX ON {name} (n) WHERE {pick(immutable)}")
    statements.append(f"CREATE INDEX ON {name} (({pick(immutable)}), lower(t)) INCLUDE (m)")
    statements.append(f"ALTER TABLE {name} ENABLE ROW LEVEL SECURITY")
    statements.append(
        f"CREATE POLICY pol ON {name} AS {pick(('PERMISSIVE', 'RESTRICTIVE'))} FOR {pick(('ALL', 'SELECT', 'DELETE'))} "
        f"USING ({pick(CONDITIONS)} AND EXISTS (SELECT FROM parent q WHERE q.id = {name}.n AND q.state IN ('a', 'b')))"
    )
    statements.append(
        f"CREATE TRIGGER trg BEFORE UPDATE OF t, n ON {name} FOR EACH ROW "
        f"WHEN ({_of_new(pick(CONDITIONS))}) EXECUTE FUNCTION nothing()"
    )
    statements.append(
        f"CREATE VIEW {name}_v AS SELECT x.*, {pick(CONDITIONS)} AS c FROM {name} x JOIN parent q ON q.id = x.n "
        f"WHERE {pick(CONDITIONS)} ORDER BY x.id DESC NULLS LAST LIMIT 5"
    )
    statements.append(f"CREATE RULE ru AS ON DELETE TO {name} WHERE old.n IN (1, 2) DO ALSO NOTHING")
    statements.append(
        f"CREATE FUNCTION {name}_f(x {name}) RETURNS boolean STABLE BEGIN ATOMIC SELECT x.status IN ('a', 'b'); END"
    )
    statements.append(f"GRANT {pick(('SELECT', 'ALL', 'INSERT (t, n)', 'SELECT, UPDATE'))} ON {name} TO PUBLIC")
    statements.append(f"CREATE STATISTICS {name}_st ON (n % 7), (lower(t)) FROM {name}")
    statements.append(f"CREATE DOMAIN {name}_d AS varchar(9) CHECK (VALUE IN ('a', 'b') OR VALUE LIKE 'z%')")
    if rng.random() < 0.5:
        statements.append(f"ALTER TABLE {name} ADD FOREIGN KEY (n) REFERENCES parent ON DELETE SET NULL NOT VALID")
    return ";\n".join(statements) + ";\n"


PREPARED_PARENT = """
    CREATE TABLE parent (id integer PRIMARY KEY, state varchar(3) CHECK (state IN ('a', 'b', 'c')));
    CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
"""


def _default(rng: random.Random) -> str:
    return rng.choice(
        ("'a' || 'b'", "now()::text", "upper('x'::varchar)", "CASE WHEN random() < 0.5 THEN 'a' ELSE 'b' END",
         "current_user", "CURRENT_TIMESTAMP", "to_char(now(), 'YYYY')", "coalesce(NULL, 'q'::bpchar)", "'x'::char(3)",
         "(ARRAY['a', 'b'])[1]", "concat('a', 1, true)", "md5('a')", "E'\\\\x'", "array_to_string(ARRAY[1, 2], ',')")
    )  # fmt: skip


def _of_new(condition: str) -> str:
    """The condition about the new row of a trigger."""
    names = [names[0] for names in map(str.split, _COLUMNS.split(",")) if len(names) > 1]
    return re.sub(rf"(?<![\w'%\".])\b({'|'.join(names)})\b(?![\w'(])", r"NEW.\1", condition)
