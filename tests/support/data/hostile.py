# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A database whose ordinary user attacks every role that touches its tables with more rights."""

from __future__ import annotations

import contextlib
import secrets
import typing as t
from dataclasses import dataclass
from pathlib import Path

import psycopg2

from tests.support.servers.postgres import PostgresServer

_PREPARE = """
CREATE SCHEMA app;
GRANT CREATE ON SCHEMA public TO {role};
CREATE TABLE public.vault (secret text);
INSERT INTO public.vault VALUES ('untouched');
ALTER SCHEMA app OWNER TO {role};
"""

#: Each attempt by itself, because one that is refused must not stop the next.
_ATTACK = """
CREATE FUNCTION app.attempt(statement text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE statement;
EXCEPTION WHEN OTHERS THEN
  NULL;
END $$;
CREATE FUNCTION app.attack() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  PERFORM app.attempt('RESET ROLE');
  PERFORM app.attempt('SET ROLE postgres');
  PERFORM app.attempt('RESET SESSION AUTHORIZATION');
  PERFORM app.attempt('ALTER ROLE {role} SUPERUSER');
  PERFORM app.attempt('UPDATE public.vault SET secret = current_user');
  PERFORM app.attempt('COPY (SELECT current_user) TO PROGRAM ''cat > {canary}''');
  PERFORM app.attempt('SET search_path = app, public, pg_catalog');
  PERFORM app.attempt('SET standard_conforming_strings = off');
  PERFORM app.attempt('SET datestyle = german');
END $$;
CREATE FUNCTION app.true(anyelement) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS
  $$BEGIN PERFORM app.attack(); RETURN true; END$$;
CREATE FUNCTION app.zero(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS
  $$BEGIN PERFORM app.attack(); RETURN 0; END$$;
CREATE FUNCTION app.fire() RETURNS trigger LANGUAGE plpgsql AS
  $$BEGIN PERFORM app.attack(); RETURN coalesce(NEW, OLD); END$$;

-- Types: casts that lie, comparisons that lie, checks that attack.
CREATE TYPE app.mood AS ENUM ('good', 'bad');
CREATE FUNCTION app.lie(app.mood) RETURNS text LANGUAGE plpgsql AS
  $$BEGIN PERFORM app.attack(); RETURN 'same'; END$$;
CREATE FUNCTION app.lie_json(app.mood) RETURNS json LANGUAGE plpgsql AS
  $$BEGIN PERFORM app.attack(); RETURN '"same"'; END$$;
CREATE FUNCTION app.lie_back(text) RETURNS app.mood LANGUAGE plpgsql AS
  $$BEGIN PERFORM app.attack(); RETURN 'good'; END$$;
CREATE CAST (app.mood AS text) WITH FUNCTION app.lie(app.mood) AS ASSIGNMENT;
CREATE CAST (app.mood AS json) WITH FUNCTION app.lie_json(app.mood);
CREATE CAST (text AS app.mood) WITH FUNCTION app.lie_back(text) AS ASSIGNMENT;
CREATE FUNCTION app.equal(app.mood, app.mood) RETURNS boolean LANGUAGE plpgsql AS
  $$BEGIN PERFORM app.attack(); RETURN true; END$$;
CREATE OPERATOR public.= (LEFTARG = app.mood, RIGHTARG = app.mood, FUNCTION = app.equal);
CREATE OPERATOR app.= (LEFTARG = app.mood, RIGHTARG = app.mood, FUNCTION = app.equal);
CREATE DOMAIN app.amount AS int CHECK (app.true(VALUE));
CREATE FUNCTION app.distance(int, int) RETURNS float8 LANGUAGE plpgsql IMMUTABLE AS
  $$BEGIN PERFORM app.attack(); RETURN $1 - $2; END$$;
CREATE TYPE app.span AS RANGE (subtype = int, subtype_diff = app.distance);
CREATE TYPE app.pair AS (one int, two app.amount);
CREATE FUNCTION app.lie(app.pair) RETURNS text LANGUAGE plpgsql AS
  $$BEGIN PERFORM app.attack(); RETURN 'same'; END$$;
CREATE CAST (app.pair AS text) WITH FUNCTION app.lie(app.pair);

CREATE TABLE app.parent (
  id int PRIMARY KEY, m app.mood, a app.amount, s app.span, p app.pair, l app.amount[],
  g int GENERATED ALWAYS AS (app.zero(id)) STORED,
  d int DEFAULT app.zero(1),
  CHECK (app.true(id))
);
CREATE INDEX ON app.parent ((app.zero(1) + id));
CREATE INDEX ON app.parent ((app.zero(id)));
CREATE INDEX ON app.parent (id) WHERE app.true(id);
CREATE STATISTICS app.lies ON (app.zero(id)), id FROM app.parent;
CREATE TABLE app.child (id int PRIMARY KEY, parent int REFERENCES app.parent, m app.mood);
CREATE TABLE app.moods (m app.mood PRIMARY KEY);
INSERT INTO app.moods VALUES ('good');
ALTER TABLE app.parent ENABLE ROW LEVEL SECURITY;
CREATE POLICY only_lies ON app.parent USING (app.true(id)) WITH CHECK (app.true(id));
INSERT INTO app.parent (id, m, a, s, p, l)
  SELECT g, 'good', g, app.span(g, g + 2), ROW(g, g)::app.pair, ARRAY[g] FROM generate_series(1, 5) g;
INSERT INTO app.child SELECT g, g, 'good' FROM generate_series(1, 5) g;
CREATE TRIGGER fires BEFORE INSERT OR UPDATE OR DELETE ON app.parent FOR EACH ROW EXECUTE FUNCTION app.fire();
CREATE TRIGGER fires BEFORE INSERT OR UPDATE OR DELETE ON app.child FOR EACH ROW EXECUTE FUNCTION app.fire();
ALTER TABLE app.child ENABLE ALWAYS TRIGGER fires;
CREATE CONSTRAINT TRIGGER fires_late AFTER INSERT OR UPDATE ON app.child DEFERRABLE INITIALLY DEFERRED
  FOR EACH ROW EXECUTE FUNCTION app.fire();
CREATE VIEW app.seen AS SELECT id, app.zero(id) AS zero, app.attack() IS NULL AS attacked FROM app.parent;
CREATE TABLE app.ruled (id int);
CREATE RULE lies AS ON INSERT TO app.ruled DO ALSO SELECT app.attack();
"""


@dataclass(frozen=True)
class Hostile:
    """The database, its attacker, and where a successful attack leaves its mark."""

    server: PostgresServer
    database: str
    role: str
    canary: Path

    def run(self, script: str) -> None:
        """As the attacker, who has logged in: from SET ROLE its code would find the way back."""
        with self.server.session(self.database, user=self.role, password="hostile") as cursor:
            cursor.execute(script)

    def require_harmless(self) -> None:
        """Raise AssertionError when an attack succeeded."""
        with self.server.session(self.database) as cursor:
            cursor.execute("SELECT rolsuper FROM pg_roles WHERE rolname = %s", (self.role,))
            assert cursor.fetchone() == (False,), "the attacker is a superuser"
            cursor.execute("SELECT secret FROM public.vault")
            assert cursor.fetchone() == ("untouched",), "the attacker wrote to a table of the superuser"
            cursor.execute("SELECT rolname FROM pg_roles WHERE rolname LIKE 'lifeline%'")
            assert cursor.fetchall() == [], "a role of a transaction was left"
        assert not self.canary.exists(), f"a program ran on the server, as {self.canary.read_text()}"

    def values(self, query: str) -> list[tuple[t.Any, ...]]:
        with self.server.session(self.database, user=self.role, password="hostile") as cursor:
            cursor.execute(query)
            return list(cursor.fetchall())


@contextlib.contextmanager
def hostile_database(server: PostgresServer) -> t.Iterator[Hostile]:
    mark = secrets.token_hex(6)
    hostile = Hostile(server, server.create_database(), f"app_{mark}", Path(f"/tmp/lifeline-canary-{mark}"))
    with server.session() as cursor:
        cursor.execute(f"CREATE ROLE {hostile.role} LOGIN PASSWORD 'hostile'")
    try:
        server.psql(hostile.database, _PREPARE.replace("{role}", hostile.role))
        hostile.run(_ATTACK.replace("{role}", hostile.role).replace("{canary}", str(hostile.canary)))
        hostile.require_harmless()
        yield hostile
    finally:
        server.drop_database(hostile.database)
        with server.session() as cursor, contextlib.suppress(psycopg2.Error):
            cursor.execute(f"DROP ROLE {hostile.role}")
        hostile.canary.unlink(missing_ok=True)
