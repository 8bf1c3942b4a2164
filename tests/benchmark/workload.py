# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A database of the kind that the collection is made for, of any size."""

from __future__ import annotations

from tests.support.servers.postgres import PostgresServer

#: Rows at scale 1.0, which dumps to about 1 GB. Texts are made of words in a random order, so that they
#: compress three to four times, as real ones do.
_VOCABULARY = """
    CREATE FUNCTION words(seed bigint, count int) RETURNS text LANGUAGE sql IMMUTABLE AS $$
        SELECT string_agg((ARRAY['lesson','child','number','animal','story','colour','river','music','planet','forest',
            'question','answer','because','together','listen','explain','between','picture','morning','winter','the',
            'a','and','of','with','under','seven','twelve','small','large','bright','quiet'])
            [1 + (hashint8(seed * 131 + n) & 31)]
            || CASE WHEN n % 7 = 0 THEN (hashint8(seed + n) & 4095)::text ELSE '' END, ' ')
        FROM generate_series(1, count) n
    $$
"""

_TABLES = {
    "profiles": (
        "id bigint PRIMARY KEY, uid uuid UNIQUE, name text, email text, created_at timestamptz, settings jsonb",
        "n, gen_random_uuid(), words(n, 2), 'user' || n || '@example.org',"
        " '2024-01-01'::timestamptz + n * interval '7 s',"
        " jsonb_build_object('theme', n % 5, 'streak', n % 365, 'bio', words(n, 6))",
        400_000,
    ),
    "lessons": (
        "id bigint PRIMARY KEY, title text, body text, state text, minutes int, updated_at timestamptz",
        "n, words(n, 4), words(n * 7, 220), (ARRAY['draft', 'published', 'retired'])[1 + n % 3], n % 90,"
        " '2024-01-01'::timestamptz + n * interval '61 s'",
        270_000,
    ),
    "course_versions": (
        "id bigint PRIMARY KEY, course bigint, version int, content jsonb, published_at timestamptz",
        "n, n / 5, n % 5, jsonb_build_object('title', words(n, 4), 'items', (SELECT jsonb_agg(jsonb_build_object("
        "'id', i, 'stem', words(n * 31 + i, 12), 'options', ARRAY[i, n, i + n])) FROM generate_series(1, 8) i)),"
        " '2024-01-01'::timestamptz + n * interval '11 min'",
        150_000,
    ),
    "user_progress": (
        "id bigint PRIMARY KEY, profile bigint, lesson bigint, points numeric(8,2), ratio float8, at timestamptz",
        "n, 1 + n % {profiles}, 1 + n % {lessons}, (n % 10000) / 7.0, n / 3.0,"
        " '2025-01-01'::timestamptz + n * interval '3 s'",
        1_200_000,
    ),
    "bookings": (
        "id bigint PRIMARY KEY, profile bigint, starts_at timestamptz, room int, price numeric(10,2), note text",
        "n, 1 + n % {profiles}, '2025-01-01'::timestamptz + n * interval '13 min', n % 40, n % 90 + 0.5, words(n, 5)",
        350_000,
    ),
    "media": (
        "id bigint PRIMARY KEY, name text, thumbnail bytea",
        "n, words(n, 2), decode(hex, 'hex') FROM (SELECT n, (SELECT string_agg(md5((n * 100 + i)::text), '')"
        " FROM generate_series(1, 60) i) AS hex FROM generate_series(1, {count}) n) s",
        12_000,
    ),
}

_INDEXES = (
    "CREATE INDEX ON user_progress (profile, lesson)",
    "CREATE INDEX ON user_progress (at)",
    "CREATE INDEX ON bookings (starts_at)",
    "CREATE INDEX ON lessons (updated_at)",
    "ALTER TABLE user_progress ADD FOREIGN KEY (profile) REFERENCES profiles",
    "ALTER TABLE user_progress ADD FOREIGN KEY (lesson) REFERENCES lessons",
    "ALTER TABLE bookings ADD FOREIGN KEY (profile) REFERENCES profiles",
)

#: The table that changes between two backups, about a twentieth of the whole.
CHANGED = "bookings"


#: Three students and, by their column, the tables with their rows to restore.
STUDENTS = (17, 23, 42)
STUDENTS_LIST = ", ".join(map(str, STUDENTS))
STUDENTS_TABLES = {"profiles": "id", "bookings": "profile"}


def make_database(server: PostgresServer, name: str, scale: float) -> int:
    """Create and fill the database; its size in bytes."""
    server.create_database(name)
    counts = {table: max(100, int(count * scale)) for table, (_columns, _values, count) in _TABLES.items()}
    with server.session(name) as cursor:
        cursor.execute(_VOCABULARY)
        for table, (columns, values, _count) in _TABLES.items():
            cursor.execute(f"CREATE TABLE {table} ({columns})")
            filled = values.replace("{profiles}", str(counts["profiles"])).replace("{lessons}", str(counts["lessons"]))
            rows = f" FROM generate_series(1, {counts[table]}) n" if "{count}" not in filled else ""
            cursor.execute(f"INSERT INTO {table} SELECT {filled.replace('{count}', str(counts[table]))}{rows}")
        for statement in _INDEXES:
            cursor.execute(statement)
        cursor.execute("DROP FUNCTION words")
        cursor.execute("VACUUM ANALYZE")
        cursor.execute("CHECKPOINT")
        cursor.execute("SELECT pg_database_size(current_database())")
        return int(cursor.fetchone()[0])


def change_one_table(server: PostgresServer, name: str) -> None:
    with server.session(name) as cursor:
        cursor.execute(f"UPDATE {CHANGED} SET note = note || ' moved' WHERE id % 1000 = 0")


def delete_students(server: PostgresServer, name: str) -> None:
    with server.session(name) as cursor:
        for table, column in (("user_progress", "profile"), *reversed(STUDENTS_TABLES.items())):
            cursor.execute(f"DELETE FROM {table} WHERE {column} IN ({STUDENTS_LIST})")
